"""The built-in WebSub hub's door. It takes in what is asked and answers 202; the clock's process does the rest."""

from __future__ import annotations

import time
from urllib.parse import parse_qs

from flask import Blueprint, Response, abort, render_template, request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.wrappers import Response as Answer

from ...websub import hub
from ...websub.hub import Reply
from ..context import State, state
from .feeds import max_age

blueprint = Blueprint("hub", __name__)

MAX_BODY = 64 * 1024
MAX_FIELDS = 1000
FORM = "application/x-www-form-urlencoded"


def _here() -> State:
    """404 where feeds name no hub, or one outside."""
    here = state()
    if here.config.feeds.websub.hub != "builtin":
        abort(404)
    return here


@blueprint.post("/hub")
def ask() -> Answer:
    """The WebSub hub: a subscriber asks to be pushed a feed, or to be left alone."""
    here = _here()
    request.max_content_length = MAX_BODY
    if request.mimetype != FORM:
        return _plain(Reply(415, f"the body must be {FORM}\n"))
    try:
        # Werkzeug would leave bytes that are not UTF-8 percent-encoded: a secret would silently be another one.
        body = request.get_data().decode("utf-8", "replace")
        form = parse_qs(body, keep_blank_values=True, errors="replace", max_num_fields=MAX_FIELDS)
    except (RequestEntityTooLarge, ValueError):
        return _plain(Reply(413, f"the body must have at most {MAX_BODY} bytes and {MAX_FIELDS} fields\n"))
    return _plain(hub.Hub.of(here.runtime.engine, here.edition).receive(form, int(time.time())))


def _plain(reply: Reply) -> Answer:
    answered = Response(reply.text, reply.status, content_type="text/plain; charset=utf-8")
    answered.headers["Cache-Control"] = "no-store"
    answered.headers["Access-Control-Allow-Origin"] = "*"
    answered.headers["X-Content-Type-Options"] = "nosniff"
    if reply.retry_after:
        answered.headers["Retry-After"] = str(reply.retry_after)
    return answered


@blueprint.get("/hub")
def about() -> Answer:
    """What the hub is, for people who come across its address."""
    here = _here()
    body = render_template("hub.html", hub=here.config.hub_url, limits=here.config.feeds.websub, autodiscovery=())
    answered = Response(body, content_type="text/html; charset=utf-8")
    answered.headers["Cache-Control"] = f"public, max-age={max_age(here.config)}"
    return answered
