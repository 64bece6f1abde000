"""`python -m mirrorlistd.fetch`: the same as `mirrorlist-fetch`."""

import sys

from mirrorlistd.fetch.cli import main

if __name__ == "__main__":
    sys.exit(main())
