"""What a measurement leaves behind: the environment, a table, a file of results, the baseline, a chart."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
import sysconfig
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HERE: Final = Path(__file__).resolve().parent
RESULTS: Final = HERE / "results"
BASELINE: Final = HERE / "baseline.json"
_PACKAGES: Final = ("uvicorn", "uvloop", "httptools", "maxminddb-rust", "numpy", "orjson")

_STYLE: Final = """\
  text { font: 13px system-ui, sans-serif; fill: #24292f }
  .quiet { fill: #57606a }
  .ours { fill: #0969da } .theirs { fill: #afb8c1 } .axis { stroke: #d0d7de }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .quiet { fill: #9198a1 }
    .ours { fill: #4493f8 } .theirs { fill: #656c76 } .axis { stroke: #3d444d }
  }"""
_LEFT, _WIDE, _ROW = 190, 380, 22
"""Pixels: where bars begin, the longest bar, a row's height."""


def environment() -> dict[str, str]:
    """Say on what this was measured; a figure without it says nothing."""
    cores = len(os.sched_getaffinity(0))
    found = {
        "when": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": _processor(),
        "cores": f"{cores} of {os.cpu_count()}",
        "load before": load_average(),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}, {_optimizations()}",
        "nginx": _said("nginx", "-v"),
        "wrk": _said("wrk", "-v"),
    }
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def load_average() -> str:
    """Return how many processes wanted a processor in the last one, five and fifteen minutes."""
    return "{:.2f} {:.2f} {:.2f}".format(*os.getloadavg())


def _processor() -> str:
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    model = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    return model[1] if model else platform.machine()


def _optimizations() -> str:
    """Return how CPython was built, as far as it records that: the build moves every ratio to a server in C."""
    flags = " ".join(str(sysconfig.get_config_var(name) or "") for name in ("CONFIG_ARGS", "PY_CFLAGS_NODIST"))
    guided = "--enable-optimizations" in flags or "-fprofile-use" in flags
    linked = "--with-lto" in flags or "-flto" in flags
    shared = "libpython" in Path("/proc/self/maps").read_text(encoding="utf-8")
    facts = {"profile-guided optimization": guided, "link-time optimization": linked, "a shared library": shared}
    return ", ".join(f"{'with' if so else 'without'} {fact}" for fact, so in facts.items())


def _said(program: str, flag: str) -> str:
    """Find the version in what a program says of itself, wherever it says it."""
    try:
        done = subprocess.run([program, flag], capture_output=True, text=True, check=False, timeout=10)
    except OSError:
        return "not installed"
    version = re.search(r"\d+\.\d+[^\s]*", done.stdout + done.stderr)
    return version[0] if version else "unknown"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Align columns, the first to the left, figures to the right; readable as Markdown."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]

    def line(row: Sequence[str]) -> str:
        first, *others = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        return "| " + " | ".join([first, *(f"{cell.strip():>{len(cell)}}" for cell in others)]) + " |"

    first, *others = ("-" * width for width in widths)
    return "\n".join(
        [line(head), "| " + " | ".join([first, *(f"{rule[1:]}:" for rule in others)]) + " |", *map(line, rows)]
    )


def facts(pairs: Mapping[str, str]) -> str:
    """Align names and values."""
    width = max(map(len, pairs))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in pairs.items())


def keep(part: str, result: Mapping[str, Any], *, as_baseline: bool) -> Path:
    """Write results to bench/results/, and into the baseline beside the others' if asked to."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / ("latest.json" if part == "http" else f"{part}.json")
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if as_baseline:
        BASELINE.write_text(json.dumps(_kept() | {part: result}, indent=1) + "\n", encoding="utf-8")
    return path


def baseline(part: str) -> dict[str, Any]:
    """Give the results that are kept for comparison; empty where there are none."""
    return dict(_kept().get(part, {}))


def _kept() -> dict[str, Any]:
    return dict(json.loads(BASELINE.read_text(encoding="utf-8"))) if BASELINE.exists() else {}


def chart(title: str, groups: Mapping[str, Mapping[str, float]], note: str) -> str:
    """Draw groups of named bars as SVG, in the reader's light or dark colours; names with `lane` are ours."""
    longest = max(value for bars in groups.values() for value in bars.values())
    parts: list[str] = []
    y = 30
    for group, bars in groups.items():
        y += 24
        parts.append(f'<text x="10" y="{y}" class="quiet">{escape(group)}</text>')
        y += 8
        for name, value in bars.items():
            width = max(1.0, value / longest * _WIDE)
            kind = "ours" if "lane" in name else "theirs"
            parts.append(
                f'<text x="{_LEFT - 8}" y="{y + 14}" text-anchor="end">{escape(name)}</text>'
                f'<rect x="{_LEFT}" y="{y + 2}" width="{width:.1f}" height="{_ROW - 6}" rx="2" class="{kind}"/>'
                f'<text x="{_LEFT + width + 6:.1f}" y="{y + 14}">{value:.1f}</text>'
            )
            y += _ROW
    parts.append(f'<line x1="{_LEFT}" y1="36" x2="{_LEFT}" y2="{y}" class="axis"/>')
    parts.append(f'<text x="10" y="{y + 24}" class="quiet" font-size="11">{escape(note)}</text>')
    wide, high = _LEFT + _WIDE + 60, y + 36
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" width="{wide}" role="img">\n'
        f"<title>{escape(title)}</title>\n<style>\n{_STYLE}\n</style>\n"
        f'<text x="10" y="24" font-weight="600">{escape(title)}</text>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def say(text: str) -> None:
    """Print for people, on standard error."""
    print(text, file=sys.stderr, flush=True)


def say_on_terminal(text: str) -> None:
    """Show progress, if standard error is a terminal."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text} ...", end="", file=sys.stderr, flush=True)


def clear_terminal() -> None:
    """Take away what `say_on_terminal` has shown last."""
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)
