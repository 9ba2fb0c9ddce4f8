"""The application factory: Flask with its blueprints, templates and hooks, behind the fast path.

A new page is a view in a module of `views` (or `console`) and a template; a new module is one line in BLUEPRINTS. Done here for
all pages: language, what templates know of the site, limit on bodies, security headers, compression, validators, error pages.
"""

from __future__ import annotations

import functools
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

import jinja2
from flask import Flask, Response, abort, g, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as Answer

from .. import i18n, logs, urls
from ..audience import requests
from ..config.environment import Environment
from ..counters import STARTS
from ..feed_formats import load_formats
from ..model import FACETS, Article
from ..monitoring.health import check_readiness
from ..resources import TEMPLATES
from ..runtime import Runtime
from ..syndication import feed_states
from ..syndication.documents import FragmentCache, compress
from ..syndication.searches import SearchCache
from ..syndication.term_stats import TermStatsCache
from . import charts, console, errors, pictures
from .access_log import PART, AccessLog
from .application import KEY, Application, application
from .article_body import article_body
from .body_limit import MAX_BODY
from .cache import ResponseCache, revalidate
from .cards import Cards, Macro, mark_of_templates
from .conditional import VARY, negotiate_encoding
from .fast_path import EditionPoller, FastPath
from .origin import refuse_unless_own
from .rate_limit import RateLimiter
from .security_txt import current_security_txt
from .views import feeds, files, language, newsletter, pages, search, select, web_readers

#: Every group of pages; the console's is left out of a static site.
BLUEPRINTS = (
    feeds.blueprint,
    files.blueprint,
    select.blueprint,
    newsletter.archive_blueprint,
    newsletter.blueprint,
    newsletter.preview_blueprint,
    feeds.hub_blueprint,
    language.blueprint,
    search.blueprint,
    pages.blueprint,
    console.blueprint,
)
CACHE_BYTES = 32 * 1024 * 1024
#: Memory for cards: of a worker, which shows some articles again and again, and of an export, which shows each in ten lists.
CARD_BYTES, STATIC_CARD_BYTES = 4 * 1024 * 1024, 48 * 1024 * 1024
#: Entries that are kept for the feeds that show them, too.
FRAGMENT_BYTES = 8 * 1024 * 1024
#: Terms whose statistics are kept in a worker: of a term with articles in each of 15 years 20 kilobytes, of most a few.
TERM_STATS = 200
#: How long style and scripts may be kept without asking: not much longer than pages that an upgrade changed with them.
STATIC_SECONDS = 600
_MONITORS = ("health", "ready", "metrics")
_SECURITY = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; "
    "img-src 'self' http: https: data:; media-src 'self' http: https:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
}


def create() -> FastPath:
    """Return the application of a worker process, for a server's factory option; FEEDS_CONFIG names the site."""
    environment = Environment.read(Path(os.environ.get("FEEDS_CONFIG", "config")))
    logs.configure(environment.log, secrets=logs.secrets_of(*environment.secrets))
    app = create_app(environment)
    app.limiter.stats.measure(STARTS, "web")
    return app


def create_app(environment: Environment) -> FastPath:
    """Return the WSGI application: the fast path in front of Flask."""
    flask = make_app(environment)
    app: Application = flask.extensions[KEY]
    access_log = AccessLog(app.limiter, everything=environment.access_log)
    return FastPath(flask.wsgi_app, app.cache, app.editions, app.limiter, access_log)


def make_app(environment: Environment, *, static: bool = False) -> Flask:
    """Return the Flask application; `static` as in `Application`."""
    runtime = Runtime(environment)
    cache = ResponseCache(CACHE_BYTES)
    runtime.watch.report_to(logs.report_database)
    poller = EditionPoller(
        runtime.generation,
        runtime.edition,
        functools.partial(revalidate, cache, lambda paths: runtime.read(feed_states.find_digests, paths)),
    )
    limiter = RateLimiter(lambda batch: runtime.count(requests.add_batch, batch))
    flask = Flask(__name__, template_folder=None, static_folder="static")
    cards, searches = Cards(STATIC_CARD_BYTES if static else CARD_BYTES), SearchCache()
    stats, fragments = TermStatsCache(TERM_STATS), FragmentCache(FRAGMENT_BYTES)
    flask.extensions[KEY] = Application(runtime, cache, poller, limiter, cards, searches, stats, fragments, static)
    flask.config["SEND_FILE_MAX_AGE_DEFAULT"] = STATIC_SECONDS
    flask.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    flask.url_map.strict_slashes = False
    flask.url_map.merge_slashes = False  # would answer 308, which some readers cannot follow
    _prepare_templates(flask, environment.root, reload=not static)
    for blueprint in BLUEPRINTS:
        if not static or blueprint is not console.blueprint:
            flask.register_blueprint(blueprint)
    flask.add_url_rule("/health", view_func=health)
    flask.add_url_rule("/ready", view_func=ready)
    flask.add_url_rule("/metrics", view_func=metrics)
    flask.add_url_rule("/.well-known/security.txt", view_func=well_known)
    flask.register_error_handler(HTTPException if static else Exception, errors.handle_error)  # an export wants to know itself
    flask.before_request(_choose_language)
    flask.before_request(refuse_unless_own)
    if not static:  # files have no headers
        flask.after_request(_finish)
    return flask


def _prepare_templates(flask: Flask, root: Path, *, reload: bool) -> None:
    """An operator's own template of the same name comes first; with `reload` an edited one shows at once."""
    loaders = [jinja2.FileSystemLoader(root / "templates" / "web"), jinja2.FileSystemLoader(TEMPLATES / "web")]
    flask.jinja_loader = jinja2.ChoiceLoader(loaders)
    flask.config["TEMPLATES_AUTO_RELOAD"] = reload
    flask.jinja_options = {"undefined": jinja2.StrictUndefined, "trim_blocks": True, "lstrip_blocks": True}
    own, ours = str(root / "templates" / "web"), flask.jinja_env.get_template

    def cards(macro: Macro, articles: Sequence[Article], level: int) -> str:
        app = application()
        mark = app.settings_mark(), ours("parts.html"), mark_of_templates(own) if reload else ()
        return app.cards.join(mark, g.language, macro, articles, level)

    flask.jinja_env.globals.update(cards=cards, facets=FACETS, formats=load_formats(), readers=web_readers)
    flask.jinja_env.filters.update(
        day=lambda when: i18n.format_day(when.astimezone(application().config.zone), g.language),
        local_day=lambda when: i18n.format_day(when, g.language),
        bars=charts.sparkline,
        direction=i18n.text_direction,
        encode=urls.encode,
        article_body=article_body,
        lazy_pictures=pictures.lazy_pictures,
        language_name=i18n.language_name,
        period=lambda one: i18n.format_period(one.year, one.month, g.language),
        slug=urls.slug,
    )
    flask.context_processor(_template_values)


def _choose_language() -> None:
    """Before each request. Monitors are answered also where the catalog is not."""
    if request.endpoint in _MONITORS:
        return
    app = application()
    config = app.editions.latest().config
    app.limiter.adopt(config)
    g.language = language.choose_language(request, config.site.language if config else "en")
    if request.method not in ("GET", "HEAD", "OPTIONS"):
        app.runtime.watch.refuse()


def _template_values() -> dict[str, object]:
    """Return what every template knows. `service` begins the address of a form; None on a static site without one."""
    app = application()
    config = app.editions.latest().config
    site = config.site if config else None
    service = ((site and site.service_url) or None) if app.static else ""
    newsletter_on = config is not None and config.newsletter.enabled
    paths = functools.cache(app.feed_paths)  # not before a template asks: a page may say that the database is away
    return {
        "_": functools.partial(i18n.translate, g.language),
        "language": g.language,
        "spoken": {} if app.static else language.NAMES,
        "here": language.return_address(request),
        "site": site,
        "shown_facets": [facet for name, facet in FACETS.items() if config and config.feeds.facet(name).enabled],
        "service": service,
        "searchable": site is not None and not app.static,
        "builder": config is not None and config.feeds.select.enabled and service is not None,
        "own_hub": config is not None and config.feeds.websub.hub == "builtin" and service is not None,
        "past_digests": newsletter_on,
        "by_mail": newsletter_on and service is not None,
        "has_page": lambda term: term.path in paths(),
    }


def _finish(response: Response) -> Response:
    """After each request: headers of every response; compression and validators of pages."""
    request.environ[PART] = request.blueprint or ("monitor" if request.endpoint in _MONITORS else request.endpoint or "none")
    if request.method == "OPTIONS" and request.blueprint != console.blueprint.name:
        response.headers["Access-Control-Allow-Origin"] = "*"
        response.headers["Access-Control-Allow-Methods"] = response.headers.get("Allow", "GET, HEAD, OPTIONS")
        response.headers["Access-Control-Allow-Headers"] = "If-None-Match, If-Modified-Since, Cache-Control"
        response.headers["Access-Control-Max-Age"] = "86400"
    if 300 < response.status_code < 304 or response.status_code == 308:
        # Without Cache-Control, a 301 may be kept for ever (RFC 9111 section 4.2.2).
        response.headers.setdefault("Cache-Control", "public, max-age=300" if request.method in ("GET", "HEAD") else "no-store")
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    if response.mimetype != "text/html":
        return response
    for name, value in _SECURITY.items():
        response.headers.setdefault(name, value)
    if "language" in g:  # responses to monitors have none, and Flask's to OPTIONS is called a page
        response.headers["Content-Language"] = g.language
    response.headers["Vary"] = response.headers.get("Vary") or VARY
    if response.status_code != 200 or request.method not in ("GET", "HEAD") or request.blueprint == console.blueprint.name:
        return response  # a page that holds a session's key is not compressed: its length would disclose it (BREACH)
    encoding = negotiate_encoding(request.headers.get("Accept-Encoding"))
    response.set_data(compress(response.get_data(), encoding))
    if encoding != "identity":
        response.headers["Content-Encoding"] = encoding
    response.add_etag()
    conditional = response.make_conditional(request)
    assert isinstance(conditional, Response)
    return conditional


def health() -> Answer:
    """Liveness: the process answers; on request in JSON, which names a database that is not as it should be."""
    headers = {"Cache-Control": "no-store"}
    if _wants_json():
        fault = application().runtime.watch.latest().words
        body = json.dumps({"alive": True, "degraded": {"database": fault} if fault else {}}) + "\n"
        return Response(body, content_type="application/json", headers=headers)
    return Response("ok\n", content_type="text/plain", headers=headers)


def ready() -> Answer:
    """Readiness: 503 where nothing can be served, else 200 with what is not as it should be; JSON on request."""
    found = check_readiness(application().runtime, time.time())
    headers = {"Cache-Control": "no-store"} | ({"Retry-After": str(errors.RETRY_AFTER)} if found.fault else {})
    status = 503 if found.fault else 200
    if _wants_json():
        fault = {"fault": found.fault} if found.fault else {}
        body = json.dumps({"ready": not found.fault, **fault, "degraded": dict(found.degraded)}) + "\n"
        return Response(body, status, content_type="application/json", headers=headers)
    lines = [found.fault or "ready", *(f"degraded: {fact}: {words}" for fact, words in found.degraded.items())]
    return Response("\n".join(lines) + "\n", status, content_type="text/plain; charset=utf-8", headers=headers)


def _wants_json() -> bool:
    return request.accept_mimetypes.best_match(("text/plain", "application/json")) == "application/json"


def well_known() -> Answer:
    """security.txt (RFC 9116), where the setting `security_contact` is not empty."""
    text = current_security_txt(application().config) or abort(404)
    return Response(text, content_type="text/plain; charset=utf-8", headers={"Cache-Control": "public, max-age=86400"})


def metrics() -> Answer:
    """Figures for Prometheus; who may look is the setting `metrics`."""
    from .views import monitoring  # only where it is requested: its library is as large as Flask

    return monitoring.metrics()
