"""The tables of a source document with the rule of each value, and the JSON Schema made from them.

Editors show the docstrings of the fields. Shorthands (one URL for a table of URLs, a list of architectures for a table)
are expanded before validation, so that all other modules know one form. Rules about several records are in `checks`.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from mirrorlist_snapshot.model import BANDWIDTH_RANGE, DEFAULT_BANDWIDTH, FileVersion
from mirrorlist_snapshot.source import rules
from mirrorlist_snapshot.source.bounded import Bounded, keys_of, spend, validate_counted
from mirrorlist_snapshot.source.value_types import (
    AboutText,
    Asn,
    ClientPrefix,
    Contact,
    Continent,
    Country,
    FileName,
    Lag,
    Latitude,
    Link,
    Longitude,
    Master,
    Md5,
    MirrorCountry,
    MirrorName,
    Name,
    OneOrMore,
    Path,
    PathTemplate,
    Prefix,
    Sha1,
    Sha256,
    Sha512,
    Size,
    SomePath,
    Timestamp,
    Url,
    after,
    as_list,
    distinct_keys,
    refused,
)
from mirrorlist_snapshot.tiers import MAX_NEIGHBOUR_GROUPS


def _title(table: type[Any]) -> str:
    """Return the title that editors show: `Repository directory` for RepositoryDirectoryTable."""
    return re.sub(r"(?<!^)(?=[A-Z])", " ", table.__name__.removesuffix("Table")).capitalize()


class Table(BaseModel):
    """The base of all tables: an unknown key is a mistake, and no value is converted silently."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True, model_title_generator=_title
    )

    @model_validator(mode="wrap")
    @classmethod
    def _counted(cls, data: object, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:
        """Count the mistakes of the table; look at no more of its unknown keys than are told of."""
        spend(info, keys_of(data) - len(cls.model_fields))
        return cast("Self", validate_counted(data, handler, info))


class VersionTable(Table):
    """One version of a file."""

    timestamp: Timestamp
    """Modification time, seconds since 1970 UTC."""
    size: Size
    """Bytes."""
    md5: Md5 | None = None
    """32 hexadecimal digits."""
    sha1: Sha1 | None = None
    """40 hexadecimal digits."""
    sha256: Sha256 | None = None
    """64 hexadecimal digits."""
    sha512: Sha512 | None = None
    """128 hexadecimal digits."""

    def version(self) -> FileVersion:
        """Return the version as a value of the snapshot's model."""
        return FileVersion(
            timestamp=self.timestamp,
            size=self.size,
            md5=self.md5,
            sha1=self.sha1,
            sha256=self.sha256,
            sha512=self.sha512,
        )


class CategoryFile(VersionTable):
    """The facts that a metalink states about one file."""

    path: SomePath
    """The file, below the category's top or the repository's directory."""
    alternates: Annotated[list[VersionTable], OneOrMore()] = []
    """Earlier versions that mirrors may still hold."""


class RepositoryFile(CategoryFile):
    """The facts that a metalink states about one file of a repository."""

    arch: Name | None = None
    """The architecture whose directory holds the file; needed where the repository has several."""


class CategoryTable(Table):
    """A content tree that mirrors carry."""

    kind: Literal["open", "listed"] = "open"
    """`open`: any path below the top exists; `listed`: only the directories that are listed here or by a mirror."""
    top: Path | None = None
    """The start of `path=` for this tree; by default the category's name."""
    directories: Annotated[list[Path], OneOrMore()] = []
    """Listed categories only: the directories of every mirror that does not list its own."""
    master: Master | None = None
    """Where the prober reads the current state of the tree: the URL of its top, or a local folder."""
    stamp: SomePath | None = None
    """A file that says when the tree was last changed or synchronised; by default one that the master has."""
    files: Annotated[list[CategoryFile], OneOrMore()] = []
    """Files with their sizes and hashes."""


def _place(value: object) -> object:
    return {"path": value} if isinstance(value, str) else value


class RepositoryDirectoryTable(Table):
    """Where a repository lies for one architecture."""

    category: Name | None = None
    """By default the repository's category."""
    path: PathTemplate | None = None
    """By default the repository's path."""


def _arches(value: object) -> object:
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list):
        return value
    arches = cast("list[object]", value)
    places: dict[str, object] = {}
    for arch in arches:
        if not isinstance(arch, str):
            raise refused("the list of architectures has something else than names in it")
        if arch in places:
            raise refused(f"the architecture {rules.shown(arch)} is listed twice")
        places[arch] = {}
    return places


class RepositoryTable(Table):
    """A name for `repo=`, and the directory that it stands for."""

    category: Name | None = None
    """The category that it lies in."""
    path: PathTemplate | None = None
    """Directory below the category's top; `{arch}` is replaced by the architecture."""
    arches: Annotated[
        dict[
            Name,
            Annotated[
                RepositoryDirectoryTable,
                BeforeValidator(_place, json_schema_input_type=PathTemplate | RepositoryDirectoryTable),
            ],
        ],
        Bounded(),
        BeforeValidator(
            _arches, json_schema_input_type=Name | list[Name] | dict[Name, PathTemplate | RepositoryDirectoryTable]
        ),
        Field(min_length=1),
    ] = {}
    """Architectures: a name, a list, or a table architecture -> path."""
    disabled: bool = False
    """Whether to answer 403 instead of a list."""
    unit: SomePath | None = None
    """The index file by which the prober judges each directory, below it; by default one that the master has."""
    fresh: Lag | None = None
    """For how long a version that was replaced on the master still counts as fresh; by default 12h."""
    max_lag: Lag | None = None
    """For how long a mirror with a version that was replaced on the master is still offered; by default 24h."""
    files: Annotated[list[RepositoryFile], OneOrMore()] = []
    """Files with their sizes and hashes."""
    alias: Name | None = None
    """Name of another repository for which this is an alias; then no other key may be set."""


class NetblockTable(Table):
    """A network whose clients a mirror serves first."""

    prefix: ClientPrefix
    """IPv4 or IPv6 prefix."""
    exclusive: bool = False
    """Whether clients in this network get only mirrors with an exclusive netblock."""


class FileNetblockTable(NetblockTable):
    """A netblock that was read from a file of `netblocks_from`."""


class NetblockFileTable(Table):
    """A file with netblocks, one a line."""

    file: FileName
    """Its name, relative to the folder of the source; it must be there or below."""
    exclusive: bool = False
    """Whether clients in these networks get only mirrors with an exclusive netblock."""


def _netblock_file(value: object) -> object:
    return {"file": value} if isinstance(value, str) else value


def _netblock(value: object) -> object:
    return {"prefix": value} if isinstance(value, str) else value


def _one_per_protocol(urls: list[str]) -> list[str]:
    protocols = [url.partition(":")[0] for url in urls]
    if len(set(protocols)) < len(protocols):
        twice = next(protocol for protocol in protocols if protocols.count(protocol) > 1)
        raise refused(f"there are several {twice} URLs; one per protocol is allowed, more hosts are more mirrors")
    return urls


Urls = Annotated[list[Url], Field(min_length=1), AfterValidator(_one_per_protocol), OneOrMore()]


def _content(value: object) -> object:
    match value:
        case str():
            return {"urls": [value]}
        case list():
            return {"urls": cast("list[object]", value)}
        case _:
            return value


class ContentTable(Table):
    """The part of one category that a mirror offers."""

    urls: Urls
    """Base URLs of the category's top, at most one per protocol (https, http, ftp, rsync)."""
    include: Annotated[list[SomePath], OneOrMore()] = []
    """The mirror carries only these directories and what is below them."""
    exclude: Annotated[list[SomePath], OneOrMore()] = []
    """The mirror does not carry these directories and what is below them."""
    directories: Annotated[list[Path], OneOrMore()] | None = None
    """Listed categories only: exactly the directories that the mirror has up to date."""
    arches: Annotated[list[Name], Field(min_length=1), OneOrMore()] | None = None
    """The only architectures of the category's repositories that the mirror has; by default all."""
    families: Annotated[list[Literal["ipv4", "ipv6"]], Field(min_length=1), OneOrMore()] = ["ipv4", "ipv6"]
    """Over which versions of IP the URLs work."""


def _sponsor(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


class SponsorTable(Table):
    """Who pays for a mirror."""

    name: AboutText
    """Its name."""
    url: Link | None = None
    """A page of the sponsor."""
    logo: Link | None = None
    """A picture."""


class AboutTable(Table):
    """What people may want to know of a mirror; `contact` and `extra` stay in the source, all else is public."""

    sponsor: (
        Annotated[SponsorTable, BeforeValidator(_sponsor, json_schema_input_type=AboutText | SponsorTable)] | None
    ) = None
    """Who pays for it: a name, or a table. Public."""
    city: AboutText = ""
    """Public."""
    latitude: Latitude | None = None
    """Degrees north. Public."""
    longitude: Longitude | None = None
    """Degrees east. Public."""
    notes: AboutText = ""
    """Whatever everyone may know. Public."""
    contact: Annotated[list[AboutText], OneOrMore()] = []
    """How to reach its administrators. It stays in the source."""
    extra: dict[str, Any] = {}
    """Anything else. It stays in the source."""


class MirrorTable(Table):
    """A host that carries categories."""

    country: MirrorCountry | None = None
    """The country that it is in; "auto": that of the address of its host."""
    continent: Continent | None = None
    """Where it is if its country is not known."""
    worldwide: bool = False
    """Equally near to clients of every country, as a content delivery network is."""
    also_countries: Annotated[list[Country], OneOrMore()] = []
    """Other countries whose clients it serves as if it were there."""
    bandwidth: Annotated[
        int,
        after(rules.bandwidth),
        Field(json_schema_extra={"minimum": BANDWIDTH_RANGE[0], "maximum": BANDWIDTH_RANGE[1]}),
    ] = DEFAULT_BANDWIDTH
    """Mbit/s: the weight of the mirror among equally near ones."""
    asns: Annotated[list[Asn], OneOrMore()] = []
    """Autonomous systems whose clients it serves first."""
    netblocks: Annotated[
        list[Annotated[NetblockTable, BeforeValidator(_netblock, json_schema_input_type=ClientPrefix | NetblockTable)]],
        OneOrMore(),
    ] = []
    """Networks whose clients it serves first, before all other rules."""
    netblocks_from: Annotated[
        list[
            Annotated[
                NetblockFileTable, BeforeValidator(_netblock_file, json_schema_input_type=FileName | NetblockFileTable)
            ]
        ],
        OneOrMore(),
    ] = []
    """Files with more such networks."""
    private: bool = False
    """Offered only to its own netblocks and autonomous systems."""
    fallback: bool = False
    """The last resort: always last in a list, never counted."""
    active: bool = True
    """False switches it off without removing its description."""
    allowed_countries: Annotated[list[Country], OneOrMore()] = []
    """Only clients in these countries are offered it; empty: all."""
    denied_countries: Annotated[list[Country], OneOrMore()] = []
    """Clients in these countries are never offered it."""
    categories: Annotated[
        dict[
            Name,
            Annotated[ContentTable, BeforeValidator(_content, json_schema_input_type=Url | list[Url] | ContentTable)],
        ],
        Bounded(),
    ] = {}
    """The categories that it carries: category -> URL, list of URLs, or table."""
    about: AboutTable = AboutTable()
    """Sponsor, city, coordinates, contact and notes."""


def _groups(value: object, handler: ValidatorFunctionWrapHandler) -> object:
    value = as_list(value)
    items = cast("list[object]", value) if isinstance(value, list) else []
    texts = sum(isinstance(item, str) for item in items)
    if 0 < texts < len(items):
        raise refused("mixes countries and groups; write a list of countries, or a list of lists")
    groups = cast("list[list[str]]", handler(value))
    return [[country for group in groups for country in group]] if texts else groups


def _group(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _not_too_many(groups: list[list[str]]) -> list[list[str]]:
    if len(groups) > MAX_NEIGHBOUR_GROUPS:
        raise refused(f"has {len(groups)} groups; at most {MAX_NEIGHBOUR_GROUPS} are allowed")
    return groups


Group = Annotated[list[Country], Field(min_length=1), Bounded()]
Groups = Annotated[
    list[Annotated[Group, BeforeValidator(_group)]],
    Field(min_length=1),
    Bounded(),
    WrapValidator(_groups, json_schema_input_type=Country | list[Country] | list[Group]),
    AfterValidator(_not_too_many),
]


class OverridesTable(Table):
    """Exceptions to geography."""

    continents: Annotated[dict[Country, Continent], Bounded(), distinct_keys(rules.country)] = {}
    """Country -> the continent to which its clients and mirrors belong, instead of its own."""
    neighbours: Annotated[dict[Country, Groups], Bounded(), distinct_keys(rules.country)] = {}
    """Client country -> groups of countries whose mirrors come next, nearest group first."""
    netblocks: Annotated[dict[Prefix, Country], Bounded(), distinct_keys(rules.prefix)] = {}
    """Netblock -> country of the clients in it; wins over the geo database."""
    never_served: Annotated[dict[Country, Annotated[Group, OneOrMore()]], Bounded(), distinct_keys(rules.country)] = {}
    """Client country -> countries whose mirrors are never offered to it."""


class SourceDocument(Table):
    """A description of mirrors, or a part of one; all source files together are one description."""

    schema_: str | None = Field(default=None, alias="$schema")
    """For editors; ignored."""
    contact: Contact | None = None
    """Whom mirrors may ask about the prober: a web page or a mail address."""
    categories: Annotated[dict[Name, CategoryTable], Bounded()] = {}
    """Content trees, by name."""
    repositories: Annotated[dict[Name, RepositoryTable], Bounded()] = {}
    """Names for `repo=` and their directories."""
    mirrors: Annotated[dict[MirrorName, MirrorTable], Bounded()] = {}
    """Hosts, by name."""
    overrides: OverridesTable = OverridesTable()
    """Exceptions to geography: continents, neighbours, countries of netblocks, pairs of countries never served."""


def json_schema() -> dict[str, object]:
    """JSON Schema (draft 2020-12) of a source document, for editors and admin systems."""
    schema: dict[str, Any] = SourceDocument.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Mirrors of a mirrorlist"}
