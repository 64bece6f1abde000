"""Rules for single values: what people write is understood, or answered in our own words with what was meant."""

from __future__ import annotations

import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jsonschema
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mirrorlist_snapshot.countries import CONTINENT_OF
from mirrorlist_snapshot.country_names import country_named
from mirrorlist_snapshot.errors import SourceError
from mirrorlist_snapshot.model import CONTINENTS
from mirrorlist_snapshot.source import json_schema, read_sources, rules
from mirrorlist_snapshot.source.mirrormanager import hosts
from support.descriptions import SMALL, complaints_of, records_of

FOREIGN_WORDS = re.compile(
    r"Input should|Exceeds the limit|invalid literal|could not be cast|out of range|Traceback|Error|NFKC|codec|"
    r"does not appear|set_int_max|label empty|unhashable|recursion",
    re.IGNORECASE,
)
"""Words of Python's and the libraries' own exceptions."""


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("https://a.example.org/c//", "https://a.example.org/c/"),
        ("https://a.example.org//c///d", "https://a.example.org/c/d/"),
        ("https://a.example.org//", "https://a.example.org/"),
        ("rsync://a.example.org//m//", "rsync://a.example.org/m/"),
        ("HTTP://A.example.org:80//x", "http://a.example.org/x/"),
    ],
)
def test_repeated_slashes_of_urls_are_one(text: str, canonical: str) -> None:
    """A base URL has single slashes, wherever the source has more."""
    assert rules.url(text) == canonical


def test_repeated_slashes_of_paths_are_one(tmp_path: Path) -> None:
    """Tops, directories, prefixes and files have single slashes and none at the ends, in every key that has a path."""
    text = """
        [categories.c]
        kind = "listed"
        top = "//pub///c//"
        directories = "a//b/"
        files = { path = "a//f", timestamp = 1, size = 1 }
        [repositories.r]
        category = "c"
        path = "a//{arch}//"
        arches = "b"
        files = { path = "g//h", timestamp = 1, size = 1 }
        [mirrors.m]
        country = "DE"
        categories.c = { urls = "https://m.example.org/c//", include = "a//", exclude = "//x//y" }
    """
    records = records_of(tmp_path, text)
    (content,) = records.mirrors[0].contents
    assert (content.urls, content.include, content.exclude) == (("https://m.example.org/c/",), ("a",), ("x/y",))
    assert records.categories[0].top == "pub/c"
    assert records.repositories[0].directories[0].path == "a/b"
    assert set(records.directories["c"]) == {"a/b"}
    assert {path for _, path in records.files} == {"a/f", "a/b/g/h"}


@pytest.mark.parametrize(
    ("text", "words", "meant"),
    [
        ("rsync://a.example.org::c", "`::` after its host", "rsync://a.example.org/c/"),
        ("a.example.org::c/d", "no known protocol", "rsync://a.example.org/c/d/"),
        ("rsync://me@a.example.org::c", "user name", "rsync://a.example.org/c/"),
        ("rsync://a.example.org:c", 'port that is not a number, "c"', "rsync://a.example.org/c/"),
        ("https://h:c/", 'port that is not a number, "c"', None),
        ("https://h:\uff18\uff10/", "port that is not a number", None),
        ("https://h:99999/", "port outside of 1 to 65535", None),
        ("https://h:0/", "port outside of 1 to 65535", None),
        (f"https://h:{'9' * 1000}/", "port outside of 1 to 65535", None),
        ("https://h:80:90/", "several colons", None),
        ("https://2001:db8::1/", "several colons", "https://[2001:db8::1]/"),
        ("https://::1/", "`::` after its host", "https://[::1]/"),
        ("https://[::1/", "brackets", None),
        ("https://h]/", "brackets", None),
        ("https://[::1]x/", "brackets", None),
        ("https://[::1%eth0]/", "malformed IPv6", None),
        ("a.example.org/c", "no known protocol", "https://a.example.org/c/"),
        ("//a.example.org/c", "no known protocol", "https://a.example.org/c/"),
        ("https:/a.example.org/", "no known protocol", "https://a.example.org/"),
        ("https//a.example.org/", "no known protocol", "https://a.example.org/"),
        ("http;//a.example.org/", "no known protocol", "http://a.example.org/"),
        ("htps://a.example.org/", "no known protocol", "https://a.example.org/"),
        ("https:///a.example.org/", "no host", "https://a.example.org/"),
        ("https://http://a.example.org/", "two protocols", "http://a.example.org/"),
        ("https:\\\\a.example.org\\x", "backslash", "https://a.example.org/x/"),
        (" https://a.example.org/ ", "space", "https://a.example.org/"),
        ("<https://a.example.org/>", "bracket", "https://a.example.org/"),
        ("https://a.example.org/x y/", "space", "https://a.example.org/x%20y/"),
        ("https://a.example.org/?x=y", "query", "https://a.example.org/"),
        ("https://me:secret@a.example.org/", "user name", "https://a.example.org/"),
        ("https://bücher.example/", "non-ASCII host; clients need it as xn--bcher-kva.example", None),
        ("https://\u2100.example/", "non-ASCII host, which has no form in ASCII", None),
        ("file:///srv/mirror", "no known protocol", None),
        ("localhost:8080/x", "no known protocol", None),
        ("", "no known protocol", None),
        ("https://", "no host", None),
        ("https://h..x/", "malformed host", None),
        ("https://1.2.3/", "malformed IPv4", None),
        ("https://h/100%/", "percent-encoded", None),
    ],
)
def test_malformed_urls_are_named_with_what_was_meant(text: str, words: str, meant: str | None) -> None:
    """Every malformed URL is refused in our own words, with the URL that was probably meant where that is known."""
    with pytest.raises(rules.RuleError) as caught:
        rules.url(text)
    message = str(caught.value)
    assert words in message
    assert not FOREIGN_WORDS.search(message)
    assert (f'did you mean "{meant}"?' in message) if meant else ("did you mean" not in message)
    assert meant is None or rules.url(meant) == meant


URL_PARTS = st.lists(
    st.sampled_from(
        [
            "https",
            "rsync",
            "http",
            ":",
            "//",
            "/",
            "::",
            "[",
            "]",
            "@",
            "?",
            "#",
            "%",
            "%41",
            "h.example",
            "1.2.3.4",
            "::1",
            "ü",
            "\u2100",
            "\uff11",
            "\ud800",
            " ",
            "\\",
            "\t",
            "80",
            "99999",
            "..",
            ".",
            "xn--a",
            "-",
            "é",
            "{arch}",
        ]
    )
    | st.characters(),
    max_size=12,
).map("".join)


@settings(max_examples=500)
@given(text=URL_PARTS)
@example(text="https://h:\u0661/")
def test_any_text_is_a_canonical_url_or_refused_in_our_own_words(text: str) -> None:
    """A URL becomes canonical, with single slashes, or is refused without a word of Python's exceptions."""
    try:
        found = rules.url(text)
    except rules.RuleError as error:
        assert re.match(r"the URL (\"|has [0-9]+ characters)", str(error))
        assert not FOREIGN_WORDS.search(str(error).replace(json.dumps(text, ensure_ascii=False), "").replace(text, ""))
    else:
        assert rules.url(found) == found
        assert found.isascii()
        assert "//" not in found.partition("://")[2]


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=6) | URL_PARTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
KEYS = {
    "categories": ["kind", "top", "directories", "files"],
    "repositories": ["category", "path", "arches", "disabled", "files", "alias"],
    "mirrors": ["country", "bandwidth", "asns", "netblocks", "private", "allowed_countries", "categories", "about"],
    "overrides": ["continents", "neighbours", "netblocks", "never_served"],
}


@settings(max_examples=150)
@given(section=st.sampled_from(sorted(KEYS)), data=st.data(), value=VALUES)
def test_no_complaint_has_the_words_of_an_exception(section: str, data: st.DataObject, value: object) -> None:
    """Whatever stands at whatever key, the complaints are our own sentences."""
    key = data.draw(st.sampled_from(KEYS[section]))
    document = {section: {key: value} if section == "overrides" else {"x": {key: value}}}
    with TemporaryDirectory() as folder:
        file = Path(folder) / "a.json"
        file.write_text(json.dumps(document), encoding="utf-8", errors="surrogatepass")
        with pytest.raises(SourceError) as caught:
            read_sources([file])
    for complaint in caught.value.complaints:
        text = re.sub(r'"(?:[^"\\]|\\.)*"', "", complaint.message)
        assert not FOREIGN_WORDS.search(text), complaint


@pytest.mark.parametrize("name", ["a.toml", "a.json", "a.yaml"])
def test_huge_numbers_are_refused_in_our_own_words(tmp_path: Path, name: str) -> None:
    """A number of thousands of digits is no reason to advise on Python's settings."""
    digits = "9" * 5000
    text = {
        "a.toml": f"mirrors.m.bandwidth = {digits}",
        "a.json": f'{{"mirrors": {digits}}}',
        "a.yaml": f"mirrors: {digits}",
    }
    (complaint,) = complaints_of(tmp_path, text[name], name)
    assert not FOREIGN_WORDS.search(complaint.message)
    assert "digits" in complaint.message or "number" in complaint.message


ONES = {
    ("categories", "c", "directories"): "x",
    ("categories", "c", "files"): {"path": "f", "timestamp": 2, "size": 1},
    ("categories", "c", "files", 0, "alternates"): {"timestamp": 1, "size": 2},
    ("repositories", "r", "arches"): "x",
    ("repositories", "r", "files"): {"path": "g", "timestamp": 1, "size": 1},
    ("mirrors", "m", "asns"): "AS680",
    ("mirrors", "m", "netblocks"): "192.0.2.0/24",
    ("mirrors", "m", "allowed_countries"): "DE",
    ("mirrors", "m", "denied_countries"): "FR",
    ("mirrors", "m", "also_countries"): "FR",
    ("mirrors", "m", "categories", "c", "families"): "ipv6",
    ("mirrors", "m", "categories", "c"): "https://m.example.org/",
    ("mirrors", "m", "categories", "c", "urls"): "https://m.example.org/",
    ("mirrors", "m", "categories", "c", "include"): "x",
    ("mirrors", "m", "categories", "c", "exclude"): "y",
    ("mirrors", "m", "categories", "c", "directories"): "x",
    ("overrides", "neighbours", "DE"): "FR",
    ("overrides", "never_served", "DE"): "FR",
}
"""Every place where a list may stand -> one item of it."""


def with_value(path: tuple[str | int, ...], value: object) -> dict[str, Any]:
    """A description with a value at a path."""
    content = {"urls": ["https://m.example.org/"]}
    document: dict[str, Any] = {
        "categories": {
            "c": {"kind": "listed", "directories": ["x", "x/x"], "files": [{"path": "f", "timestamp": 2, "size": 1}]}
        },
        "repositories": {"r": {"category": "c", "path": "x"}},
        "mirrors": {"m": {"country": "DE", "categories": {"c": content}}},
        "overrides": {"neighbours": {}, "never_served": {}},
    }
    if path[:2] == ("repositories", "r") and path[2] == "arches":
        document["repositories"]["r"]["path"] = "{arch}"
    parent: Any = document
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = value
    return document


@pytest.mark.slow
@pytest.mark.parametrize("path", ONES)
@pytest.mark.parametrize("suffix", ["json", "yaml"])
def test_one_value_is_a_list_of_one_wherever_a_list_may_stand(
    tmp_path: Path, path: tuple[Any, ...], suffix: str
) -> None:
    """A single value means a list of it, in every list of a source document and in the JSON Schema."""
    found: list[object] = []
    for number, value in enumerate((ONES[path], [ONES[path]])):
        document = with_value(path, value)
        jsonschema.validate(document, json_schema())
        file = tmp_path / f"{number}.{suffix}"
        file.write_text(json.dumps(document))  # JSON is YAML, too
        found.append(read_sources([file])[0])
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        *((name, "DE") for name in ("Germany", " germany ", "Deutschland", "DEU", "Germany, Federal Republic of")),
        *((name, "GB") for name in ("UK", "uk", "U.K.", "GBR", "England", "Great Britain", "United Kingdom")),
        *((name, "US") for name in ("USA", "U.S.A.", "United States", "the United States of America")),
        ("EL", "GR"),
        ("Côte d'Ivoire", "CI"),
        ("Ivory Coast", "CI"),
        ("Korea, Republic of", "KR"),
        ("Korea, Democratic People's Republic of", "KP"),
        ("Congo, the Democratic Republic of the", "CD"),
        ("Congo", "CG"),
        ("Taiwan, Province of China", "TW"),
        ("Iran, Islamic Republic of", "IR"),
        ("Turkey", "TR"),
        ("Türkiye", "TR"),
        ("Bosnia and Herzegovina", "BA"),
        ("Saint Lucia", "LC"),
        ("Niger", "NE"),
        ("Guinea", "GN"),
    ],
)  # fmt: skip
def test_names_of_countries_are_understood(text: str, code: str) -> None:
    """A country may be written as its name, its alpha-3 code, UK or EL."""
    assert rules.country(text) == code


@pytest.mark.parametrize(("text", "code"), [("Germny", "DE"), ("EN", "GB"), ("Congo, People of", "CG")])
def test_what_is_almost_a_name_is_answered_with_the_code(text: str, code: str) -> None:
    """A misspelt or shortened name is never understood: it is refused with the code that was probably meant."""
    with pytest.raises(rules.RuleError, match=re.escape(f'is not an ISO 3166 country code; did you mean "{code}"?')):
        rules.country(text)


def test_every_country_has_names() -> None:
    """No country is missing from the table of names, and no name has two countries."""
    from mirrorlist_snapshot import country_names  # noqa: PLC0415 - its private table

    rows = [row.split(" ", 1) for row in country_names._COUNTRIES.split("; ")]
    assert [code for code, _ in rows] == sorted(CONTINENT_OF)
    for code, names in rows:
        assert {country_named(name) for name in names.split(", ")} == {code}


@pytest.mark.parametrize(
    "key",
    [
        "[mirrors.x]\ncountry = {}\ncategories.debian = 'https://x/'",
        "[mirrors.x]\ncountry = 'DE'\nallowed_countries = {}\ncategories.debian = 'https://x/'",
        "[mirrors.x]\ncountry = 'DE'\ndenied_countries = ['FR', {}]\ncategories.debian = 'https://x/'",
        "[overrides.continents]\n{} = 'EU'",
        "[overrides.neighbours]\n{} = 'FR'",
        "[overrides.neighbours]\nFR = {}",
        "[overrides.neighbours]\nFR = [['BE', {}]]",
        "[overrides.never_served]\n{} = 'FR'",
        "[overrides.never_served]\nFR = {}",
        "[overrides.netblocks]\n'192.0.2.0/24' = {}",
    ],
)
def test_the_code_is_suggested_wherever_a_country_may_stand(tmp_path: Path, key: str) -> None:
    """Every place of a country answers a name with its code, and a continent with what it is."""
    messages = [str(one) for one in complaints_of(tmp_path, key.format('"Germny"')) if not one.warning]
    assert any('"Germny" is not an ISO 3166 country code; did you mean "DE"?' in message for message in messages)
    named = key.format('"Iceland"')
    notes = [one for one in complaints_of(tmp_path, f"{SMALL}\n{named}") if one.note]
    assert [one.message for one in notes] == ['"Iceland" is read as IS']
    messages = [str(one) for one in complaints_of(tmp_path, key.format('"EU"')) if not one.warning]
    assert any('"EU" is a continent, not a country; use the two letters of a country' in one for one in messages)


@pytest.mark.parametrize(
    ("text", "code"), [("Europe", "EU"), ("europe", "EU"), ("North America", "NA"), ("Africa", "AF"), ("DE", "EU")]
)
def test_names_of_continents_are_answered_with_their_codes(text: str, code: str) -> None:
    """A continent's name, or a country on it, is refused with the code that was meant."""
    with pytest.raises(rules.RuleError, match=f'is not a continent; did you mean "{code}"'):
        rules.continent(text)
    assert [rules.continent(continent.lower()) for continent in CONTINENTS] == list(CONTINENTS)


def test_countries_of_a_mirrormanager_cache() -> None:
    """A cache's country is one that ISO knows; UK, EL and names, which people write there, too, are understood."""
    assert [hosts.country(text) for text in ("de", "UK", "el", "XK", "Germany")] == ["DE", "GB", "GR", "XK", "DE"]
    for text in ("XX", "EU", "AP", "Germny", ""):
        with pytest.raises(rules.RuleError):
            hosts.country(text)
