"""The language of pages: what a request asks for, and the switch, a form on every page whose choice a cookie keeps."""

from __future__ import annotations

from urllib.parse import quote

from flask import Blueprint, Request, abort, g, redirect, request
from werkzeug.wrappers import Response as Answer

from ... import i18n
from ..application import application

blueprint = Blueprint("switch", __name__)

#: The name of the cookie that keeps the reader's choice, and for how long (seconds).
COOKIE, COOKIE_SECONDS = "language", 365 * 86400
#: Each language in its own words.
NAMES = {"zh-CN": "中文", "en": "English"}
MAX_BODY = 16 * 1024


def choose_language(asking: Request, default: str) -> str:
    """Return the reader's choice (a cookie), else the best of Accept-Language, else the site's, whose tag is `default`."""
    chosen = asking.cookies.get(COOKIE, "")
    if chosen in i18n.LANGUAGES:
        return chosen
    for tag, quality in asking.accept_languages:
        for known in i18n.LANGUAGES:
            if quality > 0 and tag.lower().split("-")[0] == known.split("-")[0]:
                return known
    return i18n.match_language(default)


def words(text: str) -> str:
    """Return one of the pages' texts in the language of the request."""
    return i18n.translate(g.language, text)


def return_address(shown: Request) -> str:
    """Return the address to come back to after the switch: that of the page, or of the form that led to a response."""
    path = quote(shown.path, safe="/%:@!$&'()*+,;=~")
    query = shown.query_string.decode("ascii", "ignore") if shown.method == "GET" else ""
    return f"{path}?{query}" if query else path


def local_address(address: str) -> str:
    """Return `address` if it can only be a path of this service, else the home page: no form redirects elsewhere.

    >>> local_address("/tags/?sort=name"), local_address("//example.org/")
    ('/tags/?sort=name', '/')
    """
    plain = address.isascii() and address.isprintable() and "\\" not in address
    return address if plain and address.startswith("/") and not address.startswith("//") else "/"


@blueprint.post("/language")
def switch() -> Answer:
    """Choose the language of pages, and go back to where one was."""
    request.max_content_length = MAX_BODY
    language = request.form.get("language", "")
    if language not in NAMES:
        abort(400)
    response = redirect(local_address(request.form.get("to", "")), 303)
    config = application().editions.latest().config
    secure = config is not None and config.site.base_url.startswith("https:")
    response.set_cookie(COOKIE, language, max_age=COOKIE_SECONDS, secure=secure, httponly=True, samesite="Lax")
    response.headers["Cache-Control"] = "no-store"
    return response
