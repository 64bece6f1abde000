"""mirrorlist_admin: find out which mirrors are alive and in sync, and let mirrors report it themselves."""
