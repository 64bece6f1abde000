"""`python -m mirrorlist_snapshot` is `mirrorlist-snapshot`."""

from __future__ import annotations

import sys

from mirrorlist_snapshot.cli import main

if __name__ == "__main__":
    sys.exit(main())
