"""What people and programs want to know of snapshots: plain dicts, ready for JSON, and the same as text.

The keys of the dicts are an interface: they are only added to. Nothing here reads a file or a clock.
"""

from __future__ import annotations

from mirrorlist_snapshot.report.diff import diff, diff_text
from mirrorlist_snapshot.report.overview import inspect, inspect_text

__all__ = ["diff", "diff_text", "inspect", "inspect_text"]
