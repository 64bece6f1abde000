"""Throw-away certificates for addresses on loopback."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from support.processes import SECONDS

if TYPE_CHECKING:
    from pathlib import Path


def write_certificate(public: Path, secret: Path, *addresses: str) -> None:
    """Write a self-signed certificate for these addresses, and its key."""
    command = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    names = f"subjectAltName={','.join(f'IP:{address}' for address in addresses)}"
    rest = ("-keyout", secret, "-out", public, "-days", "2", "-subj", "/CN=test", "-addext", names)
    subprocess.run([*command, *rest], check=True, capture_output=True, timeout=SECONDS)
