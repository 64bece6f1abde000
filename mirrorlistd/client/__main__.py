"""`python -m mirrorlistd.client`: the same as `mirrorlist-fetch`."""

import sys

from mirrorlistd.client.cli import main

if __name__ == "__main__":
    sys.exit(main())
