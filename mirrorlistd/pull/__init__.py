"""Copying snapshots from a store: verified before a file is replaced, and never an older one."""
