"""Asking over HTTP: names, connections, redirects, limits. The only user of HTTP sockets besides `web`."""

from mirrorlist_admin.fetch.client import Client
from mirrorlist_admin.fetch.names import Names
from mirrorlist_admin.fetch.pacing import Pace

__all__ = ["Client", "Names", "Pace"]
