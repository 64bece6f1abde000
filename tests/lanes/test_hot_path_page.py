"""docs/hot-path.md has every memo with its bound, and names nothing that is not in the code."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import TYPE_CHECKING

import pytest

from mirrorlistd.answering.decider import Decider
from mirrorlistd.answering.plan import ResolvedQuery
from mirrorlistd.lanes.connection import Guard
from mirrorlistd.lanes.fast.cached_heads import read_head
from mirrorlistd.lanes.fast.lane import FastLane
from mirrorlistd.lanes.respond import client_of
from mirrorlistd.memo import Memo
from mirrorlistd.request.http_head import RequestHead
from mirrorlistd.selection.orders import Orders
from mirrorlistd.selection.rank import Carriers, Tiers
from mirrorlistd.state.service import Service
from mirrorlistd.state.state import CachedHead, State
from support.paths import ROOT
from support.wires import service

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = (ROOT / "docs/hot-path.md").read_text()
NAMES = (Decider, ResolvedQuery, Guard, FastLane, RequestHead, Orders, Carriers, Tiers, Service, CachedHead, State)


def documented(heading: str) -> dict[str, int]:
    """Memo -> bound, from the table below a heading."""
    table = PAGE.split(f"\n### {heading}\n")[1].split("\n#")[0]
    rows = re.findall(r"^\| `(\w+)` \|.*\| ([\d,]+) \|$", table, re.MULTILINE)
    return {name: int(bound.replace(",", "")) for name, bound in rows}


def memos(owner: object, names: Iterator[str]) -> dict[str, int]:
    """Memo -> bound, as they are."""
    return {name: memo.limit for name in names if isinstance(memo := getattr(owner, name), Memo)}


def test_the_page_has_every_memo_and_its_bound() -> None:
    """No memo of the state or of the decider is missing, and none is there that is not in the code."""
    state = service().state
    assert state is not None
    own = memos(state, (one.name for one in fields(State)))
    assert documented("Of the state") == own
    of_decider = memos(state.decider, (name for name in Decider.__slots__ if name != "__weakref__"))
    assert documented("Of the decider") == of_decider
    assert len(state.memos) == len(own) + len(of_decider)


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`([A-Z]\w+\.\w+)`", PAGE))))
def test_the_page_names_what_there_is(name: str) -> None:
    """Each `Class.attribute` on the page exists, and so do the functions that set facts."""
    owner, attribute = name.split(".")
    (found,) = [one for one in NAMES if one.__name__ == owner]
    known = {*dir(found), *getattr(found, "__slots__", ()), *getattr(found, "__annotations__", ())}
    assert attribute in known
    assert all(function.__name__ in PAGE for function in (read_head, client_of))
