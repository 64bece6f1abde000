"""`netblocks_from`: netblocks in files of their own, and what is wrong with such files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mirrorlist_snapshot.model import ClientNetblock
from support.descriptions import SMALL, complaints_of, records_of

if TYPE_CHECKING:
    from pathlib import Path

MIRROR = '{}\n[mirrors.x]\ncountry = "DE"\ncategories.debian = "https://x.example.org/"\n{}\n'


def test_netblocks_of_files_follow_those_of_the_source(tmp_path: Path) -> None:
    """Comments, blank lines, spaces, any line ends and bare addresses are understood; `exclusive` is for all."""
    (tmp_path / "networks").mkdir()
    (tmp_path / "networks" / "a.txt").write_bytes(
        "\ufeff# our networks\r\n\r\n 198.51.100.0/24 # the library\r\n2001:DB8::/32\r\n".encode()
    )
    (tmp_path / "b.txt").write_text("203.0.113.7", encoding="utf-8")
    files = 'netblocks = "192.0.2.0/24"\nnetblocks_from = ["networks/a.txt", {file = "b.txt", exclusive = true}]'
    (found,) = [one for one in records_of(tmp_path, MIRROR.format(SMALL, files)).mirrors if one.name == "x"]
    assert found.netblocks == (
        ClientNetblock(prefix="192.0.2.0/24", exclusive=False),
        ClientNetblock(prefix="198.51.100.0/24", exclusive=False),
        ClientNetblock(prefix="2001:db8::/32", exclusive=False),
        ClientNetblock(prefix="203.0.113.7/32", exclusive=True),
    )


def test_wrong_lines_are_told_with_file_and_line(tmp_path: Path) -> None:
    """Each wrong line has its complaint, and a file of nothing else not a thousand of them."""
    (tmp_path / "a.txt").write_text("192.0.2.0/24\n192.0.2.1/24 # bits\n0.0.0.0/0\nnet\n", encoding="utf-8")
    told = [str(one) for one in complaints_of(tmp_path, MIRROR.format(SMALL, 'netblocks_from = "a.txt"'))]
    assert [text.removeprefix(f"{tmp_path}/")[:30] for text in told] == [
        'a.txt:2: "192.0.2.1/24" has bi',
        'a.txt:3: "0.0.0.0/0" holds eve',
        'a.txt:4: "net" is not a netblo',
    ]
    (tmp_path / "a.txt").write_text("net\n" * 1000, encoding="utf-8")
    told = [str(one) for one in complaints_of(tmp_path, MIRROR.format(SMALL, 'netblocks_from = "a.txt"'))]
    assert len(told) == 21
    assert any("there are more mistakes; these are the first 20" in text for text in told)


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("none.txt", '" cannot be read: No such file or directory'),
        ("folder", '" is not a regular file but a folder'),
        ("../a.txt", '"../a.txt" must be a file below the folder of this source; move it there'),
        ("/etc/passwd", '"/etc/passwd" must be a file below the folder of this source'),
        ("link", '"link" is a link that leads out of the folder of this source'),
        ("latin.txt", '" is not UTF-8 text'),
        ("a\\u0000b", "must be a file below the folder"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, named: str, message: str) -> None:
    """A missing file, one outside of the source's folder, and one that is no text are mistakes at their key."""
    folder = tmp_path / "sources"
    (folder / "folder").mkdir(parents=True)
    (tmp_path / "a.txt").write_text("192.0.2.0/24", encoding="utf-8")
    (folder / "link").symlink_to(tmp_path / "a.txt")
    (folder / "latin.txt").write_bytes(b"192.0.2.0/24 # caf\xe9")
    (found,) = complaints_of(folder, MIRROR.format(SMALL, f'netblocks_from = ["{named}"]'))
    assert not found.warning
    assert found.key == "mirrors.x.netblocks_from[0]"
    assert message in found.message


def test_repeated_and_wide_netblocks_of_files_are_warned_about(tmp_path: Path) -> None:
    """The checks of netblocks hold for those of files, too, and name the key of the file."""
    (tmp_path / "a.txt").write_text("192.0.2.0/24\n10.0.0.0/7\n192.0.2.0/24\n", encoding="utf-8")
    text = MIRROR.format(SMALL, 'netblocks = "192.0.2.0/24"\nnetblocks_from = "a.txt"')
    assert [(one.key, one.warning, one.message) for one in complaints_of(tmp_path, text)] == [
        ("mirrors.x.netblocks_from", True, "10.0.0.0/7 is very wide: all clients in it get this mirror first"),
        ("mirrors.x.netblocks_from", True, "the netblock 192.0.2.0/24 is listed twice, and 1 more of its netblocks"),
    ]


def test_a_mirror_has_at_most_40000_netblocks(tmp_path: Path) -> None:
    """More than a snapshot holds of one mirror is told before it is compiled."""
    lines = (f"10.{number // 256 % 256}.{number % 256}.{number // 65_536}\n" for number in range(40_001))
    (tmp_path / "a.txt").write_text("".join(lines), encoding="utf-8")
    (found,) = complaints_of(tmp_path, MIRROR.format(SMALL, 'netblocks_from = "a.txt"'))
    assert found.message == "the mirror has 40001 netblocks; at most 40000 are allowed"
