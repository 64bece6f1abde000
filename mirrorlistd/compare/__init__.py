"""Two servers, the same requests: do clients get the same? What an operator wants to know before a change of servers.

`requests` reads what to ask, `asking` asks, within bounds, `answers` reads what comes back, `judging` says what differs
and what is chance. Only the servers that are named are asked, and no redirect is followed.
"""
