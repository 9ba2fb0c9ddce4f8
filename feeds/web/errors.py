"""Error pages, also where the database does not answer or this program itself has failed."""

from __future__ import annotations

import time
from typing import Any

import structlog
from flask import Response, g, render_template, request
from werkzeug.exceptions import HTTPException, InternalServerError, ServiceUnavailable
from werkzeug.wrappers import Response as Answer

from .. import urls
from ..catalog import queries
from ..model import PLURALS, Term
from ..monitoring.health import is_busy, is_database_failure
from .access_log import REQUEST_ID
from .application import application
from .views.language import choose_language

log: Any = structlog.get_logger("feeds.web")

#: Seconds after which it makes sense to ask again where the database is away, or the first rescan still runs.
RETRY_AFTER = 5
_PLAIN = """\
{code}: this cannot be answered right now. Please try again later.
{code}：暂时无法回应。请稍后再试。
request {name}
"""


def handle_error(error: Exception) -> Answer:
    """Return the page for whatever a view raised. Failures are logged with the request's id, which the page shows."""
    watch = application().runtime.watch
    if isinstance(error, HTTPException):  # what a damaged database does not find may be there: readers would forget it
        unsure = error.code in (404, 410) and request.endpoint and watch.words
        return _error_page(ServiceUnavailable(), away=True) if unsure else _error_page(error)
    request_id = request.environ.get(REQUEST_ID, "")
    found = {"request": request_id, "method": request.method, "path": request.path, "error": type(error).__name__}
    if watch.report(error).words:  # the log has it already, once
        return _error_page(ServiceUnavailable(), away=True)
    if is_database_failure(error):
        if not is_busy(error):
            log.error("database_unreachable", **found)
        elif application().is_first_busy(time.monotonic()):
            log.warning("database_busy", **found)
        return _error_page(ServiceUnavailable(), away=True)
    log.exception("request_failed", **found)
    return _error_page(InternalServerError())


def _error_page(error: HTTPException, *, away: bool = False) -> Answer:
    """Return the page, or plain text where not even that can be made, as before the database has ever answered."""
    if isinstance(error.response, Answer):  # a redirect
        return error.response
    code = error.code or 500
    request_id = request.environ.get(REQUEST_ID, "") if code >= 500 else ""
    try:
        similar = _similar_terms() if code == 404 else []
        values = {
            "code": error.code,
            "similar": similar,
            "away": away,
            "refused": away and request.method == "POST",
            "request_name": request_id,
        }
        if "language" not in g:  # the failure came before it was chosen
            g.language = choose_language(request, "en")
        body, mimetype = render_template("error.html", **values, autodiscovery=(), canonical=""), "text/html"
    except Exception as failure:
        if not is_database_failure(failure):
            log.exception("error_page_failed", request=request_id, error=type(failure).__name__)
        body, mimetype = _PLAIN.format(code=error.code, name=request_id), "text/plain"
    response = Response(body, error.code, content_type=f"{mimetype}; charset=utf-8")
    for name, value in error.get_headers(request.environ):
        if name not in ("Content-Type", "Content-Length"):
            response.headers[name] = value
    if code == 503:
        response.headers["Retry-After"] = str(RETRY_AFTER)
    response.headers["Access-Control-Allow-Origin"] = "*"  # a reader in a browser wants to know what went wrong, too
    if request.method not in ("GET", "HEAD") or code == 429 or code >= 500:
        response.headers["Cache-Control"] = "no-store"
    else:  # a feed that is gone stays so; one that is missing may come
        response.headers["Cache-Control"] = "public, max-age=300" if code == 410 else "public, max-age=60"
    return response


def _similar_terms() -> list[Term]:
    """Return terms that the address may have meant."""
    app = application()
    folder, _, name = request.path.strip("/").partition("/")
    facet = PLURALS.get(folder.casefold())
    config = app.editions.latest().config
    if facet is None or not name or config is None or len(name) > 200 or not urls.is_text(name):
        return []
    stem, format = urls.split_format(name)
    found = app.runtime.read(queries.similar_terms, facet.name, urls.unslug(stem if format else name))
    return [term for term in found if config.has_feed(term.facet, term.path)]
