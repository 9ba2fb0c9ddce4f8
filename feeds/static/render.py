"""Render documents and pages for files: what the service would answer to a reader who names no language of their own.

Invariant: documents are the bytes that are served, made without the web application. Pages need it (`pages`); they differ only
in that they offer nothing that needs the service, unless `service_url` says where one is.
"""

from __future__ import annotations

import atexit
import functools
import os
from collections.abc import Callable

from .. import urls
from ..config.environment import Environment
from ..errors import AddressError
from ..feed_formats import Format
from ..model import PLURALS
from ..runtime import Runtime
from ..syndication import documents, lookup
from ..syndication.documents import FragmentCache
from ..syndication.editions import Edition
from .files import Render

#: Entries that are kept for the feeds that show them, too: those of some 2,500 articles, as a year may have them.
FRAGMENT_BYTES = 80 * 1024 * 1024


def make_renderer(environment: Environment) -> Render:
    """Return what answers an address, not encoded, from what is published when asked; it raises RenderError with the place."""
    made = _make_documents(environment, os.getpid())
    made.edition = made.runtime.edition()
    return functools.partial(_render, made, functools.cache(functools.partial(_make_page_renderer, environment)))


def _render(made: Documents, pages: Callable[[], Render], address: str, facts: object) -> bytes | None:
    return made.render(address) or pages()(address, facts)


def _make_page_renderer(environment: Environment) -> Render:
    from .pages import make_renderer  # the web application, which feeds alone do not need

    return make_renderer(environment)


@functools.lru_cache(maxsize=1)  # no connection survives a fork
def _make_documents(environment: Environment, _process: int) -> Documents:
    runtime = Runtime(environment)
    atexit.register(runtime.close)  # the last connection removes SQLite's files beside the database
    return Documents(runtime)


class Documents:
    """Feeds, their archive documents and lists of feeds, as they are in `edition`."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.edition = Edition(-1, None)
        self._fragments = FragmentCache(FRAGMENT_BYTES)
        #: The last feed in all formats: they are asked for one after the other, and made at once.
        self._last: tuple[int, str, dict[str, bytes]] = (-1, "", {})

    def render(self, address: str) -> bytes | None:
        """Return a document's bytes; None where there is none at the address, which may be a page."""
        path, format = urls.split_format(address[1:])
        try:
            if format:
                return self._render_feed(path, format)
            if path.endswith(".opml") and self.edition.config:
                return self.runtime.read(documents.opml, self.edition.config, PLURALS.get(path.removesuffix(".opml")))
        except AddressError:
            pass
        return None

    def _render_feed(self, path: str, format: Format) -> bytes | None:
        if path == "digests":
            from ..newsletter.issues import archive  # mail, which most sites' feeds have nothing of

            return self.runtime.read(archive.archive_feed, self.edition.config) if self.edition.config else None
        if self._last[:2] != (self.edition.generation, path):
            self._last = self.edition.generation, path, {}
            bodies = self.runtime.read(lookup.find_bodies, self.edition, path, self._fragments)
            self._last = self.edition.generation, path, bodies
        return self._last[2].get(format.name)
