"""Reports about snapshots: plain dicts for JSON, and the same facts as text.

The keys of the dicts are an interface: keys are added, never renamed or removed. Nothing here reads a file or a clock.
"""

from __future__ import annotations

from mirrorlist_snapshot.report.diff import diff, diff_text
from mirrorlist_snapshot.report.overview import inspect, inspect_text

__all__ = ["diff", "diff_text", "inspect", "inspect_text"]
