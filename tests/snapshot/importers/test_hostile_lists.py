"""Lists made to cost much, or to be more than a source can hold: refused, or read in proportion to their size."""

from __future__ import annotations

import json

import pytest

from mirrorlist_snapshot.errors import SourceError
from mirrorlist_snapshot.importers import gathering
from mirrorlist_snapshot.importers.folder import source_files
from mirrorlist_snapshot.input_file import YAML_FILE
from mirrorlist_snapshot.source import read_documents
from support.mirror_lists import imported, source_of


def test_more_mirrors_than_a_snapshot_holds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mirror that is one too many is named by its line."""
    monkeypatch.setattr(gathering, "MAX_MIRRORS", 50)
    text = "".join(f"https://m{number}.example/\n" for number in range(52))
    with pytest.raises(SourceError, match="t:51: has more than 50 mirrors"):
        imported("urls", {"t": text})


def test_one_host_with_many_paths_is_read_in_proportion() -> None:
    """Each path of a host finds its twin by another protocol, however many other paths there are."""
    text = "".join(f"{protocol}://a.example/{number}/\n" for number in range(300) for protocol in ("http", "https"))
    assert imported("urls", {"t": text}).mirrors == 300


def test_a_dump_of_many_statements_keeps_their_lines() -> None:
    """Lines are counted once; every statement and every row has its own."""
    values = "".join(f"INSERT INTO server (hostname) VALUES\n ('m{number}.example');\n" for number in range(300))
    found = imported("mirrorcache", {"t": f"{values}COPY server (hostname) FROM stdin;\ny.example\nz.example\n\\.\n"})
    places = [
        document.place(("mirrors", name)) for document in found.documents for name in ("m299.example", "z.example")
    ]
    assert (found.mirrors, places) == (302, ["t:599", "t:603"])


@pytest.mark.parametrize("kind", ["json", "alpine", "mirrorbits", "almalinux"])
def test_yaml_has_its_own_limit(kind: str) -> None:
    """The YAML reader is dear: whatever the file is called, more than a YAML file may have is refused."""
    with pytest.raises(SourceError, match="that a YAML file may have"):
        imported(kind, {"t.txt": "Name: x\n" + "#" * YAML_FILE.size}, columns={})


def test_what_is_nested_deep_stays_as_text() -> None:
    """Columns of any depth are kept so that the source can be read again."""
    nested: object = "end"
    for _ in range(8):
        nested = {"x": [nested]}
    rows = [{"url": "https://a.example/", "deep": nested, "half \ud800": "\udfff of a pair"}]
    found = imported("json", {"t.json": json.dumps(rows)}, columns={})
    assert read_documents(found.documents)
    assert all(text.encode() for text in source_files(found).values())
    extra = source_of(found)["mirrors"]["a.example"]["about"]["extra"]
    assert extra["half ?"] == "? of a pair"
    kept, whole = extra["deep"], nested
    while isinstance(kept, dict):
        assert isinstance(whole, dict)
        kept, whole = kept["x"], whole["x"]
        if isinstance(kept, list):
            kept, whole = kept[0], whole[0]
    assert json.loads(kept) == whole


def test_entities_of_xml_are_never_expanded() -> None:
    """A document that declares an entity, or takes one from elsewhere, is refused before anything is expanded."""
    for declared in ('<!ENTITY a "b">', '<!ENTITY a SYSTEM "file:///etc/passwd">', '<!ENTITY % a "b">'):
        text = f"<!DOCTYPE mirrors [{declared}]><mirrors><mirrorgroup><mirror/></mirrorgroup></mirrors>"
        with pytest.raises(SourceError, match="declares the entity 'a'"):
            imported("gentoo", {"t": text})
