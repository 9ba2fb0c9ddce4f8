"""The feed builder: any selection as a feed document, and the page on which people put one together.

The page works without JavaScript: every step is a link or a form with GET, and the address holds the whole selection.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode

from flask import Blueprint, Response, abort, jsonify, redirect, request
from werkzeug.wrappers import Response as Answer

from ... import selections, urls
from ...config.load import selection_yaml
from ...errors import AddressError, SelectionError
from ...feed_formats import load_formats
from ...model import FACETS, Facet, Selection
from ...syndication import lookup, pages
from ...syndication.lookup import Elsewhere
from ...syndication.pages import SelectionPage
from ..application import application
from . import autodiscovery, document_page, moved_permanently, render_page
from .feeds import find_document

blueprint = Blueprint("building", __name__)

Pairs = list[tuple[str, str]]
_PATH = "select"
#: How a facet's terms are meant, as in the grammar of `selections`.
MODES = ("", "all-", "not-")
#: Terms of each facet that the page offers.
POPULAR = 16
#: Fields of the form that adds a term.
STEP = ("mode", "facet", "term")


@dataclass(frozen=True, slots=True)
class Chip:
    """One name of a selection, and the address of the selection without it."""

    name: str
    without: str
    key: str


@dataclass(frozen=True, slots=True)
class Clause:
    """The names of one facet and one mode of MODES."""

    facet: Facet
    mode: str
    chips: tuple[Chip, ...]


@blueprint.get("/select.<extension>")
def document(extension: str) -> Answer:
    """The feed of a selection. The cache knows it under a key that no path can have, which the fast path makes, too."""
    format = urls.split_format(f"{_PATH}.{extension}")[1]
    if format is None or format.extension != f".{extension}":
        abort(404)
    if request.headers.get("Sec-Fetch-Dest") == "document":  # a person, as in pages.anything
        return document_page(page())
    app, text = application(), request.query_string.decode("utf-8", "replace")  # UTF-8 if typed without percent signs
    try:
        return find_document(
            f"{_PATH}{format.extension}?{text}",
            format,
            lambda known: app.runtime.read(lookup.find_selection_document, app.edition, text, format, known, app.fragments),
        )
    except SelectionError as error:
        # For feed readers and their logs: text, not a page.
        refusal = Response(f"{error}\n", 400, content_type="text/plain; charset=utf-8")
        refusal.headers["Cache-Control"] = "public, max-age=300"
        refusal.headers["Access-Control-Allow-Origin"] = "*"
        return refusal


@blueprint.get("/select")
def page() -> Answer:
    """The feed builder: what the selection of the address takes. A step of the form leads to the address with it done."""
    app, text = application(), request.query_string.decode("utf-8", "replace")
    if any(name in request.args for name in STEP):
        query = urlencode(with_step(text), quote_via=quote)
        return redirect(f"/{_PATH}" + (f"?{query}" if query else ""), 302)
    try:
        built = app.runtime.read(pages.selection_page, app.config, text)
    except SelectionError as error:
        return _builder(None, text, str(error), 400)
    except AddressError:
        abort(404)
    if isinstance(built, Elsewhere):
        return moved_permanently(built.path, "", built.query)
    return _builder(built, built.feed.query if built else "", "", 200)


def _builder(built: SelectionPage | None, query: str, fault: str, status: int) -> Answer:
    app = application()
    base, feed = app.config.site.base_url, built.feed if built else None
    pairs = parse_qsl(query)
    response = render_page(
        "select.html",
        status,
        built=built,
        fault=fault,
        query=query,
        clauses=clauses(feed.selection, _address) if feed else [],
        pairs=parse_qsl(query, keep_blank_values=True),
        popular=app.runtime.read(pages.most_used_terms, POPULAR),
        console=bool(app.runtime.environment.console_token),
        adding=lambda term: _address([*pairs, (term.facet, term.name)]),
        modes=MODES,
        yaml=selection_yaml(feed.selection, selections.title(feed.selection, chinese=app.config.chinese)) if feed else "",
        urls=[(made, urls.url(base, _PATH, made.extension, query)) for made in load_formats().values()],
        autodiscovery=autodiscovery(f"{base}/{_PATH}", feed.title, query) if feed else (),
        canonical=urls.url(base, _PATH, "", query),
    )
    if query:  # every page leads to many more: a crawler would never come to an end
        response.headers["X-Robots-Tag"] = "noindex, nofollow"
    return response


def with_step(query: str) -> Pairs:
    """Return the pairs of `query` without the form's fields, and with the term that they name."""
    pairs = [(key, name) for key, name in parse_qsl(query, keep_blank_values=True) if key not in STEP]
    mode, facet, term = (request.args.get(name, "").strip() for name in STEP)
    if term and facet in FACETS and mode in MODES:
        pairs.append((mode + facet, term))
    return pairs


def _address(pairs: Pairs) -> str:
    try:
        query = selections.canonical(selections.parse(urlencode(pairs, quote_via=quote)))
    except SelectionError:  # one more would be too many: the page says so
        query = urlencode(pairs, quote_via=quote)
    return f"/{_PATH}" + (f"?{query}" if query else "")


def clauses(selection: Selection, address: Callable[[Pairs], str]) -> list[Clause]:
    """Return what a selection says; `address` makes the address of the page for a selection of these pairs."""
    pairs = parse_qsl(selections.canonical(selection))
    chips: dict[str, list[Chip]] = {}
    for pair in pairs:
        others = [other for other in pairs if other != pair]
        chips.setdefault(pair[0], []).append(Chip(pair[1], address(others), pair[0]))
    rows = ((facet, mode, chips.get(mode + facet.name)) for mode in MODES for facet in FACETS.values())
    return [Clause(facet, mode, tuple(found)) for facet, mode, found in rows if found]


@blueprint.get("/select/terms")
def terms() -> Answer:
    """Search as you type: `?facet=tag&q=lin` -> [{"name", "articles"}]."""
    app = application()
    facet, text = request.args.get("facet", ""), request.args.get("q", "")
    if facet not in FACETS or not app.config.feeds.select.enabled:
        abort(404)
    found = app.runtime.read(pages.suggest_terms, facet, text[:100])
    response = jsonify([{"name": term.name, "articles": term.articles} for term in found])
    response.headers["Cache-Control"] = f"public, max-age={app.config.max_age}"
    return response
