"""Answers that are none: pages of errors, also where the database is away or this program itself has failed."""

from __future__ import annotations

from typing import Any

import structlog
from flask import Response, g, render_template, request
from werkzeug.exceptions import HTTPException, InternalServerError, ServiceUnavailable
from werkzeug.wrappers import Response as Answer

from .. import urls
from ..catalog import queries
from ..model import PLURALS, Term
from ..monitoring.health import is_away
from .access_log import NAME
from .context import State, state
from .views.language import choose_language

log: Any = structlog.get_logger("feeds.web")

#: Seconds after which it makes sense to ask again where the database is away, or the first rescan still runs.
RETRY_AFTER = 5
_PLAIN = """\
{code}: this cannot be answered right now. Please try again later.
{code}：暂时无法回应。请稍后再试。
request {name}
"""


def answer(error: Exception) -> Answer:
    """For whatever a view raises. What is no answer by itself is logged under the request's name, which the page shows."""
    if isinstance(error, HTTPException):
        return _page(error)
    name = request.environ.get(NAME, "")
    said = {"request": name, "method": request.method, "path": request.path, "error": type(error).__name__}
    if is_away(error):
        log.error("database_away", **said)
        return _page(ServiceUnavailable(), away=True)
    log.exception("request_failed", **said)
    return _page(InternalServerError())


def _page(error: HTTPException, *, away: bool = False) -> Answer:
    if isinstance(error.response, Answer):  # a redirect
        return error.response
    answered = _rendered(error, away)
    for name, value in error.get_headers(request.environ):
        if name not in ("Content-Type", "Content-Length"):
            answered.headers[name] = value
    if error.code == 503:
        answered.headers["Retry-After"] = str(RETRY_AFTER)
    answered.headers["Access-Control-Allow-Origin"] = "*"  # a reader in a browser wants to know what went wrong, too
    answered.headers["Cache-Control"] = _keep(error.code or 500)
    return answered


def _rendered(error: HTTPException, away: bool) -> Response:
    """A page; plain words where not even that can be made, as before the database has ever answered."""
    name = request.environ.get(NAME, "") if (error.code or 500) >= 500 else ""
    try:
        similar = _similar() if error.code == 404 else []
        named = {"code": error.code, "similar": similar, "away": away, "request_name": name}
        _choose_language()
        body = render_template("error.html", **named, autodiscovery=(), canonical="")
    except Exception as fault:
        if not is_away(fault):
            log.exception("error_page_failed", request=name, error=type(fault).__name__)
        return Response(_PLAIN.format(code=error.code, name=name), error.code, content_type="text/plain; charset=utf-8")
    return Response(body, error.code, content_type="text/html; charset=utf-8")


def _choose_language() -> None:
    """Where a fault came before that."""
    if "language" not in g:
        g.language = choose_language(request, "en")


def _keep(code: int) -> str:
    """How long an error may be kept: what is gone stays so, what is not there may come, the rest is of this moment."""
    if request.method not in ("GET", "HEAD") or code == 429 or code >= 500:
        return "no-store"
    return "public, max-age=300" if code == 410 else "public, max-age=60"


def _similar() -> list[Term]:
    """Terms that the reader may have meant."""
    here: State = state()
    folder, _, name = request.path.strip("/").partition("/")
    facet = PLURALS.get(folder.casefold())
    config = here.current.edition().config
    if facet is None or not name or config is None or len(name) > 200 or not urls.is_text(name):
        return []
    stem, format = urls.split_format(name)
    found = here.runtime.read(queries.similar_terms, facet.name, urls.unslug(stem if format else name))
    return [term for term in found if config.has_feed(term.facet, term.path)]
