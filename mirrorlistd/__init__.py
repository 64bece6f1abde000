"""mirrorlistd, the server: tells each package client which mirrors are near it.

Importing this package costs nothing and reads nothing; the build takes the version from here.
"""

__version__ = "0.1.0"
