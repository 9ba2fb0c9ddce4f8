"""The application of one worker process: everything that its requests share, and views reach with `application()`."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from flask import abort, current_app, g

from ..config.models import Config
from ..runtime import Runtime
from ..syndication import feed_states
from ..syndication.documents import FragmentCache
from ..syndication.editions import Edition
from ..syndication.searches import SearchCache
from ..syndication.term_stats import TermStatsCache
from .cache import ResponseCache
from .cards import Cards
from .fast_path import EditionPoller
from .rate_limit import RateLimiter

#: Where Flask's `extensions` keep it.
KEY = "feeds"
#: Key of the WSGI environment: what an export knows of a page already (`static.files.SiteFile.facts`).
FACTS = "feeds.facts"
#: Seconds between two log events about a database that is busy.
BUSY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class _Published:
    """The paths of all feeds in one edition. `mark` is another one than before where these or the settings are."""

    edition: Edition
    paths: frozenset[str]
    mark: int


@dataclass(slots=True)
class Application:
    """What requests and threads of a worker share. `static`: pages become files of a static site. `started` in UTC seconds."""

    runtime: Runtime
    cache: ResponseCache
    editions: EditionPoller
    limiter: RateLimiter
    cards: Cards
    searches: SearchCache
    term_stats: TermStatsCache
    fragments: FragmentCache
    static: bool = False
    started: float = field(default_factory=time.time)
    _busy_until: float = 0.0
    _published: _Published | None = None

    @property
    def edition(self) -> Edition:
        """The edition of the current request: one for all of it."""
        if "edition" not in g:
            g.edition = self.editions.latest()
        edition: Edition = g.edition
        return edition

    @property
    def config(self) -> Config:
        """The current edition's configuration; 503 before the first rescan: a 404 would make readers forget what they know."""
        if self.edition.config is None or self.edition.generation < 1:
            abort(503)
        return self.edition.config

    def is_first_busy(self, now: float) -> bool:
        """Return whether a busy database is to be logged: once in BUSY_SECONDS; `now` as of time.monotonic."""
        first = now >= self._busy_until
        self._busy_until = now + BUSY_SECONDS if first else self._busy_until
        return first

    def feed_paths(self) -> frozenset[str]:
        """Return the paths of all feeds: a term with too few articles, or retired by the operator, has none, and no page."""
        return self._of_edition().paths

    def settings_mark(self) -> int:
        """Return a number that stays while neither the settings nor the terms that have pages change."""
        return self._of_edition().mark

    def _of_edition(self) -> _Published:
        """Return what is read once for each edition."""
        known, edition = self._published, self.edition
        if known is None or known.edition is not edition:
            paths, before = self.runtime.read(feed_states.load_paths), known
            same = before is not None and before.paths == paths and before.edition.config == edition.config
            mark = before.mark + (not same) if before else 0
            known = self._published = _Published(edition, paths, mark)
        return known


def application() -> Application:
    """Return the application that answers the current request."""
    found: Application = current_app.extensions[KEY]
    return found
