"""Pages for people, and the same as data for programs: the front page, repositories, mirrors.

The pages work without JavaScript and without requests to other sites. They show public mirrors alone, and of these only
what every list shows as well; the one definition of public is in `public`.
"""

from __future__ import annotations

from mirrorlistd.web.pages.handlers import Pages

__all__ = ["Pages"]
