"""`Accept`: what a client prefers, as RFC 9110 (12.4.2 and 12.5.1) has it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrorlistd.request.accept import Accept, joined, named, preferred

FORMS = ("text/plain", "text/html", "application/json")
METALINKS = ("application/metalink4+xml", "application/metalink+xml")


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", "text/plain"),
        ("*/*", "text/plain"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html"),
        ("application/json, text/plain, */*", "application/json"),
        ("text/html;q=0.5, application/json;q=0.6", "application/json"),
        ("application/json;q=0, */*", "text/plain"),
        ("text/plain;q=0, */*", "text/html"),
        ("text/*;q=0.1, application/*", "application/json"),
        ("text/*, text/plain;q=0.2", "text/html"),
        ("*/*, text/*;q=0.3", "application/json"),
        ("Application/JSON ; Q=1.000", "application/json"),
        ("application/json;charset=utf-8", "application/json"),
        ("text/html;level=1, application/json;q=0.1", "application/json"),
        ('text/html;x="a,application/json", */*;q=0.1', "text/plain"),
        ('x/y;z="\\",text/html", application/json;q=0.4', "application/json"),
        (",, ,application/json,", "application/json"),
        ("application/json;q=2, text/html;q=0.1", "text/html"),
        ("application/json;q=, text/html;q=0.1", "text/html"),
        ("application/json;q=0.1234, text/html;q=0.1", "text/html"),
        ("image/png", None),
        ("*/*;q=0", None),
        ("text/*;q=0, application/*;q=0.0", None),
        ("nonsense", "text/plain"),
    ],
)
def test_preference(header: str, expected: str | None) -> None:
    """The q-value decides, of the most specific range; then specificity, then the header's order, then the server's."""
    assert preferred(header.encode(), FORMS) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", None),
        ("*/*", None),
        ("application/*", None),
        ("*/*,application/metalink4+xml,application/metalink+xml", METALINKS[0]),
        ("application/metalink+xml,application/metalink4+xml", METALINKS[0]),
        ("application/metalink4+xml;q=0, */*", None),
        ("application/metalink4+xml;q=0.3, application/metalink+xml;q=0.4", METALINKS[1]),
        ("application/metalink4+xml;q=0.3, */*;q=0.4", None),
        ("application/metalink4+xml;q=0.4, */*;q=0.4", METALINKS[0]),
    ],
)
def test_only_a_named_type_replaces_another_answer(header: str, expected: str | None) -> None:
    """A wildcard is no wish for a metalink; a named type is one where nothing else is more welcome."""
    assert named(header.encode(), METALINKS) == expected


@given(st.binary(max_size=300))
def test_any_bytes_are_read(header: bytes) -> None:
    """No header is an error, and a weight is from 0 to 1."""
    accept = Accept(header)
    for form in FORMS:
        assert 0 <= accept.quality(form).weight <= 1
    assert preferred(header, FORMS) in {*FORMS, None}


@given(st.permutations(["text/plain;q=0.2", "text/html;q=0.9", "application/json;q=0.5", "*/*;q=0.1"]))
def test_the_order_of_different_weights_does_not_matter(elements: list[str]) -> None:
    """Only equal weights are told apart by their order."""
    assert preferred(", ".join(elements).encode(), FORMS) == "text/html"


def test_several_lines_are_one_header() -> None:
    """RFC 9110, 5.3: the values are joined."""
    headers = [(b"accept", b"text/html;q=0.1"), (b"host", b"x"), (b"accept", b"application/json")]
    assert preferred(joined(headers), FORMS) == "application/json"
