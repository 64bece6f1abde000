"""Claims of `query`: docs/selection.md, What is asked."""

from __future__ import annotations

from urllib.parse import quote_from_bytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirrorlistd.errors import QueryError
from mirrorlistd.request.client_address import parse_address
from mirrorlistd.request.query import MAX_COUNTRIES, MAX_QUERY, Query, format_of, parse_query
from mirrorlistd.request.routes import Routes, Template


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", Query()),
        (b"&&=&=x&", Query()),
        (b"repo=debian&arch=amd64", Query(repo="debian", arch="amd64")),
        (b"arch=amd64&repo=debian", Query(repo="debian", arch="amd64")),
        (b"countme=1&repo=debian&infra=stock&content=centos&REPO=x", Query(repo="debian")),
        # Decoding: percent signs, in names too; a plus is a plus; only `&` separates.
        (b"repo=libstdc++&arch=a+b", Query(repo="libstdc++", arch="a+b")),
        (b"%72epo=d%65bian%2B%2526", Query(repo="debian+%26")),
        (b"repo=a;arch=b", Query(repo="a;arch=b")),
        (b"repo=a%26arch=b%3D", Query(repo="a&arch=b=")),
        (b"repo=%&arch=%zz", Query(repo="%", arch="%zz")),
        # The last value counts, an empty one is absent.
        (b"repo=a&repo=b", Query(repo="b")),
        (b"limit=x&limit=5", Query(limit=5)),
        (b"repo=&arch", Query()),
        (b"repo=a&repo=&repo", Query(repo="a")),
        (b"limit=&ip=&country=&protocol=&format=&path=&netblock=&comments=", Query()),
        # Names that are no UTF-8 match nothing, and can be encoded.
        (b"repo=%C3%A9", Query(repo="é")),
        (b"repo=%ff", Query(repo="�")),
        (b"repo=\xed\xa0\x80", Query(repo="���")),
    ],
)
def test_parameters(raw: bytes, expected: Query) -> None:
    """Order, repetition, unknown parameters, emptiness and decoding follow docs/selection.md, What is asked."""
    assert parse_query(raw) == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"repo=a=b", Query(repo="a=b")),
        (b"repo==", Query(repo="=")),
        (b"path=pub/x=y/z==", Query(path=b"pub/x=y/z==")),
    ],
)
def test_defect_7_a_value_is_not_cut_at_its_second_equals_sign(raw: bytes, expected: Query) -> None:
    """A value is everything after the first `=`.

    See docs/prior-defects.md, Defect 7.
    """
    assert parse_query(raw) == expected


@pytest.mark.parametrize(
    ("value", "path", "directory"),
    [
        (b"pub/debian", b"pub/debian", False),
        (b"/pub//debian///dists/", b"pub/debian/dists", True),
        (b"%2fpub%2F%2Fdebian%2f", b"pub/debian", True),
        (b"/", b"", True),
        (b"a%20b/c+d/%C3%A9/%ff", b"a b/c+d/\xc3\xa9/\xff", False),
        (b"a/...", b"a/...", False),
        (b"a/..b/.c", b"a/..b/.c", False),
        (b"%252e%252e/a", b"%2e%2e/a", False),
    ],
)
def test_paths_are_normalised(value: bytes, path: bytes, directory: bool) -> None:
    """Doubled and outer slashes go, a last one is remembered, decoding happens once, bytes stay bytes."""
    assert parse_query(b"path=" + value) == Query(path=path, directory=directory)


@pytest.mark.parametrize(
    "value", [b"..", b".", b"a/../b", b"/a/./b", b"%2e%2e/etc", b"a/%2E", b"a%00b", b"a\nb", b"a%0d%0a", b"%7f", b"\t"]
)
def test_dot_segments_and_control_bytes_are_refused(value: bytes) -> None:
    """What could leave the tree or split a line is 400, however it is encoded."""
    with pytest.raises(QueryError, match="path="):
        parse_query(b"path=" + value)


@pytest.mark.parametrize(
    ("value", "countries", "everywhere"),
    [
        (b"DE", ("DE",), False),
        (b"de,Fr,DE,fR,US", ("DE", "FR", "US"), False),
        (b"fr,de", ("FR", "DE"), False),
        (b"QQ", ("QQ",), False),
        (b"DE,GLOBAL,global", ("DE",), True),
        (b"DE%2CFR", ("DE", "FR"), False),
        (b",DE,,FR,", ("DE", "FR"), False),
        (b",", (), False),
    ],
)
def test_defect_9_countries_in_any_case_and_global(
    value: bytes,
    countries: tuple[str, ...],
    everywhere: bool,
) -> None:
    """A lower-case country is known; an unknown code is kept, to match nothing.

    See docs/prior-defects.md, Defect 9.
    """
    assert parse_query(b"country=" + value) == Query(countries=countries, everywhere=everywhere)


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        (b"Germany", "DE"),
        (b"germany,uk,USA", "DE,GB,US"),
        (b"Europe", "EU"),
        (b"C%C3%B4te%20d'Ivoire", "CI"),
        (b"Atlantis", None),
        (b"Germny", None),
        (b"Germany,Atlantis", None),
        (b"x" * 4000, None),
    ],
)
def test_a_country_by_its_name_is_answered_with_its_code(value: bytes, meant: str | None) -> None:
    """What people write, and what they meant; only exact names, because a guess is too dear for a request."""
    with pytest.raises(QueryError, match=f"; did you mean country={meant}\\?$" if meant else "as in country=DE,FR$"):
        parse_query(b"country=" + value)


def test_a_query_of_many_parameters_is_refused() -> None:
    """Each is paid for: their number is bounded, unknown and empty ones included."""
    assert parse_query(b"a=1&" * 99 + b"repo=r").repo == "r"
    for query in (b"a=1&" * 100 + b"repo=r", b"&" * 8_000, b"a&" * 4_000):
        with pytest.raises(QueryError, match="too many parameters: at most 100"):
            parse_query(query)
        for path in (b"/mirrorlist", b"/r/r/x", b"/metalink"):
            canonical = Routes((Template.parse("/t/{v}?x={repo} -> repo={repo}"),)).query(path, query)
            assert canonical is not None
            with pytest.raises(QueryError, match="too many parameters"):
                parse_query(canonical)


def test_a_query_of_percent_signs_is_refused() -> None:
    """Decoding is paid for by the escape: their number is bounded, and a path of the greatest length fits."""
    assert parse_query(b"path=" + b"%41" * 1024).path == b"A" * 1024
    with pytest.raises(QueryError, match="too many percent-escapes"):
        parse_query(b"junk=" + b"%" * 2049)


@pytest.mark.parametrize("value", [b"global", b"GLOBAL", b"Global", b"%67lobal"])
def test_defect_9_country_global_alone_asks_for_everywhere(value: bytes) -> None:
    """`country=global` means everywhere and no country.

    See docs/prior-defects.md, Defect 9.
    """
    assert parse_query(b"country=" + value) == Query(everywhere=True)


@pytest.mark.parametrize(
    ("value", "protocols"),
    [
        (b"http,https", ("https", "http")),
        (b"rsync,HTTP,ftp,https,http", ("https", "http", "ftp", "rsync")),
        (b"svn+ssh", ("svn+ssh",)),
        (b",", ()),
    ],
)
def test_defect_7_protocols_are_canonical_with_https_first(value: bytes, protocols: tuple[str, ...]) -> None:
    """Whatever the order and case asked in, https comes first.

    See docs/prior-defects.md, Defect 7.
    """
    assert parse_query(b"protocol=" + value).protocols == protocols


@pytest.mark.parametrize("off", [b"0", b"false", b"No", b"OFF"])
@pytest.mark.parametrize("on", [b"1", b"true", b"yes", b"00", b"x"])
def test_switches(off: bytes, on: bytes) -> None:
    """0, false, no and off switch off in any case, any other value on; absent and empty leave the default."""
    names = ("netblock", "redirect", "time", "comments")
    every = b"&".join(name.encode() + b"=%s" for name in names)
    switched_on = parse_query(every.replace(b"%s", on))
    switched_off = parse_query(every.replace(b"%s", off))
    assert all(getattr(switched_on, name) is True for name in names)
    assert all(getattr(switched_off, name) is False for name in names)
    assert parse_query(every.replace(b"%s", b"")) == Query()


@pytest.mark.parametrize("raw", [b"redirect&time", b"redirect=&time=", b"time=0&redirect=no", b"time=1&redirect=1"])
def test_flags_by_presence(raw: bytes) -> None:
    """With MirrorManager's reading `redirect` and `time` count where they stand; most others do not change."""
    assert parse_query(raw, flags_by_presence=True) == Query(redirect=True, time=True)
    assert parse_query(b"limit&comments=&repo=x", flags_by_presence=True) == Query(repo="x")


@pytest.mark.parametrize(
    ("raw", "on"),
    [(b"", True), (b"netblock=1", True), (b"netblock=0", False), (b"netblock=yes", False), (b"netblock", False)],
)
def test_netblock_as_mirrormanager_reads_it(raw: bytes, on: bool) -> None:
    """Only 1 leaves the client's networks on where `netblock` stands at all."""
    assert parse_query(raw, flags_by_presence=True).netblock is on


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b"", ""),
        (b"format=metalink&limit=x", "metalink"),
        (b"format=JSON&format=&repo=r", "json"),
        (b"xformat=text", ""),
    ],
)
def test_the_format_of_what_is_malformed(raw: bytes, name: str) -> None:
    """The last format= that says something is found, whatever else is wrong."""
    assert format_of(raw) == name


@pytest.mark.parametrize(("value", "limit"), [(b"1", 1), (b"20", 20), (b"100", 100), (b"007", 7)])
def test_limits(value: bytes, limit: int) -> None:
    """1 to 100 can be asked for."""
    assert parse_query(b"limit=" + value).limit == limit


@pytest.mark.parametrize(
    ("value", "canonical"),
    [
        (b"192.0.2.1", "192.0.2.1"),
        (b"2001:DB8::1", "2001:db8::1"),
        (b"2001%3Adb8%3A%3A1", "2001:db8::1"),
        (b"::ffff:192.0.2.1", "192.0.2.1"),
    ],
)
def test_addresses(value: bytes, canonical: str) -> None:
    """`ip=` takes addresses of both families; IPv4 inside IPv6 is IPv4."""
    assert parse_query(b"ip=" + value).ip == parse_address(canonical)


MALFORMED = {
    b"limit": [b"0", b"101", b"-1", b"+5", b"1.5", b"5x", b"%20" + b"5", b"0005", b"\xb2", b"9" * 5000],
    b"ip": [b"x", b"1.2", b"010.8.8.8", b"192.0.2.1:80", b"[::1]", b"fe80::1%25eth0", b"\xff", b"1.2.3.4%00"],
    b"country": [b"D", b"DEU", b"D1", b"--", b"DE;FR", b"DE,%20FR", b"D%C3%89", b"\xc3\xa9", b"globe"],
    b"protocol": [b"ht tp", b"http://", b"\xff", b"x" * 33, b",".join(b"p%d" % n for n in range(9))],
    b"format": [b"js on", b"a/b", b"\xff", b"x" * 33, b"%3Cscript%3E"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in MALFORMED.items() for value in values])
def test_malformed_values_are_told_without_an_echo(name: bytes, value: bytes) -> None:
    """Malformed values are one error that names the parameter, shows the right form and echoes nothing."""
    with pytest.raises(QueryError) as caught:
        parse_query(b"repo=debian&" + name + b"=" + value)
    message = caught.value.message
    assert message.startswith(name.decode() + "=")
    assert "as in " in message
    assert message.isascii()
    assert message.isprintable()
    assert message == str(caught.value)


def test_formats_are_lower_case_and_not_judged_here() -> None:
    """A format that does not exist is the renderers' business."""
    assert parse_query(b"format=JSON").format == "json"
    assert parse_query(b"format=no-such-1").format == "no-such-1"


def test_sizes_are_bounded() -> None:
    """A query of MAX_QUERY bytes is read, one byte more is not; as with countries."""
    assert parse_query(b"x" * MAX_QUERY) == Query()
    with pytest.raises(QueryError, match="too long"):
        parse_query(b"x" * (MAX_QUERY + 1))
    codes = [bytes((65 + n // 26, 65 + n % 26)) for n in range(MAX_COUNTRIES + 1)]
    assert len(parse_query(b"country=" + b",".join(codes[:-1] * 2)).countries) == MAX_COUNTRIES
    with pytest.raises(QueryError, match="at most"):
        parse_query(b"country=" + b",".join(codes))


def canonical(raw: bytes) -> None:
    """Parse, and hold what comes out against the promises of `Query`'s fields."""
    try:
        query = parse_query(raw)
    except QueryError as error:
        assert "\n" not in error.message
        return
    assert hash(query) == hash(parse_query(raw))
    f"{query.repo}{query.arch}".encode()
    if query.path is not None:
        assert b"//" not in b"/" + query.path + b"/" or not query.path
        assert not {b".", b".."} & set(query.path.split(b"/"))
        assert min(query.path, default=32) >= 32
    assert all(len(code) == 2 and code.isascii() and code.isupper() for code in query.countries)
    assert len(set(query.countries)) == len(query.countries) <= MAX_COUNTRIES
    assert query.limit is None or 1 <= query.limit <= 100
    assert query.format == query.format.lower()


NAMES = [b"repo", b"arch", b"path", b"country", b"protocol", b"limit", b"ip", b"netblock", b"redirect", b"format"]
PAIRS = st.tuples(st.sampled_from(NAMES), st.binary(max_size=20) | st.sampled_from([b"de", b"global", b"9", b"::1"]))


@given(st.binary(max_size=300) | st.text(alphabet="repoathcunylimf=&%2eE.,/0", max_size=60).map(str.encode))
@settings(max_examples=300)
def test_any_bytes_are_a_query_or_one_error(raw: bytes) -> None:
    """Garbage gives a canonical query or QueryError, never anything else."""
    canonical(raw)


@given(st.lists(PAIRS, max_size=6), st.booleans())
@settings(max_examples=300)
def test_near_misses_are_a_query_or_one_error(pairs: list[tuple[bytes, bytes]], encoded: bool) -> None:
    """Known parameters with values near the mark keep the same promise, encoded or raw."""
    parts = [name + b"=" + (quote_from_bytes(value, safe="").encode() if encoded else value) for name, value in pairs]
    canonical(b"&".join(parts))


@given(st.text(min_size=1, max_size=30), st.text(min_size=1, max_size=30))
def test_names_come_back_as_they_were(repo: str, arch: str) -> None:
    """Any text that is percent-encoded is the text that is looked up."""
    encoded = [quote_from_bytes(text.encode("utf-8", "replace"), safe="").encode() for text in (repo, arch)]
    query = parse_query(b"repo=%b&arch=%b" % (encoded[0], encoded[1]))
    assert (query.repo, query.arch) == tuple(text.encode("utf-8", "replace").decode() for text in (repo, arch))


@given(st.permutations([b"repo=x", b"country=DE", b"limit=3", b"protocol=http", b"time=1", b"junk=1"]))
def test_order_makes_no_difference(parts: list[bytes]) -> None:
    """Zypper re-sorts parameters: every order is the same query."""
    expected = Query(repo="x", countries=("DE",), limit=3, protocols=("http",), time=True)
    assert parse_query(b"&".join(parts)) == expected
