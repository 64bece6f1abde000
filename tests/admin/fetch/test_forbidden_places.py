"""No mirror leads the prober to a forbidden address: not by any spelling, not by a redirect, not by DNS."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import TYPE_CHECKING, Self

import pytest

from mirrorlist_admin.exchange import Answer, HostAddresses, Request
from mirrorlist_admin.fetch import Client, Names, Pace
from mirrorlist_admin.netguard import Netguard, parse_network
from support.mirrors import StaticMirror
from support.nginx_mirrors import network

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.network


class Listener:
    """Counts connections to a port of some addresses."""

    def __init__(self, *addresses: str) -> None:
        self.connections = 0
        self._sockets = []
        port = 0
        for address in addresses:
            made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
            made.bind((address, port))
            made.listen(64)
            port = made.getsockname()[1]
            self._sockets.append(made)
        self.port = port
        self._threads = [threading.Thread(target=self._accept, args=(one,), daemon=True) for one in self._sockets]

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            self.connections += 1
            connection.close()

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._sockets:
            one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join(10)


def ask(urls: list[str], guard: Netguard, names: Callable[[Netguard], Names] = Names) -> list[Answer]:
    """Ask for URLs, over both families."""

    async def main() -> list[Answer]:
        client = Client(names(guard), guard, Pace(float("inf")), "test")
        try:
            requests = [Request(url=url, family=family) for url in urls for family in (4, 6)]
            return list(await asyncio.gather(*map(client.get, requests)))
        finally:
            client.close()

    return asyncio.run(main())


ADDRESSES = (
    *("127.0.0.1", "127.0.0.2", "127.1.2.3", "0.0.0.0", "10.0.0.1", "192.168.1.1", "169.254.169.254", "172.16.0.1"),
    *("100.64.0.1", "192.0.2.1"),
)


def spellings() -> list[str]:
    """Some two hundred ways to write addresses of this machine and of private networks as hosts of a URL.

    All are numbers: a name could lead to a question to a name server.
    """
    found = ["localhost", "0", "0x0", "00", "[::]", "[::1]", "[0::1]", "[fe80::1]", "[fd00::1]", "[ff02::1]"]
    for address in ADDRESSES:
        first, second, third, fourth = parts = [int(part) for part in address.split(".")]
        number = int.from_bytes(bytes(parts), "big")
        high, low = f"{number >> 16:04x}", f"{number & 0xFFFF:04x}"
        found += [
            address,
            str(number),
            hex(number),
            f"0X{number:X}",
            f"0{number:o}",
            ".".join(map(hex, parts)),
            ".".join(f"0{part:o}" for part in parts),
            ".".join(f"00{part:03o}" for part in parts),
            f"{first}.{number & 0xFFFFFF}",
            f"{first}.{second}.{third << 8 | fourth}",
            f"{hex(first)}.{second}.0{third:o}.{fourth}",
            f"[::ffff:{address}]",
            f"[::FFFF:{high}:{low}]",
            f"[0:0:0:0:0:ffff:{high}:{low}]",
            f"[::{address}]",
            f"[64:ff9b::{address}]",
            f"[64:ff9b::{high}:{low}]",
            f"[2002:{high}:{low}::1]",
            "".join(chr(0xFF10 + int(char)) if char.isdigit() else char for char in address),  # fullwidth digits
            address.replace(".", "\u3002"),
        ]
    return found


def test_no_spelling_of_a_forbidden_address_is_asked() -> None:
    """200 spellings in URLs of mirrors: nobody is connected to, and the prober concludes nothing of it."""
    hosts = spellings()
    assert len(hosts) >= 200
    with Listener("127.0.0.1", "127.0.0.2", "127.1.2.3", "::1") as listener:
        answers = ask([f"http://{host}:{listener.port}/x" for host in hosts], Netguard())
        assert listener.connections == 0
    for answer in answers:
        assert answer.failure is not None
        assert answer.failure.cause in {"not allowed", "no such host", "no address", "resolver"}


def test_no_redirect_to_a_forbidden_address_is_followed(tmp_path: Path) -> None:
    """A mirror that is allowed redirects to what is not: the mirror is asked, and nobody else."""
    net = network()
    guard = Netguard((parse_network(f"{net}.0.1/32"),))
    (tmp_path / "x").write_text("x")
    with Listener("127.0.0.1", "::1") as listener:
        for host in [*spellings()[::7], "[::1]", f"{net}.0.2", "user@127.0.0.1"]:
            location = f"http://{host}:{listener.port}"
            if not location.isascii():
                continue
            with StaticMirror(tmp_path, host=f"{net}.0.1", mode="redirect", location=location) as mirror:
                answer = ask([f"{mirror.url}x"], guard)[0]
                assert answer.failure is not None
                assert len(mirror.requests) == 1
        assert listener.connections == 0


@pytest.mark.parametrize("location", ["file:///etc/passwd", "gopher://127.0.0.1/_x", "ftp://127.0.0.1/x", ""])
def test_other_schemes_are_not_followed(tmp_path: Path, location: str) -> None:
    """A redirect to anything but HTTP is a failure of the mirror; so is one to itself, for ever."""
    address = f"{network()}.0.1"
    with StaticMirror(tmp_path, host=address, mode="redirect", location=location) as mirror:
        answer = ask([f"{mirror.url}x"], Netguard((parse_network(f"{address}/32"),)))[0]
        assert answer.failure is not None
        assert answer.failure.cause == "redirect"
        assert len(mirror.requests) == 1 if location else 4


def test_a_name_that_changes_its_address_changes_nothing() -> None:
    """A name is resolved once: a second look that would lead elsewhere is not made, neither by us nor by curl."""
    net = network()
    looks = 0

    class Rebinding(Names):
        """A resolver that gives an allowed address first, and loopback afterwards."""

        async def _resolve(self, host: str) -> HostAddresses:  # noqa: ARG002 - the base has it
            nonlocal looks
            looks += 1
            return HostAddresses((f"{net}.0.1" if looks == 1 else "127.0.0.1",))

    with Listener("127.0.0.1") as forbidden, Listener(f"{net}.0.1") as allowed:
        guard = Netguard((parse_network(f"{net}.0.0/24"),))
        answers = ask([f"http://rebinding.example:{allowed.port}/{n}" for n in range(5)], guard, Rebinding)
        assert (looks, forbidden.connections) == (1, 0)
        assert allowed.connections >= 5
        assert all(answer.failure is not None for answer in answers)


def test_the_last_look_is_at_the_socket() -> None:
    """Whatever a resolver says, no socket is opened to an address that the guard refuses."""

    class Lying(Names):
        """A resolver that the guard has not seen."""

        async def _resolve(self, host: str) -> HostAddresses:  # noqa: ARG002 - the base has it
            return HostAddresses(("127.0.0.1", "::1"))

    with Listener("127.0.0.1", "::1") as listener:
        answers = ask([f"http://lying.example:{listener.port}/x"], Netguard(), Lying)
        assert listener.connections == 0
        assert all(answer.failure is not None for answer in answers)
