"""Read TOML, JSON and YAML text into plain data with the lines of its keys; raise UnreadableTextError.

The standard library reads TOML and JSON. ruamel.yaml reads YAML 1.2 into a graph of nodes; from the graph, the country
NO and dates stay text, tags that would build objects are refused, and the values that aliases add are limited.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, cast

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from mirrorlist_snapshot.source import lines
from mirrorlist_snapshot.source.lines import KeyPath, Lines
from mirrorlist_snapshot.toml import TomlDepthError, TomlError, parse_toml

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_DEPTH: Final = 20
"""Nested tables and lists in a document; the source document needs seven."""
MAX_YAML_NODES: Final = 100_000
"""Keys and values of a YAML text, aliases expanded: the reader takes 60 microseconds for each. A mirror has some 30."""


class ParsedText(NamedTuple):
    """The data of a text."""

    data: object
    """Dictionaries with text keys, lists, text, numbers, booleans, None; in TOML also dates and times."""
    locate: Callable[[], Lines]
    """Finds the lines of the keys; called only for complaints, because it takes time."""
    duplicates: bool
    """Whether `locate()` finds keys that are given twice."""


class UnreadableTextError(Exception):
    """A text that cannot be read, with the reason."""

    def __init__(self, message: str, line: int | None = None, path: KeyPath = ()) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.path = path


def read_text(suffix: str, text: str) -> ParsedText:
    """Read a text in the syntax of a file name suffix, one of SUFFIXES; raise Unreadable."""
    try:
        found = _READERS[suffix](text)
    except RecursionError:
        raise UnreadableTextError(_TOO_DEEP) from None
    _check_depth(found.data)
    return found


_TOO_DEEP: Final = f"is nested more than {MAX_DEPTH} deep"


def _check_depth(data: object) -> None:
    """Raise UnreadableTextError for nesting that no source needs. Iterative: data may nest deeply."""
    level: list[object] = [data]
    for _ in range(MAX_DEPTH + 1):
        level = [inner for value in level for inner in _inner(value)]
    if level:
        raise UnreadableTextError(_TOO_DEEP)


def _inner(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(cast("dict[str, object]", value).values())
    return cast("list[object]", value) if isinstance(value, list) else []


def _read_toml(text: str) -> ParsedText:
    try:
        return ParsedText(parse_toml(text), lambda: lines.of_toml(text), duplicates=False)
    except TomlDepthError:
        raise UnreadableTextError(_TOO_DEEP) from None
    except TomlError as error:
        message, _, place = str(error).partition(" (at ")
        if "digits" in message:  # Python's advice on its limit
            message = _HUGE_NUMBER
        line = re.match(r"line ([0-9]+)", place)
        if message == r"Illegal character '\n'":
            message += " (a quote is not closed on this line)"
        end = text.count("\n") + 1 if place.startswith("end") else None
        raise UnreadableTextError(f"is not valid TOML: {message}", int(line[1]) if line else end) from None


def _read_json(text: str) -> ParsedText:
    twice = False

    def table(pairs: list[tuple[str, object]]) -> dict[str, object]:
        nonlocal twice
        found = dict(pairs)
        twice |= len(found) < len(pairs)
        return found

    def refuse(constant: str) -> object:
        raise UnreadableTextError(f"is not valid JSON: {constant} is not a JSON value")

    try:
        data: object = json.loads(text, object_pairs_hook=table, parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise UnreadableTextError(f"is not valid JSON: {error.msg}", error.lineno) from None
    except ValueError as error:
        raise UnreadableTextError(f"is not valid JSON: {_HUGE_NUMBER}") from error  # Python's limit on digits
    return ParsedText(data, lambda: lines.of_json(text), duplicates=twice)


class _Mark(Protocol):
    line: int
    """From 0."""


class _Event(Protocol):
    start_mark: _Mark


class _Node(Protocol):
    """The part of ruamel.yaml's nodes that is used here; they have no usable annotations."""

    id: str
    tag: str
    value: str | list[_Node] | list[tuple[_Node, _Node]]
    start_mark: _Mark


class _Composer(Protocol):
    def compose(self, stream: str) -> _Node | None: ...


class _Marked(Protocol):
    """The part of its exceptions that is used here."""

    problem: str | None
    context: str | None
    problem_mark: _Mark | None
    context_mark: _Mark | None


class _BoundedComposer(Composer):
    """ruamel.yaml's composer of nodes, which ends at a text of too many."""

    def __init__(self, loader: object = None) -> None:
        super().__init__(loader)  # pyright: ignore[reportUnknownMemberType] - ruamel.yaml annotates nothing
        self.warn_double_anchors = False  # allowed by YAML; a warning of Python's is for programmers
        self._left = MAX_YAML_NODES

    def compose_node(self, parent: object, index: object) -> object:
        """Compose a node and what is below it; raise UnreadableTextError."""
        self._left -= 1
        if self._left < 0:
            event = cast("_Event", self.parser.peek_event())  # pyright: ignore[reportUnknownMemberType] - as above
            mark = event.start_mark
            raise UnreadableTextError(_TOO_MANY_NODES, mark.line + 1)
        return cast("object", super().compose_node(parent, index))  # pyright: ignore[reportUnknownMemberType] - as above


def _read_yaml(text: str) -> ParsedText:
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = _BoundedComposer
    try:
        node = cast("_Composer", yaml).compose(text)
    except MarkedYAMLError as error:
        details = cast("_Marked", error)
        mark = details.problem_mark or details.context_mark
        problem = details.problem or details.context
        raise UnreadableTextError(f"is not valid YAML: {problem}", mark.line + 1 if mark else None) from None
    except (YAMLError, ValueError) as error:
        problem = str(error).partition("\n")[0]
        raise UnreadableTextError(f"is not valid YAML: {problem}") from None
    plain = _PlainYaml()
    data: object = plain.value(node, ()) if node is not None else dict[str, object]()
    return ParsedText(data, lambda: plain.lines, duplicates=bool(plain.lines.duplicates))


class _PlainYaml:
    """Turns YAML nodes into plain data and records the lines of the keys."""

    def __init__(self) -> None:
        self.lines: Final = Lines()
        self._budget = MAX_YAML_NODES

    def value(self, node: _Node, path: KeyPath) -> object:
        """Return the data of a node at a key path."""
        line = node.start_mark.line + 1
        self._budget -= 1
        if self._budget < 0:
            raise UnreadableTextError(
                "has aliases that expand to more values than a description of mirrors needs", line
            )
        if len(path) > MAX_DEPTH:
            raise UnreadableTextError(_TOO_DEEP, line)
        tag = str(node.tag).removeprefix("tag:yaml.org,2002:")
        match node.id, tag:
            case "mapping", "map":
                return self._table(cast("list[tuple[_Node, _Node]]", node.value), path)
            case "sequence", "seq":
                return self._list(cast("list[_Node]", node.value), path)
            case "scalar", _:
                return _scalar(tag, str(node.value), line, path)
            case _:
                raise UnreadableTextError(_NO_TAGS.format(tag=node.tag), line, path)

    def _table(self, pairs: list[tuple[_Node, _Node]], path: KeyPath) -> dict[str, object]:
        found: dict[str, object] = {}
        for key_node, value_node in pairs:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node.value, str):
                raise UnreadableTextError("a key must be text, not a map or list", line, path)
            if str(key_node.tag) == "tag:yaml.org,2002:merge":
                raise UnreadableTextError("`<<` is not part of YAML 1.2; repeat the keys", line, path)
            key = key_node.value  # as written: `12:` and `true:` are names here
            self.lines.add((*path, key), line)
            found[key] = self.value(value_node, (*path, key))
        return found

    def _list(self, items: list[_Node], path: KeyPath) -> list[object]:
        for position, item in enumerate(items):
            self.lines.add_parents((*path, position), item.start_mark.line + 1)
        return [self.value(item, (*path, position)) for position, item in enumerate(items)]


_TOO_MANY_NODES: Final = f"has more than {MAX_YAML_NODES:,} keys and values; write so much as TOML or JSON"
_HUGE_NUMBER: Final = "it has a number of thousands of digits"
_NO_TAGS: Final = "the tag {tag} is not allowed; write plain text, numbers, maps or lists"


def _scalar(tag: str, text: str, line: int, path: KeyPath) -> object:
    match tag:
        case "str" | "timestamp":
            return text
        case "null":
            return None
        case "bool":
            return text.lower() in {"true", "yes", "on", "y"}
        case "int" | "float":
            try:
                return float(text) if tag == "float" else int(text, 0 if text[1:2].isalpha() else 10)
            except ValueError:
                message = "is not a number that can be used here; put quotes around text"
                raise UnreadableTextError(message, line, path) from None
        case _:
            raise UnreadableTextError(_NO_TAGS.format(tag=tag), line, path)


_READERS: Final[dict[str, Callable[[str], ParsedText]]] = {
    ".toml": _read_toml,
    ".yaml": _read_yaml,
    ".yml": _read_yaml,
    ".json": _read_json,
}
YAML_SUFFIXES: Final = (".yaml", ".yml")
SUFFIXES: Final = tuple(_READERS)
"""Ends of the names of source files."""
