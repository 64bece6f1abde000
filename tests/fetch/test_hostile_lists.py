"""Lists from hostile servers take time and memory in proportion to their size, and give a list or one error."""

from __future__ import annotations

import time
import tracemalloc

import pytest

from mirrorlistd.compare.answers import read_answer
from mirrorlistd.fetch.errors import ClientError
from mirrorlistd.fetch.lists import from_headers, parse, sniff

pytestmark = pytest.mark.slow

SIZE = 1 << 20
V3 = '<metalink version="3.0" xmlns="http://www.metalinker.org/">'
DOCUMENTS = {
    "deep": V3 + "<a>" * (SIZE // 8) + "</a>" * (SIZE // 8) + "</metalink>",
    "wide": V3 + "<a/>" * (SIZE // 4) + "</metalink>",
    "attributes": V3 + "<a " + " ".join(f'a{number}=""' for number in range(SIZE // 10)) + "/></metalink>",
    "namespaces": V3 + "".join(f'<a xmlns:n{number}="u">' for number in range(SIZE // 20)),
    "files": V3 + "<files>" + "<file/>" * (SIZE // 8) + "</files></metalink>",
    "urls": V3
    + f"<files><file><resources>{'<url>http://a/</url>' * (SIZE // 20)}</resources></file></files></metalink>",
    "entities": '<!DOCTYPE m [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><metalink>&b;</metalink>',
    "letters": "a" * SIZE,
    "schemes": "a://" * (SIZE // 4),
    "spaces": " " * SIZE,
    "lines": "http://a.example/\n" * (SIZE // 20),
    "hashes": "#" * SIZE,
    "brackets": "[" * SIZE,
    "rows": "[" + '{"url":"http://a/"},' * (SIZE // 20) + '{"url":"http://a/"}]',
    "digits": '[{"url":"http://a/","prio":' + "9" * SIZE + "}]",
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_takes_time_and_memory_in_proportion(name: str) -> None:
    """A megabyte of anything: a few seconds of processor time, a hundred times the size at most, and no other error."""
    document = DOCUMENTS[name].encode()
    tracemalloc.start()
    began = time.process_time()
    try:
        kind = sniff(document[:4096], "")
        try:
            parse(document, "list" if kind == "file" else kind)
        except ClientError as error:
            assert len(str(error)) < 2000
        read_answer(200, None, document)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert time.process_time() - began < 20
    assert peak < 150 * SIZE


@pytest.mark.parametrize("value", [";", "; x", " ", "<", '; rel="', "<a>", ",", "=", ":"])
def test_headers_take_time_in_proportion(value: str) -> None:
    """The library takes headers of up to 100 kB."""
    text = "<a>" + value * (100_000 // len(value))
    began = time.process_time()
    from_headers("http://a/x", [text, text + "!"], [text, text + "!"])
    assert time.process_time() - began < 5
