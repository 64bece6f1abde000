"""`mirrorlistd stats`: sums equal a slow count; every kind of file is read; what cannot be read is told."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirrorlistd.usage import summary as summaries
from mirrorlistd.usage.statistics_line import COUNTME, NOWHERE, Access, token, write
from mirrorlistd.usage.summary import ARCH, COUNTRY, OTHERS, REPOSITORY, Summary
from mirrorlistd.usage.summary_report import as_csv, as_json, as_text
from support.processes import SECONDS

if TYPE_CHECKING:
    from pathlib import Path

NAMES = st.sampled_from(["epel-9", "fedora-43", "a b", "$x", "-", "\x1b[31m"]) | st.text(min_size=1, max_size=4)
DAYS = st.sampled_from(["2026-11-22", "2026-11-23", "2026-11-24", "0001-01-01", "9999-12-31"])
COUNTRIES = st.none() | st.sampled_from(["DE", "NA", "US"])
ACCESSES = st.builds(Access, st.none(), DAYS, COUNTRIES, NAMES, st.none() | NAMES, st.none() | st.sampled_from(COUNTME))
ORIGINAL = """\
IP: 192.0.2.1; DATE: 2026-11-23; COUNTRY: DE; REPO: epel-9; ARCH: x86_64
IP: 192.0.2.2; DATE: 2026-11-23; COUNTRY: N/A; REPO: epel-9; ARCH: aarch64
IP: 2001:db8::1; DATE: 2026-11-24; COUNTRY: DE; REPO: fedora-43; ARCH: x86_64
"""
"""As mirrorlist-server writes (its format string, `do_mirrorlist`)."""


def summed(lines: list[bytes], **days: str) -> Summary:
    """A summary of lines."""
    summary = Summary(**days)
    summary.add_lines(lines, lambda _number, _fault: None)
    return summary


def stats(*arguments: str, data: bytes = b"", environ: Any = None) -> subprocess.CompletedProcess[bytes]:
    """One `mirrorlistd stats` to its end."""
    command = [sys.executable, "-m", "mirrorlistd", "stats", *arguments]
    return subprocess.run(command, input=data, capture_output=True, timeout=SECONDS, check=False, env=environ)


@given(st.lists(ACCESSES, max_size=40))
@settings(deadline=None)
def test_sums_equal_a_slow_count(accesses: list[Access]) -> None:
    """Every table, day and week holds what counting one by one gives, and no table loses a request."""
    summary = summed([write(access) for access in accesses])
    assert summary.requests == len(accesses) == sum(summary.days.values())
    assert summary.totals(REPOSITORY) == Counter(token(access.repo) for access in accesses)
    assert summary.totals(COUNTRY) == Counter(token(access.country, NOWHERE) for access in accesses)
    assert summary.tables[ARCH] == Counter((access.day, token(access.arch)) for access in accesses)
    assert sum(summary.systems.values()) == sum(access.countme is not None for access in accesses)
    assert list(summary.totals(REPOSITORY).values()) == sorted(summary.totals(REPOSITORY).values(), reverse=True)


@given(st.lists(ACCESSES.map(write) | st.binary(max_size=40).map(lambda line: line.replace(b"\n", b"") + b"\n")))
@settings(deadline=None)
def test_garbage_between_lines_is_counted_and_told_once(lines: list[bytes]) -> None:
    """Whatever stands between good lines is told with its number and counted; good lines count nevertheless."""
    told: list[int] = []
    summary = Summary()
    summary.add_lines(lines, lambda number, _fault: told.append(number))
    good = [line for line in lines if line.startswith(b"IP: ")]
    assert summary.bad == len(told) == len(set(told))
    assert summary.requests + summary.bad == len(lines)
    assert summary.requests >= len(good) - summary.bad
    for text in (as_text(summary, 3), as_json(summary), as_csv(summary)):
        assert text.replace("\n", "").isprintable()
        assert text.isascii()


@given(st.lists(ACCESSES, max_size=20))
@settings(deadline=None)
def test_csv_and_json_say_the_same(accesses: list[Access]) -> None:
    """The rows of the CSV add up to the JSON's totals; each sum stands once."""
    summary = summed([write(access) for access in accesses])
    rows = list(csv.DictReader(io.StringIO(as_csv(summary))))
    said = json.loads(as_json(summary))
    assert len({tuple(row.items()) for row in rows}) == len(rows)
    for name, key, column in (
        ("day", "days", "day"),
        ("country", "countries", "country"),
        ("architecture", "architectures", "architecture"),
        ("repository", "repositories", "repository"),
    ):
        sums: Counter[str] = Counter()
        for row in rows:
            if row["sum"] == name:
                sums[row[column]] += int(row["count"])
        expected = said[key] if key != "days" else {day["day"]: day["requests"] for day in said["days"]}
        assert sums == expected
    assert sum(int(row["count"]) for row in rows if row["sum"] == "countme") == sum(
        counted["count"] for counted in said["systems"]
    )


def test_weeks_begin_on_monday() -> None:
    """A Sunday's systems belong to the week that began six days before."""
    lines = [write(Access(None, f"2026-11-{day}", "DE", "r", None, "2")) for day in (22, 23, 24)]
    assert summed(lines).weeks() == {"2026-11-16": {"2": 1}, "2026-11-23": {"2": 2}}


def test_days_can_be_left_out() -> None:
    """--since and --until are both included."""
    lines = [write(Access(None, f"2026-11-{day}", "DE", "r", None)) for day in (21, 22, 23, 24)]
    assert [*summed(lines, since="2026-11-22", until="2026-11-23").days] == ["2026-11-22", "2026-11-23"]


@pytest.mark.slow
def test_tables_have_bounds() -> None:
    """A file of ever new names fills a table, not the memory: what comes later is one row, and nothing is lost."""
    summary = Summary()
    for number in range(summaries.MOST_ROWS + 7):
        summary.add(Access(None, "2026-11-24", "DE", f"r{number}", None))
    assert len(summary.tables[REPOSITORY]) == summaries.MOST_ROWS + 1
    assert summary.tables[REPOSITORY]["2026-11-24", OTHERS] == 7
    assert summary.tables[COUNTRY] == {("2026-11-24", "DE"): summaries.MOST_ROWS + 7}


@pytest.mark.process
def test_the_originals_files_compressed_ones_and_standard_input(tmp_path: Path) -> None:
    """A file of mirrorlist-server's, the same compressed whatever its name, and standard input of either kind."""
    plain, compressed = tmp_path / "mirrorlist.log", tmp_path / "old"
    plain.write_text(ORIGINAL)
    compressed.write_bytes(gzip.compress(ORIGINAL.encode()))
    for data in (ORIGINAL.encode(), compressed.read_bytes()):
        done = stats("--json", str(plain), str(compressed), "-", data=data)
        assert (done.returncode, done.stderr) == (0, b"")
        said = json.loads(done.stdout)
        assert said["requests"] == 9
        assert said["countries"] == {"DE": 6, "N/A": 3}
        assert said["repositories"] == {"epel-9": 6, "fedora-43": 3}
    text = stats(str(plain)).stdout.decode()
    assert text.startswith("3 requests from 2026-11-23 to 2026-11-24\n")
    assert any(line.split() == ["x86_64", "2", "66.7%"] for line in text.splitlines())


@pytest.mark.process
def test_a_pipe_in_place_of_a_file_is_refused_and_one_of_the_shell_is_read(tmp_path: Path) -> None:
    """A pipe with a name would be waited for, for ever; `<(command)` is one that the process has been given."""
    pipe, plain = tmp_path / "pipe", tmp_path / "plain"
    os.mkfifo(pipe)
    plain.write_text(ORIGINAL)
    done = stats(str(pipe), str(plain))
    assert done.returncode == 1
    assert done.stderr.decode() == f"mirrorlistd: {pipe}: is not a regular file but a pipe\n"
    assert b"3 requests" in done.stdout
    for name in ("/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"):
        assert b"3 requests" in stats(name, data=ORIGINAL.encode()).stdout


@pytest.mark.process
def test_bad_lines_and_bad_files(tmp_path: Path) -> None:
    """Bad lines are named by file and number, ten a file, and not fatal; an unreadable file is, in the end."""
    file, cut = tmp_path / "file", tmp_path / "cut.gz"
    file.write_bytes(ORIGINAL.encode() + b"\x1b]0;evil\x07\n" * 12 + b"IP: 192.0.2.1; DATE: 2026-11-2")
    done = stats("--json", str(file))
    assert done.returncode == 0
    assert json.loads(done.stdout)["bad_lines"] == 13
    said = done.stderr.decode().splitlines()
    assert said[0].startswith(f"mirrorlistd: {file}:4: expected IP: ")
    assert said[10:] == [f"mirrorlistd: {file}: 3 more bad lines"]
    cut.write_bytes(gzip.compress(ORIGINAL.encode() * 1000)[:-9])
    done = stats(str(cut), str(tmp_path / "none"), str(file))
    assert done.returncode == 1
    assert f"{cut}: cannot be read: ".encode() in done.stderr
    assert f"{tmp_path / 'none'}: cannot be read: No such file or directory".encode() in done.stderr
    assert b"requests from 2026-11-23 to" in done.stdout


@pytest.mark.process
@pytest.mark.parametrize(
    ("name", "start"), [("p.svg", b"<?xml"), ("p.PNG", b"\x89PNG\r\n"), ("p.pdf", b"%PDF-"), ("a.b.png", b"\x89PNG")]
)
def test_a_plot_is_of_the_format_that_its_name_ends_in(tmp_path: Path, name: str, start: bytes) -> None:
    """SVG, PNG and PDF, in any case; the same lines give the same bytes."""
    pictures: list[bytes] = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        done = stats("--plot", str(tmp_path / folder / name), "-", data=ORIGINAL.encode())
        assert done.returncode == 0, done.stderr
        pictures.append((tmp_path / folder / name).read_bytes())
    assert pictures[0].startswith(start)
    assert pictures[0] == pictures[1]


@pytest.mark.process
@pytest.mark.parametrize("name", ["plot", "plot.jpeg", "plot.svgz", "plot.", "svg", "-", ".png", "plot.txt"])
def test_a_plot_of_another_format_is_wrong_usage(tmp_path: Path, name: str) -> None:
    """A suffix that names no format that can be drawn is refused before anything is read; nothing is written."""
    done = stats("--plot", str(tmp_path / name), "-", data=ORIGINAL.encode())
    assert done.returncode == 2
    assert b"expected a name that ends in .svg, .png, .pdf" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.process
def test_a_plot_is_an_svg(tmp_path: Path) -> None:
    """--plot draws every table; names with `$` or markup in them stay names; an unwritable file is refused."""
    file = tmp_path / "plot.svg"
    lines = ORIGINAL.encode() + write(Access(None, "2026-11-24", "DE", "$x$ <&>", "$\\frac"))
    done = stats("--plot", str(file), "-", data=lines)
    assert done.returncode == 0, done.stderr
    assert ET.fromstring(file.read_text()).tag == "{http://www.w3.org/2000/svg}svg"
    done = stats("--plot", str(tmp_path / "no" / "plot.svg"), "-", data=lines)
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"cannot be written: No such file or directory" in done.stderr


@pytest.mark.process
@pytest.mark.parametrize("flags", [["--since", "yesterday"], ["--top", "-1"], ["--json", "--csv"], []])
def test_wrong_usage(flags: list[str]) -> None:
    """Exit status 2, and nothing is read."""
    assert stats(*flags).returncode == 2
