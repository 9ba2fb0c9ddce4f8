"""The application of a web worker: Flask behind the lane. Workers only read the catalog."""

from __future__ import annotations

import functools
import json
import os
import time
from pathlib import Path

import jinja2
from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as Answer

from .. import i18n, logs, urls
from ..audience import requests
from ..config.environment import Environment
from ..counters import STARTS
from ..formats import load_formats
from ..model import FACETS
from ..monitoring import health as _health_module
from ..resources import templates
from ..runtime import Runtime
from ..syndication import documents, editions
from ..syndication.documents import compress
from . import admin, charts, errors, rate_limit
from .access_log import PART, Journal
from .body_limit import MAX_BODY, Bodies
from .cache import Cache, renew
from .conditional import VARY, choose_encoding
from .context import KEY, Offered, State, state
from .fast_path import Current, Lane
from .rate_limit import Turnstile
from .views import digests, feeds, hub, language, pages, select
from .views import newsletter as coming
from .views import newsletter as subscriptions

CACHE_BYTES = 32 * 1024 * 1024
#: How long style and scripts may be kept unasked: not much longer than pages that an upgrade changed with them.
STATIC_SECONDS = 600
_MONITORS = ("health", "ready", "metrics")
_SECURITY = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; "
    "img-src 'self' http: https: data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
}


def create() -> Lane:
    """For a server's factory option: the site is named by FEEDS_CONFIG."""
    environment = Environment.read(Path(os.environ.get("FEEDS_CONFIG", "config")))
    logs.configure(environment.log, secrets=logs.secrets_of(*environment.secrets))
    lane = create_app(environment)
    lane.turnstile.tally.measure(STARTS, "web")
    return lane


def create_app(environment: Environment) -> Lane:
    app = make_app(environment)
    here: State = app.extensions[KEY]
    journal = Journal(here.turnstile, lambda: here.current.edition().config, everything=environment.access_log)
    return Lane(app.wsgi_app, here.cache, here.current, here.turnstile, journal)


def make_app(environment: Environment, *, still: bool = False) -> Flask:
    """`still` as in `State`."""
    runtime = Runtime(environment)
    cache = Cache(CACHE_BYTES)
    current = Current(
        lambda: runtime.read(editions.generation),
        runtime.edition,
        functools.partial(renew, cache, lambda paths: runtime.read(documents.digests_at, paths)),
    )
    turnstile = Turnstile(lambda batch: runtime.count(requests.add, batch))
    app = Flask(__name__, template_folder=None, static_folder="static")
    app.extensions[KEY] = State(runtime, cache, current, turnstile, Offered(lambda: runtime.read(documents.paths)), still)
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = STATIC_SECONDS
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.wsgi_app = Bodies(app.wsgi_app, lambda environ: rate_limit.client(environ, turnstile.proxies))  # type: ignore[method-assign]
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False  # would answer 308, which some readers cannot follow
    _prepare_templates(app, environment.root)
    app.register_blueprint(feeds.blueprint)
    app.register_blueprint(select.blueprint)
    app.register_blueprint(digests.blueprint)
    app.register_blueprint(subscriptions.blueprint)
    app.register_blueprint(coming.preview_blueprint)
    app.register_blueprint(hub.blueprint)
    app.register_blueprint(language.blueprint)
    if not still:
        app.register_blueprint(admin.blueprint)
    app.register_blueprint(pages.blueprint)
    app.add_url_rule("/health", view_func=health)
    app.add_url_rule("/ready", view_func=ready)
    app.add_url_rule("/metrics", view_func=metrics)
    app.register_error_handler(HTTPException if still else Exception, errors.answer)  # an export wants to know itself
    app.after_request(_finish)
    return app


def _prepare_templates(app: Flask, root: Path) -> None:
    """An operator's own template of the same name comes first."""
    loaders = [jinja2.FileSystemLoader(root / "templates" / "web"), jinja2.FileSystemLoader(templates() / "web")]
    app.jinja_loader = jinja2.ChoiceLoader(loaders)
    app.config["TEMPLATES_AUTO_RELOAD"] = True  # an operator sees an edited template at once
    app.jinja_options = {"undefined": jinja2.StrictUndefined, "trim_blocks": True, "lstrip_blocks": True}
    app.jinja_env.globals.update(facets=FACETS, formats=load_formats(), readers=pages.links)
    app.jinja_env.filters.update(
        day=lambda when: i18n.format_day(when.astimezone(state().config.zone), g.language),
        local_day=lambda when: i18n.format_day(when, g.language),
        bars=charts.bars,
        encode=urls.encode,
        period=lambda one: i18n.format_period(one.year, one.month, g.language),
        slug=urls.slug,
    )
    app.before_request(_choose_language)
    app.context_processor(_context)


def _choose_language() -> None:
    if request.endpoint in _MONITORS:  # they must answer where the catalog does not
        return
    here = state()
    config = here.current.edition().config
    here.turnstile.adopt(config)
    default = config.site.language if config else "en"
    g.language = language.choose_language(request, default)


def _context() -> dict[str, object]:
    """`service` is what begins the address of a form: "" on the service itself; None where there is none to link to."""
    here = state()
    edition = here.current.edition()
    site = edition.config.site if edition.config else None
    newsletter = edition.config is not None and edition.config.newsletter.enabled
    service = "" if not here.still else (site.service_url if site else "") or None
    return {
        "_": lambda text: i18n.translate(g.language, text),
        "language": g.language,
        "spoken": {} if here.still else language.NAMES,
        "here": language.here(request),
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


def _finish(answered: Response) -> Response:
    """Headers of every answer; compression and validators of pages."""
    request.environ[PART] = request.blueprint or ("monitor" if request.endpoint in _MONITORS else request.endpoint or "none")
    if request.method == "OPTIONS" and request.blueprint != admin.blueprint.name:
        answered.headers["Access-Control-Allow-Origin"] = "*"
        answered.headers["Access-Control-Allow-Methods"] = answered.headers.get("Allow", "GET, HEAD, OPTIONS")
        answered.headers["Access-Control-Allow-Headers"] = "If-None-Match, If-Modified-Since, Cache-Control"
        answered.headers["Access-Control-Max-Age"] = "86400"
    if 300 < answered.status_code < 304 or answered.status_code == 308:
        # Without a word, a 301 may be kept for ever (RFC 9111 section 4.2.2).
        answered.headers.setdefault("Cache-Control", "public, max-age=300" if request.method in ("GET", "HEAD") else "no-store")
    answered.headers.setdefault("X-Content-Type-Options", "nosniff")
    if answered.mimetype != "text/html":
        return answered
    for name, value in _SECURITY.items():
        answered.headers.setdefault(name, value)
    if "language" in g:  # what monitors ask has none, and Flask calls its answer to OPTIONS a page
        answered.headers["Content-Language"] = g.language
    vary = answered.headers.get("Vary") or VARY
    answered.headers["Vary"] = vary
    if answered.status_code != 200 or request.method not in ("GET", "HEAD") or request.blueprint == admin.blueprint.name:
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
    """Readiness: 503 where nothing can be served, else 200 with what is not as it should be; JSON for who accepts it."""
    found = _health_module.readiness(state().runtime.engine, time.time())
    headers = {"Cache-Control": "no-store"} | ({"Retry-After": str(errors.RETRY_AFTER)} if found.fault else {})
    status = 503 if found.fault else 200
    if request.accept_mimetypes.best_match(("text/plain", "application/json")) == "application/json":
        return Response(json.dumps(found.as_json()) + "\n", status, content_type="application/json", headers=headers)
    lines = [found.fault or "ready", *(f"degraded: {fact}: {words}" for fact, words in found.degraded.items())]
    return Response("\n".join(lines) + "\n", status, content_type="text/plain; charset=utf-8", headers=headers)


def metrics() -> Answer:
    """Figures for Prometheus; who may look is the setting `metrics`."""
    from .views import monitoring as module  # only where somebody asks: its library is as large as Flask

    return module.figures()
