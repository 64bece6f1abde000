"""People's package clients from all over the world, for locust: see README.md beside this file.

    mirrorlistd serve --snapshot /tmp/design.mls --trusted-proxy 127.0.0.1 --pid-file /tmp/mirrorlistd.pid &
    locust -f bench/locustfile.py --host http://127.0.0.1:8080                                  # with its web page
    locust -f bench/locustfile.py --host http://127.0.0.1:8080 --headless -u 100 -r 20 -t 60s   # without

What is asked for comes from the server's own /repos, so any snapshot will do. Who asks is said by X-Forwarded-For, so
the server must trust this machine as a proxy. Variables:

    RELOAD_PID       process id, or a file with it (`--pid-file`): reloads while it runs
    RELOAD_SECONDS   pause between reloads (default: 5)

Each answer is checked: the right status, nothing but URLs and comments in a list, no mirror twice.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final

import gevent
from locust import FastHttpUser, between, events, task

from geography import client_networks
from mirrorlist_snapshot.model import CONTINENTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from locust.env import Environment
    from locust.runners import Runner

ADDRESSES: Final = 10_000
# Where package clients are: half in Europe, a quarter in North America.
_SHARES: Final = {"EU": 0.5, "NA": 0.25, "AS": 0.15, "SA": 0.05, "OC": 0.03, "AF": 0.02}
_V6_SHARE: Final = 0.15
_AGENTS: Final = (
    "libdnf (Fedora Linux 41; generic; Linux.x86_64)",
    "dnf/2.7.5",
    "Debian APT-HTTP/1.3 (2.6.1)",
    "ZYpp 17.31.15 (curl 8.0.1)",
    "pip/24.0",
    "curl/8.5.0",
)
_RANDOM: Final = Random(20_261_122)


def _everybody() -> list[str]:
    """Networks of clients, as many from each continent as its share says."""
    return [
        network
        for continent in CONTINENTS
        if (count := round(ADDRESSES * _SHARES.get(continent, 0)))
        for network in client_networks(count, (continent,))
    ]


_NETWORKS: Final = _everybody()


class PackageClient(FastHttpUser):
    """One machine after the other: who asks changes with every request, as behind a proxy."""

    wait_time = between(0.0, 0.02)
    repositories: list[tuple[str, str]]
    """(repository, architecture or empty), of the server that is asked."""

    def on_start(self) -> None:
        """Learn what the server has."""
        listed = self.client.get("/repos?format=json", name="/repos").json()
        self.repositories = [
            (known["repo"], arch) for known in listed if not known["disabled"] for arch in known["arches"] or [""]
        ]

    def _query(self) -> str:
        # A few repositories get most requests: the square of a uniform number leans to the first.
        name, arch = self.repositories[int(_RANDOM.random() ** 2 * len(self.repositories))]
        return f"repo={name}&arch={arch}" if arch else f"repo={name}"

    def _ask(self, target: str, name: str, *right: int, check: Callable[[str], str | None] | None = None) -> None:
        headers = {"X-Forwarded-For": _client(), "User-Agent": _RANDOM.choice(_AGENTS), "Accept": "*/*"}
        with self.client.get(
            target, name=name, headers=headers, allow_redirects=False, catch_response=True
        ) as response:
            if response.status_code not in right:
                response.failure(f"{response.status_code}, expected {' or '.join(map(str, right))}")
            elif check is not None and (problem := check(response.text or "")):
                response.failure(problem)
            else:
                response.success()

    @task(60)
    def mirrorlist(self) -> None:
        """A list, as dnf asks for it."""
        self._ask(f"/mirrorlist?{self._query()}", "list", 200, check=_list_problem)

    @task(10)
    def mirrorlist_of_countries(self) -> None:
        """A list for countries that the client names."""
        self._ask(f"/mirrorlist?{self._query()}&country=DE,FR,NL", "list, country=", 200, 404, check=_list_problem)

    @task(5)
    def json_list(self) -> None:
        """A list as JSON."""
        self._ask(f"/mirrorlist?{self._query()}&format=json", "list, JSON", 200)

    @task(12)
    def metalink(self) -> None:
        """A metalink; 404 where the snapshot has no details of the file."""
        self._ask(f"/metalink?{self._query()}", "metalink", 200, 404)

    @task(6)
    def redirect(self) -> None:
        """A file by redirect."""
        name, arch = _RANDOM.choice(self.repositories)
        self._ask(f"/r/{name}{arch and ':'}{arch}/repodata/repomd.xml", "redirect", 302, 307, 404)

    @task(4)
    def unknown_repository(self) -> None:
        """Something that is not there, a different one each time."""
        self._ask(f"/mirrorlist?repo=no-such-{_RANDOM.randrange(100_000)}&arch=x86_64", "unknown repository", 404)

    @task(2)
    def wrong_query(self) -> None:
        """A request that says nothing of use."""
        self._ask("/mirrorlist?arch=x86_64", "wrong query", 400)

    @task(1)
    def watcher(self) -> None:
        """A monitoring system."""
        self._ask("/readyz", "/readyz", 200)


def _client() -> str:
    if _RANDOM.random() < _V6_SHARE:
        return f"2a{_RANDOM.randrange(16):02x}:{_RANDOM.randrange(1, 0x10000):x}::{_RANDOM.randrange(1, 0x10000):x}"
    return f"{_RANDOM.choice(_NETWORKS)}.{_RANDOM.randrange(1, 255)}"


def _list_problem(text: str) -> str | None:
    """Say what is wrong with a text list; errors are lists of nothing."""
    urls = [line for line in text.splitlines() if not line.startswith("#")]
    if any("://" not in url for url in urls) and len(urls) > 1:
        return "a line that is neither a URL nor a comment"
    return "a mirror twice" if len(set(urls)) < len(urls) else None


@events.init.add_listener  # type: ignore[untyped-decorator]  # locust has no types for its events
def _reload_meanwhile(environment: Environment, runner: Runner | None, **_: object) -> None:
    """Send SIGHUP now and then while users run, if RELOAD_PID says whom to."""
    if (whom := os.environ.get("RELOAD_PID")) and runner is not None:
        pause = float(os.environ.get("RELOAD_SECONDS", "5"))
        process = int(whom) if whom.isdecimal() else int(Path(whom).read_text(encoding="utf-8"))

        def reload() -> None:
            while True:
                gevent.sleep(pause)
                if runner.user_count:
                    os.kill(process, signal.SIGHUP)
                    environment.events.request.fire(  # type: ignore[no-untyped-call]  # the same
                        request_type="SIGHUP", name="reload", response_time=0, response_length=0, exception=None
                    )

        gevent.spawn(reload)
