"""What probing costs: a full sweep and a resting run over a thousand mirrors, which are one nginx on loopback.

    .venv/bin/python bench/prober_sweep.py                      # 1,000 mirrors, 150 units: some minutes
    .venv/bin/python bench/prober_sweep.py --mirrors 100        # a first look

The requests are counted in nginx's log. MirrorManager's way is printed beside them: its crawler asks for every file of
a directory by HEAD unless the mirror offers rsync (mirrormanager2's crawler, `try_per_file`).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

from support.nginx_mirrors import NginxMirrors

FILES_A_DIRECTORY = 20
"""Files that a crawler asks for in each directory of a repository, at least: metadata and packages."""


@dataclass(frozen=True)
class Cost:
    """What one run of the prober took."""

    seconds: float
    processor: float
    """Seconds."""
    megabytes: float
    requests: int


def make_tree(folder: Path, units: int) -> None:
    """Write repositories with an index of some 3 kB each."""
    made = int(time.time()) - 86_400
    for number in range(units):
        place = folder / f"r{number}" / "repodata"
        place.mkdir(parents=True)
        filling = "".join(f"<!-- {number} {line:060} -->\n" for line in range(40))
        root = '<repomd xmlns="http://linux.duke.edu/metadata/repo">'
        (place / "repomd.xml").write_text(f"{root}<revision>{made}</revision>\n{filling}</repomd>\n")
        os.utime(place / "repomd.xml", (made, made))


def sources(mirrors: NginxMirrors, master: Path, units: int) -> dict[str, object]:
    """Describe the network."""
    return {
        "categories": {"c": {"kind": "open", "master": str(master)}},
        "repositories": {
            f"r{number}": {"category": "c", "path": f"r{number}", "unit": "repodata/repomd.xml"}
            for number in range(units)
        },
        "mirrors": {
            f"m{number}": {"country": "DE", "categories": {"c": {"urls": [mirrors.url(address)]}}}
            for number, address in enumerate(mirrors.addresses)
        },
    }


def probe(folder: Path, mirrors: NginxMirrors, *flags: str) -> Cost:
    """Run the prober once."""
    before, began = len(mirrors.asked()), time.monotonic()
    command = [sys.executable, "-m", "mirrorlist_admin", "probe", str(folder / "net.json")]
    command += ["--state", str(folder / "state")]
    process = subprocess.Popen(
        [*command, "--once", "--allow-network", "127.0.0.0/8", *flags], stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"the prober ended with {status}")
    return Cost(
        seconds=time.monotonic() - began,
        processor=usage.ru_utime + usage.ru_stime,
        megabytes=usage.ru_maxrss / 1024,
        requests=len(mirrors.asked()) - before,
    )


def show(name: str, cost: Cost, mirrors: int) -> None:
    """Print one row."""
    each = 1000 * cost.processor / max(1, cost.requests)
    print(
        f"{name:<34} {cost.seconds:7.1f} s {cost.processor:7.1f} s CPU {each:6.2f} ms/request {cost.megabytes:6.0f} MB "
        f"{cost.requests:8,} requests, {cost.requests / mirrors:.1f} a mirror",
        flush=True,
    )


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mirrors", type=int, default=1000)
    parser.add_argument("--units", type=int, default=150)
    parser.add_argument("--paced", action="store_true", help="also a sweep at 0.5 requests a second and mirror")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        make_tree(folder / "master", options.units)
        addresses = [f"127.1.{number // 250}.{number % 250 + 1}" for number in range(options.mirrors)]
        with NginxMirrors(folder, addresses) as mirrors:
            for address in addresses:
                mirrors.root(address).symlink_to(folder / "master")
            (folder / "net.json").write_text(json.dumps(sources(mirrors, folder / "master", options.units)))
            show("full sweep, unpaced", probe(folder, mirrors, "--rate", "100000"), options.mirrors)
            show("  what it left over", probe(folder, mirrors, "--rate", "100000"), options.mirrors)
            for _ in range(2):
                show("resting run, 4 requests/s a mirror", probe(folder, mirrors), options.mirrors)
            if options.paced:
                (folder / "state" / "observations.db").unlink()
                show("full sweep, 0.5 requests/s a mirror", probe(folder, mirrors, "--rate", "0.5"), options.mirrors)
    crawled = options.units * FILES_A_DIRECTORY
    print(f"a crawler with a HEAD for every file: {crawled * options.mirrors:,} requests, {crawled:,} a mirror and run")


if __name__ == "__main__":
    main()
