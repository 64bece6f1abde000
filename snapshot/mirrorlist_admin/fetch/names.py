"""Host names -> addresses that may be asked; each name is resolved once in a run.

Connections are made to these addresses, not to names: a name that resolves to something else a moment later (DNS
rebinding) changes nothing.
"""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from mirrorlist_admin.exchange import Failure, HostAddresses

if TYPE_CHECKING:
    from mirrorlist_admin.netguard import Netguard

_THREADS: Final = 32
_PATIENCE: Final = 20.0
"""Seconds that one name may take."""
_NO_SUCH_NAME: Final = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}
"""The resolver has answered that there is none; every other failure may be the resolver's own."""


class Names:
    """The names of one run."""

    def __init__(self, guard: Netguard) -> None:
        self._guard = guard
        self._found: dict[str, asyncio.Task[HostAddresses]] = {}
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="name")

    def forget(self) -> None:
        """Resolve every name anew: a new run begins."""
        self._found.clear()

    def close(self) -> None:
        """End the threads, without waiting for names."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def lookup(self, host: str, *, again: bool = False) -> HostAddresses:
        """Return the addresses of a host that may be asked; those of this run, unless `again`."""
        task = self._found.get(host)
        if task is None or (again and task.done()):
            task = self._found[host] = asyncio.ensure_future(self._resolve(host))
        return await asyncio.shield(task)

    async def _resolve(self, host: str) -> HostAddresses:
        loop = asyncio.get_running_loop()
        try:
            found = await asyncio.wait_for(loop.run_in_executor(self._threads, _addresses, host), _PATIENCE)
        except TimeoutError:
            return HostAddresses(failure=_unsure(f"{host}: no answer from the resolver in {_PATIENCE:g} s"))
        except (OSError, UnicodeError) as error:
            if isinstance(error, socket.gaierror) and error.errno not in _NO_SUCH_NAME:
                return HostAddresses(failure=_unsure(f"{host}: {error.strerror}"))
            reason = error.strerror if isinstance(error, OSError) else "is no host name"
            return HostAddresses(failure=Failure(cause="no such host", evidence=f"{host}: {reason}", host=True))
        refusals = {address: self._guard.refusal(address) for address in found}
        allowed = tuple(address for address in found if refusals[address] is None)
        if allowed:
            return HostAddresses(allowed)
        reason = next((refusal for refusal in refusals.values() if refusal), "no address")
        return HostAddresses(
            failure=Failure(cause="not allowed", evidence=f"{host}: {reason}", certain=False, host=True)
        )


def _addresses(host: str) -> list[str]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for _, _, _, _, sockaddr in found))


def _unsure(evidence: str) -> Failure:
    return Failure(cause="resolver", evidence=evidence, certain=False, host=True)
