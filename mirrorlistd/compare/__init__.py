"""Comparing two servers: the same requests to both, and the differences between their answers.

`requests` reads the requests, `comparer` sends them within bounds, `answers` reads what comes back, `judging` tells
differences from chance. Only the two named servers are asked, and no redirect is followed.
"""
