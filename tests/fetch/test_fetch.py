"""mirrorlist-fetch against real servers, each with its defect: the right bytes in the end, and who was left and why."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import fcntl
import hashlib
import json
import os
import pty
import re
import signal
import ssl
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, get_args

import pytest

from mirrorlistd.fetch.cli import main
from mirrorlistd.fetch.download import Options, Result, fetch
from mirrorlistd.fetch.errors import FetchError, LocalError, Reason, UsageError
from mirrorlistd.fetch.exchange import Limits
from support.certificates import write_certificate
from support.mirrors import Mode, StaticMirror
from support.paths import ROOT
from support.processes import SECONDS, eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

pytestmark = pytest.mark.network

DATA = Random(7).randbytes(400_000)
NEWER = Random(8).randbytes(400_000)
SHA256 = hashlib.sha256(DATA).hexdigest()
FILE = "pool/hello.bin"
PATIENT = Limits(timeout=10)
"""For mirrors that answer at once, on however slow a machine."""
HASTY = Limits(timeout=1)
"""Where a mirror never answers."""
PART = 50_000
"""Size of a part in tests; DATA has eight."""


class Net:
    """Mirrors on 127.0.0.3 and up that carry FILE, and a server of lists on 127.0.0.2."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack, modes: Sequence[Mode], **options: Any) -> None:
        self.tree = folder / "tree"
        self.file = self.tree / FILE
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_bytes(DATA)
        self.lists = folder / "lists"
        self.lists.mkdir(exist_ok=True)
        self.mirrors = [
            stack.enter_context(StaticMirror(self.tree, host=f"127.0.0.{number}", mode=mode, **options))
            for number, mode in enumerate(modes, 3)
        ]
        self.hub = stack.enter_context(StaticMirror(self.lists, host="127.0.0.2"))
        self.out = folder / "out" / "hello.bin"
        self.out.parent.mkdir(exist_ok=True)

    @property
    def urls(self) -> list[str]:
        """FILE on each mirror."""
        return [f"{mirror.url}{FILE}" for mirror in self.mirrors]

    def mirrorlist(self) -> str:
        """A list of folders; needs `path`."""
        return self.write("mirrorlist", "# c\n" + "".join(f"{mirror.url}\n" for mirror in self.mirrors))

    def metalink(self, *, data: bytes = DATA, old: bytes = b"", name: str = "hello.bin", connections: int = 1) -> str:
        """Version 3, with an alternate."""
        urls = "".join(f'<url preference="{100 - at}">{url}</url>' for at, url in enumerate(self.urls))
        text = (
            '<metalink version="3.0" xmlns="http://www.metalinker.org/"'
            ' xmlns:mm0="http://fedorahosted.org/mirrormanager"><files>'
            f'<file name="{name}">{content(data)}<mm0:alternates><mm0:alternate>{content(old)}</mm0:alternate>'
            f'</mm0:alternates><resources maxconnections="{connections}">{urls}</resources></file></files></metalink>'
        )
        return self.write("metalink", text)

    def meta4(self, *, hashes: str | None = None, name: str = "hello.bin") -> str:
        """Version 4; `hashes` instead of the right sha-256."""
        known = f'<hash type="sha-256">{SHA256}</hash>' if hashes is None else hashes
        urls = "".join(f'<url priority="{at}">{url}</url>' for at, url in enumerate(self.urls, 1))
        text = (
            f'<metalink xmlns="urn:ietf:params:xml:ns:metalink"><file name="{name}">'
            f"<size>{len(DATA)}</size>{known}{urls}</file></metalink>"
        )
        return self.write("file.meta4", text)

    def write(self, name: str, text: str) -> str:
        """Put a document on the server of lists; its URL."""
        (self.lists / name).write_text(text)
        return f"{self.hub.url}{name}"

    def fetch(self, *urls: str, limits: Limits = PATIENT, **options: Any) -> Result:
        """Fetch to `out` and see that it is right."""
        result = asyncio.run(fetch(urls, self.out, Options(limits=limits, part_size=PART, **options)))
        assert result.file == self.out
        assert self.out.read_bytes() == self.file.read_bytes()
        assert result.size == len(DATA)
        assert names(self.out.parent) == [self.out.name]
        return result

    def fails(self, *urls: str, limits: Limits = PATIENT, **options: Any) -> FetchError:
        """Fetch in vain."""
        with pytest.raises(FetchError) as caught:
            asyncio.run(fetch(urls, self.out, Options(limits=limits, part_size=PART, **options)))
        return caught.value

    @property
    def part(self) -> Path:
        """Where the file is under way."""
        return self.out.with_name("hello.bin.part")


def content(data: bytes) -> str:
    """Size and hash as metalink 3 has them."""
    digest = hashlib.sha256(data).hexdigest()
    return f'<size>{len(data)}</size><verification><hash type="sha256">{digest}</hash></verification>'


def names(folder: Path) -> list[str]:
    """What is in a folder."""
    return sorted(path.name for path in folder.iterdir())


def reasons(outcome: Result | FetchError) -> list[str]:
    """Why each was abandoned, in order."""
    return [mirror.reason for mirror in outcome.abandoned]


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Net]]:
    """Give a maker of networks; they end with the test. The machine's own proxies do not meddle."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    with contextlib.ExitStack() as stack:
        yield lambda *modes, **options: Net(tmp_path, stack, modes, **options)


REASONS: dict[Mode, str] = {
    "refused": "refused",
    "reset": "broken",
    "404": "status",
    "500": "status",
    "stalled": "stalled",
    "stalled-midway": "stalled",
    "slow": "slow",
    "truncated": "short",
    "short": "short",
    "long": "long",
    "corrupt": "hash",
    "redirect-loop": "redirect",
    "unannounced": "broken",
    "endless": "long",
}
"""Every defect of a mirror, and its name; the other modes are no defects for a client that asks for the whole."""
UNSEEN = {"short", "long", "corrupt"}
"""Defects that nobody can see without a size and a hash."""


@pytest.mark.parametrize("mode", REASONS)
def test_every_defect_is_survived_and_named(net: Callable[..., Net], mode: Mode) -> None:
    """With a metalink: the next mirror gives the file, and the reason for the first one is the true one."""
    world = net(mode, "ok")
    result = world.fetch(world.meta4(), limits=HASTY, connections=1)
    assert [(mirror.url, mirror.reason) for mirror in result.abandoned] == [(world.urls[0], REASONS[mode])]
    assert world.urls[1] in result.mirrors
    assert (result.verified, result.weak) == (("sha256",), False)


@pytest.mark.parametrize("mode", sorted(set(REASONS) - UNSEEN - {"slow"}))
def test_plain_lists_survive_what_can_be_seen(net: Callable[..., Net], mode: Mode) -> None:
    """Without size and hash the same defects lead to the next mirror, and no two mirrors' bytes are mixed."""
    world = net(mode, "ok")
    limits = Limits(timeout=HASTY.timeout, max_unannounced=1_000_000)
    result = world.fetch(world.mirrorlist(), path=FILE, limits=limits)
    assert (reasons(result), result.mirrors) == ([REASONS[mode]], (world.urls[1],))
    assert (result.verified, result.weak) == ((), True)


@pytest.mark.parametrize("mode", ["ok", "no-range", "no-if-range", "wrong-range"])
def test_no_defect_no_reason(net: Callable[..., Net], mode: Mode) -> None:
    """A mirror that only cannot do ranges gives the file in one request, and the second one is never asked."""
    world = net(mode, "ok")
    result = world.fetch(world.meta4(), connections=1)
    assert (result.abandoned, len(world.mirrors[0].requests), world.mirrors[1].requests) == ((), 1, [])


def test_every_mode_has_a_test() -> None:
    """A new defect of `mirrors` must be told what it means here."""
    assert set(get_args(Mode)) == set(REASONS) | {"ok", "no-range", "no-if-range", "wrong-range", "redirect"}


def test_every_reason_is_documented() -> None:
    """Programs read the reasons: docs/client.md has them all, and no others."""
    _, _, table = (ROOT / "docs/client.md").read_text().partition("| `reason` |")
    assert set(re.findall("`([a-z]+)`", table)) == set(get_args(Reason))


def test_unknown_hosts_are_left(net: Callable[..., Net]) -> None:
    """A name that does not resolve, and URLs that no library can ask."""
    world = net("ok")
    world.write("mirrorlist", f"http://a..b/\nhttp://mirror.invalid/\n{world.mirrors[0].url}\n")
    result = world.fetch(f"{world.hub.url}mirrorlist", path=FILE)
    assert len(result.abandoned) == 2
    assert reasons(result)[1] == "dns"


def test_servers_of_lists_fail_over_too(net: Callable[..., Net]) -> None:
    """Several URLs: the next is asked where one gives no list, such as a login page, or where its mirrors fail."""
    world = net("404", "ok")
    page = world.write("mirrorlist.html", "<html>http://login.example/</html>")
    (world.lists / "login").mkdir()
    (world.lists / "login" / "mirrorlist").write_text("<html>log in</html>")
    bad = world.write("bad", f"{world.mirrors[0].url}\n")
    result = world.fetch(
        "http://127.0.0.2:1/mirrorlist", f"{world.hub.url}login/mirrorlist", page, bad, world.mirrorlist(), path=FILE
    )
    assert reasons(result) == ["refused", "list", "list", "status"]
    assert world.mirrors[0].asked() == 1, "who failed once is not asked again"


def test_no_list_is_told_from_no_mirror(net: Callable[..., Net]) -> None:
    """`listed` says whether there was a list at all."""
    world = net("404")
    assert not world.fails(f"{world.hub.url}none").listed
    assert not world.fails("ftp://127.0.0.2/").listed
    assert world.fails(world.mirrorlist(), path=FILE).listed
    assert names(world.out.parent) == [], "nothing is left behind"


def test_huge_lists_are_refused(net: Callable[..., Net]) -> None:
    """A list without an end is left after MAX_DOCUMENT bytes."""
    world = net("ok")
    endless = f"{world.mirrors[0].url}mirrorlist"
    world.mirrors[0].mode = "endless"
    assert reasons(world.fails(endless)) == ["list"]


def test_a_file_too_large_is_refused(net: Callable[..., Net]) -> None:
    """Announced by the list, or by the mirror: not one byte of it is written."""
    world = net("ok")
    limits = Limits(timeout=10, max_size=len(DATA) - 1)
    assert reasons(world.fails(world.meta4(), limits=limits)) == ["list"]
    assert reasons(world.fails(world.mirrorlist(), path=FILE, limits=limits)) == ["long"]


# The file itself as URL


def test_a_file_is_its_own_list(net: Callable[..., Net]) -> None:
    """What is neither list nor metalink is fetched; several such URLs are mirrors of each other."""
    world = net("404", "ok")
    result = world.fetch(*world.urls)
    assert (reasons(result), result.mirrors) == (["status"], (world.urls[1],))
    assert "metalink4+xml" in world.mirrors[1].requests[0].headers["accept"], "asks for a metalink of it first"


def test_headers_of_a_redirect_are_a_list(net: Callable[..., Net], tmp_path: Path) -> None:
    """302 with Link: duplicates (RFC 6249) and Digest, as per-file redirects have: they are failed over to."""
    world = net("404", "ok")
    digest = base64.b64encode(hashlib.sha256(DATA).digest()).decode()
    headers = {"Link": f"<{world.urls[1]}>; rel=duplicate; pri=1; geo=de", "Digest": f"SHA-256={digest}"}
    location = world.mirrors[0].url
    with StaticMirror(tmp_path, mode="redirect", location=location, headers=headers) as hub:
        result = world.fetch(f"{hub.url}{FILE}")
    assert (reasons(result), result.mirrors, result.verified) == (["status"], (world.urls[1],), ("sha256",))
    assert len(hub.requests) == 1


def test_plain_redirects_are_followed(net: Callable[..., Net], tmp_path: Path) -> None:
    """By mirrors and by servers of lists."""
    world = net("ok")
    with StaticMirror(tmp_path, mode="redirect", location=world.mirrors[0].url) as hub:
        assert world.fetch(f"{hub.url}{FILE}").mirrors == (world.urls[0],)
        world.write("mirrorlist", hub.url)
        assert world.fetch(f"{world.hub.url}mirrorlist", path=FILE).abandoned == ()
    with StaticMirror(tmp_path, mode="redirect", location=world.hub.url) as hub:
        world.mirrorlist()
        assert world.fetch(f"{hub.url}mirrorlist", path=FILE).abandoned == ()


def test_a_mirrors_own_digest_proves_nothing(net: Callable[..., Net], tmp_path: Path) -> None:
    """A hash counts from the server that was asked, not from where it redirects to."""
    digest = base64.b64encode(hashlib.sha256(DATA).digest()).decode()
    world = net("ok", headers={"Digest": f"SHA-256={digest}"})
    with StaticMirror(tmp_path, mode="redirect", location=world.mirrors[0].url) as hub:
        assert world.fetch(f"{hub.url}{FILE}").verified == ()
    assert world.fetch(world.urls[0]).verified == ("sha256",)


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A throw-away certificate for 127.0.0.3 and .4, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    public, secret = folder / "public.pem", folder / "secret.pem"
    write_certificate(public, secret, "127.0.0.3", "127.0.0.4")
    return public, secret


@pytest.fixture
def tls(certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's context, trusted by clients."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


@pytest.mark.process
def test_tls_works_and_is_checked(
    net: Callable[..., Net], tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A trusted certificate serves; an untrusted one, or a port without TLS, leaves the mirror."""
    world = net("ok", tls=tls)
    assert world.fetch(world.meta4()).abandoned == ()
    plain = f"https://127.0.0.2:{world.hub.port}/file.meta4"
    monkeypatch.delenv("SSL_CERT_FILE")
    assert reasons(world.fails(plain, f"{world.mirrors[0].url}{FILE}")) == ["tls", "tls"]
    assert not (tmp_path / "out" / "hello.bin.part").exists()


@pytest.mark.process
def test_https_is_never_downgraded(net: Callable[..., Net], tls: ssl.SSLContext) -> None:
    """A mirror named with https that redirects to http is left; one named with http may redirect to https."""
    world = net("redirect", "ok", tls=tls, location="http://127.0.0.5:1/")
    result = world.fetch(world.meta4())
    assert (reasons(result), result.mirrors) == (["redirect"], (world.urls[1],))
    with StaticMirror(world.tree, host="127.0.0.5", mode="redirect", location=world.mirrors[1].url) as up:
        world.write("mirrorlist", up.url)
        assert world.fetch(f"{world.hub.url}mirrorlist", path=FILE).abandoned == ()


# Verification


def test_only_wrong_bytes_everywhere(net: Callable[..., Net]) -> None:
    """No mirror has the right file: each is named, a good file that is there stays, nothing else is left behind."""
    world = net("corrupt", "corrupt")
    world.out.write_bytes(b"good")
    error = world.fails(world.meta4())
    assert error.wrong_bytes
    assert sorted((mirror.url, mirror.reason) for mirror in error.abandoned) == [(url, "hash") for url in world.urls]
    assert (names(world.out.parent), world.out.read_bytes()) == (["hello.bin"], b"good")


@pytest.mark.parametrize(
    ("hashes", "verified", "weak"),
    [
        ("", (), True),
        (f'<hash type="md5">{hashlib.md5(DATA, usedforsecurity=False).hexdigest()}</hash>', ("md5",), True),
        (f'<hash type="sha-1">{hashlib.sha1(DATA, usedforsecurity=False).hexdigest()}</hash>', ("sha1",), True),
        (
            f'<hash type="md5">{"0" * 32}</hash><hash type="sha-512">{hashlib.sha512(DATA).hexdigest()}</hash>',
            ("sha512",),
            False,
        ),
    ],
)
def test_the_strongest_hash_counts(
    net: Callable[..., Net], hashes: str, verified: tuple[str, ...], *, weak: bool
) -> None:
    """The strongest known hash decides; md5 and sha1 alone are weak, none at all is too."""
    world = net("ok")
    result = world.fetch(world.meta4(hashes=hashes))
    assert (result.verified, result.weak) == (verified, weak)


def test_a_pinned_hash_is_checked_too(net: Callable[..., Net]) -> None:
    """With a plain list it finds the mirror that lies; a list that contradicts it is left."""
    world = net("corrupt", "ok")
    result = world.fetch(world.mirrorlist(), path=FILE, sha256=SHA256)
    assert (reasons(result), result.verified) == (["hash"], ("sha256",))
    assert reasons(world.fails(world.meta4(), sha256="0" * 64)) == ["list"]
    sha512 = f'<hash type="sha-512">{hashlib.sha512(DATA).hexdigest()}</hash>'
    assert world.fetch(world.meta4(hashes=sha512), sha256=SHA256).verified == ("sha512", "sha256")


def test_a_mirror_that_is_behind_is_no_liar(net: Callable[..., Net]) -> None:
    """The file's previous version is recognised by the metalink's alternates, by hash or by size."""
    world = net("ok")
    assert "previous version" in world.fails(world.metalink(data=NEWER, old=DATA)).abandoned[0].detail
    assert "previous version" in world.fails(world.metalink(data=NEWER + b"x", old=DATA)).abandoned[0].detail


# Parts from several mirrors


def test_parts_come_from_several_mirrors(net: Callable[..., Net]) -> None:
    """Each of three mirrors gives some, every byte is asked for once, and nothing but ranges is asked for."""
    world = net("ok", "ok", "ok")
    result = world.fetch(world.meta4(), connections=3)
    assert result.mirrors == tuple(world.urls)
    ranges = [request.headers["range"] for mirror in world.mirrors for request in mirror.requests]
    wanted = [f"bytes={start}-{start + PART - 1}" for start in range(0, len(DATA), PART)]
    assert sorted(ranges) == sorted(wanted)


@pytest.mark.parametrize("mode", ["refused", "reset", "500", "stalled", "stalled-midway", "truncated", "short"])
def test_a_failed_part_goes_elsewhere(net: Callable[..., Net], mode: Mode) -> None:
    """A mirror that fails is left for its reason, another gives its part, and what was there is not fetched again."""
    world = net(mode, "ok", "ok")
    result = world.fetch(world.meta4(), connections=2, limits=Limits(timeout=1, low_speed=0))
    expected = "range" if mode == "short" else REASONS[mode]
    assert [(mirror.url, mirror.reason) for mirror in result.abandoned] == [(world.urls[0], expected)]
    assert world.mirrors[1].asked() + world.mirrors[2].asked() == len(DATA) // PART


def test_ranges_are_checked(net: Callable[..., Net]) -> None:
    """A 206 of another file is left; a mirror that ignores Range is not, it is only not used for parts."""
    world = net("wrong-range", "no-range", "ok")
    result = world.fetch(world.meta4(), connections=2)
    assert (reasons(result), result.mirrors) == (["range"], (world.urls[2],))


def test_mirrors_without_ranges_are_used_whole(net: Callable[..., Net]) -> None:
    """Where nobody gives ranges, the first mirror gives the file as a whole."""
    world = net("no-range", "no-range")
    result = world.fetch(world.meta4(), connections=2)
    assert (result.abandoned, result.mirrors) == ((), (world.urls[0],))
    assert [len(mirror.requests) for mirror in world.mirrors] == [2, 1]


def test_a_much_slower_mirror_loses_its_part(net: Callable[..., Net]) -> None:
    """It is not held against the mirror: it could still give the whole file."""
    world = net("slow", "ok")
    result = world.fetch(world.meta4(), connections=2, limits=Limits(timeout=1, low_speed=0))
    assert (result.abandoned, result.mirrors) == ((), (world.urls[1],))


def test_a_lying_mirror_is_found(net: Callable[..., Net]) -> None:
    """Wrong bytes among the parts of three mirrors: each is asked alone, the liar is named, the others are not."""
    world = net("corrupt", "ok", "ok")
    result = world.fetch(world.meta4(), connections=3)
    assert [(mirror.url, mirror.reason) for mirror in result.abandoned] == [(world.urls[0], "hash")]
    assert result.mirrors == (world.urls[1],)


def test_the_list_limits_connections(net: Callable[..., Net]) -> None:
    """`maxconnections` of a metalink 3 is obeyed, unless the caller says otherwise."""
    world = net("ok", "ok")
    assert world.fetch(world.metalink(connections=1)).mirrors == (world.urls[0],)
    assert world.fetch(world.metalink(connections=2)).mirrors == tuple(world.urls)
    assert world.fetch(world.metalink(connections=1), connections=2).mirrors == tuple(world.urls)


def test_parts_need_size_and_hash(net: Callable[..., Net]) -> None:
    """Without a hash nothing would tell that two mirrors have different files: one mirror gives it all."""
    world = net("ok", "ok")
    assert world.fetch(world.meta4(hashes=""), connections=2).mirrors == (world.urls[0],)


# Resuming


def test_a_beginning_is_continued(net: Callable[..., Net]) -> None:
    """With a hash any mirror may go on where FILE.part ends, also in parts."""
    world = net("ok", "ok")
    for connections in (1, 2):
        world.part.write_bytes(DATA[: 3 * PART])
        world.fetch(world.meta4(), connections=connections)
    first = world.mirrors[0].requests[0]
    assert first.headers["range"] == f"bytes={3 * PART}-"
    assert "if-range" not in first.headers


@pytest.mark.parametrize("beginning", [b"x" * PART, b"x" * len(DATA), b"x" * (len(DATA) + 1)])
def test_a_wrong_beginning_accuses_nobody(net: Callable[..., Net], beginning: bytes) -> None:
    """What was there before is dropped if the whole is wrong; no mirror is blamed for it."""
    world = net("ok")
    world.part.write_bytes(beginning)
    assert world.fetch(world.meta4()).abandoned == ()


def test_a_beginning_waits_for_the_right_file(net: Callable[..., Net]) -> None:
    """A mirror whose file has another size, or that gives another range, adds nothing to what is there."""
    for mode, reason in (("short", "short"), ("wrong-range", "range")):
        world = net(mode, "ok")
        world.part.write_bytes(DATA[:PART])
        if mode == "short":
            result = world.fetch(world.meta4(), connections=1)
        else:  # without a known size only the range tells
            result = world.fetch(world.mirrorlist(), path=FILE, sha256=SHA256)
        assert (reasons(result), result.mirrors) == ([reason], (world.urls[1],))
        assert world.mirrors[1].requests[0].headers["range"] == f"bytes={PART}-"


def test_liars_are_named_one_by_one(net: Callable[..., Net]) -> None:
    """After pieces that did not fit no mirror goes on where another ended, so each stands for its own bytes."""
    world = net("corrupt", "truncated", "corrupt")
    world.part.write_bytes(DATA[:PART])
    error = world.fails(world.meta4(), connections=1)
    assert [(mirror.url, mirror.reason) for mirror in error.abandoned] == list(
        zip(world.urls, ["hash", "short", "hash"], strict=True)
    )


def test_a_complete_beginning_needs_no_mirror(net: Callable[..., Net]) -> None:
    """A run that was killed just before the last step left everything."""
    world = net("ok")
    world.part.write_bytes(DATA)
    assert world.fetch(world.meta4()).mirrors == ()
    assert world.mirrors[0].requests == []


def test_the_next_mirror_goes_on(net: Callable[..., Net]) -> None:
    """Where the first mirror broke off, the second continues; together they lie only if one of them does."""
    world = net("truncated", "ok")
    result = world.fetch(world.meta4(), connections=1)
    assert result.mirrors == tuple(world.urls)
    assert world.mirrors[1].requests[0].headers["range"] == f"bytes={len(DATA) // 2}-"


def test_without_a_hash_the_etag_vouches(net: Callable[..., Net]) -> None:
    """The same mirror goes on if its file is still the same, wherever it stands in the list now."""
    world = net("truncated")
    assert reasons(world.fails(world.mirrorlist(), path=FILE)) == ["short"]
    assert world.part.read_bytes() == DATA[: len(DATA) // 2]
    world.mirrors[0].mode = "ok"
    with StaticMirror(world.tree, host="127.0.0.9") as other:
        world.write("mirrorlist", f"{other.url}\n{world.mirrors[0].url}\n")
        world.fetch(f"{world.hub.url}mirrorlist", path=FILE)
    again = world.mirrors[0].requests[-1].headers
    assert (again["range"], again["if-range"][0]) == (f"bytes={len(DATA) // 2}-", '"')
    assert other.requests == []


@pytest.mark.parametrize("mode", ["ok", "no-if-range", "no-range"])
def test_a_changed_file_is_not_continued(net: Callable[..., Net], mode: Mode) -> None:
    """The mirror has another file by now: all of it is fetched, even if the mirror ignores If-Range or Range."""
    world = net("truncated")
    world.fails(world.mirrorlist(), path=FILE)
    world.file.write_bytes(NEWER)
    world.mirrors[0].mode = mode
    world.fetch(world.mirrorlist(), path=FILE)


def test_without_a_hash_mirrors_are_not_mixed(net: Callable[..., Net]) -> None:
    """Another mirror begins anew, and so does one whose ETag is not known."""
    world = net("truncated", "ok")
    result = world.fetch(world.mirrorlist(), path=FILE)
    assert result.mirrors == (world.urls[1],)
    world.part.write_bytes(b"who knows what")
    world.fetch(f"{world.hub.url}mirrorlist", path=FILE)
    assert not any("range" in request.headers for mirror in world.mirrors for request in mirror.requests)


def test_an_interrupted_fetch_can_go_on(net: Callable[..., Net]) -> None:
    """Ctrl-C leaves a beginning, never a FILE, and the same command then finishes it."""
    world = net("slow", pace=0.01)
    command = (sys.executable, "-m", "mirrorlistd.fetch", world.meta4(), "-o", world.out)
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE) as process:
        try:
            eventually(lambda: world.part.exists() and world.part.stat().st_size > 0, "some bytes")
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(SECONDS) == 130
        assert process.stderr is not None
        assert process.stderr.read() == b""
    size = world.part.stat().st_size
    assert world.part.read_bytes() == DATA[:size]
    assert not world.out.exists()
    world.mirrors[0].mode = "ok"
    world.fetch(f"{world.hub.url}file.meta4")
    assert world.mirrors[0].requests[-1].headers["range"] == f"bytes={size}-"


# Where it writes


def test_one_fetch_at_a_time(net: Callable[..., Net]) -> None:
    """Two fetches to one file would spoil each other: the second says so and touches nothing."""
    world = net("ok")
    with world.part.open("wb") as held:
        held.write(b"mine")
        held.flush()
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(LocalError, match="another process"):
            world.fetch(world.meta4())
    assert world.part.read_bytes() == b"mine"


def test_it_writes_through_no_link(net: Callable[..., Net], tmp_path: Path) -> None:
    """A symbolic link, a pipe or a folder that stands in the way is refused, and its target untouched."""
    world = net("ok")
    victim = tmp_path / "victim"
    victim.write_text("precious")
    world.part.symlink_to(victim)
    with pytest.raises(LocalError, match=r"hello\.bin\.part"):
        world.fetch(world.meta4())
    world.part.unlink()
    os.mkfifo(world.part)
    with pytest.raises(LocalError, match="not a regular file"):
        world.fetch(world.meta4())
    world.part.unlink()
    world.part.mkdir()
    with pytest.raises(LocalError):
        world.fetch(world.meta4())
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("name", ["../evil", "/evil", ".evil", "a/../evil", "e" * 4096, "a&quot;&#10;b", ""])
def test_hostile_names_choose_nothing(
    net: Callable[..., Net], name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A metalink's file name is refused where it would choose the place, and harmless where -o chooses."""
    world = net("ok")
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path / "inner")
    before = {path for path in tmp_path.rglob("*") if path.name != "file.meta4"}
    with pytest.raises(UsageError, match="-o FILE"):
        asyncio.run(fetch([world.meta4(name=name)], None, Options()))
    assert {path for path in tmp_path.rglob("*") if path.name != "file.meta4"} == before
    world.fetch(world.meta4(name=name))


def test_the_lists_name_replaces_nothing(
    net: Callable[..., Net], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without -o the file goes to the current folder under its own name, unless that is taken."""
    world = net("ok")
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for urls, options in (
        (world.meta4(), Options()),
        (world.mirrorlist(), Options(path=FILE)),
        (world.urls[0], Options()),
    ):
        assert asyncio.run(fetch([urls], None, options)).file == Path("hello.bin")
        assert Path("hello.bin").read_bytes() == DATA
        with pytest.raises(UsageError, match="exists"):
            asyncio.run(fetch([urls], None, options))
        Path("hello.bin").unlink()


# The command


def test_the_commands_exit_status(net: Callable[..., Net], capsys: pytest.CaptureFixture[str]) -> None:
    """As the help has it; on standard error each mirror that was left, with its reason."""
    world = net("404", "ok")
    out = str(world.out)
    assert main([world.meta4(), "-o", out]) == 0
    assert f"{world.urls[0]} answers 404 (status)\n" in (told := capsys.readouterr()).err
    assert told.out == ""
    world.mirrors[1].mode = "500"
    assert main([world.meta4(), "-o", out]) == 1
    world.mirrors[1].mode = "corrupt"
    assert main([world.meta4(), "-o", out]) == 3
    assert main([f"{world.hub.url}none", "-o", out]) == 4
    assert main([world.meta4(), "-o", f"{out}/below/x"]) == 5
    assert main([world.meta4(), "-o", str(world.out.parent)]) == 2
    assert main([world.meta4(), "-o", out, "--path", "../x"]) == 2
    for wrong in (["--sha256", "abc"], ["--timeout", "nan"], ["--connections", "0"], ["--kind", "x"], []):
        with pytest.raises(SystemExit) as caught:
            main([*wrong, *([world.meta4()] if wrong else [])])
        assert caught.value.code == 2
    assert world.out.read_bytes() == DATA, "all those failures left the good file alone"


def test_the_command_tells_programs(net: Callable[..., Net], capsys: pytest.CaptureFixture[str]) -> None:
    """`--json` says who gave it and who did not and why, in success and in failure; `--quiet` says nothing else."""
    world = net("truncated", "ok")
    common = ["-o", str(world.out), "--json", "--quiet"]
    assert main([world.meta4(), *common]) == 0
    told = capsys.readouterr()
    said = json.loads(told.out)
    assert told.err == ""
    assert said.pop("seconds") >= 0
    abandoned = {"url": world.urls[0], "reason": "short", "detail": "ends after 200000 of 400000 bytes"}
    assert said == {
        "file": str(world.out),
        "size": len(DATA),
        "mirrors": world.urls,
        "verified": ["sha256"],
        "weak": False,
        "abandoned": [abandoned],
    }
    world.mirrors[1].mode = "404"
    assert main([world.mirrorlist(), "--path", FILE, *common]) == 1
    told = capsys.readouterr()
    said = json.loads(told.out)
    assert said["error"] == "no mirror gave the file"
    assert [row["reason"] for row in said["abandoned"]] == ["short", "status"]
    assert told.err == "mirrorlist-fetch: no mirror gave the file\n"


def test_the_command_lists(net: Callable[..., Net], capsys: pytest.CaptureFixture[str]) -> None:
    """`--list` prints who would be asked and asks none of them."""
    world = net("ok", "ok")
    assert main([world.mirrorlist(), "--path", FILE, "--list"]) == 0
    assert capsys.readouterr().out.splitlines() == world.urls
    assert main([world.metalink(), "--list", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["version"] == {"size": len(DATA), "hashes": {"sha256": SHA256}}
    assert [row["url"] for row in said["mirrors"]] == world.urls
    assert [mirror.requests for mirror in world.mirrors] == [[], []]


@pytest.mark.parametrize(
    "hashes", ["", f'<hash type="sha-1">{hashlib.sha1(DATA, usedforsecurity=False).hexdigest()}</hash>']
)
def test_weak_checks_are_told(net: Callable[..., Net], capsys: pytest.CaptureFixture[str], hashes: str) -> None:
    """Whoever relies on the file hears that nothing, or little, vouches for it."""
    world = net("ok")
    assert main([world.meta4(hashes=hashes), "-o", str(world.out)]) == 0
    assert ("weak" if hashes else "not verified") in capsys.readouterr().err


def test_progress_is_for_terminals(net: Callable[..., Net]) -> None:
    """On a terminal a line comes, changes and goes; elsewhere there is none."""
    world = net("slow", pace=0.01)
    world.file.write_bytes(DATA[:60])
    command = (sys.executable, "-m", "mirrorlistd.fetch", world.urls[0], "--kind", "file", "-o", world.out)
    own, theirs = pty.openpty()
    try:
        with subprocess.Popen(command, cwd=ROOT, stderr=theirs) as process:
            os.close(theirs)
            seen = b""
            with contextlib.suppress(OSError):  # the terminal's end
                while piece := os.read(own, 4096):
                    seen += piece
            assert process.wait(SECONDS) == 0
    finally:
        os.close(own)
    assert b"\r\x1b[K" in seen
    assert b"127.0.0.3" in seen
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=SECONDS, check=True)
    assert b"\r" not in done.stderr


@pytest.mark.process
def test_without_the_extra_it_says_what_to_install() -> None:
    """In an environment with nothing but this package: one line, no traceback; the help is there all the same."""
    paths = [str(ROOT), str(ROOT / "snapshot")]
    code = f"import sys; sys.path[:0] = {paths}; from mirrorlistd.fetch.cli import main; sys.exit(main())"
    bare = (sys.executable, "-I", "-S", "-c", code)
    done = subprocess.run([*bare, "http://127.0.0.2/"], capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 2
    assert done.stderr == "mirrorlist-fetch: needs httpx2 and defusedxml: pip install 'mirrorlistd[fetch]'\n"
    done = subprocess.run([*bare, "--help"], capture_output=True, text=True, timeout=SECONDS, check=True)
    assert "exit status:" in done.stdout
