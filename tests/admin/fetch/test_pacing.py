"""How fast an address is asked, in virtual time."""

from __future__ import annotations

import asyncio

from mirrorlist_admin.fetch.pacing import CONNECTIONS, Pace
from support.virtual_time import Clock, run_virtually


def starts(requests: list[tuple[str, float]], rate: float) -> list[tuple[str, float]]:
    """(address, when it was its turn) of requests that take some seconds each, all wanted at once."""
    clock, found = Clock(0.0), list[tuple[str, float]]()
    running = most = 0

    async def ask(pace: Pace, address: str, seconds: float) -> None:
        nonlocal running, most
        async with pace.turn(address):
            found.append((address, round(clock(), 2)))
            running += 1
            most = max(most, running)
            await asyncio.sleep(seconds)
            running -= 1

    async def main() -> None:
        pace = Pace(rate)
        await asyncio.gather(*(ask(pace, *request) for request in requests))
        pace.forget()
        await ask(pace, *requests[0])

    run_virtually(clock, main)
    assert most <= CONNECTIONS * len({address for address, _ in requests})
    return found


def test_an_address_is_asked_so_often_a_second() -> None:
    """Quick requests to one address are a quarter of a second apart; another address does not wait for it."""
    found = starts([("192.0.2.1", 0.01)] * 5 + [("192.0.2.2", 0.01)], rate=4)
    assert [at for address, at in found if address == "192.0.2.1"][:5] == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert [at for address, at in found if address == "192.0.2.2"] == [0.0]


def test_an_address_has_two_connections() -> None:
    """Slow requests wait for one of two connections, whatever the rate allows."""
    found = starts([("192.0.2.1", 10.0)] * 5, rate=1000)
    assert [round(at) for _, at in found[:5]] == [0, 0, 10, 10, 20]
