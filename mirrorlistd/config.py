"""How the server is set up: one table of options, read once into one frozen Config.

Flags, variables, keys of the TOML file, `--help` and the README's table are all made from OPTIONS, so they
cannot disagree. A flag wins over a variable, a variable over the file, the file over the default.
Nothing is read at import. Every problem of every source is reported at once, an overridden value's too: a
configuration that is right only by accident is a mistake that waits.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import ipaddress
import itertools
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mirrorlistd.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Mapping

ENV_PREFIX: Final = "MIRRORLISTD_"

KUBERNETES_LINK: Final = re.compile(r"(.*_)?(SERVICE_(HOST|PORT(_.*)?)|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)")
"""Kubernetes gives each pod such variables for every service: one called `mirrorlistd` must not stop us."""
KUBERNETES_PORT: Final = re.compile(r"(tcp|udp|sctp)://")
"""What Kubernetes puts into MIRRORLISTD_PORT and MIRRORLISTD_..._PORT for such a service."""

MAX_WORKERS: Final = 256
"""More than the processors of a large machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything an operator can set; the defaults are the product's."""

    config: Path | None = None
    """The TOML file that the other values may come from."""
    snapshot: Path | None = None
    """Compiled snapshot; None means the built-in one, which is served on loopback or with `demo` only."""
    geo: Path | None = None
    """Country or city database (MMDB); None means the built-in registry data."""
    asn: Path | None = None
    """AS number database (MMDB); None means AS numbers are taken from `geo` where it has them."""
    demo: bool = False
    """Serve the built-in snapshot to everyone."""
    hosts: tuple[str, ...] = ("127.0.0.1",)
    """Addresses (no names) to listen on; empty for `uds` alone, which is what setting only `uds` gives."""
    port: int = 8080
    """TCP port, 0..65535; 0 lets the system choose."""
    uds: Path | None = None
    """Unix socket to listen on."""
    backlog: int = 2048
    """Connections waiting to be accepted, per socket; the kernel lowers it to its own limit."""
    keep_alive: float = 15.0
    """Seconds that an idle connection stays open; 0 closes it after each answer."""
    lane: str = "fast"
    """`fast` answers plain requests for lists by itself; `asgi` gives every request to the ASGI application."""
    trusted_proxies: tuple[str, ...] = ()
    """Networks (CIDR) whose word about the client's address is taken; `unix` stands for the peer of `uds`."""
    forwarded_header: str = "x-forwarded-for"
    """The one header, lower case, in which trusted proxies name the client."""
    explain_networks: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    """Networks (CIDR) whose clients see every mirror in an explanation, not only those of their own list."""
    minimum: int = 5
    """Mirrors, 0..100: with fewer near ones than this a list is filled with far ones."""
    limit: int = 20
    """Mirrors in a list, 1..100, where the client names no limit."""
    sticky: float = 600.0
    """Seconds for which redirects of one client go to one mirror; 0 chooses anew every second."""
    public_url: str | None = None
    """Where clients reach this server, without a slash at the end; None: redirects name no metalinks."""
    url_templates: tuple[str, ...] = ()
    """Paths of the operator's own that are lists, as `routes.Template` reads them."""
    access_log: bool = False
    """One log line per request."""
    log_format: str = "auto"
    """`text`, `json`, or `auto`: text on a terminal, else JSON lines."""
    log_level: str = "info"
    """`debug`, `info`, `warning` or `error`."""
    drain: float = 0.0
    """Seconds between SIGTERM and closing the sockets, while /readyz says 503."""
    workers: int = 1
    """Processes that answer, 1..256; 0 means as many as there are processors to use."""
    pid_file: Path | None = None
    """Where to write the process id."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How a value is read: from text always; a TOML value must first be of one of the `native` types."""

    allowed: str
    native: tuple[type, ...]
    parse: Callable[[str], object]
    """Raises ValueError where the text is not allowed."""


def _number(text: str, low: int, high: int) -> int:
    if not (text.isascii() and text.isdecimal() and low <= int(text) <= high):
        raise ValueError(text)
    return int(text)


def _whole(low: int, high: int) -> Kind:
    return Kind(f"a whole number from {low} to {high}", (int,), lambda text: _number(text, low, high))


def _seconds(high: int) -> Kind:
    def parse(text: str) -> float:
        if not 0 <= (value := float(text)) <= high:  # refuses nan, too
            raise ValueError(text)
        return value

    return Kind(f"a number of seconds from 0 to {high}", (int, float), parse)


def _one_of(*words: str) -> Kind:
    def parse(text: str) -> str:
        if (word := text.lower()) not in words:
            raise ValueError(text)
        return word

    return Kind(" or ".join(words), (str,), parse)


def _path(text: str) -> Path:
    if not text or "\0" in text:
        raise ValueError(text)
    return Path(text)


def _address(text: str) -> str:
    return str(ipaddress.ip_address(text))


def _network(text: str) -> str:
    return str(ipaddress.ip_network(text))


def _header(text: str) -> str:
    name = text.lower()
    # Forwarded (RFC 7239) has a grammar of its own: read as a list of addresses it would name nobody.
    if name == "forwarded" or not re.fullmatch(r"[a-z0-9!#$%&'*+.^_`|~-]+", name):
        raise ValueError(text)
    return name


def _url(text: str) -> str:
    if not re.fullmatch(r"https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._~/-]*)?", text):
        raise ValueError(text)
    return text.rstrip("/")


def _template(text: str) -> str:
    if not text.startswith("/") or "->" not in text:  # `routes` reads the rest
        raise ValueError(text)
    return "".join(text.split())


def _proxy(text: str) -> str:
    return "unix" if text.lower() == "unix" else _network(text)


def _workers(text: str) -> int:
    return 0 if text.lower() == "auto" else _number(text, 0, MAX_WORKERS)


_WORDS: Final = {True: ("true", "yes", "on", "1"), False: ("false", "no", "off", "0")}
_BOOL: Final = {word: value for value, words in _WORDS.items() for word in words}

PATH: Final = Kind("a path", (str,), _path)
FLAG: Final = Kind("true or false", (bool,), lambda text: _BOOL[text.lower()])
ADDRESS: Final = Kind("an address such as 127.0.0.1 or :: (no name, no port)", (str,), _address)
NETWORK: Final = Kind("a network such as 10.0.0.0/8 (no bits after the prefix) or an address", (str,), _network)
PROXY: Final = Kind(f"unix, or {NETWORK.allowed}", (str,), _proxy)
URL: Final = Kind("a URL such as https://mirrors.example.org", (str,), _url)
TEMPLATE: Final = Kind("a template such as /{version}/{repo}->repo={repo}-{version}", (str,), _template)
WORKERS: Final = Kind(f"a whole number from 1 to {MAX_WORKERS}, or auto", (int, str), _workers)
HEADER: Final = Kind("a header such as x-forwarded-for (but not RFC 7239's forwarded)", (str,), _header)


@dataclass(frozen=True, slots=True)
class Option:
    """One row of the table."""

    field: str
    """Of Config; also the attribute of the parsed flags."""
    name: str
    """The flag without its dashes; also the TOML key."""
    group: str
    """Heading in `--help`."""
    metavar: str
    kind: Kind
    help: str
    """What it means, for `--help` and the README: one sentence, no full stop."""
    many: bool = False
    """A list: the flag repeats, the variable is split at commas and spaces, the key takes a list."""
    reload: bool = True
    """A reload (SIGHUP) applies a change; else the change waits for a restart."""
    in_file: bool = True
    """There is a TOML key."""

    @property
    def flag(self) -> str:
        """`--trusted-proxy`."""
        return f"--{self.name}"

    @property
    def variable(self) -> str:
        """`MIRRORLISTD_TRUSTED_PROXY`."""
        return ENV_PREFIX + self.name.replace("-", "_").upper()

    @property
    def default(self) -> str:
        """The default in words that the option itself would accept; empty where there is none."""
        return _DEFAULTS[self.field]


def _in_words(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case float():
            return f"{value:g}"
        case tuple():
            return ", ".join(map(str, value)) or "none"  # pyright: ignore[reportUnknownArgumentType] - of anything
        case _:
            return str(value)


_DEFAULTS: Final = {field.name: _in_words(field.default) for field in dataclasses.fields(Config)}

_DATA, _LISTEN, _CLIENTS, _LISTS, _RUN = "what to serve", "where to listen", "who asks", "lists", "operation"

# A table: the formatter would give each cell its own line.
# fmt: off
OPTIONS: Final = (
    Option("snapshot", "snapshot", _DATA, "FILE", PATH,
           "made by `mirrorlist-snapshot compile`; without one, the built-in default, on loopback only"),
    Option("geo", "geo", _DATA, "FILE.mmdb", PATH,
           "country or city database; without one, built-in registry data"),
    Option("asn", "asn", _DATA, "FILE.mmdb", PATH,
           "AS number database; without one, the numbers in --geo, if any"),
    Option("demo", "demo", _DATA, "", FLAG, "serve the built-in default on any address"),
    Option("hosts", "host", _LISTEN, "ADDRESS", ADDRESS,
           "listen on this address; `none`, the default with --uds, for no TCP", many=True, reload=False),
    Option("port", "port", _LISTEN, "PORT", _whole(0, 65535),
           "TCP port; 0 lets the system choose", reload=False),
    Option("uds", "uds", _LISTEN, "PATH", PATH, "listen on this Unix socket", reload=False),
    Option("backlog", "backlog", _LISTEN, "N", _whole(1, 65535),
           "connections waiting to be accepted, per socket", reload=False),
    Option("keep_alive", "keep-alive", _LISTEN, "SECONDS", _seconds(3600),
           "how long an idle connection stays open", reload=False),
    Option("lane", "lane", _LISTEN, "LANE", _one_of("fast", "asgi"),
           "fast: answer plain requests for lists at once; asgi: all by the ASGI application", reload=False),
    Option("trusted_proxies", "trusted-proxy", _CLIENTS, "CIDR|unix", PROXY,
           "believe what this peer says about the client's address", many=True),
    Option("forwarded_header", "forwarded-header", _CLIENTS, "NAME", HEADER,
           "the one header in which trusted proxies name the client"),
    Option("explain_networks", "explain-network", _CLIENTS, "CIDR", NETWORK,
           "clients who see every mirror in an explanation; others see those of their own list", many=True),
    Option("minimum", "minimum", _LISTS, "N", _whole(0, 100),
           "with fewer near mirrors than this, fill the list with far ones"),
    Option("limit", "limit", _LISTS, "N", _whole(1, 100),
           "longest list, where the client names no limit"),
    Option("sticky", "sticky", _LISTS, "SECONDS", _seconds(86400),
           "how long redirects of one client go to one mirror"),
    Option("public_url", "public-url", _LISTS, "URL", URL,
           "where clients reach this server; with it, redirects name the file's metalinks"),
    Option("url_templates", "url-template", _LISTS, "PATH->QUERY", TEMPLATE,
           "a path of your own: /mirrorlist/{version}/{repo}->repo={repo}-{version}", many=True),
    Option("config", "config", _RUN, "FILE.toml", PATH,
           "TOML file with these options as keys; read again on reload", reload=False, in_file=False),
    Option("access_log", "access-log", _RUN, "", FLAG, "log a line per request"),
    Option("log_format", "log-format", _RUN, "FORMAT", _one_of("auto", "text", "json"),
           "text, json, or auto: text on a terminal, else JSON lines"),
    Option("log_level", "log-level", _RUN, "LEVEL", _one_of("debug", "info", "warning", "error"),
           "least that is logged: debug, info, warning or error"),
    Option("drain", "drain", _RUN, "SECONDS", _seconds(3600),
           "after SIGTERM, how long /readyz says 503 before the sockets close", reload=False),
    Option("workers", "workers", _RUN, "N", WORKERS,
           "processes that answer; `auto` for one per processor that affinity and cgroup quota leave", reload=False),
    Option("pid_file", "pid-file", _RUN, "FILE", PATH, "write the process id here", reload=False),
)
# fmt: on
_BY_NAME: Final = {option.name: option for option in OPTIONS}
_BY_VARIABLE: Final = {option.variable: option for option in OPTIONS}
_CONFIG: Final = _BY_NAME["config"]


def add_arguments(parser: argparse.ArgumentParser, names: Container[str] | None = None) -> None:
    """Add the options of these names (None: all) as flags, in groups; the values stay text for `load_config` to judge.

    An option without a flag is still read from the environment and the TOML file.
    """
    wanted = [option for option in OPTIONS if names is None or option.name in names]
    for heading, options in itertools.groupby(wanted, lambda option: option.group):
        add = parser.add_argument_group(heading).add_argument
        for option in options:
            flag, field = option.flag, option.field
            facts = f"default: {option.default}; {option.variable}" if option.default else option.variable
            text = f"{option.help} ({'repeatable; ' if option.many else ''}{facts})".replace("%", "%%")
            if option.kind is FLAG:
                add(flag, dest=field, action=argparse.BooleanOptionalAction, help=text)
            else:
                action = "append" if option.many else "store"
                add(flag, dest=field, action=action, metavar=option.metavar, help=text)


def load_config(
    flags: argparse.Namespace | Mapping[str, object], environ: Mapping[str, str], toml: Path | None = None
) -> Config:
    """Judge and merge the flags (by Config field; None is absent), the variables and the TOML file.

    `toml` is the file to read; without it, the one that --config or MIRRORLISTD_CONFIG names, if any. Raises
    ConfigError with every problem found.
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
    if problems:
        raise ConfigError(problems)
    return Config(**values)


def changed_needing_restart(old: Config, new: Config) -> tuple[str, ...]:
    """Name the options that differ although a reload cannot apply them."""
    fixed = [option for option in OPTIONS if not option.reload]
    return tuple(option.name for option in fixed if getattr(old, option.field) != getattr(new, option.field))


def options_table() -> str:
    """Render the README's table of options, in Markdown."""
    rows = ["| Flag | Variable | TOML key | Default | Reload | Meaning |", "| --- " * 6 + "|"]
    for option in OPTIONS:
        flag = f"{option.flag} {option.metavar}".strip() + ("..." if option.many else "")
        cells = (
            f"`{flag}`".replace("|", r"\|"),
            f"`{option.variable}`",
            f"`{option.name}`" if option.in_file else "",
            f"`{option.default}`" if option.default else "",
            "yes" if option.reload else "restart",
            option.help,
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def _from_flags(given: Mapping[str, object], problems: list[str]) -> Iterator[tuple[str, Any]]:
    for option in OPTIONS:
        if (raw := given.get(option.field)) is not None:
            yield from _read(option, raw, option.flag, problems)


def _from_environ(environ: Mapping[str, str], problems: list[str]) -> Iterator[tuple[str, Any]]:
    for variable, raw in environ.items():
        name = variable.removeprefix(ENV_PREFIX)
        # An empty variable is what a template leaves behind when there is nothing to say.
        if name == variable or not raw.strip() or KUBERNETES_LINK.fullmatch(name):
            continue
        if KUBERNETES_PORT.match(raw) and (name == "PORT" or name.endswith("_PORT")):
            continue
        option = _BY_VARIABLE.get(variable)
        if option is None:
            problems.append(f"{variable}: no such variable{_did_you_mean(variable, _BY_VARIABLE)}")
            continue
        items = re.split(r"[,\s]+", raw.strip(", \t\r\n")) if option.many else raw.strip()
        yield from _read(option, items, variable, problems)


def _from_file(file: Path, problems: list[str]) -> Iterator[tuple[str, Any]]:
    try:
        table = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        problems.append(f"{_CONFIG.flag}: {file} cannot be read: {error.strerror}")
        return
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problems.append(f"{file}: expected TOML in UTF-8, found: {error}")
        return
    known = {name: option for name, option in _BY_NAME.items() if option.in_file}
    for key, raw in table.items():
        option = known.get(key)
        where = f"{file}: {key if key.isprintable() else ascii(key)}"
        if option is None:
            problems.append(f"{where}: no such key{_did_you_mean(key.replace('_', '-'), known)}")
        elif any(type(item) not in option.kind.native for item in _items(raw, option)):
            problems.append(_complaint(where, option, raw))
        else:
            for field, value in _read(option, raw, where, problems):
                # A file is moved with its neighbours, and is read from whatever folder the server starts in.
                yield field, file.parent / value if isinstance(value, Path) else value


def _read(option: Option, raw: object, where: str, problems: list[str]) -> Iterator[tuple[str, Any]]:
    """Yield the value, under its field; or nothing, and note a problem for each item that is not allowed."""
    texts = [str(item).lower() if isinstance(item, bool) else str(item) for item in _items(raw, option)]
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


def _items(raw: object, option: Option) -> list[object]:
    if option.many and isinstance(raw, list | tuple):
        return list(raw)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - judged one by one
    return [raw]


def _complaint(where: str, option: Option, found: object) -> str:
    or_none = ", or none" if option.many else ""
    return f"{where}: expected {option.kind.allowed}{or_none}; found {ascii(found)[:100]}"


def _did_you_mean(word: str, known: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]}?" if near else "; `mirrorlistd serve --help` lists them all"
