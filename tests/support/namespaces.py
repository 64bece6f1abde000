"""A network of the test's own: a namespace with a loopback interface, names, and faults that the test chooses.

    with Namespace({"m0.example": ["127.0.0.2", "fd00::2"]}) as inside:
        inside.run("nginx", ...)
        inside.fault("meta nfproto ipv6 drop")
        inside.heal()

Needs the rights of root, `ip`, `nft`, `nsenter` and `unshare`.
"""

from __future__ import annotations

import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

from support.processes import SECONDS, eventually

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Namespace:
    """The namespace, held by a process that sleeps."""

    def __init__(self, names: Mapping[str, Sequence[str]]) -> None:
        """`names` is the content of /etc/hosts; IPv6 addresses are added to the loopback interface."""
        self._names = names

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory()
        hosts, resolver = Path(self._folder.name, "hosts"), Path(self._folder.name, "resolv.conf")
        lines = [f"{address} {name}" for name, addresses in self._names.items() for address in addresses]
        hosts.write_text("\n".join(["127.0.0.1 localhost", *lines, ""]))
        resolver.write_text("nameserver 127.0.0.53\n")
        script = f"mount --bind {hosts} /etc/hosts && mount --bind {resolver} /etc/resolv.conf && exec sleep infinity"
        self._holder = subprocess.Popen(["unshare", "--net", "--mount", "--propagation", "private", "sh", "-c", script])
        # The namespaces are there when the process has become `sleep`.
        name = Path(f"/proc/{self._holder.pid}/comm")
        eventually(lambda: name.read_text() == "sleep\n", "the namespace is made")
        self.run("ip", "link", "set", "lo", "up")
        for addresses in self._names.values():
            for address in addresses:
                if ":" in address:
                    self.run("ip", "-6", "address", "add", f"{address}/128", "dev", "lo")
        return self

    def command(self, *words: str) -> list[str]:
        """The command that runs inside."""
        return ["nsenter", "--target", str(self._holder.pid), "--net", "--mount", "--", *words]

    def run(self, *words: str) -> None:
        """Run a command inside; it must succeed."""
        subprocess.run(self.command(*words), check=True, timeout=SECONDS)

    def fault(self, rule: str) -> None:
        """Do something to every packet that arrives: a rule of nft, such as `drop`."""
        self.heal()
        for words in (
            "add table inet fault",
            "add chain inet fault in { type filter hook input priority 0; }",
            f"add rule inet fault in {rule}",
        ):
            self.run("nft", words)

    def heal(self) -> None:
        """Take the fault away."""
        self.run("nft", "flush ruleset")

    def __exit__(self, *_: object) -> None:
        self._holder.send_signal(signal.SIGKILL)
        self._holder.wait(SECONDS)
        self._folder.cleanup()
