"""Sign-in to the console, and the guard of its pages: session, CSRF token in every form, headers for browsers and caches."""

from __future__ import annotations

import hmac
import time
from datetime import datetime
from typing import Any
from urllib.parse import quote, unquote

from flask import Blueprint, Response, abort, g, redirect, render_template, request
from werkzeug.wrappers import Response as Answer

from ... import i18n
from ...admin import sessions
from ...admin.actions import Operator
from ...admin.sessions import SessionKeys
from ...config.models import Config
from ..application import application
from ..rate_limit import Networks, client_address, format_address
from ..views import language

blueprint = Blueprint("operator", __name__, url_prefix="/operator")

COOKIE, FOLDER = "operator", "/operator"
#: The cookie by which a browser that has signed in is known again, and how long it is kept (seconds).
BROWSER, BROWSER_SECONDS = "operator-browser", 400 * 86400
_WITHOUT_SESSION = ("operator.sign_in", "operator.enter")
#: Where forms are sent to, and the page that has the form.
_FORMS = {
    "feeds/save": "/feeds/new",
    "feeds/remove": "/feeds/own",
    "feeds/undo": "/feeds/own",
    "issues/": "/issues",
    "accept-removals": "/",
}
#: Words for `said` in addresses: what was done just before, which the page says in full.
SAID = frozenset({"saved", "removed", "undone", "pause", "resume", "cancel", "retry", "test", "out", "accepted", "others"})


def config() -> Config:
    """Return the configuration in force; the defaults before the first rescan, so that a page can say what is wrong."""
    return application().edition.config or Config()


def operator() -> Operator:
    """Return who acts in this request, and when."""
    address = client_address(request.environ, Networks(config().site.trusted_proxies))
    return Operator(application().runtime, format_address(address), int(time.time()))


def number_arg(name: str) -> int:
    """Return a number of the address, 1 where there is none."""
    text = request.args.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 7 else 1


@blueprint.before_request
def guard() -> Answer | None:
    """Let the request pass (None), or answer it: 404 without a token, 303 to the sign-in, 403 without the session's key."""
    app = application()
    if not app.runtime.environment.console_token:
        return page("off.html", 404, weak=bool(app.runtime.environment.operator_token))
    changes = request.method not in ("GET", "HEAD")
    if request.endpoint in _WITHOUT_SESSION:
        return None
    cookie, keys = request.cookies.get(COOKIE, ""), SessionKeys.of(app.runtime)
    if not sessions.is_signed_in(app.runtime, keys, cookie, int(time.time())):
        to = language.return_address(request) if request.method == "GET" else FOLDER + "/"
        return redirect(f"{FOLDER}/sign-in" + (f"?to={quote(to)}" if to != FOLDER + "/" else ""), 303)
    g.operator = cookie
    if changes and not hmac.compare_digest(request.form.get("key", "").encode(), keys.csrf_token(cookie).encode()):
        return page("refused.html", 403)
    return None


@blueprint.after_request
def finish(response: Response) -> Response:
    """Set headers of every response: nothing is cached, indexed or framed."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    response.headers["X-Frame-Options"] = "DENY"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    response.headers.pop("Access-Control-Allow-Origin", None)
    return response


def page(template: str, status: int = 200, **values: Any) -> Answer:
    """Render a template of operator/. `key` is the CSRF token of its forms; `said` names what was done just before."""
    cookie = g.get("operator", "")
    common = {
        "autodiscovery": (),
        "canonical": "",
        "signed_in": bool(cookie),
        "key": SessionKeys.of(application().runtime).csrf_token(cookie) if cookie else "",
        "said": request.args.get("said", "") if request.args.get("said") in SAID else "",
        "zone": config().site.timezone,
    }
    body = render_template(f"operator/{template}", **common | values)
    return Response(body, status, content_type="text/html; charset=utf-8")


def back(path: str, said: str = "") -> Answer:
    """Redirect to a page of the console after a form."""
    mark = "&" if "?" in path else "?"
    return redirect(f"{FOLDER}{path}" + (f"{mark}said={said}" if said else ""), 303)


@blueprint.app_template_filter("moment")
def moment(when: datetime | int | None) -> str:
    """Return a day and a time in the site's zone; a number is UTC seconds."""
    if when is None:
        return "–"
    zone = config().zone
    local = (datetime.fromtimestamp(when, zone) if isinstance(when, int) else when).astimezone(zone)
    gap = " " if g.language == "zh-CN" else ", "
    return f"{i18n.format_day(local, g.language)}{gap}{local:%H:%M}"


#: A selection as people read it.
blueprint.add_app_template_filter(unquote, "decode")


@blueprint.get("/sign-in")
def sign_in() -> Answer:
    """The form that asks for the operator's token."""
    runtime = application().runtime
    if sessions.is_signed_in(runtime, SessionKeys.of(runtime), request.cookies.get(COOKIE, ""), int(time.time())):
        return back("/")
    return page("sign-in.html", to=request.args.get("to", ""), wrong=False)


@blueprint.post("/sign-in")
def enter() -> Answer:
    """Sign in with the token: a new session each time, so that nobody can have chosen its name before."""
    who = operator()
    keys = SessionKeys.of(who.runtime)
    browser = keys.known_browser(request.cookies.get(BROWSER, ""))
    found = who.runtime.write(sessions.sign_in, keys, request.form.get("token", ""), who.ip, who.now, browser)
    to = request.form.get("to", "")
    if found.wait:
        refusal = page("sign-in.html", 429, to=to, wrong=False, minutes=-(-found.wait // 60))
        refusal.headers["Retry-After"] = str(found.wait)
        return refusal
    if not found.cookie:
        return page("sign-in.html", 403, to=to, wrong=True)
    inside = language.local_address(to)
    response = redirect(inside if inside.startswith(FOLDER + "/") else FOLDER + "/", 303)
    secure = config().site.base_url.startswith("https:")
    cookies = [(COOKIE, found.cookie, None)] + ([] if browser else [(BROWSER, keys.new_browser(), BROWSER_SECONDS)])
    for name, value, seconds in cookies:
        response.set_cookie(name, value, seconds, path=FOLDER, secure=secure, httponly=True, samesite="Lax")
    return response


@blueprint.post("/sign-out")
def sign_out() -> Answer:
    """End the session."""
    who = operator()
    who.runtime.write(sessions.sign_out, SessionKeys.of(who.runtime), g.operator, who.ip, who.now)
    response = back("/sign-in", "out")
    response.delete_cookie(COOKIE, path=FOLDER, httponly=True, samesite="Lax")
    return response


@blueprint.get("/<path:rest>")
def nothing(rest: str) -> Answer:
    """404; where a form was sent to, the page that has the form: the switch between languages may come from its answer."""
    form = next((form for start, form in _FORMS.items() if rest.startswith(start)), None) or abort(404)
    return back(form)
