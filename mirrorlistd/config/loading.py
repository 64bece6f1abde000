"""Flags, variables and the TOML file -> one Config, or every problem of every source at once.

A flag wins over a variable, a variable over the file, the file over the default. A bad value is a problem even where
another one wins over it.
"""

from __future__ import annotations

import argparse
import difflib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import quote

from mirrorlist_snapshot.console import printable
from mirrorlist_snapshot.errors import InputFileError
from mirrorlist_snapshot.input_file import OPTIONS_FILE, read_file
from mirrorlist_snapshot.toml import TomlError, parse_toml
from mirrorlistd.config.option import ENV_PREFIX
from mirrorlistd.config.server_config import OPTIONS, Config
from mirrorlistd.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mirrorlistd.config.option import Option

KUBERNETES_LINK: Final = re.compile(r"(.*_)?(SERVICE_(HOST|PORT(_.*)?)|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)")
"""Variables that Kubernetes gives each pod for every service: a service called `mirrorlistd` must do no harm."""
KUBERNETES_PORT: Final = re.compile(r"(tcp|udp|sctp)://")
"""The start of MIRRORLISTD_PORT and MIRRORLISTD_..._PORT that Kubernetes sets for such a service."""

PULLED: Final = "pulled.mls"
IMPORTED: Final = "mirrormanager.mls"
"""Snapshots in the state folder: what --pull has copied, and what --mirrormanager has imported."""

_BY_NAME: Final = {option.name: option for option in OPTIONS}
_BY_VARIABLE: Final = {option.variable: option for option in OPTIONS}
_CONFIG: Final = _BY_NAME["config"]
_MOST_HINTS: Final = 100
_LONGEST_SHOWN: Final = 200
"""Characters of an unknown key that an error shows."""
_AT_LINE: Final = re.compile(r"\(at line (\d+)")
_KEY: Final = re.compile(r"""[ \t\[]*(?:([A-Za-z0-9_-]+)|["']([^"']*)["'])[ \t]*[=.\]]""")
_UNWRITTEN: Final = "a number of thousands of digits"
"""Stands for a TOML number in hexadecimal that Python does not write in decimal; no option takes it."""


def load_config(
    flags: argparse.Namespace | Mapping[str, object], environ: Mapping[str, str], toml: Path | None = None
) -> Config:
    """Read and merge the flags (by Config field; None is absent), the variables and the TOML file.

    `toml` is the file to read; by default the one that --config or MIRRORLISTD_CONFIG names, if any. Raises ConfigError
    with every problem.
    """
    given: Mapping[str, object] = vars(flags) if isinstance(flags, argparse.Namespace) else flags
    problems: list[str] = []
    from_flags = dict(_from_flags(given, problems))
    from_environ = dict(_from_environ(environ, problems))
    file = toml or from_flags.get("config") or from_environ.get("config")
    from_file = dict(_from_file(file, problems)) if file else {}
    values: dict[str, Any] = from_file | from_environ | from_flags
    if file:
        values["config"] = file
    if "uds" in values:
        values.setdefault("hosts", ())
    if not values.get("hosts", True) and "uds" not in values:
        problems.append("--host: found none and no --uds: the server would listen nowhere")
    _place_state(values, environ, problems)
    if problems:
        raise ConfigError(problems)
    return Config(**values)


def _place_state(values: dict[str, Any], environ: Mapping[str, str], problems: list[str]) -> None:
    """Set the state folder, and the snapshot in it that --pull or --mirrormanager keeps."""
    # systemd sets a list, separated by colons, where a unit has several folders.
    if folder := environ.get("STATE_DIRECTORY", "").partition(":")[0]:
        values.setdefault("state_dir", Path(folder))
    if "mirrormanager" in values:
        _place_import(values, environ, problems)
        return
    if "pull" not in values:
        return
    if "snapshot" in values:
        problems.append("--pull: found --snapshot, too: the snapshot comes from the store or from a file; give one")
    elif "state_dir" not in values:
        problems.append("--pull: expected --state-dir, too: a folder for what was pulled last, to start from it")
    else:
        values["snapshot"] = values["state_dir"] / PULLED


def _place_import(values: dict[str, Any], environ: Mapping[str, str], problems: list[str]) -> None:
    """Set the snapshot that --mirrormanager keeps, and MirrorManager's preset unless another one is set."""
    problems += [
        f"--mirrormanager: found --{other}, too: the snapshot comes from one of them; give one"
        for other in ("snapshot", "pull")
        if other in values
    ]
    if "state_dir" not in values and (home := _state_home(environ)):
        # One folder for each MirrorManager that is served by hand.
        values["state_dir"] = home / "mirrorlistd" / quote(str(values["mirrormanager"].absolute()), safe="")
    if "state_dir" in values:
        values["snapshot"] = values["state_dir"] / IMPORTED
    else:
        problems.append("--mirrormanager: expected --state-dir, too: a folder for what was imported last")
    if values.get("trusted_keys"):
        problems.append("--mirrormanager: found --trusted-key, too: an imported snapshot is not signed; leave it out")
    values.setdefault("preset", "mirrormanager")


def _state_home(environ: Mapping[str, str]) -> Path | None:
    """Return the folder for the state of a user's programs: https://specifications.freedesktop.org/basedir-spec/latest/."""
    if home := environ.get("XDG_STATE_HOME"):
        return Path(home)
    return Path(home, ".local", "state") if (home := environ.get("HOME")) else None


def _from_flags(given: Mapping[str, object], problems: list[str]) -> Iterator[tuple[str, Any]]:
    for option in OPTIONS:
        if (raw := given.get(option.field)) is not None:
            yield from _read(option, raw, option.flag, problems)


def _from_environ(environ: Mapping[str, str], problems: list[str]) -> Iterator[tuple[str, Any]]:
    for variable, raw in environ.items():
        name = variable.removeprefix(ENV_PREFIX)
        # Templates leave an empty variable where there is no value.
        if name == variable or not raw.strip() or KUBERNETES_LINK.fullmatch(name):
            continue
        if KUBERNETES_PORT.match(raw) and (name == "PORT" or name.endswith("_PORT")):
            continue
        option = _BY_VARIABLE.get(variable)
        if option is None:
            problems.append(f"{variable}: no such variable{_did_you_mean(variable, _BY_VARIABLE, problems)}")
            continue
        items = re.split(r"[,\s]+", raw.strip(", \t\r\n")) if option.many else raw.strip()
        yield from _read(option, items, variable, problems)


def _from_file(file: Path, problems: list[str]) -> Iterator[tuple[str, Any]]:
    try:
        text = read_file(file, OPTIONS_FILE).decode()
        table = parse_toml(text)
    except InputFileError as error:
        problems.append(f"{_CONFIG.flag}: {error}")
        return
    except UnicodeDecodeError as error:
        number = error.object.count(b"\n", 0, error.start) + 1
        problems.append(f"{file}:{number}: expected TOML in UTF-8; found other bytes; save the file as UTF-8")
        return
    except TomlError as error:
        line = f":{found[1]}" if (found := _AT_LINE.search(str(error))) else ""
        problems.append(f"{file}{line}: expected TOML in UTF-8, such as `port = 8080`; found: {error}")
        return
    known = {name: option for name, option in _BY_NAME.items() if option.in_file}
    lines = _lines_of_keys(text)
    for key, raw in table.items():
        option = known.get(key)
        where = f"{file}:{lines[key]}: " if key in lines else f"{file}: "
        where += printable(key)[:_LONGEST_SHOWN]
        if option is None:
            problems.append(f"{where}: no such key{_did_you_mean(key.replace('_', '-'), known, problems)}")
        elif any(type(item) not in option.kind.native for item in _items(raw, option)):
            problems.append(_complaint(where, option, raw))
        else:
            for field, value in _read(option, raw, where, problems):
                # Relative to the file: it may be moved with its neighbours, and the server starts in any folder.
                yield field, _beside(file, value)


def _lines_of_keys(text: str) -> dict[str, int]:
    """Return the line of each key at the top level; those that are written with escapes are left out."""
    lines: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if found := _KEY.match(line):
            lines.setdefault(found[1] or found[2], number)
    return lines


def _beside(file: Path, value: object) -> object:
    if isinstance(value, Path):
        return file.parent / value
    if isinstance(value, tuple):
        return tuple(_beside(file, item) for item in cast("tuple[object, ...]", value))
    return value


def _read(option: Option, raw: object, where: str, problems: list[str]) -> Iterator[tuple[str, Any]]:
    """Yield the field and its value; or nothing, and add a problem for each item that is not allowed."""
    texts = [_text(item) for item in _items(raw, option)]
    if option.many and texts == ["none"]:
        texts = []
    values: list[object] = []
    for text in texts:
        try:
            values.append(option.kind.parse(text))
        except (ValueError, KeyError):
            problems.append(_complaint(where, option, text))
    if option.many and len(values) == len(texts):
        yield option.field, tuple(dict.fromkeys(values))
    elif not option.many and values:
        yield option.field, values[0]


def _text(item: object) -> str:
    """Return a TOML value as the text of a flag."""
    try:
        return str(item).lower() if isinstance(item, bool) else str(item)
    except ValueError:
        return _UNWRITTEN


def _items(raw: object, option: Option) -> list[object]:
    if option.many and isinstance(raw, list | tuple):
        return list(raw)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - judged one by one
    return [raw]


def _complaint(where: str, option: Option, found: object) -> str:
    or_none = ", or none" if option.many else ""
    try:
        shown = _without_secrets(ascii(found)[:100])
    except ValueError:
        shown = _UNWRITTEN
    return f"{where}: expected {option.kind.allowed}{or_none}; found {shown}"


def _without_secrets(text: str) -> str:
    """Remove what may be a password or a signature from a URL: the text goes into logs."""
    return re.sub(r"://[^/@]*@", "://...@", re.sub(r"(://[^?#]*[?#]).*", r"\1...", text))


def _did_you_mean(word: str, known: Mapping[str, object], problems: list[str]) -> str:
    """Return a hint; none after many problems, because the search takes a while and a reload must not."""
    if len(problems) >= _MOST_HINTS or len(word) > _LONGEST_SHOWN:
        return ""
    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]}?" if near else "; `mirrorlistd serve --help` lists them all"
