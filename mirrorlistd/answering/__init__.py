"""Answers: a query and a client -> a list, and the explanation of it."""
