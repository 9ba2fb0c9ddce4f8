"""The endpoint of the built-in WebSub hub. It stores requests and answers 202; the clock's process does the rest."""

from __future__ import annotations

import time
from urllib.parse import parse_qs

from flask import Blueprint, Response, abort, request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.wrappers import Response as Answer

from ...websub.requests import Reply, RequestReceiver
from ..application import Application, application
from ..body_limit import MAX_BODY
from . import render_page

blueprint = Blueprint("hub", __name__)

MAX_FIELDS = 1000
FORM = "application/x-www-form-urlencoded"


def _hub_app() -> Application:
    """Return the application, or abort with 404 where feeds name no hub, or one outside."""
    app = application()
    if app.config.feeds.websub.hub != "builtin":
        abort(404)
    return app


@blueprint.post("/hub")
def ask() -> Answer:
    """The WebSub hub: a subscriber asks to be pushed a feed, or to be left alone."""
    app = _hub_app()
    if request.mimetype != FORM:
        return _plain(Reply(415, f"the body must be {FORM}\n"))
    try:
        # Werkzeug would leave bytes that are not UTF-8 percent-encoded: a secret would silently be another one.
        body = request.get_data().decode("utf-8", "replace")
        form = parse_qs(body, keep_blank_values=True, errors="replace", max_num_fields=MAX_FIELDS)
    except (RequestEntityTooLarge, ValueError):
        return _plain(Reply(413, f"the body must have at most {MAX_BODY} bytes and {MAX_FIELDS} fields\n"))
    return _plain(RequestReceiver(app.runtime.engine, app.edition).receive(form, int(time.time())))


def _plain(reply: Reply) -> Answer:
    response = Response(reply.text, reply.status, content_type="text/plain; charset=utf-8")
    response.headers["Cache-Control"] = "no-store"
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["X-Content-Type-Options"] = "nosniff"
    if reply.retry_after:
        response.headers["Retry-After"] = str(reply.retry_after)
    return response


@blueprint.get("/hub")
def about() -> Answer:
    """What the hub is, for people who come across its address."""
    app = _hub_app()
    return render_page("hub.html", hub=app.config.hub_url, limits=app.config.feeds.websub)
