"""TOML from outside costs time and memory in proportion to its size, and gives one error."""

from __future__ import annotations

import tomllib
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrorlist_snapshot.toml import MAX_KEY_PARTS, TomlError, parse_toml

LONG = {
    "bare": ".".join(["a"] * 20_000) + " = 1",
    "spaced": " . ".join(["a"] * 20_000) + " = 1",
    "basic": ".".join(['"a"'] * 20_000) + " = 1",
    "literal": "\t.\t".join(["'a.b'"] * 20_000) + " = 1",
    "mixed": ".".join(["a", '"\\""', "'\"'"] * 7_000) + " = 1",
    "header": "[" + ".".join(["a"] * 20_000) + "]",
    "array of tables": "[[" + ".".join(["a"] * 20_000) + "]]",
    "inline table": "x = { " + ".".join(["a"] * 20_000) + " = 1 }",
    "after text": 'x = """a""\\"""""\ny = \'\'\'"""\'\'\'\n# """\n' + ".".join(["a"] * 20_000) + " = 1",
    "no key": ".".join(["a"] * 20_000),
    "only dots": "a = " + ".".join(["1"] * 20_000),
    "nested arrays": "a = " + "[" * 100_000,
    "nested tables": "a = " + "{a=" * 100_000,
    "long number": "a = " + "9" * 100_000,
    "long header, many keys": "["
    + ".".join(["a"] * (MAX_KEY_PARTS + 1))
    + "]\n"
    + "".join(f"b{n} = 1\n" for n in range(9_000)),
}


@pytest.mark.slow
@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
def test_no_text_takes_memory_out_of_proportion(text: str) -> None:
    """Each is refused with the one error, and takes little memory."""
    tracemalloc.start()
    try:
        with pytest.raises(TomlError) as caught:
            parse_toml(text)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value)


def test_the_line_of_a_key_that_is_too_long_is_named() -> None:
    """The error says where."""
    with pytest.raises(TomlError, match=r"more than 20 parts \(at line 3\)"):
        parse_toml("a = 1\n\n" + ".".join("a" * (MAX_KEY_PARTS + 1)) + " = 1")


@pytest.mark.parametrize(
    "text",
    [
        ".".join(["a"] * MAX_KEY_PARTS) + " = 1",
        "x = '" + ".".join(["a"] * 99) + "'",
        'x = "' + ".".join(["a"] * 99) + '"',
        'x = """\n' + ".".join(["a"] * 99) + '\n"""',
        "x = '''\n" + ".".join(["a"] * 99) + "\n''''",
        "# " + ".".join(["a"] * 99),
        '"' + ".".join(["a"] * 99) + '" = "down"',
        "x = [1.5, 2.5, 07:32:00.999, '" + ".".join(["a"] * 99) + "']",
    ],
)
def test_dots_that_join_no_keys_do_not_count(text: str) -> None:
    """Text, comments, numbers and names in quotes may have any number of dots."""
    assert parse_toml(text) == tomllib.loads(text)


@given(st.text(st.sampled_from("ab.=[]{}\"'#\\\n \t,1"), max_size=60))
def test_whatever_is_parsed_is_what_the_standard_library_parses(text: str) -> None:
    """The guard changes no result: the same document, or an error."""
    try:
        expected = tomllib.loads(text)
    except ValueError:
        with pytest.raises(TomlError):
            parse_toml(text)
    else:
        assert parse_toml(text) == expected
