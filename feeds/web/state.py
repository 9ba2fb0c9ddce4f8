"""What a worker's application holds, reachable from its views."""

from __future__ import annotations

from dataclasses import dataclass

from flask import abort, current_app, g

from ..config import Config
from ..service import Edition, Service
from .answers import Cache
from .lane import Current
from .languages import Languages
from .turnstile import Turnstile

KEY = "feeds"


@dataclass(frozen=True, slots=True)
class State:
    service: Service
    cache: Cache
    current: Current
    languages: Languages
    turnstile: Turnstile

    @property
    def edition(self) -> Edition:
        """One edition for the whole request."""
        if "edition" not in g:
            g.edition = self.current.edition()
        edition: Edition = g.edition
        return edition

    @property
    def config(self) -> Config:
        """Answers 503 before the first rescan: a 404 would make readers and caches forget what they know."""
        if self.edition.config is None or self.edition.generation < 1:
            abort(503)
        return self.edition.config


def state() -> State:
    found: State = current_app.extensions[KEY]
    return found
