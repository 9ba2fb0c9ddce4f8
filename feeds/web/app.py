"""The application of a web worker: Flask behind the lane. Workers only read the catalog."""

from __future__ import annotations

import functools
import os
from pathlib import Path

import jinja2
from flask import Flask, Response, g, render_template, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as Answer

from .. import addresses
from ..config import Environment
from ..model import FACETS, PLURALS, Term
from ..service import FORMATS, Service, compress, split_format
from ..share import templates
from . import building, coming, digests, drawing, feeds, hub, operator, pages, readers, subscriptions, switch
from .answers import Cache
from .conditional import choose_encoding
from .lane import Current, Lane
from .languages import COOKIE, VARY, Languages, day, period
from .renewal import renew
from .state import KEY, Offered, State, state
from .turnstile import Turnstile

CACHE_BYTES = 32 * 1024 * 1024
#: How long style and scripts may be kept unasked: not much longer than pages that an upgrade changed with them.
STATIC_SECONDS = 600
_SECURITY = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; "
    "img-src 'self' http: https: data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def create() -> Lane:
    """For a server's factory option: the site is named by FEEDS_CONFIG."""
    return create_app(Environment.read(Path(os.environ.get("FEEDS_CONFIG", "config"))))


def create_app(environment: Environment) -> Lane:
    app = make_app(environment)
    here: State = app.extensions[KEY]
    return Lane(app.wsgi_app, here.cache, here.current, here.turnstile)


def make_app(environment: Environment, *, still: bool = False) -> Flask:
    """`still` as in `State`."""
    service = Service(environment)
    cache = Cache(CACHE_BYTES)
    current = Current(service.generation, service.edition, functools.partial(renew, cache, service.digests_at))
    turnstile = Turnstile(service.note_audience)
    app = Flask(__name__, template_folder=None, static_folder="static")
    app.extensions[KEY] = State(service, cache, current, Languages(), turnstile, Offered(service.paths), still)
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = STATIC_SECONDS
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False  # would answer 308, which some readers cannot follow
    _prepare_templates(app, environment.root)
    app.register_blueprint(feeds.blueprint)
    app.register_blueprint(building.blueprint)
    app.register_blueprint(digests.blueprint)
    app.register_blueprint(subscriptions.blueprint)
    app.register_blueprint(coming.blueprint)
    app.register_blueprint(hub.blueprint)
    app.register_blueprint(switch.blueprint)
    if not still:
        app.register_blueprint(operator.blueprint)
    app.register_blueprint(pages.blueprint)
    app.add_url_rule("/health", view_func=health)
    app.add_url_rule("/ready", view_func=ready)
    app.add_url_rule("/metrics", view_func=metrics)
    app.register_error_handler(HTTPException, _error_page)
    app.after_request(_finish)
    return app


def _prepare_templates(app: Flask, root: Path) -> None:
    """An operator's own template of the same name comes first."""
    loaders = [jinja2.FileSystemLoader(root / "templates" / "web"), jinja2.FileSystemLoader(templates() / "web")]
    app.jinja_loader = jinja2.ChoiceLoader(loaders)
    app.config["TEMPLATES_AUTO_RELOAD"] = True  # an operator sees an edited template at once
    app.jinja_options = {"undefined": jinja2.StrictUndefined, "trim_blocks": True, "lstrip_blocks": True}
    app.jinja_env.globals.update(facets=FACETS, formats=FORMATS, readers=readers.links)
    app.jinja_env.filters.update(
        day=lambda when: day(when, state().config.zone, g.language),
        local_day=lambda when: day(when, when.tzinfo, g.language),
        bars=drawing.bars,
        encode=addresses.encode,
        period=lambda one: period(one.year, one.month, g.language),
        slug=addresses.slug,
    )
    app.before_request(_choose_language)
    app.context_processor(_context)


def _choose_language() -> None:
    if request.endpoint in ("health", "ready"):  # they must answer where the catalog does not
        return
    here = state()
    config = here.current.edition().config
    default = config.site.language if config else "en"
    g.language = here.languages.choose(request.cookies.get(COOKIE, ""), request.accept_languages, default)


def _context() -> dict[str, object]:
    """`service` is what begins the address of a form: "" on the service itself; None where there is none to link to."""
    here = state()
    edition = here.current.edition()
    site = edition.config.site if edition.config else None
    newsletter = edition.config is not None and edition.config.newsletter.enabled
    service = "" if not here.still else (site.service_url if site else "") or None
    return {
        "_": lambda text: here.languages.translate(g.language, text),
        "language": g.language,
        "spoken": {} if here.still else switch.NAMES,
        "here": switch.here(request),
        "site": site,
        "shown_facets": [f for n, f in FACETS.items() if edition.config and edition.config.feeds.facet(n).enabled],
        "service": service,
        "searchable": site is not None and not here.still,
        "builder": edition.config is not None and edition.config.feeds.select.enabled and service is not None,
        "own_hub": edition.config is not None and edition.config.feeds.websub.hub == "builtin" and service is not None,
        "past_digests": newsletter,
        "by_mail": newsletter and service is not None,
        "has_page": here.has_page,
    }


def _error_page(error: HTTPException) -> Answer:
    if isinstance(error.response, Answer):  # a redirect
        return error.response
    similar = _similar() if error.code == 404 else []
    body = render_template("error.html", code=error.code, similar=similar, autodiscovery=(), canonical="")
    answered = Response(body, error.code, content_type="text/html; charset=utf-8")
    for name, value in error.get_headers(request.environ):
        if name not in ("Content-Type", "Content-Length"):
            answered.headers[name] = value
    if error.code == 503:
        answered.headers["Retry-After"] = "5"
    answered.headers["Access-Control-Allow-Origin"] = "*"  # a reader in a browser wants to know what went wrong, too
    answered.headers["Cache-Control"] = _keep(error.code or 500)
    return answered


def _keep(code: int) -> str:
    """How long an error may be kept: what is gone stays so, what is not there may come, the rest is of this moment."""
    if request.method not in ("GET", "HEAD") or code == 429 or code >= 500:
        return "no-store"
    return "public, max-age=300" if code == 410 else "public, max-age=60"


def _similar() -> list[Term]:
    """Terms that the reader may have meant."""
    here = state()
    folder, _, name = request.path.strip("/").partition("/")
    facet = PLURALS.get(folder.casefold())
    config = here.current.edition().config
    if facet is None or not name or config is None or len(name) > 200 or not name.isprintable():
        return []
    stem, format = split_format(name)
    found = here.service.similar(facet.name, addresses.unslug(stem if format else name))
    return [term for term in found if config.has_feed(term.facet, term.path)]


def _finish(answered: Response) -> Response:
    """Headers of every answer; compression and validators of pages."""
    if request.method == "OPTIONS" and request.blueprint != operator.blueprint.name:
        answered.headers["Access-Control-Allow-Origin"] = "*"
        answered.headers["Access-Control-Allow-Methods"] = answered.headers.get("Allow", "GET, HEAD, OPTIONS")
        answered.headers["Access-Control-Allow-Headers"] = "If-None-Match, If-Modified-Since, Cache-Control"
        answered.headers["Access-Control-Max-Age"] = "86400"
    if 300 < answered.status_code < 304 or answered.status_code == 308:
        # Without a word, a 301 may be kept for ever (RFC 9111 section 4.2.2).
        answered.headers.setdefault("Cache-Control", "public, max-age=300" if request.method in ("GET", "HEAD") else "no-store")
    if answered.mimetype != "text/html":
        return answered
    for name, value in _SECURITY.items():
        answered.headers.setdefault(name, value)
    answered.headers["Content-Language"] = g.language
    vary = answered.headers.get("Vary") or VARY
    answered.headers["Vary"] = vary
    if answered.status_code != 200 or request.method not in ("GET", "HEAD") or request.blueprint == operator.blueprint.name:
        return answered  # what a session's key stands in is not compressed: its length would tell of it
    encoding = choose_encoding(request.headers.get("Accept-Encoding"))
    answered.set_data(compress(answered.get_data(), encoding))
    if encoding != "identity":
        answered.headers["Content-Encoding"] = encoding
    answered.add_etag()
    made = answered.make_conditional(request)
    assert isinstance(made, Response)
    return made


def health() -> Answer:
    """Liveness: the process answers."""
    return Response("ok\n", content_type="text/plain", headers={"Cache-Control": "no-store"})


def ready() -> Answer:
    """Readiness: the catalog answers and holds something to serve."""
    try:
        generation = state().service.generation()
        text, status = ("ready\n", 200) if generation > 0 else ("no rescan has finished yet\n", 503)
    except Exception as error:  # whatever the database has to say, this process cannot serve
        text, status = f"the catalog cannot be read ({type(error).__name__})\n", 503
    headers = {"Cache-Control": "no-store"} | ({"Retry-After": "5"} if status == 503 else {})
    return Response(text, status, content_type="text/plain", headers=headers)


def metrics() -> Answer:
    """Figures for Prometheus; who may look is the setting `metrics`."""
    from . import metrics as module  # only where somebody asks: its library is as large as Flask

    return module.figures()
