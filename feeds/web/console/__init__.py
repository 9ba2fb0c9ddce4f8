"""The operator's console, behind FEEDS_OPERATOR_TOKEN: one page for each subject. GET only shows; POST acts, then redirects.

`auth` signs in and guards every page (session, CSRF, headers); `pages` and `feed_pages` register their views on its blueprint.
The use cases are in `feeds.admin`.
"""

from . import feed_pages, pages
from .auth import blueprint

__all__ = ["blueprint", "feed_pages", "pages"]
