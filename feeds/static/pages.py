"""Render pages for files with the web application, as it answers a reader who names no language of their own."""

from __future__ import annotations

import atexit
import functools
import os
import traceback
from urllib.parse import quote

from flask import Flask, abort
from werkzeug.test import create_environ
from werkzeug.wrappers import Response

from .. import resources
from ..config.environment import Environment
from ..errors import RenderError
from ..web.app import make_app
from ..web.application import FACTS, KEY, Application
from ..web.cards import mark_of_templates
from .files import Render

#: Addresses whose page is that of an error.
_ERRORS = {"/404.html": 404, "/410.html": 410}


def make_renderer(environment: Environment) -> Render:
    """Return what answers the address of a page, not encoded; None where there is none. Raises RenderError with the place."""
    folders = environment.root / "templates", resources.TEMPLATES
    app = _make_app(environment, os.getpid(), tuple(mark_of_templates(str(folder / "web")) for folder in folders))
    here: Application = app.extensions[KEY]
    here.editions.expire()
    return functools.partial(_render, app)


@functools.lru_cache(maxsize=1)  # reading templates and words takes longer than a page; no connection survives a fork
def _make_app(environment: Environment, _process: int, _templates: tuple[tuple[tuple[str, int], ...], ...]) -> Flask:
    app = make_app(environment, static=True)
    atexit.register(app.extensions[KEY].runtime.close)
    app.config["PROPAGATE_EXCEPTIONS"] = True
    for address, code in _ERRORS.items():
        app.add_url_rule(address, f"error-{code}", functools.partial(abort, code))
    return app


def _render(app: Flask, address: str, facts: object) -> bytes | None:
    try:
        answered = Response.from_app(app.wsgi_app, {**create_environ(quote(address)), FACTS: facts}, buffered=True)
    except Exception as error:
        places = [f"{f.filename}:{f.lineno}" for f in traceback.extract_tb(error.__traceback__) if f.filename.endswith(".html")]
        raise RenderError(": ".join([*places[-1:], f"{type(error).__name__}: {error}"])) from None
    return answered.get_data() if answered.status_code == _ERRORS.get(address, 200) else None
