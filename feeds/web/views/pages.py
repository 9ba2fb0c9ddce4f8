"""Pages for people: home, terms and other feeds, their archives, articles, search, directories of terms."""

from __future__ import annotations

import re
from urllib.parse import quote, urlencode

from flask import Blueprint, abort, redirect, request
from werkzeug.wrappers import Response as Answer

from ... import urls
from ...errors import AddressError
from ...model import PLURALS
from ...syndication import feeds
from ...syndication import pages as use_cases
from ...syndication.lookup import Elsewhere, Gone
from ...syndication.pages import MAX_PAGES, SORTS, directory_page
from ..application import FACTS, application
from . import autodiscovery, document_page, moved_permanently, render_page
from .feeds import feed_document

blueprint = Blueprint("pages", __name__)

MAX_ADDRESS = 2000


@blueprint.get("/")
def home() -> Answer:
    """Home: the newest articles, the most used terms, feeds of one's own."""
    app = application()
    articles, top, named = app.runtime.read(use_cases.home, app.config)
    links = autodiscovery(f"{app.config.site.base_url}/all", app.config.site.title)
    return render_page("home.html", articles=articles, top=top, named=named, autodiscovery=links)


@blueprint.get("/about/feeds")
def about() -> Answer:
    """What feeds are, and how to follow one for the first time."""
    return render_page("about.html")


@blueprint.get("/articles/<path:id>")
def article_page(id: str) -> Answer:
    """An article; where `article_url` names another place, 302 to there."""
    app = application()
    base = app.config.site.base_url
    page = app.runtime.read(use_cases.article_page, app.config, id, request.environ.get(FACTS)) or abort(404)
    article = page.article
    if article.url != f"{base}/articles/{urls.encode(urls.slug(article.id))}":
        return redirect(article.url, 302)
    return render_page("article.html", article=article, page=page, canonical=article.url)


@blueprint.get("/<path:address>")
def anything(address: str) -> Answer:
    """A directory, a feed's document or a feed's page."""
    if len(address) > MAX_ADDRESS:
        abort(414)
    if not urls.is_text(address):
        abort(404)
    if address.rstrip("/").casefold() in PLURALS:
        return directory(address)
    path, format = urls.split_format(address)
    if format is None:
        return _feed_page(address)
    # Only browsers say that they navigate (https://www.w3.org/TR/fetch-metadata/): a person gets a page, a reader the feed.
    if request.headers.get("Sec-Fetch-Dest") != "document":
        return feed_document(path, format)
    return document_page(_feed_page(path, opened=request.path, extension=format.extension))


def _feed_page(path: str, opened: str = "", extension: str = "") -> Answer:
    """Return the page of a feed. `opened` is the address of the document that a browser opened, `extension` its ending."""
    app = application()
    if path.rstrip("/") != path:
        return moved_permanently(path.rstrip("/"))
    if urls.split_archive(path)[1]:
        return _archive_page(path, extension)
    feed, number = urls.split_page(path)
    if opened and number is not None:
        abort(404)
    try:
        found = app.runtime.read(use_cases.feed_page, app.config, feed, number, request.environ.get(FACTS), app.term_stats)
    except AddressError:
        # Articles link to each other by permalink; the service's own pages have other addresses.
        url = app.runtime.read(use_cases.permalink_url, app.config.site, f"/{path}")
        if not url or url == request.url:
            abort(404)
        return redirect(url, 301)
    if isinstance(found, Elsewhere):
        return moved_permanently(found.path if number is None else urls.page_path(found.path, number), extension)
    if isinstance(found, Gone):
        abort(410)
    links = autodiscovery(f"{app.config.site.base_url}/{urls.encode(feed)}", found.feed.title)
    return render_page("feed.html", page=found, opened=opened, autodiscovery=links)


def _archive_page(path: str, extension: str) -> Answer:
    app = application()
    try:
        found = app.runtime.read(use_cases.archive_page, app.config, path)
    except AddressError:
        abort(404)
    if isinstance(found, Elsewhere):
        return moved_permanently(found.path, extension)
    if isinstance(found, Gone):
        abort(410)
    volume = found.document
    links = autodiscovery(f"{app.config.site.base_url}/{urls.encode(path)}", f"{volume.feed.title} {volume.period.name}")
    return render_page("archive.html", volume=volume, articles=found.articles, autodiscovery=links)


@blueprint.get("/search")
def search() -> Answer:
    """Search: `?q=` are words of titles, summaries and names; `&page=2` goes on with the articles."""
    app = application()
    page = _page_number(request.args.get("page", ""))
    if page > MAX_PAGES:
        abort(404)
    found = app.runtime.read(use_cases.search_page, app.config, request.args.get("q", ""), page, app.search_text)
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
