"""An explanation as text, for the command line and /explain. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mirrorlistd.answering.explain import tier_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def text(report: Mapping[str, Any]) -> str:
    """Return an explanation (see `explain`) in lines, each ending in LF; an error is one line."""
    return "".join(f"{line.rstrip()}\n" for line in _lines(report))


def _lines(report: Mapping[str, Any]) -> Iterator[str]:
    if "error" in report:
        yield f"{report['status']}: {report['error']}"
        return
    yield f"asked      {report['asked']['what']}"
    yield f"client     {_client(report)}"
    yield f"place      {', '.join(_place(report['place']))}"
    tiers = [tier_words(tier) + (f": {tier['mirrors']}" if "mirrors" in tier else "") for tier in report["tiers"]]
    yield f"tiers      {', '.join(tiers) or 'none'}"
    yield ""
    if report["list"]:
        yield "the list (equally near mirrors are shuffled for every answer)"
        yield from _list(report)
    elif report["status"] == 200:  # noqa: PLR2004 - a status; only some mirrors are to be shown
        yield "not in the list"
    else:
        yield f"the list is empty: clients are answered {report['status']}"
    if "left_out" in report:
        yield ""
        yield f"left out: {len(report['left_out'])}"
        for row in report["left_out"]:
            yield f"     {row['country'] or '--'}  {row['bandwidth']:>7} Mbit/s  {row['mirror']}: {row['reason']}"


def _client(report: Mapping[str, Any]) -> str:
    client = report["client"]
    if client["on_behalf"] and not client["address"]:
        return f"anyone in {report['place']['country']}"
    return str(client["address"] or "unknown")


def _place(place: Mapping[str, Any]) -> Iterator[str]:
    yield f"country {place['country'] or 'unknown'}"
    yield f"continent {place['continent'] or 'unknown'}"
    if place["asn"]:
        yield f"AS{place['asn']}"
    for length in place["netblock_prefix_lengths"]:
        yield f"netblocks /{length}"


def _list(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield a table; `share` (for insiders only) is the share of first places within the tier."""
    width = max(len(tier_words(row)) for row in report["list"])
    full = "left_out" in report
    yield f"  #  {'tier':<{width}}      {'Mbit/s':>7}  {'share in tier  ' if full else ''}URL"
    for row in report["list"]:
        share = f"{row['share']:>11.1f} %  " if full else ""
        where = f"{tier_words(row):<{width}}  {row['country'] or '--'}  {row['bandwidth']:>7}"
        status = f"  {row['said']}" if full and row["said"] else ""
        yield f"{row['place']:>3}  {where}  {share}{' '.join(row['urls'])}{status}"
