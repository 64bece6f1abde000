"""Explanations as plain data."""

from __future__ import annotations

import json
from random import Random
from typing import TYPE_CHECKING, Any

from mirrorlistd.answering.explain import explain
from support.worlds import DE, again, at

if TYPE_CHECKING:
    from mirrorlistd.answering.decider import Decider


def explained(
    world: Decider, query: str, client: str | None = DE, *, full: bool = True, seed: int = 0
) -> dict[str, Any]:
    """Explain one query; the explanation must be plain data."""
    found = explain(again(world), query.encode(), at(client) if client else None, Random(seed), full=full)
    assert json.loads(json.dumps(found)) == found
    return found


def explained_in(world: Decider, country: str, query: str = "repo=r") -> dict[str, Any]:
    """Explain a query for any client of a country, in full."""
    found = explain(again(world), query.encode(), country, Random(0), full=True)
    assert json.loads(json.dumps(found)) == found
    return found
