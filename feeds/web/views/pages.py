"""Pages for people: home, terms and other feeds, their archives, articles, directories of terms."""

from __future__ import annotations

import functools
import json
import re
from urllib.parse import quote, urlencode

from flask import Blueprint, abort, redirect, request
from jinja2.utils import htmlsafe_json_dumps
from werkzeug.wrappers import Response as Answer

from ... import urls
from ...errors import AddressError
from ...model import PLURALS, Article
from ...syndication import feeds, texts
from ...syndication import pages as use_cases
from ...syndication.lookup import Elsewhere, Gone
from ...syndication.pages import SORTS, directory_page
from ..application import FACTS, application
from ..conditional import VARY
from . import autodiscovery, document_page, made_on_request, moved_permanently, render_page
from .feeds import feed_document

blueprint = Blueprint("pages", __name__)

MAX_ADDRESS = 2000


@blueprint.get("/")
def home() -> Answer:
    """Home: the newest articles, the most used terms, feeds of one's own."""
    app = application()
    page = app.runtime.read(use_cases.home, app.config)
    links = autodiscovery(f"{app.config.site.base_url}/all", app.config.site.title)
    return render_page("home.html", **page._asdict(), autodiscovery=links)


@blueprint.get("/about/feeds")
def about() -> Answer:
    """What feeds are, and how to follow one for the first time."""
    return render_page("about.html")


@blueprint.get("/articles/<path:id>")
def article_page(id: str) -> Answer:
    """An article; at `.md`, and for `Accept: text/markdown`, its source. 302 where `article_url` names another place."""
    app = application()
    page = app.runtime.read(use_cases.article_page, app.config, id, request.environ.get(FACTS))
    named = page is None and id.endswith(texts.EXTENSION)
    if named:
        page = app.runtime.read(
            use_cases.article_page, app.config, id.removesuffix(texts.EXTENSION), request.environ.get(FACTS)
        )
    if page is None:
        abort(404)
    article = page.article
    if article.url != f"{app.config.site.base_url}/articles/{urls.encode(urls.slug(article.id))}":
        return redirect(article.url, 302)
    source = "" if app.static and not app.config.feeds.export_markdown else article.url + texts.EXTENSION
    if named or request.accept_mimetypes.best_match(("text/html", texts.MARKDOWN)) == texts.MARKDOWN:
        return _article_source(article, named=named)
    data = htmlsafe_json_dumps(texts.linked_data(app.config, article, page.translations), _dumps)
    response = render_page("article.html", article=article, page=page, canonical=article.url, source=source, linked_data=data)
    response.headers["Vary"] = f"{VARY}, Accept"
    return response


#: Characters of other scripts as they are: an escaped one takes six bytes.
_dumps = functools.partial(json.dumps, ensure_ascii=False)


def _article_source(article: Article, *, named: bool) -> Answer:
    """Return an article as Markdown; `named`: at an address of its own, which depends on nothing else."""
    app = application()
    text = app.runtime.read(texts.markdown_of, app.config, article)
    links = f'<{article.url}>; rel="canonical"; type="text/html"'
    response = made_on_request(text.encode(), f"{texts.MARKDOWN}; charset=utf-8", {"Link": links, "X-Robots-Tag": "noindex"})
    response.headers["Vary"] = "Accept-Encoding" if named else f"{VARY}, Accept"
    return response


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
    sort, page = wanted if wanted in SORTS else SORTS[0], page_number(request.args.get("page", ""))
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


def page_number(text: str) -> int:
    """Return the number of a page; 1 where the address names no page."""
    return int(text) if re.fullmatch("[1-9][0-9]{0,5}", text) else 1
