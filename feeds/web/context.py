"""What a worker's application holds, reachable from its views."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from flask import abort, current_app, g

from ..config.models import Config
from ..model import Term
from ..runtime import Runtime
from ..syndication.editions import Edition
from .cache import Cache
from .fast_path import Current
from .rate_limit import Turnstile

KEY = "feeds"


class Offered:
    """Which feeds there are, asked once for each edition."""

    def __init__(self, load: Callable[[], frozenset[str]]) -> None:
        self._load = load
        self._known: tuple[int, frozenset[str]] = (-2, frozenset())

    def paths(self, generation: int) -> frozenset[str]:
        known = self._known
        if known[0] != generation:
            self._known = known = (generation, self._load())
        return known[1]


@dataclass(frozen=True, slots=True)
class State:
    """`still`: pages are rendered to be files, which no service stands behind. `started` in UTC seconds."""

    runtime: Runtime
    cache: Cache
    current: Current
    turnstile: Turnstile
    offered: Offered
    still: bool = False
    started: float = field(default_factory=time.time)

    @property
    def edition(self) -> Edition:
        """One edition for the whole request."""
        if "edition" not in g:
            g.edition = self.current.edition()
        edition: Edition = g.edition
        return edition

    def has_page(self, term: Term) -> bool:
        """A term of too few articles, or one that the operator retired, has none."""
        return term.path in self.offered.paths(self.edition.generation)

    @property
    def config(self) -> Config:
        """Answers 503 before the first rescan: a 404 would make readers and caches forget what they know."""
        if self.edition.config is None or self.edition.generation < 1:
            abort(503)
        return self.edition.config


def state() -> State:
    found: State = current_app.extensions[KEY]
    return found
