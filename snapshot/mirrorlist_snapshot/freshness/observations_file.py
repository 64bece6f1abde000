"""The tables of `observations.db` that hold what is in force: written by the prober, read by `compile --observations`.

The prober keeps further tables in the same file (versions, events, what to ask next); they are its own. Rows change
only if something changed, `checked` excepted, so the file does not grow with every run.
"""

from __future__ import annotations

from typing import Final

VERSION: Final = 1
"""`PRAGMA user_version` of the file."""
TABLES: Final = """
CREATE TABLE IF NOT EXISTS run (taken INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS url_state (
  mirror TEXT NOT NULL, category TEXT NOT NULL, url TEXT NOT NULL, family INTEGER NOT NULL,
  state TEXT NOT NULL, since INTEGER NOT NULL, checked INTEGER NOT NULL, reason TEXT NOT NULL,
  PRIMARY KEY (mirror, category, url, family)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS unit_state (
  mirror TEXT NOT NULL, category TEXT NOT NULL, unit TEXT NOT NULL,
  state TEXT NOT NULL, since INTEGER NOT NULL, checked INTEGER NOT NULL,
  lag INTEGER NOT NULL, version TEXT NOT NULL, reason TEXT NOT NULL,
  PRIMARY KEY (mirror, category, unit)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS mirror_state (
  mirror TEXT PRIMARY KEY, weight INTEGER NOT NULL, until INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS unit_directory (
  category TEXT NOT NULL, unit TEXT NOT NULL, directory TEXT NOT NULL,
  PRIMARY KEY (category, unit, directory)
) WITHOUT ROWID;
"""
"""One row of `run`; the other tables are the fields of `observed`, one row a value."""
