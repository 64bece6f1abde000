"""`probe SOURCE... --state DIR`: find out which mirrors are alive and in sync, and publish what was found."""

from __future__ import annotations

import argparse
import asyncio
import re
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from mirrorlist_admin.errors import AdminError
from mirrorlist_admin.fetch.pacing import DEFAULT_RATE
from mirrorlist_admin.netguard import Netguard, parse_network
from mirrorlist_admin.prober.loop import VOID, Prober, locked
from mirrorlist_admin.prober.metrics import Metrics
from mirrorlist_admin.prober.mirror_run import AskingRules
from mirrorlist_admin.prober.publisher import Publisher
from mirrorlist_admin.prober.reporting import Reporter
from mirrorlist_admin.prober.settings import Settings
from mirrorlist_admin.store import Store
from mirrorlist_admin.verdict.reach import DownRule
from mirrorlist_snapshot.cli.key_flags import signing_key
from mirrorlist_snapshot.cli.publishing_flags import add_publishing_flags, open_target
from mirrorlist_snapshot.cli.shared import CommandError, max_loss
from mirrorlist_snapshot.console import Console, real
from mirrorlist_snapshot.duration import parse_duration
from mirrorlist_snapshot.publishing.rules import PublicationRules
from mirrorlist_snapshot.publishing.running_server import reload_until_served

if TYPE_CHECKING:
    from collections.abc import Callable

    from mirrorlist_snapshot.records import NetworkRecords

EXAMPLES: Final = f"""\
SOURCE is what `mirrorlist-snapshot compile` reads; the categories in it name their `master`, which the mirrors are
compared with. DIR keeps what is known between runs (observations.db) and gets status.toml, for the server's --status:
the mirrors that are down, in seconds. With --publish, a snapshot of who carries what follows in minutes.

A mirror is taken out after three failures over a minute, and comes back after two good runs. What could not be found
out changes nothing. A run with too many new failures is void: it is our own network that fails. A run takes away three
mirrors or 5 % of the capacity at most; the next run, or a person with --confirm, confirms the rest.

Private mirrors are not asked. Addresses that are not global are not asked either, unless --allow-network names them.

Standard output has text on a terminal, and one JSON object a line elsewhere.

exit status: 0 done, 1 refused, or something cannot be read, written or published, 2 wrong usage, {VOID} with --once:
nothing was concluded, as the run is void

examples:
  mirrorlist-admin probe mirrors/ --state /var/lib/mirrorlist-admin --once
  mirrorlist-admin probe mirrors/ --state /var/lib/mirrorlist-admin --every 5m --publish /srv/mirrors.mls \\
      --sign-key 2026.key --signal /run/mirrorlistd/pid --metrics 127.0.0.1:9105
  mirrorlist-admin probe campus.toml --state state --once --allow-network 10.20.0.0/16 --mirror mirror.campus.example
"""
_MOST_EVERY: Final = 86_400
_HOST_PORT: Final = re.compile(r"(?:(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+):)?([0-9]{1,5})")


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the verb."""
    parser.add_argument("sources", metavar="SOURCE", type=Path, nargs="+", help="a source file, or a folder of them")
    parser.add_argument("--state", metavar="DIR", type=Path, required=True, help="the folder for what is known")
    when = parser.add_mutually_exclusive_group(required=True)
    when.add_argument("--once", action="store_true", help="one run, to a verdict for every mirror")
    when.add_argument("--every", metavar="DURATION", type=_every, help="runs until it is stopped, such as 5m")
    parser.add_argument("--publish", metavar="TARGET", help="compile and publish to this file or store (see publish)")
    parser.add_argument(
        "--allow-network",
        metavar="CIDR",
        type=_network,
        action="append",
        default=[],
        help="ask addresses in this network although they are not global (repeatable)",
    )
    parser.add_argument(
        "--reference",
        metavar="URL",
        type=_url,
        action="append",
        default=[],
        help="a host in another network that shows whether the prober is on line (repeatable; best five)",
    )
    parser.add_argument(
        "--rate",
        metavar="N",
        type=real(0.01, 100_000, "a number of requests"),
        default=DEFAULT_RATE,
        help="requests a second to one address (default: %(default)g)",
    )
    parser.add_argument(
        "--retries",
        metavar="SECONDS,...",
        type=_retries,
        default=DownRule(),
        help="when a mirror is tried again after its first failure in a run; the last failure makes it down "
        "(default: 20,60)",
    )
    parser.add_argument(
        "--mirror", metavar="NAME", dest="mirrors", action="append", help="ask only this mirror (repeatable)"
    )
    parser.add_argument(
        "--confirm",
        action="store_true",
        help="with --once: the brake holds nothing back, and masters that went backwards count as they are",
    )
    parser.add_argument("--metrics", metavar="[HOST:]PORT", type=_host_port, help="answer /metrics there")
    add_publishing_flags(parser)


def run(options: argparse.Namespace) -> int:
    """Probe mirrors."""
    if options.confirm and not options.once:
        options.parser.error("--confirm is a person's word about one run: use it with --once")
    settings = Settings(
        sources=tuple(options.sources),
        state=options.state,
        once=options.once,
        guard=Netguard(tuple(options.allow_network)),
        rules=AskingRules(down=options.retries, every=options.every or AskingRules().every),
        rate=options.rate,
        references=tuple(options.reference),
        only=None if options.mirrors is None else frozenset(options.mirrors),
        confirm=options.confirm,
        signal=options.signal,
    )
    try:
        open_publisher = _publisher(options) if options.publish else None
    except CommandError as error:
        raise AdminError(str(error)) from error
    console = Console("mirrorlist-admin")
    reporter = Reporter(console, as_json=options.json or not sys.stdout.isatty())
    metrics = Metrics()
    with locked(options.state), Store(options.state) as store:
        if options.metrics is not None:
            reporter.note("metrics", port=metrics.listen(*options.metrics))
        return _run(Prober(settings, store, reporter, metrics, open_publisher, _agent))


def _run(prober: Prober) -> int:
    """Run until it ends by itself, or SIGTERM ends it; that is a good end."""
    try:
        import uvloop  # noqa: PLC0415 - not on every platform

        runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    except ImportError:
        runner = asyncio.Runner()

    async def main() -> int:
        task = asyncio.current_task()
        if task is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await prober.run()

    with runner:
        try:
            return runner.run(main())
        except asyncio.CancelledError:
            return 0


def _publisher(options: argparse.Namespace) -> Callable[[Store], Publisher]:
    """Return what makes the publisher; the key and the target are opened now, so that mistakes show at once."""
    rules = PublicationRules(
        signer=signing_key(options.sign_key), limit=max_loss(options), keep=options.keep, force=options.force
    )
    target = open_target(options.publish)

    def served(serial: int) -> None:
        if options.signal is not None:
            reload_until_served(options.signal, options.readyz, serial, options.wait, lambda _: None)

    return lambda store: Publisher(store, target, rules, served)


def _agent(records: NetworkRecords) -> str:
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

    try:
        number = version("mirrorlistd")
    except PackageNotFoundError:  # run from a source tree that is not installed
        number = "0"
    return f"mirrorlist-admin/{number} (mirror check; {records.contact or 'no contact stated'})"


def _every(text: str) -> int:
    try:
        return parse_duration(text, 1, _MOST_EVERY)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _retries(text: str) -> DownRule:
    try:
        pauses = tuple(float(part) for part in text.split(","))
    except ValueError:
        pauses = ()
    if not pauses or any(not 0 < pause <= 600 for pause in pauses) or list(pauses) != sorted(pauses):  # noqa: PLR2004
        raise argparse.ArgumentTypeError(f"expected seconds in growing order, such as 20,60, found {text[:40]!a}")
    return DownRule(pauses)


def _network(text: str) -> Any:  # noqa: ANN401 - either family
    try:
        return parse_network(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected a network such as 10.20.0.0/16: {error}") from None


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise argparse.ArgumentTypeError(f"expected an http or https URL, found {text[:100]!a}")
    return text


def _host_port(text: str) -> tuple[str, int]:
    found = _HOST_PORT.fullmatch(text)
    if found is None or int(found[2]) > 65_535:  # noqa: PLR2004
        raise argparse.ArgumentTypeError(f"expected a port, or HOST:PORT, found {text[:100]!a}")
    return (found[1] or "127.0.0.1").strip("[]"), int(found[2])
