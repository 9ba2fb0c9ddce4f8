"""The switch between languages: a form on every page. What is chosen is kept in a cookie that says nothing else."""

from __future__ import annotations

from urllib.parse import quote

from flask import Blueprint, Request, abort, redirect, request
from werkzeug.wrappers import Response as Answer

from ... import i18n
from ..context import state

blueprint = Blueprint("switch", __name__)

#: The name of the cookie that keeps the reader's choice, and for how long (seconds).
COOKIE, COOKIE_SECONDS = "language", 365 * 86400
#: Each language in its own words.
NAMES = {"zh-CN": "中文", "en": "English"}
MAX_BODY = 16 * 1024


def choose_language(asked: Request, default: str) -> str:
    """Return the reader's choice (a cookie), else the best of Accept-Language, else the site's, whose tag is `default`."""
    chosen = asked.cookies.get(COOKIE, "")
    if chosen in i18n.LANGUAGES:
        return chosen
    for tag, quality in asked.accept_languages:
        for known in i18n.LANGUAGES:
            if quality > 0 and tag.lower().split("-")[0] == known.split("-")[0]:
                return known
    return i18n.match_language(default)


def here(asked: Request) -> str:
    """The address to come back to: that of the page, or of the form that led to an answer."""
    path = quote(asked.path, safe="/%:@!$&'()*+,;=~")
    query = asked.query_string.decode("ascii", "ignore") if asked.method == "GET" else ""
    return f"{path}?{query}" if query else path


@blueprint.post("/language")
def switch() -> Answer:
    """Choose the language of pages, and go back to where one was."""
    request.max_content_length = MAX_BODY
    language = request.form.get("language", "")
    if language not in NAMES:
        abort(400)
    answered = redirect(local(request.form.get("to", "")), 303)
    site = state().current.edition().config
    secure = site is not None and site.site.base_url.startswith("https:")
    answered.set_cookie(COOKIE, language, max_age=COOKIE_SECONDS, secure=secure, httponly=True, samesite="Lax")
    answered.headers["Cache-Control"] = "no-store"
    return answered


def local(address: str) -> str:
    """`address` if it can only be a path of this service, else the home page: nobody is sent elsewhere."""
    plain = address.isascii() and address.isprintable() and "\\" not in address
    return address if plain and address.startswith("/") and not address.startswith("//") else "/"
