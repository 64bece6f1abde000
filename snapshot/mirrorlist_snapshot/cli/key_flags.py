"""The flags that name keys to sign with and to trust, and the keys themselves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mirrorlist_snapshot.cli.shared import CommandError
from mirrorlist_snapshot.errors import KeyFileError

if TYPE_CHECKING:
    from mirrorlist_snapshot.signing import SigningKey, TrustedKeys


def add_sign_key(parser: Any) -> None:  # noqa: ANN401 - argparse's own
    """Add --sign-key."""
    parser.add_argument("--sign-key", metavar="FILE.key", type=Path, help="sign with this private key (see keygen)")


def add_trusted_keys(parser: Any) -> None:  # noqa: ANN401 - argparse's own
    """Add --trusted-key."""
    parser.add_argument(
        "--trusted-key",
        dest="trusted_keys",
        metavar="FILE.pub",
        type=Path,
        action="append",
        default=[],
        help="refuse a snapshot that this key has not signed (repeatable: one of the keys is enough)",
    )


def signing_key(path: Path | None) -> SigningKey | None:
    """Return the key to sign with, None if none is named."""
    if path is None:
        return None
    from mirrorlist_snapshot.signing import SigningKey  # noqa: PLC0415 - most commands use no keys; it is slow to import

    try:
        return SigningKey.read(path)
    except KeyFileError as failure:
        raise CommandError(str(failure)) from failure


def trusted_keys(paths: list[Path]) -> TrustedKeys | None:
    """Return the keys to trust, None if none are named."""
    if not paths:
        return None
    from mirrorlist_snapshot.signing import TrustedKeys  # noqa: PLC0415 - most commands use no keys; it is slow to import

    try:
        return TrustedKeys.read(paths)
    except KeyFileError as failure:
        raise CommandError(str(failure)) from failure
