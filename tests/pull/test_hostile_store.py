"""A hostile store: what it can make a puller read, and where it can send it."""

from __future__ import annotations

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from mirrorlist_snapshot.errors import StoreError
from mirrorlist_snapshot.publishing.stores import MAX_OBJECT_BYTES, StoredObject
from mirrorlistd.errors import PullError
from mirrorlistd.pull import http_object
from mirrorlistd.pull.attempt import Puller
from mirrorlistd.pull.http_object import privacy, redirected
from support.processes import stamped, write_snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [pytest.mark.process, pytest.mark.network]
Answer = "Callable[[BaseHTTPRequestHandler], None]"


class Store:
    """An HTTP server on one loopback address, whose every answer is one function's."""

    def __init__(self, host: str, answer: Callable[[BaseHTTPRequestHandler], None]) -> None:
        self.paths: list[str] = []
        paths = self.paths

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                paths.append(self.path)
                self.close_connection = True
                with contextlib.suppress(ConnectionError):
                    answer(self)

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

        self.server = ThreadingHTTPServer((host, 0), Handler)
        self.host, self.port = host, self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Of the object."""
        return f"http://{self.host}:{self.port}/m.mls"


@pytest.fixture
def start() -> Iterator[Callable[..., Store]]:
    """Start stores, which end with the test."""
    with contextlib.ExitStack() as stack:

        def store(answer: Callable[[BaseHTTPRequestHandler], None], host: str = "127.0.0.1") -> Store:
            started = Store(host, answer)
            stack.callback(started.server.server_close)
            stack.callback(started.server.shutdown)
            return started

        yield store


def give(data: bytes, status: int = 200, size: int | None = None) -> Callable[[BaseHTTPRequestHandler], None]:
    """Answer with these bytes; `size` is announced in place of theirs."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Content-Length", str(len(data) if size is None else size))
        request.send_header("ETag", '"one"')
        request.end_headers()
        request.wfile.write(data)

    return answer


def redirect(url: str, status: int = 302) -> Callable[[BaseHTTPRequestHandler], None]:
    """Answer with a redirect."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Location", url)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return answer


def good(tmp_path: Path) -> bytes:
    """A snapshot."""
    return write_snapshot(tmp_path / "good.mls", stamped(1)).read_bytes()


def failure(url: str, tmp_path: Path, *redirects: str) -> PullError:
    """The error of an attempt that must fail; nothing is written."""
    with pytest.raises(PullError) as caught:
        Puller(StoredObject.at(url), tmp_path / "m.mls", redirects=redirects).pull()
    assert not (tmp_path / "m.mls").exists()
    return caught.value


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("scheme", ["http", "s3", "s3 without credentials"])
def test_a_redirect_to_another_host_or_port_is_not_followed(
    start: Callable[..., Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, scheme: str
) -> None:
    """Whatever the status and the kind of store, the other host or port hears nothing."""
    for host in ("127.0.0.9", "127.0.0.1"):
        other = start(give(good(tmp_path)), host)
        store = start(redirect(other.url, status))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{store.port}")
        monkeypatch.setenv("AWS_SKIP_SIGNATURE", str("without" in scheme).lower())
        for name, value in {
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "id",
            "AWS_SECRET_ACCESS_KEY": "key",
            "AWS_REGION": "x",
        }.items():
            monkeypatch.setenv(name, value)
        error = failure(store.url if scheme == "http" else "s3://bucket/m.mls", tmp_path)
        assert error.kind == "unreachable"
        assert "another host" in str(error)
        assert "Signature" not in str(error)
        assert (len(store.paths), other.paths) == (1, [])


def test_a_redirect_is_followed_to_the_same_host_and_to_named_hosts(
    start: Callable[..., Store], tmp_path: Path
) -> None:
    """The same host and port need no permission; another host is named with its port, or by the command's flag."""
    data = good(tmp_path)

    def moved(request: BaseHTTPRequestHandler) -> None:
        (give(data) if request.path == "/new.mls" else redirect("/new.mls"))(request)

    store = start(moved)
    assert Puller(StoredObject.at(store.url), tmp_path / "one.mls").pull().installed
    assert store.paths == ["/m.mls", "/new.mls"]
    other = start(give(data), "127.0.0.9")
    store = start(redirect(other.url))
    pull = Puller(StoredObject.at(store.url), tmp_path / "two.mls", redirects=[f"127.0.0.9:{other.port}"])
    assert pull.pull().installed
    assert "another host" in str(failure(store.url, tmp_path, "127.0.0.9"))
    loop = start(redirect("/m.mls"))
    assert "redirected more than 5 times" in str(failure(loop.url, tmp_path))


def test_a_redirect_never_leads_to_a_more_private_address(start: Callable[..., Store]) -> None:
    """Not even where the host is allowed: a store on the Internet must not reach loopback, and is not connected."""
    other = start(give(b""), "127.0.0.9")
    exchange = http_object._Exchange("store", 1e18, [], lambda _start, _size: None)
    exchange._privacy = privacy("192.0.43.8")
    with pytest.raises(StoreError, match="more private address"):
        exchange._socket("127.0.0.9", other.port)
    assert other.paths == []


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("193.0.6.139", 0),
        ("2001:67c:2e8::1", 0),
        ("10.1.2.3", 1),
        ("100.64.0.1", 1),
        ("fd00::1", 1),
        ("::ffff:10.1.2.3", 1),
        ("127.0.0.9", 2),
        ("::1", 2),
        ("169.254.169.254", 3),
        ("::ffff:169.254.169.254", 3),
        ("64:ff9b::10.1.2.3", 1),
        ("64:ff9b::127.0.0.1", 2),
        ("64:ff9b::a9fe:a9fe", 3),
        ("64:ff9b::193.0.6.139", 0),
        ("::ffff:0:10.1.2.3", 1),
        ("2002:7f00:1::1", 2),
        ("2002:a01:203::1", 1),
        ("2002:c100:68b::1", 0),
        ("2001:0:1:2:3:4:80ff:fffe", 2),
        ("fe80::1%eth0", 3),
        ("0.0.0.0", 3),
        ("::", 3),
        ("224.0.0.1", 3),
    ],
)
def test_how_private_an_address_is(address: str, expected: int) -> None:
    """Global, private, loopback, and what is only for this link or for nobody; inside NAT64, 6to4 and Teredo, too."""
    assert privacy(address) == expected


@pytest.mark.parametrize(
    ("start", "url", "followed"),
    [
        ("https://a.example/m", "https://a.example/n", True),
        ("http://a.example/m", "https://a.example/m", True),
        ("https://a.example/m", "http://a.example/m", False),
        ("https://a.example/m", "http://b.example/m", False),
        ("https://a.example:444/m", "https://a.example/m", False),
        ("https://a.example/m", "https://a.example.evil/m", False),
        ("https://a.example/m", "https://a.example@evil/m", False),
        ("https://a.example/m", "https://B.example/m", True),
        ("https://a.example/m", "https://b.example:8443/m", False),
        ("https://a.example/m", "file:///etc/passwd", False),
        ("https://a.example/m", "ftp://a.example/m", False),
    ],
)
def test_where_a_redirect_may_lead(start: str, url: str, followed: bool) -> None:
    """The same host and port or its https; hosts that were named; never down from https."""
    if followed:
        assert redirected("store", start, url, ["b.example"]) == url
    else:
        with pytest.raises(StoreError, match="store: is redirected "):
            redirected("store", start, url, ["b.example"])


def test_the_first_bytes_are_checked_before_the_rest_is_read(start: Callable[..., Store], tmp_path: Path) -> None:
    """An object without a snapshot's header, or of another size than its header states, costs a few packets."""
    sent: list[int] = []

    def endless(head: bytes) -> Callable[[BaseHTTPRequestHandler], None]:
        def answer(request: BaseHTTPRequestHandler) -> None:
            give(head, size=MAX_OBJECT_BYTES)(request)
            sent.append(0)
            for _ in range(MAX_OBJECT_BYTES >> 16):
                request.wfile.write(bytes(1 << 16))
                sent[-1] += 1 << 16

        return answer

    for head in (b"junk", good(tmp_path), good(tmp_path)[:192].ljust(4096, b"x")):
        error = failure(start(endless(head)).url, tmp_path)
        assert error.kind == "refused"
    assert len(sent) == 3
    assert max(sent) < 16 << 20, "what fits into the buffers of two sockets"


def test_an_object_that_is_too_large_or_of_unknown_length_is_not_read(
    start: Callable[..., Store], tmp_path: Path
) -> None:
    """The limit of a snapshot's size holds for what the store announces."""
    error = failure(start(give(b"", size=MAX_OBJECT_BYTES + 1)).url, tmp_path)
    assert f"more than the {MAX_OBJECT_BYTES} that a snapshot may have" in str(error)

    def unknown(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        request.wfile.write(bytes(1000))

    assert "states its length" in str(failure(start(unknown).url, tmp_path))


def test_a_store_that_drips_is_given_up(
    start: Callable[..., Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A byte now and then does not keep an attempt alive: there is a time for the whole object."""
    monkeypatch.setattr(http_object, "READ_SECONDS", 1)
    over = threading.Event()

    def drip(request: BaseHTTPRequestHandler) -> None:
        give(good(tmp_path)[:300], size=len(good(tmp_path)))(request)
        while not over.wait(0.1):
            request.wfile.write(b"\0")

    error = failure(start(drip).url, tmp_path)
    over.set()
    assert error.kind == "unreachable"
    assert "within 1 s" in str(error)


def test_an_error_of_a_moment_is_tried_again(start: Callable[..., Store], tmp_path: Path) -> None:
    """A 5xx and a cut connection are retried within the attempt; a 4xx is not."""
    data = good(tmp_path)
    answers = [give(b"", 503), give(data, size=len(data) + 1), give(data)]

    def in_turn(request: BaseHTTPRequestHandler) -> None:
        answers.pop(0)(request)

    store = start(in_turn)
    assert Puller(StoredObject.at(store.url), tmp_path / "m.mls").pull().installed
    assert len(store.paths) == 3
    (tmp_path / "m.mls").unlink()
    forbidden = start(give(b"<Error><Code>AccessDenied</Code></Error>", 403))
    assert "the store answers 403 Forbidden (AccessDenied)" in str(failure(forbidden.url, tmp_path))
    assert len(forbidden.paths) == 1
    assert failure(start(give(b"", 404)).url, tmp_path).kind == "missing"
