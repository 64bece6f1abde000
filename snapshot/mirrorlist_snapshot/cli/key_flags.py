"""The flags by which verbs sign and trust, and the keys that they name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mirrorlist_snapshot.cli.console import CommandError
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
        help="refuse what was not signed with this key (repeatable: with any one of them)",
    )


def signing_key(path: Path | None) -> SigningKey | None:
    """Read the key to sign with, where one is named."""
    if path is None:
        return None
    from mirrorlist_snapshot.signing import SigningKey  # noqa: PLC0415 - see its first lines

    try:
        return SigningKey.read(path)
    except KeyFileError as failure:
        raise CommandError(str(failure)) from failure


def trusted_keys(paths: list[Path]) -> TrustedKeys | None:
    """Read the keys to trust, where any are named."""
    if not paths:
        return None
    from mirrorlist_snapshot.signing import TrustedKeys  # noqa: PLC0415 - see its first lines

    try:
        return TrustedKeys.read(paths)
    except KeyFileError as failure:
        raise CommandError(str(failure)) from failure
