"""libcurl's transfers in asyncio's loop: curl says which sockets to watch and when to wake it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import pycurl

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST_IDLE: Final = 4_000
"""Connections that stay open between requests."""


class Multi:
    """Many transfers at a time. It belongs to the loop in which it was made."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, _MOST_IDLE)
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._schedule)
        self._timer: asyncio.TimerHandle | None = None
        self._watched: dict[int, int] = {}
        self._waiting: dict[pycurl.Curl, asyncio.Future[tuple[int, str]]] = {}

    async def perform(self, handle: pycurl.Curl) -> tuple[int, str]:
        """Run a transfer; return curl's error number, 0 for none, and its text."""
        future: asyncio.Future[tuple[int, str]] = self._loop.create_future()
        self._waiting[handle] = future
        self._multi.add_handle(handle)
        try:
            return await future
        finally:
            if self._waiting.pop(handle, None) is not None:  # cancelled
                self._multi.remove_handle(handle)

    def close(self) -> None:
        """Close all connections."""
        if self._timer is not None:
            self._timer.cancel()
        for number in list(self._watched):
            self._watch(pycurl.POLL_REMOVE, number, None, None)
        self._multi.close()

    def _watch(self, what: int, number: int, _multi: object, _data: object) -> None:
        known, wanted = self._watched.get(number, 0), 0 if what == pycurl.POLL_REMOVE else what
        for bit, add, remove, select in (
            (pycurl.POLL_IN, self._loop.add_reader, self._loop.remove_reader, pycurl.CSELECT_IN),
            (pycurl.POLL_OUT, self._loop.add_writer, self._loop.remove_writer, pycurl.CSELECT_OUT),
        ):
            if wanted & bit and not known & bit:
                self._add(add, number, select)
            elif known & bit and not wanted & bit:
                remove(number)
        if wanted:
            self._watched[number] = wanted
        else:
            self._watched.pop(number, None)

    def _add(self, add: Callable[..., object], number: int, select: int) -> None:
        add(number, self._act, number, select)

    def _schedule(self, milliseconds: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if milliseconds >= 0:  # never at once: curl calls this from within its own functions
            self._timer = self._loop.call_later(milliseconds / 1000, self._act, pycurl.SOCKET_TIMEOUT, 0)

    def _act(self, number: int, select: int) -> None:
        self._multi.socket_action(number, select)
        remaining = 1
        while remaining:
            remaining, done, failed = self._multi.info_read()
            for handle in done:
                self._end(handle, 0, "")
            for handle, code, text in failed:
                self._end(handle, code, text)

    def _end(self, handle: pycurl.Curl, code: int, text: str) -> None:
        self._multi.remove_handle(handle)
        future = self._waiting.pop(handle, None)
        if future is not None and not future.done():
            future.set_result((code, text))
