"""`python -m mirrorlist_admin` is `mirrorlist-admin`."""

from __future__ import annotations

import sys

from mirrorlist_admin.cli import main

if __name__ == "__main__":
    sys.exit(main())
