"""What people see, and the same as data for programs: the front page, repositories, mirrors.

The pages work without JavaScript and ask no third party for anything. They show public mirrors alone: those that are
switched on and not private, of these only what every list shows as well. `public` says which these are, once.
"""

from __future__ import annotations

from mirrorlistd.web.pages.handlers import Pages

__all__ = ["Pages"]
