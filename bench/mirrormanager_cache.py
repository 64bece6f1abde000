"""MirrorManager's files at any size, and what importing them costs: `python bench/mirrormanager_cache.py --measure`.

The network is that of `corpus.py`, written as MirrorManager's generator would write it: a directory names all of its
hosts, three times, so that the design point is a file of 1.4 gigabytes. A million networks of other people's stand
around and in those of the mirrors' autonomous systems. The same seed gives the same bytes, one record at a time.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Final

from corpus import BUILT, DESIGN, SEED, records
from mirrorlist_snapshot.countries import CONTINENT_OF
from mirrorlist_snapshot.source.mirrormanager.schema import message_class
from reporting import clear_terminal, say_on_terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from corpus import Size
    from mirrorlist_snapshot.model import FileVersion
    from mirrorlist_snapshot.records import MirrorRecord, NetworkRecords

NETWORKS: Final = 1_200_000
"""Lines of global_netblocks.txt at full size."""
_DIRECTORY_TAG: Final = bytes((0x82, 0x01))
"""Field 16, a message."""
_CACHE: Any = message_class("MirrorList")
_DIRECTORY: Any = message_class("MirrorListCache")


def cache_records(network: NetworkRecords) -> Iterator[bytes]:
    """Write a network as the records of a cache, in the order of their fields."""
    hosts = {mirror.name: number for number, mirror in enumerate(network.mirrors, 1)}
    urls = {
        (mirror.name, content.category, url): number for number, (mirror, content, url) in enumerate(_urls(network), 1)
    }
    tops = {category.name: category.top for category in network.categories}
    yield _one(Time=BUILT)
    for prefix, country in network.netblock_countries.items():
        yield _one(NetblockCountryCache=[{"key": prefix, "value": country}])
    for (_, _, url), number in urls.items():
        yield _one(HCUrlCache=[{"key": number, "value": url.rstrip("/")}])
    for (category, path), details in network.files.items():
        directory, _, file = f"{tops[category]}/{path}".rpartition("/")
        versions = [_version(one) for one in (details.current, *details.alternates)]
        files = [{"filename": file, "FileDetails": versions}]
        yield _one(FileDetailsCache=[{"directory": directory, "FileDetailsCacheFiles": files}])
    for country, continent in network.overrides.continents.items():
        yield _one(CountryContinentRedirectCache=[{"key": country, "value": continent}])
    for alias, name in network.aliases.items():
        yield _one(RepositoryRedirectCache=[{"key": alias, "value": name}])
    for repository in network.repositories:
        for place in repository.directories:
            key, directory = f"{repository.name}+{place.arch}", f"{tops[place.category]}/{place.path}"
            yield _one(RepoArchToDirectoryName=[{"key": key, "value": directory}])
    yield from _hosts(network, hosts)
    yield from _directories(network, hosts, urls)


def _urls(network: NetworkRecords) -> Iterator[tuple[MirrorRecord, Any, str]]:
    return ((mirror, content, url) for mirror in network.mirrors for content in mirror.contents for url in content.urls)


def _hosts(network: NetworkRecords, hosts: dict[str, int]) -> Iterator[bytes]:
    asns: dict[int, list[int]] = {}
    netblocks: dict[str, list[int]] = {}
    for mirror in network.mirrors:
        host = hosts[mirror.name]
        for asn in mirror.asns:
            asns.setdefault(asn, []).append(host)
        for netblock in mirror.netblocks:
            netblocks.setdefault(netblock.prefix, []).append(host)
        yield _one(
            HostMaxConnectionCache=[{"key": host, "value": 1}],
            HostCountryCache=[{"key": host, "value": mirror.country or ""}],
            HostBandwidthCache=[{"key": host, "value": mirror.bandwidth}],
        )
    for asn, found in asns.items():
        yield _one(HostAsnCache=[{"key": asn, "value": found}])
    for prefix, found in netblocks.items():
        yield _one(HostNetblockCache=[{"key": prefix, "value": found}])


def _directories(
    network: NetworkRecords, hosts: dict[str, int], urls: dict[tuple[str, str, str], int]
) -> Iterator[bytes]:
    """The directories; what is the same in many, the hosts, is made once for each set and category."""
    mirrors = {mirror.name: mirror for mirror in network.mirrors}
    for category in network.categories:
        made: dict[int, bytes] = {}
        for path, carriers in network.directories[category.name].items():
            rest = made.get(id(carriers))
            if rest is None:
                carrying = sorted((mirrors[name] for name in carriers), key=lambda mirror: hosts[mirror.name])
                rest = made[id(carriers)] = _carriers(category.name, carrying, hosts, urls)
            head = _DIRECTORY(directory=f"{category.top}/{path}", Subpath=path).SerializeToString()
            yield _DIRECTORY_TAG + _varint(len(head) + len(rest)) + head + rest


def _carriers(
    category: str, mirrors: list[MirrorRecord], hosts: dict[str, int], urls: dict[tuple[str, str, str], int]
) -> bytes:
    active = [mirror for mirror in mirrors if mirror.active]
    public = [mirror for mirror in active if not mirror.private]
    countries: dict[str, list[int]] = {}
    for mirror in public:
        countries.setdefault(mirror.country or "", []).append(hosts[mirror.name])
    by_host = [
        {
            "key": hosts[mirror.name],
            "value": [
                urls[mirror.name, category, url]
                for content in mirror.contents
                if content.category == category
                for url in content.urls
            ],
        }
        for mirror in active
    ]
    message = _DIRECTORY(
        Global=[hosts[mirror.name] for mirror in public],
        ByCountry=[{"key": country, "value": found} for country, found in countries.items()],
        ByHostId=by_host,
    )
    return bytes(message.SerializePartialToString())


def _one(**fields: object) -> bytes:
    return bytes(_CACHE(**fields).SerializePartialToString())


def _varint(number: int) -> bytes:
    groups = bytearray()
    while number > 0x7F:  # noqa: PLR2004 - seven bits to a byte
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*groups, number))


def _version(version: FileVersion) -> dict[str, int | str]:
    hashes = {"SHA256": version.sha256, "SHA512": version.sha512}
    known = {kind: text for kind, text in hashes.items() if text}
    return {"TimeStamp": version.timestamp, "Size": version.size, **known}


def networks(count: int) -> Iterator[str]:
    """Lines of global_netblocks.txt: one in six is IPv6; some are announced by several systems at once."""
    random = Random(SEED)
    for _ in range(count):
        asn = "{64512,64513}" if random.random() < 0.001 else str(random.randrange(1, 65_000))  # noqa: PLR2004
        if random.random() < 1 / 6:
            length = random.choice((29, 32, 36, 40, 44, 48, 48))
            value = random.randrange(0x2000 << 16, 0x3000 << 16) << 16 | random.getrandbits(16)
            groups = (value >> 48 - length << 48 - length).to_bytes(6, "big").hex(":", 2)
            yield f"{groups}::/{length} {asn}\n"
        else:
            length = random.choice((16, 18, 19, 20, 21, 22, 22, 23, 24, 24, 24, 24))
            value = random.randrange(1 << 24, 223 << 24) >> 32 - length << 32 - length
            yield f"{'.'.join(map(str, value.to_bytes(4, 'big')))}/{length} {asn}\n"


def write_files(folder: Path, size: Size, prefixes: int) -> None:
    """Write the three files, under the names that MirrorManager gives them."""
    with (folder / "mirrorlist_cache.proto").open("wb") as file:
        for number, record in enumerate(cache_records(records(size, say=say_on_terminal))):
            file.write(record)
            if not number % 5_000:
                say_on_terminal(f"cache: {number:,} records")
    with (folder / "country_continent.csv").open("w", encoding="ascii") as file:
        file.write('"iso 3166 country","continent code"\nA1,--\n')
        file.writelines(f"{country},{continent}\n" for country, continent in sorted(CONTINENT_OF.items()))
    say_on_terminal("networks")
    with (folder / "global_netblocks.txt").open("w", encoding="ascii") as file:
        file.writelines(networks(prefixes))
    clear_terminal()


def measure(folder: Path) -> str:
    """Import the files of a folder in a child process: seconds, peak memory, and what the command says."""
    command = [sys.executable, "-m", "mirrorlist_snapshot", "compile", "--from", "mirrormanager", str(folder), "-o"]
    start = time.monotonic()
    child = subprocess.Popen([*command, str(folder / "mirrors.mls")], stderr=subprocess.PIPE, text=True)
    with child:
        errors = child.stderr.read() if child.stderr else ""
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - start
    processor = usage.ru_utime + usage.ru_stime
    figures = f"{seconds:.1f} s ({processor:.1f} s of processor), peak RSS {usage.ru_maxrss / 1024:,.0f} MB"
    return f"{errors}exit code {child.returncode}, {figures}"


def main() -> int:
    """Write the files, and import them if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, metavar="PART", help="part of the design point's size")
    parser.add_argument("-o", "--output", type=Path, metavar="FOLDER", help="write the three files here, and keep them")
    parser.add_argument("--measure", action="store_true", help="import them in a child process, and say what it took")
    arguments = parser.parse_args()
    if not (arguments.output or arguments.measure):
        parser.error("name a folder with -o, or --measure, or both")
    try:
        size = DESIGN.scaled(arguments.scale)
    except ValueError as error:
        parser.error(f"--scale: expected {error}")
    with nullcontext(arguments.output) if arguments.output else tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        write_files(folder, size, round(NETWORKS * arguments.scale))
        for path in sorted(folder.glob("*[tv]*.[cpt]*")):
            print(f"{path}: {path.stat().st_size:,} bytes")
        if arguments.measure:
            print(measure(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
