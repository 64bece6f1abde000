"""The proxies as deploy/ configures them: both really run, in front of a real server, on its Unix socket."""

from __future__ import annotations

import contextlib
import signal
import threading
from socketserver import StreamRequestHandler, ThreadingUnixStreamServer
from typing import TYPE_CHECKING, ClassVar

import pytest
from prometheus_client.parser import text_string_to_metric_families

from support.deployment.proxies import proxy
from support.processes import SECONDS, Response, Server, eventually, exchange, load, wait_for_more, write_snapshot
from support.spellings import spellings

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from support.deployment.proxies import Proxy
    from support.processes import At

pytestmark = [pytest.mark.process, pytest.mark.network]

LIST = "/mirrorlist?repo=r"
DUTCH, AUSTRALIAN, EAGER = "127.0.0.77", "127.0.0.78", "127.0.0.79"
"""Clients: the snapshot says that the addresses of the first two are in these countries."""
SOURCE = {
    "categories": {"c": {}},
    "repositories": {"r": {"category": "c"}},
    "mirrors": {
        f"{country.lower()}{number}.example": {
            "country": country,
            "categories": {
                "c": [f"https://{country.lower()}{number}.example/", f"http://{country.lower()}{number}.example/"]
            },
        }
        for country in ("NL", "AU")
        for number in range(5)
    },
    "overrides": {"netblocks": {f"{DUTCH}/32": "NL", f"{AUSTRALIAN}/32": "AU"}},
}


@pytest.fixture(scope="module", params=["nginx", "haproxy"])
def kind(request: pytest.FixtureRequest) -> str:
    """Which proxy."""
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def running(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Proxy, subprocess.Popen[str]]]:
    """The proxy, and a server behind it that trusts its Unix socket, as deploy/mirrorlistd.toml has it."""
    snapshot = write_snapshot(tmp_path_factory.mktemp("snapshot") / "mirrors.mls", SOURCE)
    with proxy(kind) as made:
        # The proxies give up root, and share no group with the server.
        socket = ("--uds", str(made.folder / "http"), "--uds-mode", "666")
        flags = ("--snapshot", str(snapshot), *socket, "--trusted-proxy", "unix")
        with Server(*flags), made.running() as process:
            wait_until_up(made.at())
            yield made, process


@pytest.fixture
def front(running: tuple[Proxy, subprocess.Popen[str]]) -> Proxy:
    """The proxy."""
    return running[0]


def wait_until_up(front: At) -> None:
    """Wait until the proxy has found the server healthy."""
    assert front.get("/healthz").text == "ok\n"


def test_the_program_itself_finds_no_fault(kind: str) -> None:
    """`nginx -t`, `haproxy -c`: valid, without a warning."""
    with proxy(kind) as made:
        done = made.check()
        assert done.returncode == 0, done.stderr
        said = done.stdout + done.stderr
        assert "warn" not in said.lower(), said


@pytest.mark.parametrize("tls", [False, True])
def test_each_client_gets_the_list_of_its_own_country(front: Proxy, *, tls: bool) -> None:
    """The proxy tells who the client is: who is Dutch gets Dutch mirrors first, over http and over https."""
    for address, country in ((DUTCH, "NL"), (AUSTRALIAN, "AU")):
        text = front.at(address, tls=tls).get(LIST).text
        assert text.startswith(f"# repo = r country = {country} "), text
        assert f"://{country.lower()}" in text.splitlines()[1]


@pytest.mark.parametrize(
    "header", ["X-Forwarded-For", "x-forwarded-for", "Forwarded", "X-Real-IP", "X-Client-IP", "Client-IP", "Via"]
)
def test_what_a_client_says_about_itself_is_not_believed(front: Proxy, header: str) -> None:
    """Headers of the client's own with an Australian's address, once, as a chain, with a port: it stays Dutch."""
    for value in (AUSTRALIAN, f"{AUSTRALIAN}, 10.0.0.1", f"for={AUSTRALIAN}", f"{AUSTRALIAN}:443", "nonsense, "):
        text = front.at(DUTCH).get(LIST, {header: value}).text
        assert text.startswith("# repo = r country = NL "), (value, text)


class _Told(StreamRequestHandler):
    """In the server's place: notes the heads of requests for lists, and answers all."""

    heads: ClassVar[list[list[str]]] = []

    def handle(self) -> None:
        lines = [line.decode().strip() for line in iter(self.rfile.readline, b"\r\n")]
        if "mirrorlist" in lines[0]:
            self.heads.append([line.lower() for line in lines[1:]])
        self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")


def test_the_server_is_told_one_address_and_nothing_of_the_clients_own(kind: str) -> None:
    """Headers are overwritten, not appended to: one X-Forwarded-For with one address, the scheme, and no Forwarded."""
    forged = {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https", "Forwarded": "for=192.0.2.1"}
    _Told.heads.clear()
    with proxy(kind) as made, ThreadingUnixStreamServer(str(made.folder / "http"), _Told) as server:
        (made.folder / "http").chmod(0o666)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with made.running():
                for tls in (False, True):
                    eventually(lambda tls=tls: made.at(DUTCH, tls=tls).get(LIST, forged).status == 200, "an answer")  # type: ignore[misc]
        finally:
            server.shutdown()
            thread.join(SECONDS)
    for head, scheme in zip(_Told.heads, ("http", "https"), strict=True):
        told = sorted(line for line in head if line.startswith(("x-forwarded", "forwarded", "192.0.2")))
        assert told == [f"x-forwarded-for: {DUTCH}", f"x-forwarded-proto: {scheme}"]
        assert not [line for line in head if "192.0.2.1" in line]


def test_https_goes_on_to_https(front: Proxy) -> None:
    """A redirect for an https client names https alone, whatever it says itself; plain http may get either."""
    told = {"X-Forwarded-Proto": "http"}
    for headers in ({}, told):
        secure = front.at(DUTCH, tls=True).get("/r/r/file", headers)
        assert secure.status == 302
        assert secure.headers["location"].startswith("https://nl")
        assert "http://" not in secure.headers.get("link", "")
    assert front.at(DUTCH).get("/r/r/file", {"X-Forwarded-Proto": "nonsense"}).status == 302


def test_lists_are_not_cached(front: Proxy) -> None:
    """Each request is drawn anew: twenty lists for one client are not one list twenty times."""
    assert len({front.at("127.0.0.81").get(LIST).body for _ in range(20)}) > 1


def test_connections_to_the_server_are_kept(front: Proxy) -> None:
    """A hundred requests on a hundred connections of clients need no more than a few connections to the server."""

    def upstream() -> float:
        families = text_string_to_metric_families(front.at().get("/metrics").text)
        return sum(
            one.value for family in families for one in family.samples if one.name == "mirrorlistd_connections_total"
        )

    before = upstream()
    for number in range(100):
        assert front.at(f"127.0.2.{number + 1}").get(LIST).status == 200
    assert upstream() - before < 20


@pytest.mark.parametrize("page", ["/metrics", "/readyz"])
def test_metrics_and_readiness_are_for_this_host_alone(front: Proxy, page: str) -> None:
    """Whoever watches from the proxy's own host sees them, nobody else does, whatever they say about themselves."""
    assert front.at().get(page).status == 200
    assert front.at(DUTCH).get(page).status == 403
    assert front.at(DUTCH).get(page, {"X-Forwarded-For": "127.0.0.1"}).status == 403


@pytest.mark.parametrize("page", ["/metrics", "/readyz"])
def test_what_is_refused_is_refused_in_every_spelling(front: Proxy, kind: str, page: str) -> None:
    """Encoded, with more slashes, dots, letters in capitals, parameters, as a URL: a stranger gets no page."""
    other = 0
    for target in spellings(page):
        other = (other + 1) % 50  # one client may not ask that often
        response = front.at(f"127.0.3.{other + 1}").get(target)
        assert response.status in (400, 403, 404), (kind, target)
        assert "mirrorlistd_" not in response.text
        assert "serial" not in response.text
    for target in (f"http://x{page}", f"https://x:1{page}?a", f"{page}?", f"{page}?x=/"):
        assert front.at("127.0.3.60").get(target).status == 403, (kind, target)


def test_a_client_that_asks_too_much_is_told_429(front: Proxy) -> None:
    """Beyond the rate: 429, for that address alone."""
    statuses: list[int] = []
    with contextlib.closing(front.at(EAGER).connect()) as connection:
        while 429 not in statuses and len(statuses) < 3000:
            statuses.append(exchange(connection, LIST).status)
    assert set(statuses) == {200, 429}
    assert len(statuses) > 100, "a burst is let through"
    assert front.at("127.0.0.80").get(LIST).status == 200


def test_a_reload_of_the_proxy_drops_nobody(running: tuple[Proxy, subprocess.Popen[str]], kind: str) -> None:
    """Three reloads while clients connect and ask: each of them is answered."""
    front, process = running
    asked = [front.at(f"127.0.1.{number}") for number in range(1, 4)]

    def good(response: Response) -> None:
        # A rate limit is no loss; a slow machine does not reach it.
        assert response.status in (200, 429), response

    with contextlib.ExitStack() as stack:
        answers = [stack.enter_context(load(one, LIST, 1, good, keep=False)) for one in asked]
        for _ in range(3):
            process.send_signal(signal.SIGHUP if kind == "nginx" else signal.SIGUSR2)
            wait_for_more(100, *answers)
