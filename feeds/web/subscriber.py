"""What all pages of one subscriber share: they are cached nowhere, send no referrer, are not indexed."""

from __future__ import annotations

import time
from typing import Any

from flask import Response, abort, g, render_template, request
from werkzeug.wrappers import Response as Answer

from ..service.consent import LANGUAGES, Consent
from .languages import COOKIE
from .state import state

MAX_BODY = 64 * 1024


def consent_here() -> Consent:
    """404 where there is no newsletter; bodies are bounded before they are read."""
    here = state()
    if not here.config.newsletter.enabled:
        abort(404)
    request.max_content_length = MAX_BODY
    return here.service.consent(here.config)


def now_here() -> int:
    """UTC seconds."""
    return int(time.time())


def words(text: str) -> str:
    """In the reader's language."""
    return state().languages.translate(g.language, text)


def speak(language: str) -> None:
    """The subscriber's own language, as chosen for the digests, unless the switch says another one."""
    if language in LANGUAGES and COOKIE not in request.cookies:
        g.language = language


def dead_link() -> Answer:
    return page("link.html", 404)


def page(template: str, status: int, **values: Any) -> Answer:
    body = render_template(template, **{"autodiscovery": (), "canonical": "", "renewed": False, "erased": False, **values})
    return private(Response(body, status, content_type="text/html; charset=utf-8"))


def private(answered: Answer) -> Answer:
    answered.headers["Cache-Control"] = "no-store"
    answered.headers["Referrer-Policy"] = "no-referrer"
    answered.headers["X-Robots-Tag"] = "noindex, nofollow"
    return answered
