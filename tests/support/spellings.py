"""Other spellings of a path, which somebody who looks for a gap between two readers of paths would try."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_BEFORE: Final = ("//", "///", "/./", "/../", "/x/../", "/%2e/", "/%2e%2e/", "/%2f", "/%2F", "/%5c", "/\\", "/%20")
_BEFORE_TOO: Final = ("/x/..%2f", "/x%2f..%2f", "/;/", "/%00")
_BEHIND: Final = ("/", "//", "/.", "/x/..", "%2f", "%2F", "/%2e", ";", ";a=b", ";/", "%3b", "%3f", "%23", "%00", "%20")
_BEHIND_TOO: Final = ("%09", ".", "%2e", "%0a", "%c0%af")


def spellings(path: str) -> Iterator[str]:
    """Spellings of a path of one segment, without the path itself."""
    word = path.removeprefix("/")
    for position, letter in enumerate(word):
        for code in (f"%{ord(letter):02x}", f"%{ord(letter):02X}", f"%25{ord(letter):02x}", f"%u00{ord(letter):02x}"):
            yield f"/{word[:position]}{code}{word[position + 1 :]}"
    yield "/" + "".join(f"%{ord(letter):02x}" for letter in word)
    yield from (f"/{word.upper()}", f"/{word.title()}", f"/{word[:-1]}{word[-1].upper()}")
    yield from (before + word for before in (*_BEFORE, *_BEFORE_TOO))
    yield from (path + behind for behind in (*_BEHIND, *_BEHIND_TOO))
    yield from (f"http://x//{word}", f"http://x/{word}/", f"http://x/%{ord(word[0]):02x}{word[1:]}")
