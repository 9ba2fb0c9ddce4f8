"""Any selection as a feed: its documents, and the page on which people put one together.

The page works without JavaScript: every step is a link or a form with GET. The address holds the whole selection, so it can be
kept, sent to others and gone back to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode

from flask import Blueprint, Response, abort, jsonify, redirect, render_template, request
from werkzeug.wrappers import Response as Answer

from ... import selections, urls
from ...config.load import selection_yaml
from ...errors import AddressError, SelectionError
from ...formats import load_formats
from ...model import FACETS, Facet, Selection
from ...syndication import lookup
from ...syndication.lookup import Built, Elsewhere
from ..conditional import VARY
from ..context import state
from .feeds import answer_with, max_age, permanently

blueprint = Blueprint("building", __name__)

_PATH = "select"
#: How a facet's terms are meant, as in the grammar of `selections`.
MODES = ("", "all-", "not-")
_POPULAR = 16
STEP = ("mode", "facet", "term")


@dataclass(frozen=True, slots=True)
class Chip:
    """One name of a selection, and the address of the selection without it."""

    name: str
    without: str
    key: str


@dataclass(frozen=True, slots=True)
class Clause:
    """`mode` as in MODES."""

    facet: Facet
    mode: str
    chips: tuple[Chip, ...]


# -- documents -------------------------------------------------------------


@blueprint.get("/select.<extension>")
def document(extension: str) -> Answer:
    """The feed of a selection. The cache knows it under a key that no path can have, which the lane makes, too."""
    format = urls.split_format(f"{_PATH}.{extension}")[1]
    if format is None or format.extension != f".{extension}":
        abort(404)
    if request.headers.get("Sec-Fetch-Dest") == "document":  # a person, as in pages.anything
        answered = page()
        answered.headers["Vary"] = f"{VARY}, Sec-Fetch-Dest"
        answered.headers["Cache-Control"] = "private, max-age=0"
        return answered
    here, text = state(), _query()
    key = f"{_PATH}{format.extension}?{text}"
    try:
        return answer_with(
            here, key, format, lambda known: here.runtime.read(lookup.selected, here.edition, text, format, known)
        )
    except SelectionError as error:
        return _refused(str(error))


def _query() -> str:
    """As it came; one that was typed without percent signs is UTF-8."""
    return request.query_string.decode("utf-8", "replace")


def _refused(reason: str) -> Answer:
    """For readers and their logs: words, not a page."""
    answered = Response(f"{reason}\n", 400, content_type="text/plain; charset=utf-8")
    answered.headers["Cache-Control"] = "public, max-age=300"
    answered.headers["Access-Control-Allow-Origin"] = "*"
    return answered


# -- the page --------------------------------------------------------------


@blueprint.get("/select")
def page() -> Answer:
    """The feed builder: what the selection of the address takes. A step of the form leads to the address with it done."""
    here = state()
    if any(name in request.args for name in STEP):
        return redirect(_after_step(), 302)
    try:
        built = here.runtime.read(lookup.build, here.config, _query())
    except SelectionError as error:
        return _page(None, _query(), str(error), 400)
    except AddressError:
        abort(404)
    if isinstance(built, Elsewhere):
        return permanently(built.path, "", built.query)
    return _page(built, built.feed.query if built else "", "", 200)


def with_step(query: str) -> list[tuple[str, str]]:
    """The pairs of the address, and the one that the form adds."""
    pairs = [(key, name) for key, name in parse_qsl(query, keep_blank_values=True) if key not in STEP]
    mode, facet, term = (request.args.get(name, "").strip() for name in STEP)
    if term and facet in FACETS and mode in MODES:
        pairs.append((mode + facet, term))
    return pairs


def _after_step() -> str:
    query = urlencode(with_step(_query()), quote_via=quote)
    return f"/{_PATH}" + (f"?{query}" if query else "")


def _page(built: Built | None, query: str, fault: str, status: int) -> Answer:
    here = state()
    feed = built.feed if built else None
    base = here.config.site.base_url
    body = render_template(
        "select.html",
        built=built,
        fault=fault,
        query=query,
        clauses=list(clauses(feed.selection, _address)) if feed else [],
        pairs=parse_qsl(query, keep_blank_values=True),
        popular=here.runtime.read(lookup.most_used, _POPULAR),
        console=bool(here.runtime.environment.operator_token),
        adding=lambda term: _address([*parse_qsl(query), (term.facet, term.name)]),
        modes=MODES,
        yaml=selection_yaml(feed.selection, selections.title(feed.selection, chinese=here.config.chinese)) if feed else "",
        urls=[(made, urls.url(base, _PATH, made.extension, query)) for made in load_formats().values()],
        autodiscovery=[
            (made.media_type, f"{feed.title} ({made.label})", urls.url(base, _PATH, made.extension, query))
            for made in load_formats().values()
        ]
        if feed
        else (),
        canonical=urls.url(base, _PATH, "", query),
    )
    answered = Response(body, status, content_type="text/html; charset=utf-8")
    answered.headers["Cache-Control"] = f"public, max-age={max_age(here.config)}"
    if query:  # every page leads to many more: a crawler would never come to an end
        answered.headers["X-Robots-Tag"] = "noindex, nofollow"
    return answered


def _address(pairs: list[tuple[str, str]]) -> str:
    try:
        query = selections.canonical(selections.parse(urlencode(pairs, quote_via=quote)))
    except SelectionError:  # one more would be too many: the page says so
        query = urlencode(pairs, quote_via=quote)
    return f"/{_PATH}" + (f"?{query}" if query else "")


def clauses(selection: Selection, address: Callable[[list[tuple[str, str]]], str]) -> Iterator[Clause]:
    """`address` is that of the page for a selection of these pairs."""
    pairs = parse_qsl(selections.canonical(selection))
    for mode, part in zip(MODES, (selection.any, selection.all, selection.none), strict=True):
        for facet in FACETS.values():
            if facet.name in part:
                yield Clause(facet, mode, tuple(_chips(pairs, mode + facet.name, address)))


def _chips(pairs: list[tuple[str, str]], key: str, address: Callable[[list[tuple[str, str]]], str]) -> Iterator[Chip]:
    for pair in pairs:
        if pair[0] == key:
            yield Chip(pair[1], address([other for other in pairs if other != pair]), key)


@blueprint.get("/select/terms")
def terms() -> Answer:
    """Search as you type: `?facet=tag&q=lin` -> [{"name", "articles"}]."""
    here = state()
    facet, text = request.args.get("facet", ""), request.args.get("q", "")
    if facet not in FACETS or not here.config.feeds.select.enabled:
        abort(404)
    found = here.runtime.read(lookup.search, facet, text[:100])
    answered = jsonify([{"name": term.name, "articles": term.articles} for term in found])
    answered.headers["Cache-Control"] = f"public, max-age={max_age(here.config)}"
    return answered
