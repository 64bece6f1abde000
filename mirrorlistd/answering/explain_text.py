"""An explanation as text for people: what `explain` told, in lines. Pure; the command line and /explain print it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mirrorlistd.answering.explain import tier_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def text(told: Mapping[str, Any]) -> str:
    """Write an explanation (see `explain`) in lines, each ending in LF; an error is one line."""
    return "".join(f"{line.rstrip()}\n" for line in _lines(told))


def _lines(told: Mapping[str, Any]) -> Iterator[str]:
    if "error" in told:
        yield f"{told['status']}: {told['error']}"
        return
    yield f"asked      {told['asked']['what']}"
    yield f"client     {_client(told)}"
    yield f"place      {', '.join(_place(told['place']))}"
    tiers = [tier_words(tier) + (f": {tier['mirrors']}" if "mirrors" in tier else "") for tier in told["tiers"]]
    yield f"tiers      {', '.join(tiers) or 'none'}"
    yield ""
    if told["list"]:
        yield "the list (equally near mirrors are shuffled for every answer)"
        yield from _list(told)
    elif told["status"] == 200:  # noqa: PLR2004 - a status; only some mirrors are to be shown
        yield "not in the list"
    else:
        yield f"the list is empty: clients are answered {told['status']}"
    if "left_out" in told:
        yield ""
        yield f"left out: {len(told['left_out'])}"
        for row in told["left_out"]:
            yield f"     {row['country'] or '--'}  {row['bandwidth']:>7} Mbit/s  {row['mirror']}: {row['reason']}"


def _client(told: Mapping[str, Any]) -> str:
    client = told["client"]
    if client["on_behalf"] and not client["address"]:
        return f"anyone in {told['place']['country']}"
    return str(client["address"] or "unknown")


def _place(place: Mapping[str, Any]) -> Iterator[str]:
    yield f"country {place['country'] or 'unknown'}"
    yield f"continent {place['continent'] or 'unknown'}"
    if place["asn"]:
        yield f"AS{place['asn']}"
    for length in place["netblock_prefix_lengths"]:
        yield f"netblocks /{length}"


def _list(told: Mapping[str, Any]) -> Iterator[str]:
    """Yield a table; `share` (only insiders are told) is that of first places within the tier."""
    width = max(len(tier_words(row)) for row in told["list"])
    full = "left_out" in told
    yield f"  #  {'tier':<{width}}      {'Mbit/s':>7}  {'share in tier  ' if full else ''}URL"
    for row in told["list"]:
        share = f"{row['share']:>11.1f} %  " if full else ""
        where = f"{tier_words(row):<{width}}  {row['country'] or '--'}  {row['bandwidth']:>7}"
        said = f"  {row['said']}" if full and row["said"] else ""
        yield f"{row['place']:>3}  {where}  {share}{' '.join(row['urls'])}{said}"
