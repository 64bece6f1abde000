"""AlmaLinux: `mirrors.d/*.yml`, one file a mirror, and `config.yml` with versions and repositories.

The service at mirrors.almalinux.org is asked for `/mirrorlist/VERSION/REPOSITORY` and answers with URLs in which
`$basearch` is left for dnf to fill in. The repositories here do the same: `baseos-9` is an alias of the version that
`duplicated_versions` names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.importers.about import about
from mirrorlist_snapshot.importers.entries import Content, Entry, Tables, not_taken
from mirrorlist_snapshot.importers.naming import is_name
from mirrorlist_snapshot.importers.places import as_continent
from mirrorlist_snapshot.importers.records import Record, as_list, as_table, as_text, parsed
from mirrorlist_snapshot.report.text import plural
from mirrorlist_snapshot.source import rules

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mirrorlist_snapshot.importers.entries import Findings, ImportedFile, ImportOptions, NotTaken
    from mirrorlist_snapshot.source.lines import Lines

_PROTOCOLS: Final = ("https", "http", "ftp", "rsync")
_TAKEN: Final = frozenset(
    (
        *("name", "address", "address_optional", "geolocation", "sponsor", "sponsor_url", "email", "asn", "private"),
        *("monopoly", "subnets", "update_frequency", "cloud_type", "cloud_regions"),
    )
)


def read(files: Sequence[ImportedFile], options: ImportOptions) -> Findings:
    """Yield the repositories of the configuration and the mirrors of the other files."""
    categories = {options.category: None}
    repositories: dict[str, object] = {}
    first = files[0]
    for file in files:
        document = parsed(file)
        record = Record(1, as_table(document.data))
        if "repos" in record.data:
            first = file
            yield from _repositories(file, record, options, repositories)
        elif "address" in record.data or "name" in record.data:
            entry = _entry(file, record, options)
            categories |= dict.fromkeys(entry.contents)
            yield entry
            yield from _lost(file, record, document.locate())
        else:
            reason = "has neither `address:`, as a mirror, nor `repos:`, as the configuration"
            yield not_taken(file, None, "", reason, entry=True)
    categories |= dict.fromkeys(str(as_table(one).get("category", options.category)) for one in repositories.values())
    yield Tables(
        first.name,
        None,
        {
            "categories": {name: {} for name in categories},
            "repositories": repositories or {name: {"category": name} for name in categories},
        },
        [
            "Clients of the old service ask for /mirrorlist/VERSION/REPOSITORY. Serve these paths with",
            "--url-template '/mirrorlist/{version}/{repo}->repo={repo}-{version}'",
        ]
        if repositories
        else [],
    )


def _entry(file: ImportedFile, record: Record, options: ImportOptions) -> Entry:
    contents = {options.category: Content(_addresses(record.get("address")))}
    for module, addresses in as_table(record.get("address_optional")).items():
        if is_name(name := f"{options.category}-{module}"):
            contents[name] = Content(_addresses(addresses))
    nets = _subnets(record)
    settings: dict[str, object] = {
        "asns": [as_text(asn) for asn in as_list(record.get("asn")) if as_text(asn)],
        "netblocks": [{"prefix": net, "exclusive": True} for net in nets] if record.get("monopoly") is True else nets,
        "private": record.get("private") is True,
    }
    city = ", ".join(filter(None, (record.text("geolocation.city"), record.text("geolocation.state_province"))))
    return Entry(
        file=file.name,
        line=record.line,
        name=record.text("name"),
        contents={category: content for category, content in contents.items() if content.urls},
        places=[record.text("geolocation.country") or as_continent(record.text("geolocation.continent"))],
        settings=settings,
        about=about(
            sponsor={"name": record.text("sponsor"), "url": record.text("sponsor_url")},
            contact=record.text("email"),
            city=city,
            extra={key: record.text(key) for key in ("update_frequency", "cloud_type", "cloud_regions")},
        ),
        comments=[line.lstrip("# ") for line in file.text.splitlines() if line.startswith("#") and line.strip("# ")],
    )


def _addresses(value: object) -> list[str]:
    return [url for protocol in _PROTOCOLS if (url := as_text(as_table(value).get(protocol)))]


def _subnets(record: Record) -> list[str]:
    """Return the networks of a mirror; a text is the address of a list of them, which is not fetched."""
    subnets = record.get("subnets")
    return [] if isinstance(subnets, str) else [as_text(net) for net in as_list(subnets)]


def _lost(file: ImportedFile, record: Record, lines: Lines) -> Iterator[NotTaken]:
    def lost(key: str, reason: str) -> NotTaken:
        return not_taken(file, lines.find((key,)), key, reason)

    if isinstance(record.get("subnets"), str):
        url = record.text("subnets")
        yield lost("subnets", f"{url} is not fetched: save it beside the source and name the file in netblocks_from")
    if record.text("cloud_type"):
        yield lost("cloud_type", "the networks of a cloud are no part of the list; give the mirror its netblocks")
    if record.get("monopoly") is True and not _subnets(record):
        yield lost("monopoly", "without a list of subnets there is no network whose only mirror it could be")
    for key in record.data:
        if key not in _TAKEN:
            yield lost(key, "unknown key")


def _repositories(
    file: ImportedFile, config: Record, options: ImportOptions, found: dict[str, object]
) -> Iterator[NotTaken]:
    """Add a repository for each version that each of the configuration's repositories has."""
    full = {key: as_text(value) for key, value in as_table(config.get("duplicated_versions")).items()}
    modules = {
        f"{as_text(version)}-{module}": module
        for module, versions in as_table(config.get("optional_module_versions")).items()
        for version in as_list(versions)
    }
    every = [*map(as_text, as_list(config.get("versions"))), *modules]
    vault = 0
    for one in map(as_table, as_list(config.get("repos"))):
        if one.get("vault"):
            vault += 1
            continue
        name, path = as_text(one.get("name")), as_text(one.get("path")).strip("/")
        for version in [*map(as_text, as_list(one.get("versions")))] or every:
            category = f"{options.category}-{modules[version]}" if version in modules else options.category
            if version in full:
                continue
            if not is_name(f"{name}-{version}") or not is_name(category) or not _is_path(f"{version}/{path}"):
                yield not_taken(file, None, "repos", f"the repository {name!r} with the path {path!r}")
                continue
            found[f"{name}-{version}"] = {"category": category, "path": f"{version}/{path}"}
        for short, version in full.items():
            if f"{name}-{version}" in found and is_name(f"{name}-{short}") and short != version:
                found[f"{name}-{short}"] = {"alias": f"{name}-{version}"}
    if vault:
        where = config.text("vault_mirror") or "the vault"
        count = plural(vault, "repository", "repositories")
        yield not_taken(file, None, "repos", f"{count} with `vault: true`: {where}, no mirror, has them")
    if old := as_list(config.get("vault_versions")):
        reason = f"{plural(len(old), 'version')} that no mirror has, such as {as_text(old[0])}"
        yield not_taken(file, None, "vault_versions", reason)


def _is_path(text: str) -> bool:
    try:
        return bool(rules.path_template(text))
    except rules.RuleError:
        return False
