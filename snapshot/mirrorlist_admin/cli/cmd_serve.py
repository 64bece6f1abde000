"""`serve`: the web server of the admin side, for check-in and for pages about the mirrors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mirrorlist_admin.cli.shared import add_state, console
from mirrorlist_snapshot.console import whole

if TYPE_CHECKING:
    import argparse

EXAMPLES: Final = """\
It reads and writes observations.db in the folder of --state, beside `mirrorlist-admin probe`, which may run on or not.
Pages: /mirrors, /mirrors/NAME, /repos, /repos/NAME; each as JSON with ?format=json. Mirrors fetch their program from
/mirrorlist-report and send reports to /checkin. Everything is public but the reports, which need a token.

Tokens must not be sent in the clear: put a proxy with TLS in front, and name its address with --trusted-proxy if it is
not on this host.

exit status: 0 ended by a signal, 1 it cannot listen, or the folder cannot be used, 2 wrong usage

examples:
  mirrorlist-admin serve --state /var/lib/mirrorlist-admin
  mirrorlist-admin serve --state /var/lib/mirrorlist-admin --host :: --port 8090 --trusted-proxy 192.0.2.7
"""
_PROXIES: Final = ("127.0.0.1", "::1")


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the verb."""
    add_state(parser)
    parser.add_argument("--host", metavar="ADDRESS", default="127.0.0.1", help="listen there (default: 127.0.0.1)")
    parser.add_argument("--port", type=whole(0, 65535, "a port"), default=8090, help="(default: 8090; 0: a free one)")
    parser.add_argument(
        "--trusted-proxy",
        metavar="ADDRESS",
        action="append",
        default=[],
        help="believe the X-Forwarded-For of this proxy, or network; repeatable (default: 127.0.0.1 and ::1)",
    )


def run(options: argparse.Namespace) -> int:
    """Serve until a signal ends it."""
    from mirrorlist_admin.web.app import create_app  # noqa: PLC0415 - the other verbs need no web server
    from mirrorlist_admin.web.server import address, bind, run  # noqa: PLC0415

    listener = bind(options.host, options.port)
    with listener:
        app = create_app(options.state)
        proxies = options.trusted_proxy or list(_PROXIES)
        run(app, listener, proxies, lambda: console().note(f"listening on {address(listener)}"))
    return 0
