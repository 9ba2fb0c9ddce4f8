"""Search: a page for people, and the same as JSON for programs."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from flask import Blueprint, abort, jsonify, request
from werkzeug.wrappers import Response as Answer

from ... import urls
from ...catalog.highlights import Piece
from ...syndication.searches import MAX_PAGES, SearchPage, read_filters, search_page
from ..application import application
from . import render_page
from .pages import page_number

blueprint = Blueprint("search", __name__)


@blueprint.get("/search")
def page() -> Answer:
    """Search: `?q=` are words of articles and names; a facet (`&tag=Linux`) and `&year=2016` narrow it, `&page=2` goes on."""
    found = _found()
    canonical = application().config.site.base_url + (found.address(found.page) if found.text else "/search")
    response = render_page("search.html", found=found, canonical=canonical)
    response.headers["X-Robots-Tag"] = "noindex, follow"
    return response


@blueprint.get("/search.json")
def document() -> Answer:
    """The same as `/search` for programs: total, pages, articles with what was found in them, terms, what was perhaps meant."""
    found, base = _found(), application().config.site.base_url
    response = jsonify(
        {
            "query": found.text,
            "filters": dict(found.filters),
            "total": found.total,
            "page": found.page,
            "pages": found.pages,
            "articles": [
                {
                    "id": hit.article.id,
                    "url": hit.article.url,
                    "title": hit.article.title,
                    "published": hit.article.published.isoformat(),
                    "title_html": _html(hit.title),
                    "text_html": _html(hit.text),
                }
                for hit in found.hits
            ],
            "terms": [
                {"facet": term.facet, "name": term.name, "articles": term.articles, "url": f"{base}/{urls.encode(term.path)}"}
                for terms in found.terms.values()
                for term in terms
            ],
            "narrowing": [{"facet": term.facet, "name": term.name, "articles": number} for term, number in found.narrowing],
            "years": [{"year": year, "articles": number} for year, number in found.years],
            "meant": found.meant,
            "follow": base + found.follow if found.follow else "",
            "unread": found.unread,
        }
    )
    response.headers["Cache-Control"] = f"public, max-age={application().config.max_age}"
    response.headers["X-Robots-Tag"] = "noindex"
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response


def _found() -> SearchPage:
    app, number = application(), page_number(request.args.get("page", ""))
    if number > MAX_PAGES:
        abort(404)
    filters = read_filters(app.config, request.args)
    return app.runtime.read(search_page, app.config, request.args.get("q", ""), filters, number, app.searches)


def _html(pieces: Sequence[Piece]) -> str:
    """Return pieces as HTML, escaped, with what was found in <mark>."""
    return "".join(f"<mark>{escape(text)}</mark>" if marked else escape(text) for text, marked in pieces)
