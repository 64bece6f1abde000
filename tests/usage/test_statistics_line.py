"""The access line: what is written is read back, by us and by MirrorManager's script; garbage is one kind of error."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mirrorlistd.usage.statistics_line import COUNTME, Access, LineError, read, write

VALUES = st.one_of(st.none(), st.text(min_size=1, max_size=20), st.sampled_from(["-", "N/A", "a b", "x;y", "%41"]))
REPOS = st.text(min_size=1, max_size=20) | st.sampled_from(
    ["-", "N/A", "a b; ARCH: z", "fedora-43", "\N{NO-BREAK SPACE}"]
)
DAYS = st.dates().map(lambda day: day.isoformat())
ACCESSES = st.builds(Access, VALUES, DAYS, VALUES, REPOS, VALUES, st.none() | st.sampled_from(COUNTME))


def as_mirrormanager_reads(line: str) -> tuple[str, str, str, str]:
    """Day, country, architecture and repository as `mirrorlist_statistics` takes them from a line of text."""
    words = line.split()
    return words[3][:10], words[5][:2], words[9].rstrip(";"), words[7].rstrip(";")


@given(ACCESSES)
@example(Access("192.0.2.1", "2026-11-24", "DE", "a;b c\n\x1b%", "\x85\u2028", "4"))
def test_every_access_comes_back(access: Access) -> None:
    """Whatever the values hold, the line is one line of printable ASCII, and reading it gives them back."""
    line = write(access)
    assert line.endswith(b"\n")
    assert line[:-1].isascii()
    assert line[:-1].decode().isprintable()
    assert read(line) == access


@given(ACCESSES)
def test_mirrormanager_finds_its_words(access: Access) -> None:
    """MirrorManager's script takes each value as one word from where it looks for it, countme or not."""
    line = write(access).decode()
    day, _country, arch, repo = as_mirrormanager_reads(line)
    again = read(f"IP: -; DATE: {day}; COUNTRY: -; REPO: {repo}; ARCH: {arch}\n".encode())
    assert (again.day, again.repo, again.arch) == (access.day, access.repo, access.arch)
    assert len(line.split()) == (12 if access.countme else 10)


@pytest.mark.parametrize(
    ("access", "line"),
    [
        (Access("192.0.2.1", "2026-11-24", "DE", "epel-9", "x86_64"), "192.0.2.1 2026-11-24 DE epel-9 x86_64"),
        (Access("2001:db8::1", "2026-11-24", None, "cran", None), "2001:db8::1 2026-11-24 N/A cran -"),
        (Access(None, "2026-11-24", "NA", "a b;c%", "-"), "- 2026-11-24 NA a%20b%3Bc%25 %2D"),
    ],
)
def test_the_form(access: Access, line: str) -> None:
    """The form is mirrorlist-server's: what is missing is `-`, an unknown country `N/A`, Namibia is `NA`."""
    names = ("IP", "DATE", "COUNTRY", "REPO", "ARCH")
    expected = "; ".join(f"{name}: {word}" for name, word in zip(names, line.split(), strict=True))
    assert write(access).decode() == expected + "\n"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"", "cut off"),
        (b"IP: 192.0.2.1; DATE: 2026-11-24; COUNTRY: DE; REPO: epel-9; ARCH: x86_", "cut off"),
        (b"IP: 192.0.2.1; DATE: 2026-13-24; COUNTRY: DE; REPO: epel-9; ARCH: x86_64\n", "no such day"),
        (b"IP: 192.0.2.1; DATE: 2026-11-24; COUNTRY: DE; REPO: epel-9\n", "expected IP:"),
        (b"IP: 192.0.2.1; DATE: 2026-11-24; COUNTRY: DE; REPO: epel 9; ARCH: x86_64\n", "expected IP:"),
        (b"IP: 192.0.2.1; DATE: 2026-11-24; COUNTRY: DE; REPO: epel-9; ARCH: x86_64; COUNTME: 5\n", "expected IP:"),
        (b'127.0.0.1 - - [24/Nov/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1\n', "expected IP:"),
    ],
)
def test_what_is_no_line_is_refused(line: bytes, said: str) -> None:
    """A cut, torn or strange line is a LineError that says what was expected."""
    with pytest.raises(LineError, match=said):
        read(line)


@given(
    st.binary(max_size=120)
    | ACCESSES.map(write).flatmap(lambda line: st.integers(0, 120).map(lambda cut: line[:cut] + b"\xff" + line[cut:]))
)
def test_garbage_is_read_or_refused(line: bytes) -> None:
    """Any bytes are an access or a LineError, nothing else."""
    try:
        access = read(line)
    except LineError:
        return
    assert access.repo
