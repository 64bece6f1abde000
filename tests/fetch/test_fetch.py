"""mirrorlist-fetch against real servers, each with its defect: the right bytes in the end, and who was left and why."""

from __future__ import annotations

import base64
import hashlib
import re
import ssl
from typing import TYPE_CHECKING, get_args

import pytest

from mirrorlistd.fetch.errors import Reason
from mirrorlistd.fetch.exchange import Limits
from support.certificates import write_certificate
from support.downloads import DATA, FILE, HASTY, REASONS, Net, names, reasons
from support.mirrors import Mode, StaticMirror
from support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.network


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
