"""Whatever a file has in it: it is refused with a reason, or imported; and what is imported compiles as it is."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mirrorlist_snapshot.errors import SourceError
from mirrorlist_snapshot.importers.folder import source_files
from mirrorlist_snapshot.source import read_documents
from support import mirror_lists as lists
from support.mirror_lists import imported, source_of

if TYPE_CHECKING:
    from mirrorlist_snapshot.importers import Imported

KINDS = sorted(lists.LISTS)


def check(found: Imported) -> None:
    """Nothing is lost without a line, the documents compile, and the folder says what the documents say."""
    assert 0 <= found.left <= found.entries
    assert len(found.not_taken) >= found.left
    if found.mirrors:
        _records, told = read_documents(found.documents, found.not_taken)
        assert all(complaint.warning for complaint in told)
    files = source_files(found)
    whole: dict[str, Any] = {}
    for text in files.values():
        for section, records in tomllib.loads(text).items():
            whole.setdefault(section, {}).update(records)
    assert whole == source_of(found)
    assert len({name.lower() for name in files}) == len(files)
    assert all(name.endswith(".toml") and not name.startswith(".") and "/" not in name for name in files)


@pytest.mark.parametrize("kind", KINDS)
def test_the_lists_compile(kind: str) -> None:
    """The list of each format compiles without a mistake, from the documents and from the folder."""
    check(imported(kind))


@pytest.mark.slow
@settings(max_examples=80)
@given(kind=st.sampled_from(KINDS), at=st.floats(0, 1), out=st.integers(0, 60), put=st.binary(max_size=8))
@example(kind="mirrorbits", at=0.0, out=0, put=b"Score: many\n")
@example(kind="mirrorbits", at=0.0, out=0, put=b"CountryCodes: [1]\n")
@example(kind="almalinux", at=0.0, out=0, put=b"repos: 3\n")
def test_a_damaged_list_is_refused_or_imported(kind: str, at: float, out: int, put: bytes) -> None:
    """Bytes are cut out of a list and others put in: it is still imported as far as it goes, or refused."""
    files: dict[str, str | bytes] = {}
    for name, text in lists.LISTS[kind].items():
        data = text.encode()
        position = int(at * len(data))
        files[name] = data[:position] + put + data[position + out :]
    try:
        found = imported(kind, files)
    except SourceError:
        return
    check(found)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=4,
)
KEYS = [
    *("url", "name", "country", "continent", "bandwidth", "asn", "prefix", "private", "active", "arches", "sponsor"),
    *("latitude", "protocols", "hostname", "urldir", "region", "urls", "location", "ccode", "http", "rsync", "enabled"),
    *("country_code", "ipv4", "ipv6", "address", "geolocation", "subnets", "monopoly", "address_optional", "notes"),
]


@pytest.mark.slow
@settings(max_examples=80)
@given(
    kind=st.sampled_from(["json", "arch-status", "mirrorcache", "alpine", "cpan"]),
    rows=st.lists(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6), min_size=1, max_size=4),
)
@example(kind="json", rows=[{"arches": [False, True]}])
def test_any_values_in_a_table(kind: str, rows: list[dict[str, Any]]) -> None:
    """Values of any type under the keys that are read: nothing but a refusal, or an import."""
    rows[0]["url"] = "https://a.example/"
    try:
        found = imported(kind, {"t.json": json.dumps(rows)}, columns={})
    except SourceError:
        return
    check(found)


@settings(max_examples=40)
@given(
    one=st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6),
    config=st.dictionaries(
        st.sampled_from(["versions", "duplicated_versions", "optional_module_versions", "repos", "vault_versions"]),
        VALUES,
    ),
)
def test_any_values_of_almalinux(one: dict[str, Any], config: dict[str, Any]) -> None:
    """The same for a mirror and the configuration of AlmaLinux."""
    mirror = {"name": "a.example", "address": {"https": "https://a.example/"}} | one
    try:
        found = imported("almalinux", {"c.yml": json.dumps(config), "m.yml": json.dumps(mirror)})
    except SourceError:
        return
    check(found)


@settings(max_examples=60)
@given(text=st.text(alphabet="\t\n\\'$(),;NULL0aE-: ", max_size=60))
def test_any_statement(text: str) -> None:
    """Whatever follows INSERT or COPY, it ends."""
    for start in ("INSERT INTO server (hostname, country) VALUES ", "COPY server (hostname, country) FROM stdin;\n"):
        try:
            found = imported("mirrorcache", {"t.sql": start + text})
        except SourceError:
            continue
        check(found)
