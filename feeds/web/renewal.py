"""After a rescan: what of the cache is as it was, found out for all of it at once. Law: whatever is not sure is asked again.

Without this, thousands of feeds that nobody has changed would each be looked up at their next request, by every worker.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from ..service import Edition
from .answers import Cache, Served


def renew(cache: Cache, digests: Callable[[Collection[str]], Mapping[str, str]], before: Edition, now: Edition) -> None:
    """Bring what is current over from one edition to the next; `digests` tells what feeds hold by their paths."""
    if now.generation < before.generation:  # an older database was put in its place
        cache.clear()
        return
    if before.config != now.config:
        return
    rows = [served for served in cache.known() if served.generation == before.generation]
    known = digests({served.path for served in rows if not served.groups})
    touched = now.touched_since(before.generation)
    for served in rows:
        if _is_untouched(served, touched) if served.groups else known.get(served.path) == served.digest:
            served.generation = now.generation


def _is_untouched(served: Served, touched: frozenset[int] | None) -> bool:
    """An article that came or went has a term of every group, and so has one that was changed."""
    return touched is not None and any(touched.isdisjoint(group) for group in served.groups)
