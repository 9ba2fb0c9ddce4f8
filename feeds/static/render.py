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
from ..feed_formats import Format
from ..newsletter.issues import archive
from ..syndication import lookup
from ..syndication.lookup import Document
from ..web.app import make_app
from ..web.application import KEY, Application
from .files import Render

#: The last archive document in all formats: they are asked for one after the other, and made at once, as most is the same.
_ARCHIVES = "archives"
#: Addresses whose page is that of an error.
_ERRORS = {"/404.html": 404, "/410.html": 410}


def make_renderer(environment: Environment) -> Render:
    """Return what answers an address, not encoded, from what is published when asked; it raises RenderError with the place."""
    own = environment.root / "templates" / "web"
    app = _make_app(environment, os.getpid(), tuple(sorted((path.name, path.stat().st_mtime_ns) for path in own.glob("*"))))
    here: Application = app.extensions[KEY]
    here.editions.expire()
    return functools.partial(_render, app)


@functools.lru_cache(maxsize=1)  # reading templates and words takes longer than a page; no connection survives a fork
def _make_app(environment: Environment, _process: int, _operators_templates: tuple[tuple[str, int], ...]) -> Flask:
    app = make_app(environment, static=True)
    app.extensions[_ARCHIVES] = ((-1, ""), {})
    app.config["PROPAGATE_EXCEPTIONS"] = True
    for address, code in _ERRORS.items():
        app.add_url_rule(address, f"error-{code}", functools.partial(abort, code))
    return app


def _render(app: Flask, address: str) -> bytes | None:
    path, format = urls.split_format(address[1:])
    if format and (data := _document(app, path, format)):
        return data
    try:
        answered = Response.from_app(app.wsgi_app, create_environ(quote(address)), buffered=True)
    except Exception as error:
        places = [f"{f.filename}:{f.lineno}" for f in traceback.extract_tb(error.__traceback__) if f.filename.endswith(".html")]
        raise RenderError(": ".join([*places[-1:], f"{type(error).__name__}: {error}"])) from None
    return answered.get_data() if answered.status_code == _ERRORS.get(address, 200) else None


def _document(app: Flask, path: str, format: Format) -> bytes | None:
    """Return a feed's bytes, not compressed on the way, and counted as nobody's visit."""
    here: Application = app.extensions[KEY]
    edition = here.editions.latest()
    if urls.split_archive(path)[1]:
        key = (edition.generation, path)
        if app.extensions[_ARCHIVES][0] != key:
            bodies: dict[str, bytes] = {}
            with contextlib.suppress(AddressError):
                bodies = here.runtime.read(lookup.find_archive_bodies, edition, path)
            app.extensions[_ARCHIVES] = (key, bodies)
        body: bytes | None = app.extensions[_ARCHIVES][1].get(format.name)
        return body
    if path == "digests":
        return here.runtime.read(archive.archive_feed, edition.config) if edition.config else None
    try:
        found = here.runtime.read(lookup.find_document, edition, path, format)
    except AddressError:
        return None
    return found.body if isinstance(found, Document) else None
