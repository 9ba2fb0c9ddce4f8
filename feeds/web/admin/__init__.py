"""The operator's console, behind FEEDS_OPERATOR_TOKEN: one page for each subject. GET only shows; POST acts, then leads back.

`door` lets in (session, forms, headers of every page); beside it what stands behind: overview (with quarantine and the log),
following (feeds and their plots), building (a feed of the operator's own), people, issues, settings.
"""

from . import audience, feeds, issues, overview
from .auth import blueprint

__all__ = ["audience", "blueprint", "feeds", "issues", "overview"]
