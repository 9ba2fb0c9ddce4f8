"""A subscriber's next digests as they would be now: a page, and each as the message itself."""

from __future__ import annotations

from flask import Blueprint, Response, g
from werkzeug.wrappers import Response as Answer

from .subscriber import consent_here, dead_link, now_here, page, private, speak, words

blueprint = Blueprint("coming", __name__)
#: A message brings its own styles, and neither scripts nor forms.
_AS_MAIL = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src http: https: data:; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'none'"
)


@blueprint.get("/preferences/<token>/next")
def next_digests(token: str) -> Answer:
    """A subscriber's next digests, as they would be now."""
    consent = consent_here()
    found = consent.preferences(token)
    if found is None:
        return dead_link()
    speak(found.subscriber.language)
    coming = consent.coming(token, now_here(), chinese=g.language == "zh-CN") or []
    rhythms = {one.frequency: consent.rhythm(words, one.frequency, found.day) for one in coming}
    return page("coming.html", 200, coming=coming, rhythms=rhythms, token=token)


@blueprint.get("/preferences/<token>/next/<frequency>")
def as_mail(token: str, frequency: str) -> Answer:
    """One of them, as the message itself."""
    found = consent_here().coming_mail(token, frequency, now_here())
    if found is None:
        return dead_link()
    answered = private(Response(found.html, content_type="text/html; charset=utf-8"))
    answered.headers["Content-Security-Policy"] = _AS_MAIL
    return answered
