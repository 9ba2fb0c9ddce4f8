"""The search page, and the directories of terms, which can be searched and sorted, too."""

from __future__ import annotations

import re
from urllib.parse import quote, urlencode

from flask import abort, request
from werkzeug.wrappers import Response as Answer

from ...model import PLURALS
from ...syndication import feeds
from ...syndication import pages as use_cases
from ...syndication.pages import MAX_PAGES, SORTS, directory_page
from ..application import application
from . import moved_permanently, render_page


def search() -> Answer:
    """Search: `?q=` are words of titles, summaries and names; `&page=2` goes on with the articles."""
    app = application()
    page = _page_number(request.args.get("page", ""))
    if page > MAX_PAGES:
        abort(404)
    found = app.runtime.read(use_cases.search_page, app.config, request.args.get("q", ""), page)
    query = urlencode({"q": found.text} | ({"page": str(page)} if page > 1 else {}), quote_via=quote)
    canonical = f"{app.config.site.base_url}/search" + (f"?{query}" if found.text else "")
    response = render_page("search.html", found=found, canonical=canonical)
    response.headers["X-Robots-Tag"] = "noindex, follow"
    return response


def directory(address: str) -> Answer:
    """Return the terms of the facet whose folder `address` names: `?q=` filters, `&sort=` orders, `&page=2` goes on."""
    app = application()
    facet = PLURALS[address.rstrip("/").casefold()]
    if not app.config.feeds.facet(facet.name).enabled:
        abort(404)
    if address != facet.plural + "/":
        return moved_permanently(facet.plural + "/")
    terms = app.runtime.read(feeds.offered_terms, app.config, facet.name)
    if app.static:  # a file has no second page
        found = directory_page(terms, SORTS[0], "", 1, len(terms) or 1)
        return render_page("directory.html", facet=facet, found=found, there=None)
    wanted = request.args.get("sort", "")
    sort, page = wanted if wanted in SORTS else SORTS[0], _page_number(request.args.get("page", ""))
    found = directory_page(terms, sort, request.args.get("q", ""), page)
    if page > found.pages:
        abort(404)

    def link(sort: str = sort, page: int = 1) -> str:
        pairs = {"q": found.text, "sort": sort if sort != SORTS[0] else "", "page": str(page) if page > 1 else ""}
        query = urlencode({name: value for name, value in pairs.items() if value}, quote_via=quote)
        return f"/{facet.plural}/" + (f"?{query}" if query else "")

    canonical = app.config.site.base_url + link(page=page)
    response = render_page("directory.html", facet=facet, found=found, there=link, canonical=canonical)
    if found.text or sort != SORTS[0]:  # the same terms again
        response.headers["X-Robots-Tag"] = "noindex, follow"
    return response


def _page_number(text: str) -> int:
    """Return 1 where the address names no page."""
    return int(text) if re.fullmatch("[1-9][0-9]{0,5}", text) else 1
