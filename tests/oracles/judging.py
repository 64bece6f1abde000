"""A real answer held against what `model` expects. Chance is left open: an order is right if it could be drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from oracles.rules import fits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from oracles.model import Wanted

METALINK = "{http://www.metalinker.org/}"


def judge(wanted: Wanted, status: int, headers: Mapping[str, Sequence[str]], body: str) -> None:
    """Hold an answer against what it must be."""
    assert status == wanted.status, (wanted, body)
    if status >= 400:
        refusal(wanted, headers, body)
        return
    match wanted.format:
        case "metalink":
            assert headers["content-type"] == ["application/metalink+xml"]
            names = of_metalink(wanted, body)
        case "redirect":
            names = of_redirect(wanted, headers)
        case _:
            assert headers["content-type"] == ["text/plain; charset=utf-8"]
            assert body.startswith(wanted.header), (wanted, body)
            lines = body.removeprefix(wanted.header)
            assert lines.endswith("\n")
            names = named(wanted, lines.splitlines())
    assert fits(names, wanted.expected, wanted.limit), (names, wanted)


def refusal(wanted: Wanted, headers: Mapping[str, Sequence[str]], body: str) -> None:
    """One line for people, or MirrorManager's words, in a metalink's comment if one was asked for."""
    if wanted.format == "metalink":
        assert headers["content-type"] == ["application/metalink+xml"]
        root = ET.fromstring(body, ET.XMLParser(target=ET.TreeBuilder(insert_comments=True)))
        body = "".join(child.text or "" for child in root).strip(" ").replace("- -", "--")
        assert wanted.body is None or body == wanted.body.removesuffix("\n") + "\n", (wanted, body)
    else:
        assert headers["content-type"] == ["text/plain; charset=utf-8"]
        assert wanted.body in (None, body), (wanted, body)
    assert body.strip()


def named(wanted: Wanted, lines: Sequence[str]) -> list[str]:
    """Lines -> mirrors: each has all of its URLs, next to each other, in their order."""
    by_first = {urls[0]: name for name, urls in wanted.urls.items() if urls}
    names: list[str] = []
    rest = list(lines)
    while rest:
        assert rest[0] in by_first, (rest[0], wanted)
        name = by_first[rest[0]]
        count = len(wanted.urls[name])
        assert rest[:count] == wanted.urls[name]
        names.append(name)
        rest = rest[count:]
    return names


def of_metalink(wanted: Wanted, body: str) -> list[str]:
    """Document order and preference agree; size and hash are the file's."""
    root = ET.fromstring(body)
    links = list(root.iter(f"{METALINK}url"))
    assert [int(link.attrib["preference"]) for link in links] == [max(1, 100 - place) for place in range(len(links))]
    hashes = [element.text for element in root.iter(f"{METALINK}hash")]
    assert hashes == ([wanted.details["sha256"]] if wanted.details else [])
    return named(wanted, [link.text or "" for link in links])


def of_redirect(wanted: Wanted, headers: Mapping[str, Sequence[str]]) -> list[str]:
    """`Location` is the first of the duplicates that `Link` names."""
    links = [link.partition(">")[0].removeprefix("<") for link in headers["link"] if "rel=duplicate" in link]
    assert headers["location"] == links[:1]
    return named(wanted, links)
