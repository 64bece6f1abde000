"""Parsers of units: they accept what the real tools write, and answer anything else with one exception."""

from __future__ import annotations

import gzip
import io
import tarfile
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirrorlist_admin.units import KINDS, NotThisUnitError, ParsedUnit, kind_of, parse
from mirrorlist_admin.units.parsed import LATEST_TIME

WHEN = 1_764_380_748
DATE = datetime.fromtimestamp(WHEN, UTC)


def archive(*names: str, time: int = WHEN) -> bytes:
    """A gzip-compressed tar archive of small files."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size, member.mtime = 5, time
            tar.addfile(member, io.BytesIO(b"hello"))
    return gzip.compress(raw.getvalue())


def repomd(content: str, root: str = "repomd") -> bytes:
    """A repomd.xml."""
    return f'<?xml version="1.0"?>\n<{root} xmlns="http://linux.duke.edu/metadata/repo">{content}</{root}>'.encode()


SIGNED = b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n"
RELEASE = f"Origin: Debian\nDate: {DATE:%a, %d %b %Y %H:%M:%S} UTC\nSHA256:\n abc 1 main\n".encode()
SUMMARY = b"\0" * 13 + b"refs/x" + b"\0" * 5 + b"ostree.summary.last-modified\0"
SUMMARY += b"\0" * (-len(SUMMARY) % 8) + WHEN.to_bytes(8, "big") + b"\0t"

GOOD = [
    ("repomd", repomd(f"<revision>{WHEN}</revision>"), WHEN),
    ("repomd", repomd(f"<revision> {WHEN}.5\n</revision><data><timestamp>5</timestamp></data>"), WHEN),
    (
        "repomd",
        repomd(f"<revision>7</revision><data><timestamp>{WHEN}</timestamp></data><timestamp>9</timestamp>"),
        WHEN,
    ),
    ("repomd", repomd("<revision>3:abc</revision>"), 0),
    ("release", RELEASE, WHEN),
    ("release", SIGNED + RELEASE, WHEN),
    ("release", b"Date: yesterday\nMD5Sum:\n", 0),
    ("apkindex", archive(".SIGN.RSA.x") + archive("DESCRIPTION", "APKINDEX"), WHEN),
    ("pacman", archive("a-1/", "a-1/desc"), WHEN),
    ("pacman", gzip.compress(bytes(10_240)), 0),
    ("pacman", b"\x28\xb5\x2f\xfd rest", 0),
    ("ostree", SUMMARY, WHEN),
    ("ostree", b"....refs/heads/x", 0),
    ("packages", b"Package: A3\nVersion: 1.0.0\n", 0),
    ("simple", b'<html><body><a href="a/">a</a></body></html>', 0),
    ("simple", b'{"meta": {"api-version": "1.1"}, "projects": []}', 0),
    ("stamp", b"%d\n" % WHEN, WHEN),
    ("stamp", f"{DATE:%a %b %d %H:%M:%S} UTC {DATE:%Y}\nUsed ftpsync\n".encode(), WHEN),
    ("stamp", f"{DATE:%Y%m%dT%H:%M:%S}\n".encode(), WHEN),
    ("stamp", f"{DATE:%Y-%m-%d %H:%M:%S}".encode(), WHEN),
    ("stamp", f"{DATE:%a, %d %b %Y %H:%M:%S} +0000".encode(), WHEN),
    ("stamp", b"serial 12", 0),
]
PAGE = b"<!DOCTYPE html>\n<html><body>Welcome to nginx! <b>x</b></body></html>"


@pytest.mark.parametrize(("kind", "data", "stated"), GOOD)
def test_what_tools_write_is_read_with_its_time(kind: str, data: bytes, stated: int) -> None:
    """Each kind accepts what the field's tools write, and reads the time that it states."""
    assert parse(kind, data) == ParsedUnit(stated)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("data", [b"", PAGE, PAGE.lower(), b"\n" + PAGE])
def test_no_web_page_and_nothing_empty_is_a_unit(kind: str, data: bytes) -> None:
    """An empty file and a server's welcome page are of no kind; the reason says which of the two it is."""
    with pytest.raises(NotThisUnitError, match="empty" if not data else "a web page"):
        parse(kind, data)


@settings(max_examples=300)
@given(
    kind=st.sampled_from(sorted(KINDS)),
    data=st.one_of(
        st.binary(max_size=300),
        st.builds(
            lambda good, at, byte, cut: (good[:at] + byte + good[at + 1 :])[:cut],
            st.sampled_from([data for _, data, _ in GOOD]),
            st.integers(0, 300),
            st.binary(max_size=2),
            st.integers(0, 400),
        ),
        st.sampled_from([data for _, data, _ in GOOD]),
    ),
)
def test_any_bytes_are_a_unit_or_are_refused(kind: str, data: bytes) -> None:
    """Whatever a mirror sends, a parser gives a time within bounds or its one exception."""
    try:
        parsed = parse(kind, data)
    except NotThisUnitError as error:
        assert str(error)
    else:
        assert 0 <= parsed.stated <= LATEST_TIME


def test_entities_are_refused() -> None:
    """A repomd.xml that declares entities is refused before one is expanded."""
    bomb = b'<!DOCTYPE r [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>' + repomd("<revision>&b;</revision>")[22:]
    with pytest.raises(NotThisUnitError, match="entities"):
        parse("repomd", bomb)


def test_a_gzip_bomb_costs_little() -> None:
    """A file that inflates to a gigabyte is judged by its first 256 KiB."""
    bomb = gzip.compress(bytes(1 << 28), compresslevel=9) * 4
    with pytest.raises(NotThisUnitError):
        parse("apkindex", bomb)


def test_the_kind_follows_from_the_name() -> None:
    """A unit's kind is known by its path; what no parser knows is a stamp."""
    assert {path: kind_of(path) for path in ("a/repodata/repomd.xml", "core/os/x86_64/core.db", "simple/", "TIME")} == {
        "a/repodata/repomd.xml": "repomd",
        "core/os/x86_64/core.db": "pacman",
        "simple/": "simple",
        "TIME": "stamp",
    }
