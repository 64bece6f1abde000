"""The admin side of mirrorlistd: from a description of the mirrors to one snapshot file.

This package never imports the server. What is public is what the modules name in their docstrings;
start with `mirrorlist_snapshot.format` (read and write files) and `mirrorlist_snapshot.model` (what they say).
"""
