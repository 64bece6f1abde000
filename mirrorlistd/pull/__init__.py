"""Snapshots from a store: asked for by version, verified before anything is replaced, never an older one."""
