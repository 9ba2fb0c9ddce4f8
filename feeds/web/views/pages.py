"""Pages for people: home, search, directories, terms and other feeds, articles."""

from __future__ import annotations

import re
from urllib.parse import quote, urlencode

from flask import Blueprint, Response, abort, redirect, render_template, request
from werkzeug.wrappers import Response as Answer

from ... import urls
from ...catalog import queries
from ...errors import AddressError
from ...formats import load_formats
from ...model import PLURALS
from ...syndication import lookup, pages
from ...syndication.lookup import Elsewhere, Gone
from ...syndication.pages import MAX_PAGES, SORTS, arrange
from ..conditional import VARY
from ..context import state
from .feeds import document, max_age, permanently

blueprint = Blueprint("pages", __name__)

MAX_ADDRESS = 2000


@blueprint.get("/")
def home() -> Answer:
    """Home: the newest articles, the most used terms, feeds of one's own."""
    here = state()
    articles, top, named = here.runtime.read(lookup.home, here.config)
    return _page(
        "home.html", articles=articles, top=top, named=named, autodiscovery=_autodiscovery("all", here.config.site.title)
    )


@blueprint.get("/search")
def search() -> Answer:
    """Search: `?q=` are words of titles, summaries and names; `&page=2` goes on with the articles."""
    here = state()
    page = _number(request.args.get("page", ""))
    if page > MAX_PAGES:
        abort(404)
    found = here.runtime.read(pages.search, here.config, request.args.get("q", ""), page)
    query = urlencode({"q": found.text} | ({"page": str(page)} if page > 1 else {}), quote_via=quote)
    answered = _page(
        "search.html", found=found, canonical=f"{here.config.site.base_url}/search" + (f"?{query}" if found.text else "")
    )
    answered.headers["X-Robots-Tag"] = "noindex, follow"
    return answered


@blueprint.get("/about/feeds")
def about() -> Answer:
    """What feeds are and how to follow one, for who has never done so."""
    return _page("about.html")


@blueprint.get("/articles/<path:id>")
def article_page(id: str) -> Answer:
    """An article; where `article_url` names another place, 302 to there."""
    here = state()
    config = here.config
    page = here.runtime.read(pages.article, id)
    if page is None:
        abort(404)
    article = page.article
    own = f"/articles/{urls.encode(urls.slug(article.id))}"
    if article.url != config.site.base_url + own:  # it lives elsewhere: `article_url`
        return redirect(article.url, 302)
    return _page("article.html", article=article, page=page, canonical=article.url)


@blueprint.get("/<path:address>")
def anything(address: str) -> Answer:
    """A directory, a feed's document or a feed's page."""
    if len(address) > MAX_ADDRESS:
        abort(414)
    if not urls.is_text(address):
        abort(404)
    if address.rstrip("/").casefold() in PLURALS:
        return _directory(address)
    path, format = urls.split_format(address)
    if format is None:
        return feed_page(address)
    # Only browsers say that they navigate (https://www.w3.org/TR/fetch-metadata/): a person gets a page, a reader the feed.
    if request.headers.get("Sec-Fetch-Dest") != "document":
        return document(path, format)
    answered = feed_page(path, opened=request.path, extension=format.extension)
    answered.headers["Vary"] = f"{VARY}, Sec-Fetch-Dest"
    answered.headers["Cache-Control"] = "private, max-age=0"
    return answered


def _directory(address: str) -> Answer:
    here = state()
    facet = PLURALS[address.rstrip("/").casefold()]
    if not here.config.feeds.facet(facet.name).enabled:
        abort(404)
    if address != facet.plural + "/":
        return permanently(facet.plural + "/")
    terms = here.runtime.read(lookup.terms, here.config, facet.name)
    if here.still:  # a file has no second page
        return _page("directory.html", facet=facet, found=arrange(terms, SORTS[0], "", 1, len(terms) or 1), there=None)
    wanted = request.args.get("sort", "")
    sort, page = wanted if wanted in SORTS else SORTS[0], _number(request.args.get("page", ""))
    found = arrange(terms, sort, request.args.get("q", ""), page)
    if page > found.pages:
        abort(404)

    def there(sort: str = sort, page: int = 1) -> str:
        return _directory_address(f"/{facet.plural}/", sort, found.text, page)

    own = here.config.site.base_url + there(page=page)
    answered = _page("directory.html", facet=facet, found=found, there=there, canonical=own)
    if found.text or sort != SORTS[0]:  # the same terms again
        answered.headers["X-Robots-Tag"] = "noindex, follow"
    return answered


def _directory_address(path: str, sort: str, text: str, page: int) -> str:
    pairs = {"q": text, "sort": sort if sort != SORTS[0] else "", "page": str(page) if page > 1 else ""}
    query = urlencode({name: value for name, value in pairs.items() if value}, quote_via=quote)
    return path + (f"?{query}" if query else "")


def _number(text: str) -> int:
    """The number of a page; the first one where the address names none."""
    return int(text) if re.fullmatch("[1-9][0-9]{0,5}", text) else 1


def feed_page(path: str, opened: str = "", extension: str = "") -> Answer:
    """The page of a feed. `opened` is the document's address that the browser was sent to, if it was; `extension` its own."""
    here = state()
    if path.rstrip("/") != path:
        return permanently(path.rstrip("/"))
    if urls.split_archive(path)[1]:
        return _volume_page(path, extension)
    feed, number = urls.split_page(path)
    if opened and number is not None:
        abort(404)
    try:
        found = here.runtime.read(lookup.page, here.config, feed, number)
    except AddressError:
        return _article_elsewhere(path)
    if isinstance(found, Elsewhere):
        return permanently(found.path if number is None else urls.page_path(found.path, number), extension)
    if isinstance(found, Gone):
        abort(410)
    return _page("feed.html", page=found, opened=opened, autodiscovery=_autodiscovery(feed, found.feed.title))


def _volume_page(path: str, extension: str) -> Answer:
    here = state()
    try:
        found = here.runtime.read(lookup.volume_page, here.config, path)
    except AddressError:
        abort(404)
    if isinstance(found, Elsewhere):
        return permanently(found.path, extension)
    if isinstance(found, Gone):
        abort(410)
    volume = found.volume
    title = f"{volume.feed.title} {volume.bucket.name}"
    return _page("archive.html", volume=volume, articles=found.articles, autodiscovery=_autodiscovery(path, title))


def _article_elsewhere(path: str) -> Answer:
    """Articles link to each other by permalink; the service's own pages have other addresses."""
    url = state().runtime.read(queries.article_url, f"/{path}")
    if not url or url == request.url:
        abort(404)
    return redirect(url, 301)


def _autodiscovery(path: str, title: str) -> list[tuple[str, str, str]]:
    """(media type, title, address) of each format, for <link rel=alternate>."""
    base = f"{state().config.site.base_url}/{urls.encode(path)}"
    return [(made.media_type, f"{title} ({made.label})", base + made.extension) for made in load_formats().values()]


def _page(template: str, **values: object) -> Answer:
    here = state()
    values = {"autodiscovery": (), "canonical": "", **values}
    answered = Response(render_template(template, **values), content_type="text/html; charset=utf-8")
    answered.headers["Cache-Control"] = f"public, max-age={max_age(here.config)}"
    return answered


# Links that open a feed in a well-known reader on the web. They are only links: nothing is asked of any before a click.

#: What each asks to have put before the address of a feed.
ON_THE_WEB = {
    "Feedly": "https://feedly.com/i/subscription/feed/",
    "Inoreader": "https://www.inoreader.com/?add_feed=",
    "NewsBlur": "https://www.newsblur.com/?url=",
    "The Old Reader": "https://theoldreader.com/feeds/subscribe?url=",
    "Feedbin": "https://feedbin.com/?subscribe=",
}


def links(url: str) -> list[tuple[str, str]]:
    """(name of a reader on the web, address there); `url` is the feed's, encoded already."""
    return [(name, before + quote(url, safe="")) for name, before in ON_THE_WEB.items()]
