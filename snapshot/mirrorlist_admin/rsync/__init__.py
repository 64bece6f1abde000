"""Asking over rsync, by the real program: what a mirror's daemon says of some named files."""

from mirrorlist_admin.rsync.listing import Lister

__all__ = ["Lister"]
