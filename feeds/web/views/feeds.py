"""Feed documents, OPML, and the endpoint of the WebSub hub: it stores requests, and the clock's process does the rest."""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import parse_qs

from flask import Blueprint, Response, abort, request
from werkzeug.datastructures import Headers
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.wrappers import Response as Answer

from ...counters import RENDER
from ...errors import AddressError, SelectionError
from ...feed_formats import Format
from ...model import PLURALS, FeedState
from ...syndication import documents, lookup
from ...syndication.lookup import Document, Elsewhere, Gone
from ...websub.requests import Reply, receive
from ..application import application
from ..body_limit import MAX_BODY
from ..cache import CachedDocument
from ..conditional import decide, etags
from ..origin import from_anywhere
from ..rate_limit import client_address, format_network
from . import made_on_request, moved_permanently, render_page

blueprint = Blueprint("feeds", __name__)
hub_blueprint = Blueprint("hub", __name__)
#: Of a request to the hub.
MAX_FIELDS = 1000
FORM = "application/x-www-form-urlencoded"
#: Looks a document up; its argument says for which states of the feed the body can be left out.
Find = Callable[[Callable[[FeedState], bool]], Document | Elsewhere | Gone]


class _ExactResponse(Response):
    """Sent with the headers that it was given, as on the fast path; Werkzeug would take Last-Modified from a 304."""

    default_mimetype = None
    automatically_set_content_length = False

    def get_wsgi_headers(self, environ: object) -> Headers:
        return self.headers


def feed_document(path: str, format: Format) -> Answer:
    """Return the feed at `path` (without extension) in one format."""
    if request.path != f"/{path}{format.extension}":  # another case of the extension
        return moved_permanently(path, format.extension)
    app = application()
    key = request.environ["PATH_INFO"]
    return find_document(
        key,
        format,
        lambda known: app.runtime.read(lookup.find_document, app.edition, path, format, known, app.fragments),
    )


def find_document(key: str, format: Format, find: Find) -> Answer:
    """Return the document that `find` finds, cached under `key`, without a body if none is sent. Raises SelectionError."""
    app = application()
    max_age, cached = app.config.max_age, app.cache.get(key)

    def is_known(state: FeedState) -> bool:
        if cached is not None and cached.digest == state.digest and cached.can_answer(request.environ):
            return True
        tags = etags(state.digest, format.name)  # a 304 or 412 is known before anything is rendered
        return decide(request.environ, tags, tags[0], state.changed) != 200

    begun = time.perf_counter()
    try:
        found = find(is_known)
    except SelectionError:
        raise
    except AddressError:
        abort(404)
    if isinstance(found, Elsewhere):
        return moved_permanently(found.path, format.extension, found.query)
    if isinstance(found, Gone):
        abort(410)
    known = cached
    if cached is None or cached.digest != found.digest or found.body is not None:
        cached = CachedDocument.of(found, max_age)
    if found.body is not None:
        app.limiter.stats.measure(RENDER, format.name, seconds=time.perf_counter() - begun)
    cached.generation, cached.groups = found.generation, found.groups
    status, headers, body = app.limiter.respond(cached, request.environ, app.edition)
    if cached is not known:  # after the response, which decides in which coding it is kept
        app.cache.put(key, cached)
    return _ExactResponse(body, status, headers)


@blueprint.get("/feeds.opml")
@blueprint.get("/<plural>.opml")
def opml_list(plural: str = "feeds") -> Answer:
    """All feeds, or those of one facet (`/tags.opml`), as an OPML list, to import into a reader."""
    app = application()
    if plural != plural.casefold() and plural.casefold() in (*PLURALS, "feeds"):
        return moved_permanently(plural.casefold(), ".opml")
    if plural != "feeds" and (plural not in PLURALS or not app.config.feeds.facet(PLURALS[plural].name).enabled):
        abort(404)
    body = app.runtime.read(documents.opml, app.config, PLURALS.get(plural))
    return made_on_request(body, "text/x-opml; charset=utf-8", {"Content-Disposition": f'inline; filename="{plural}.opml"'})


@hub_blueprint.post("/hub")
@from_anywhere
def ask() -> Answer:
    """The WebSub hub: a subscriber asks to be pushed a feed, or to be left alone."""
    app = application()
    if app.config.feeds.websub.hub != "builtin":
        abort(404)
    reply = Reply(415, f"the body must be {FORM}\n")
    if request.mimetype == FORM:
        try:
            # Werkzeug would leave bytes that are not UTF-8 percent-encoded: a secret would silently be another one.
            body = request.get_data().decode("utf-8", "replace")
            form = parse_qs(body, keep_blank_values=True, errors="replace", max_num_fields=MAX_FIELDS)
        except (RequestEntityTooLarge, ValueError):
            reply = Reply(413, f"the body must have at most {MAX_BODY} bytes and {MAX_FIELDS} fields\n")
        else:
            network = format_network(client_address(request.environ, app.limiter.proxies))
            hashed = app.runtime.tokens().salted(f"network:{network}")
            reply = receive(app.runtime.engine, app.edition, form, hashed, int(time.time()))
    response = Response(reply.text, reply.status, content_type="text/plain; charset=utf-8")
    response.headers["Cache-Control"] = "no-store"
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["X-Content-Type-Options"] = "nosniff"
    if reply.retry_after:
        response.headers["Retry-After"] = str(reply.retry_after)
    return response


@hub_blueprint.get("/hub")
def about() -> Answer:
    """What the hub is, for people who come across its address."""
    config = application().config
    if config.feeds.websub.hub != "builtin":
        abort(404)
    return render_page("hub.html", hub=config.hub_url, limits=config.feeds.websub)
