"""What a request gets, once more: slow, obvious, from the rules' text, sharing no code with the server.

`expect` reads a query string and a source document and says what the answer must be, in either preset. Selection is
`rules`; `judging` holds real answers against what is expected.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from oracles.rules import Asked, Expected, continent, on_continent, serves, tiers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BUILT = 1_700_000_000
KNOWN = {"DE", "FR", "PL", "US", "CA", "JP", "IL", "TR", "GB", "GR"}
"""Of the countries that tests ask for, those that there are."""


class RefusedError(Exception):
    """A request that gets no list: status, and the reason in a word."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(frozen=True)
class Who:
    """The client: its address, and what the databases say of all addresses."""

    address: str | None
    places: Mapping[str, tuple[str | None, str | None, int]]


@dataclass
class Wanted:
    """What an answer must be."""

    status: int
    format: str = "text"
    body: str | None = None
    """Of errors: all of it; None: one line of any words."""
    header: str = ""
    """The lines before a text list."""
    urls: dict[str, list[str]] = field(default_factory=dict)
    """Mirror -> the lines that it has wherever it stands."""
    expected: Expected = field(default_factory=Expected)
    limit: int = 20
    details: Mapping[str, Any] | None = None


@dataclass
class Target:
    """Content: a directory or file of a category."""

    category: str
    directory: str
    file: str
    label: str
    """The words for it in a comment line."""
    by_path: bool = True
    """The words end in a path, to which ours add a slash for a directory."""

    @property
    def below(self) -> str:
        """The path below the category's top."""
        return "/".join(part for part in (self.directory, self.file) if part)


def read(query: str, preset: str) -> dict[str, str]:
    """Rule 1: percent-decoded, the last of a name counts, empty counts as absent; MirrorManager's three flags."""
    values: dict[str, str] = {}
    for part in query.split("&"):
        name, _, value = part.partition("=")
        name, value = unquote(name), unquote(value)
        if preset == "mirrormanager" and name in ("redirect", "time"):
            value = "1"
        if preset == "mirrormanager" and name == "netblock" and value != "1":
            value = "0"
        if value:
            values[name] = value
    if preset == "mirrormanager" and "source" in values.get("repo", ""):
        values["arch"] = "source"
    return values


def normal(path: str) -> str:
    """Slashes collapsed and trimmed; dots and control bytes refused."""
    parts = [part for part in path.split("/") if part]
    if "." in parts or ".." in parts or any(ord(letter) < 32 or ord(letter) == 127 for letter in path):
        raise RefusedError(400, "malformed")
    return "/".join(parts)


def words(value: str | None) -> list[str]:
    """Items of a list without the empty ones, each once."""
    return list(dict.fromkeys(item for item in (value or "").split(",") if item))


def well_formed(values: Mapping[str, str]) -> None:
    """Rule 1: what is malformed is 400, before anything else."""
    for name in ("path", "file"):
        normal(values.get(name, ""))
    for country in words(values.get("country")):
        if country.lower() != "global" and not (len(country) == 2 and country.isascii() and country.isalpha()):
            raise RefusedError(400, "malformed")
    for protocol in words(values.get("protocol")):
        if not (protocol.isascii() and all(letter.isalnum() or letter in "+.-" for letter in protocol)):
            raise RefusedError(400, "malformed")
    if "limit" in values and values["limit"] not in map(str, range(1, 101)):
        raise RefusedError(400, "malformed")
    if "ip" in values:
        try:
            ip_address(values["ip"])
        except ValueError:
            raise RefusedError(400, "malformed") from None
    if values.get("format", "text") not in ("text", "metalink", "redirect"):
        raise RefusedError(400, "malformed")


def find(source: Mapping[str, Any], category: str, path: str, label: str, *, slash: bool) -> Target | None:
    """Rule 1: first as a directory, then as a directory and a file."""
    directories = source["categories"][category]["directories"]
    if path in directories:
        return Target(category, path, "", label)
    folder, _, file = path.rpartition("/")
    return Target(category, folder, file, label) if file and not slash and folder in directories else None


def resolve(source: Mapping[str, Any], values: Mapping[str, str]) -> Target:
    """Rule 1: path wins; `file` is below the repository, and by path where its category does not have it."""
    if "path" in values:
        return by_path(source, values["path"])
    target = by_repository(source, values)
    if "file" not in values:
        return target
    file = normal(values["file"])
    below = "/".join(part for part in (target.directory, file) if part)
    label = f"{target.label} file = {quote(file)}"
    slash = values["file"].endswith("/")
    found = find(source, target.category, below, label, slash=slash)
    if found is None or (found.file and not stated(source, found)):
        try:
            other = by_path(source, f"{source['categories'][target.category]['top']}/{below}{'/' if slash else ''}")
        except RefusedError:
            other = None
        if other is not None and (found is None or stated(source, other)):
            found = replace(other, label=label)
    if found is None:
        raise refusal(source, values, target, "no path")
    return found


def refusal(source: Mapping[str, Any], values: Mapping[str, str], target: Target, reason: str) -> RefusedError:
    """The error for content that is found; what no public mirror has is as if it were not there."""
    if has_public(source, target):
        return RefusedError(404, reason)
    hidden = "path" not in values and not has_public(source, by_repository(source, values))
    return RefusedError(404, "nobody" if hidden else "no path")


def has_public(source: Mapping[str, Any], target: Target) -> bool:
    """Whether a mirror that is not private has the directory."""
    return any(
        target.directory in mirror["categories"].get(target.category, {"directories": ()})["directories"]
        for mirror in source["mirrors"].values()
        if not mirror.get("private")
    )


def stated(source: Mapping[str, Any], target: Target) -> bool:
    """Whether a source states the file."""
    return any(file["path"] == target.below for file in source["categories"][target.category]["files"])


def by_path(source: Mapping[str, Any], value: str) -> Target:
    """Below the top of a category."""
    path = normal(value)
    for category, kind in source["categories"].items():
        if path == kind["top"] or path.startswith(kind["top"] + "/"):
            below = path.removeprefix(kind["top"]).lstrip("/")
            if target := find(source, category, below, f"# path = {quote(path)}", slash=value.endswith("/")):
                return target
    raise RefusedError(404, "no path")


def by_repository(source: Mapping[str, Any], values: Mapping[str, str]) -> Target:
    """An alias is followed, then the disabled flag, then the architecture."""
    name = values.get("repo")
    if name is None:
        raise RefusedError(400, "not named")
    name = source["repositories"].get(name, {}).get("alias", name)
    repository = source["repositories"].get(name)
    if repository is None:
        raise RefusedError(404, "no repository")
    if repository.get("disabled"):
        raise RefusedError(403, "disabled")
    label, arches = f"# repo = {name}", repository.get("arches", [])
    arch = values.get("arch")
    if arches:
        if arch is None and len(arches) > 1:
            raise RefusedError(400, "not named")
        arch = arches[0] if arch is None else arch
        if arch not in arches:
            raise RefusedError(404, "no repository")
        label += f" arch = {arch}"
    directory = repository["path"].replace("{arch}", arch or "")
    category = repository["category"]
    if directory not in source["categories"][category]["directories"]:
        raise RefusedError(404, "nobody")
    return Target(category, directory, "", label, by_path=False)


def about_one_file(source: Mapping[str, Any], values: dict[str, str], preset: str) -> tuple[Target, Any]:
    """Metalinks: repodata/repomd.xml where no file is named, not doubled; and its details."""
    target = resolve(source, values)
    implied = "path" not in values and "file" not in values
    if implied:
        in_it = (target.directory or source["categories"][target.category]["top"]).split("/")[-1] == "repodata"
        target = resolve(source, values | {"file": "repomd.xml" if in_it else "repodata/repomd.xml"})
    if not target.file:
        raise refusal(source, values, target, "no metalink")
    known = {file["path"]: file for file in source["categories"][target.category]["files"]}
    if target.below not in known and (implied or preset == "mirrormanager"):
        raise refusal(source, values, target, "no metalink")
    return target, known.get(target.below)


def place(source: Mapping[str, Any], who: Who, address: str | None) -> tuple[str | None, str | None, int]:
    """Rule 2: the longest netblock override, else the database; continents by override, database, table."""
    country, known, asn = who.places.get(address or "", (None, None, 0))
    matching = [
        (ip_network(block).prefixlen, override)
        for block, override in source["overrides"]["netblocks"].items()
        if address is not None and ip_address(address) in ip_network(block)
    ]
    if matching:
        country, known = max(matching)[1], None
    if country is None:
        return None, known, asn
    overridden = source["overrides"]["continents"].get(country)
    return country, overridden or known or continent(country, source), asn


def in_order(protocols: Sequence[str], first: str = "https") -> list[str]:
    """Rule 6: https, then http, then the others; http before https for redirects of http."""
    return sorted(protocols, key=lambda one: (one != first, one != "https", one != "http", one))


def offered(mirror: Mapping[str, Any], target: Target, protocols: Sequence[str], first: str) -> list[str]:
    """Rule 6: the first of https and http, or one for each protocol asked for."""
    content = mirror["categories"].get(target.category)
    if content is None or target.directory not in content["directories"]:
        return []
    by_protocol = {url.partition(":")[0]: url for url in content["urls"]}
    order = in_order(protocols or ["https", "http"], first)
    suffix = quote(target.below, safe="/!$&'()*+,;=:@~") + ("" if target.file or not target.below else "/")
    urls = [by_protocol[protocol] + suffix for protocol in order if protocol in by_protocol]
    return urls if protocols else urls[:1]


def expect(source: Mapping[str, Any], preset: str, query: str, who: Who, minimum: int) -> Wanted:
    """What the answer to a query string must be."""
    values = read(query, preset)
    try:
        return answered(source, preset, values, who, minimum)
    except RefusedError as refused:
        in_comment = preset == "mirrormanager" and values.get("format") == "metalink"
        wanted = Wanted(refused.status, "metalink" if in_comment else "text")
        if preset == "mirrormanager":
            wanted.status, wanted.body = mirrormanagers(source, values, refused)
        return wanted


def mirrormanagers(
    source: Mapping[str, Any], values: Mapping[str, str], refused: RefusedError
) -> tuple[int, str | None]:
    """MirrorManager's words and the statuses that say what they are."""
    reason = refused.reason
    if reason == "not named" or (reason == "no repository" and "arch" not in values):
        return 400, "# either path=, or repo= and arch= must be specified"
    if reason == "disabled":
        return 403, "repo disabled"
    if reason == "no path":
        return 404, "error: invalid path"
    if reason == "no repository":
        repo = source["repositories"].get(values["repo"], {}).get("alias", values["repo"])
        pairs = [
            (name, arch)
            for name, repository in source["repositories"].items()
            if "alias" not in repository and not repository.get("disabled")
            for arch in repository.get("arches") or [""]
        ]
        known = "".join(
            f"# repo={name}" + (f"&arch={arch}" if arch else "") + "\n" for name, arch in sorted(pairs, key="+".join)
        )
        asked = f"# repo = {quote(repo)} arch = {quote(values['arch'])} "
        return 404, f"{asked}error: invalid repo or arch\n# following repositories are available:\n{known}"
    return refused.status, None


def answered(source: Mapping[str, Any], preset: str, values: dict[str, str], who: Who, minimum: int) -> Wanted:
    """The list that a request gets; RefusedError where it gets none."""
    well_formed(values)
    on = {name: values[name].lower() not in ("0", "no", "off", "false") for name in values}
    shape = values.get("format", "redirect" if on.get("redirect") else "text")
    target, details = about_one_file(source, values, preset) if shape == "metalink" else (resolve(source, values), None)
    protocols = [one.lower() for one in words(values.get("protocol"))]
    if protocols and not {"https", "http", "ftp", "rsync"} & set(protocols):
        raise refusal(source, values, target, "nobody")
    protocols = [one for one in dict.fromkeys(protocols) if one in ("https", "http", "ftp", "rsync")]
    first = "http" if shape == "redirect" else "https"
    urls = {name: offered(mirror, target, protocols, first) for name, mirror in source["mirrors"].items()}
    asked_for = values.get("ip")
    country, near, asn = place(source, who, asked_for or who.address)
    also_written = {"UK": "GB", "EL": "GR"}
    countries = [also_written.get(one, one) for one in words(values.get("country", "").upper())]
    asked = Asked(
        country=country,
        continent=near,
        asn=asn,
        address=asked_for or who.address,
        countries=tuple(dict.fromkeys(one for one in countries if one != "GLOBAL")),
        everywhere="GLOBAL" in countries,
        netblock=on.get("netblock", True),
        behalf=asked_for not in (None, who.address),
        minimum=minimum,
        carrying=frozenset(name for name in urls if urls[name]),
    )
    expected = tiers(source, asked)
    if not expected.tiers and not expected.fallback:
        raise refusal(source, values, target, "nobody")
    longest = 6 if shape == "redirect" else 20 if preset == "default" else len(source["mirrors"])
    header = "" if not on.get("comments", True) else heading(source, preset, target, asked, expected, protocols)
    if header and on.get("time", False):
        header += f"# database creation time: {BUILT}\n"
    limit = int(values.get("limit", longest))
    return Wanted(302 if shape == "redirect" else 200, shape, None, header, urls, expected, limit, details)


def used(source: Mapping[str, Any], asked: Asked, chosen: set[str]) -> list[str]:
    """Rule 6: of `country=` only what the mirrors in the list come from; with `global` any country does."""
    mirrors = [source["mirrors"][name] for name in chosen]
    countries = {code for code in asked.countries if any(serves(mirror, code) for mirror in mirrors)}
    found = []
    for code in asked.countries:
        is_continent = code in ("AN", "EU", "OC")
        if code in countries or (asked.everywhere and not is_continent and code in KNOWN):
            found.append(f"country = {code}")
        elif is_continent and any(on_continent(mirror, code, source) for mirror in mirrors):
            found.append(f"continent = {code}")
        elif not countries and any(on_continent(mirror, continent(code, source), source) for mirror in mirrors):
            found.append(f"continent = {continent(code, source)}")
    return [*dict.fromkeys(found), *(["country = global"] if asked.everywhere else [])]


def heading(
    source: Mapping[str, Any],
    preset: str,
    target: Target,
    asked: Asked,
    expected: Expected,
    protocols: Sequence[str],
) -> str:
    """Rule 6: ours, or MirrorManager's to the byte."""
    if preset == "mirrormanager":
        said = "".join(word + " " for word in [target.label, *expected.found_via])
        return said + (f"protocol = {','.join(in_order(protocols))}" if protocols else "") + "\n"
    if expected.by_country:
        found = used(source, asked, expected.tiers[0])
    else:
        found = [f"country = {asked.country}"] if asked.country else []
        found += [f"continent = {asked.continent}"] if asked.continent else []
    slash = "/" if target.by_path and not target.file else ""
    return " ".join([target.label + slash, *found]) + "\n"
