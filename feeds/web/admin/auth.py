"""The door of the console: who is let in, what every form must carry, what every page of it says to browsers and caches."""

from __future__ import annotations

import hmac
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from flask import Blueprint, Response, abort, g, redirect, render_template, request
from werkzeug.wrappers import Response as Answer

from ... import i18n
from ...admin.pages import Console
from ...config.models import Config
from .. import rate_limit
from ..context import state
from ..rate_limit import Networks
from ..views import language

if TYPE_CHECKING:
    from ...admin.pages import Console

blueprint = Blueprint("operator", __name__, url_prefix="/operator")

COOKIE, FOLDER = "operator", "/operator"
MAX_BODY = 64 * 1024
_OPEN = ("operator.sign_in", "operator.enter")
#: Where forms are sent to, and the page that has the form.
_FORMS = {
    "feeds/save": "/feeds/new",
    "feeds/remove": "/feeds/own",
    "feeds/undo": "/feeds/own",
    "issues/": "/issues",
    "accept-removals": "/",
}
#: What was done, as addresses say it: the page finds the words.
SAID = frozenset({"saved", "removed", "undone", "pause", "resume", "cancel", "retry", "test", "out", "accepted", "others"})


def console() -> Console:
    return Console.of(state().runtime)


def config() -> Config:
    """The one in force; the defaults before the first rescan, so that there is a page that says what is wrong."""
    return state().edition.config or Config()


def now() -> int:
    return int(time.time())


def ip() -> str:
    """The operator's; no more than the network of it is kept."""
    return rate_limit.show(rate_limit.client(request.environ, Networks(config().site.trusted_proxies)))


def number(name: str, default: int = 1) -> int:
    text = request.args.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 7 else default


# -- every request -----------------------------------------------------------


@blueprint.before_request
def guard() -> Answer | None:
    """None lets the request pass."""
    request.max_content_length = MAX_BODY
    if not state().runtime.environment.operator_token:
        return page("off.html", 404)
    if request.method not in ("GET", "HEAD") and not _from_here():
        return page("refused.html", 403)
    if request.endpoint in _OPEN:
        return None
    cookie = request.cookies.get(COOKIE, "")
    if not console().is_signed_in(cookie, now()):
        return _to_sign_in()
    g.operator = cookie
    if request.method not in ("GET", "HEAD") and not _has_key(cookie):
        return page("refused.html", 403)
    return None


def _from_here() -> bool:
    """Whether a page of this service sent the form, as far as the browser says (https://www.w3.org/TR/fetch-metadata/)."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc == request.host or origin == config().site.base_url


def _has_key(cookie: str) -> bool:
    return hmac.compare_digest(request.form.get("key", "").encode(), console().guard.form_key(cookie).encode())


def _to_sign_in() -> Answer:
    to = language.here(request) if request.method == "GET" else FOLDER + "/"
    return redirect(f"{FOLDER}/sign-in" + (f"?to={quote(to)}" if to != FOLDER + "/" else ""), 303)


@blueprint.after_request
def finish(answered: Response) -> Response:
    answered.headers["Cache-Control"] = "no-store"
    answered.headers["X-Robots-Tag"] = "noindex, nofollow"
    answered.headers["X-Frame-Options"] = "DENY"
    answered.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    answered.headers.pop("Access-Control-Allow-Origin", None)
    return answered


def page(template: str, status: int = 200, **values: Any) -> Answer:
    """A template of operator/. `key` is what its forms send back; `said` what was done just before."""
    cookie = g.get("operator", "")
    common = {
        "autodiscovery": (),
        "canonical": "",
        "signed_in": bool(cookie),
        "key": console().guard.form_key(cookie) if cookie else "",
        "said": request.args.get("said", "") if request.args.get("said") in SAID else "",
        "zone": config().site.timezone,
    }
    body = render_template(f"operator/{template}", **common | values)
    return Response(body, status, content_type="text/html; charset=utf-8")


@blueprint.app_template_filter("moment")
def moment(when: datetime | int | None) -> str:
    """A day and a time in the site's zone; a number is UTC seconds."""
    if when is None:
        return "–"
    zone = config().zone
    local = (datetime.fromtimestamp(when, zone) if isinstance(when, int) else when).astimezone(zone)
    gap = " " if g.language == "zh-CN" else ", "
    return f"{i18n.format_day(local, g.language)}{gap}{local:%H:%M}"


@blueprint.app_template_filter("decode")
def decode(select: str) -> str:
    """A selection as people read it."""
    return unquote(select)


def words(text: str) -> str:
    return i18n.translate(g.language, text)


def back(path: str, said: str = "") -> Answer:
    """To a page of the console, after a form."""
    mark = "&" if "?" in path else "?"
    return redirect(f"{FOLDER}{path}" + (f"{mark}said={said}" if said else ""), 303)


# -- in and out ----------------------------------------------------------------


@blueprint.get("/sign-in")
def sign_in() -> Answer:
    """The form that asks for the operator's token."""
    if console().is_signed_in(request.cookies.get(COOKIE, ""), now()):
        return back("/")
    return page("sign-in.html", to=request.args.get("to", ""), wrong=False)


@blueprint.post("/sign-in")
def enter() -> Answer:
    """Sign in with the token: a new session each time, so that nobody can have chosen its name before."""
    found = console().sign_in(request.form.get("token", ""), ip(), now())
    to = request.form.get("to", "")
    if found.wait:
        answered = page("sign-in.html", 429, to=to, wrong=False, minutes=-(-found.wait // 60))
        answered.headers["Retry-After"] = str(found.wait)
        return answered
    if not found.cookie:
        return page("sign-in.html", 403, to=to, wrong=True)
    inside = language.local(to)
    answered = redirect(inside if inside.startswith(FOLDER + "/") else FOLDER + "/", 303)
    secure = config().site.base_url.startswith("https:")
    answered.set_cookie(COOKIE, found.cookie, path=FOLDER, secure=secure, httponly=True, samesite="Lax")
    return answered


@blueprint.post("/sign-out")
def sign_out() -> Answer:
    """End the session."""
    console().sign_out(g.operator, ip(), now())
    answered = back("/sign-in", "out")
    answered.delete_cookie(COOKIE, path=FOLDER, httponly=True, samesite="Lax")
    return answered


@blueprint.get("/<path:rest>")
def nothing(rest: str) -> Answer:
    """404; where a form was sent to, the page that has the form: the switch between languages may come from its answer."""
    room = next((room for start, room in _FORMS.items() if rest.startswith(start)), None) or abort(404)
    return back(room)
