"""Ubuntu's mirrors as Launchpad publishes them: RSS, an item a mirror, its speed as a number of Launchpad's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.importers.about import about
from mirrorlist_snapshot.importers.entries import Content, Entry, not_taken, refuse
from mirrorlist_snapshot.importers.one_tree import one_tree
from mirrorlist_snapshot.importers.xml_elements import root_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirrorlist_snapshot.importers.entries import Findings, ImportedFile, ImportOptions

_SPEEDS: Final = {
    "10": "128k",
    "20": "256k",
    "30": "512k",
    "40": "1M",
    "50": "2M",
    "60": "10M",
    "65": "45M",
    "70": "100M",
    "80": "1G",
    "90": "2G",
    "100": "4G",
    "110": "10G",
    "120": "20G",
    "130": "40G",
    "140": "100G",
}
"""Launchpad's MirrorSpeed -> bits a second."""


def read(files: Sequence[ImportedFile], options: ImportOptions) -> Findings:
    """Yield the mirrors of the feeds."""
    for file in files:
        items = list(root_of(file).all("item"))
        if not items:
            refuse(file, "has no <item> in it")
        for item in items:
            speed = item.said("mirror:bandwidth")
            yield Entry(
                file=file.name,
                line=item.line,
                contents={options.category: Content([url] if (url := item.said("link")) else [])},
                places=[
                    item.said("mirror:countrycode") or item.said("mirror:country") or item.said("mirror:continent")
                ],
                settings={"bandwidth": _SPEEDS.get(speed, "")},
                about=about(sponsor={"name": item.said("title")}, notes=item.said("description")),
            )
            if speed and speed not in _SPEEDS:
                yield not_taken(file, item.line, item.said("title"), f"the speed {speed!r} is none of Launchpad's")
    yield one_tree(files, options)
