"""Render pages and documents for files: what the service would answer to a reader who names no language of their own.

Invariant: documents are the bytes that are served; pages differ only in that they offer nothing that needs the service, unless
`service_url` says where one is.
"""

from __future__ import annotations

import contextlib
import functools
import os
import traceback
from urllib.parse import quote

from flask import Flask, abort
from werkzeug.test import create_environ
from werkzeug.wrappers import Response

from .. import urls
from ..config.environment import Environment
from ..errors import AddressError, RenderError
from ..formats import Format
from ..newsletter.issues import archive
from ..runtime import Runtime
from ..syndication import lookup
from ..syndication.editions import Edition
from ..syndication.lookup import Document
from ..web.app import make_app
from ..web.application import KEY, Application
from .files import Render

_ARCHIVES = "archives"
#: Addresses whose page is that of an error.
_ERRORS = {"/404.html": 404, "/410.html": 410}


def make_renderer(environment: Environment) -> Render:
    """Return what answers an address, not encoded, from what is published now or later.

    It raises RenderError, with the place in the template, where a page cannot be made.
    """
    own = environment.root / "templates" / "web"
    app = _make_app(environment, os.getpid(), tuple(sorted((path.name, path.stat().st_mtime_ns) for path in own.glob("*"))))
    here: Application = app.extensions[KEY]
    here.editions.expire()
    return functools.partial(_render, app)


@functools.lru_cache(maxsize=1)  # reading templates and words takes longer than a page; no connection survives a fork
def _make_app(environment: Environment, _process: int, _operators_templates: tuple[tuple[str, int], ...]) -> Flask:
    app = make_app(environment, static=True)
    here: Application = app.extensions[KEY]
    app.extensions[_ARCHIVES] = _Archives(here.runtime)
    app.config["PROPAGATE_EXCEPTIONS"] = True
    for address, code in _ERRORS.items():
        app.add_url_rule(address, f"error-{code}", functools.partial(abort, code))
    return app


def _render(app: Flask, address: str) -> bytes | None:
    path, format = urls.split_format(address[1:])
    data = _document(app, path, format) if format else None
    return data or _page(app, address)


def _document(app: Flask, path: str, format: Format) -> bytes | None:
    """Return a feed's bytes, not compressed on the way, and counted as nobody's visit."""
    here: Application = app.extensions[KEY]
    edition = here.editions.latest()
    if urls.split_archive(path)[1]:
        archives: _Archives = app.extensions[_ARCHIVES]
        return archives.find(edition, path).get(format.name)
    if path == "digests":
        return here.runtime.read(archive.archive_feed, edition.config) if edition.config else None
    try:
        found = here.runtime.read(lookup.find_document, edition, path, format)
    except AddressError:
        return None
    return found.body if isinstance(found, Document) else None


class _Archives:
    """Archive documents: their formats are asked for one after the other, and made at once, for most of it is the same."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._last: tuple[int, str, dict[str, bytes]] = (-1, "", {})

    def find(self, edition: Edition, path: str) -> dict[str, bytes]:
        """Return the documents by the names of their formats; empty where none exists."""
        if self._last[:2] != (edition.generation, path):
            found: dict[str, bytes] = {}
            with contextlib.suppress(AddressError):
                found = self._runtime.read(lookup.find_archive_bodies, edition, path)
            self._last = (edition.generation, path, found)
        return self._last[2]


def _page(app: Flask, address: str) -> bytes | None:
    try:
        answered = Response.from_app(app.wsgi_app, create_environ(quote(address)), buffered=True)
    except Exception as error:
        places = [f"{f.filename}:{f.lineno}" for f in traceback.extract_tb(error.__traceback__) if f.filename.endswith(".html")]
        raise RenderError(": ".join([*places[-1:], f"{type(error).__name__}: {error}"])) from None
    expected = _ERRORS.get(address, 200)
    return answered.get_data() if answered.status_code == expected else None
