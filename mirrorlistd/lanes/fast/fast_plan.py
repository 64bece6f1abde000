"""What the fast lane keeps of a plan: everything about a plain list that is ready to be written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from mirrorlistd.answering.plan import Plan


class FastPlan:
    """One query and one place, laid out for one answer after the other.

    The values stand side by side because going through another object costs up to a tenth of an answer.
    """

    __slots__ = ("draw", "fixed_length", "opening", "ready", "separator", "tier")

    def __init__(self, plan: Plan) -> None:
        self.ready: Final[list[list[bytes]]] = plan.url_draw.ready
        """Drawn lists of base URLs, the next one last; where it is empty, call `draw`."""
        self.draw: Final[Callable[[Random], list[bytes]]] = plan.url_draw.draw
        """Draws a list of base URLs; an empty one where no mirror is offered."""
        self.opening: Final = b"\r\n\r\n" + plan.comment
        """The bytes between the last header and the first URL."""
        self.separator: Final = plan.separator
        """The bytes after each base URL: the path and LF."""
        self.fixed_length: Final = len(plan.comment) + len(plan.separator)
        """Length of a body without its URLs and the separators between them, in bytes."""
        self.tier: Final = plan.meta.tier
        """Code of the tier of the first mirror."""
