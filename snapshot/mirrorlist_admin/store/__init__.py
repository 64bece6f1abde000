"""What the prober knows and has done: one SQLite file, `observations.db`, with a typed row for each table."""

from mirrorlist_admin.store.database import Store

__all__ = ["Store"]
