"""The admin side of mirrorlistd: it compiles descriptions of mirrors into one snapshot file.

This package never imports the server. Start reading with `mirrorlist_snapshot.format` (reads and writes snapshot files)
and `mirrorlist_snapshot.model` (their contents).
"""
