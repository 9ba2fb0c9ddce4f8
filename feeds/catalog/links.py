"""Settle what links between articles lead to, where they have their pages here: to the id that an article has, or nowhere.

A parser knows no ids but those that paths and headers give. What it made of a link stays in the body behind `addresses.WAS`, so
that the link follows its target: when that moves, is withheld, or comes back.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Set
from functools import cached_property
from typing import Any, NamedTuple
from urllib.parse import quote, unquote, urljoin, urlsplit

import sqlalchemy as sa

from ..database import chunks
from ..database.tables import articles, bodies, pages, terms
from ..model import PLURALS
from ..store.addresses import HERE, RELATIVE, TEXT, WAS
from ..store.fields import Fields
from ..store.kinds import Place
from ..store.links.references import resolve_reference
from ..store.parse import article_id
from ..store.parse_settings import ParseSettings
from ..store.places import place_of
from ..store.stores import Stores
from .identity import page_path, short_hash

#: A link to a page here, or one that is relative: to a text of the store of which the parser found no page, or to an address.
_LINK = re.compile(f' href="(?:{HERE}([^"{WAS}]*){WAS})?((?:{HERE}/articles/|{RELATIVE})[^"{WAS}]*)"')


class Relinked(NamedTuple):
    """A body whose links changed; `mark` tells it from the same file's with other links."""

    key: int
    html: str
    mark: str


def has_settled_links(body: str) -> bool:
    """Return whether what links of a body lead to depends on other articles.

    >>> has_settled_links('<p><a href="https://example.org/">elsewhere</a></p>')
    False
    """
    return f' href="{RELATIVE}' in body or f' href="{HERE}/' in body


def settle_links(connection: sa.Connection, stores: Stores) -> list[Relinked]:
    """Return the bodies of articles with links that lead elsewhere now; those of pages are written."""
    if not any(map(_leads_here, stores.parts)):
        return []
    a, b, p = articles.c, bodies.c, pages.c
    query = sa.select(a.key, a.path, a.permalink, a.id, b.html).join(bodies, b.article_key == a.key).where(a.linked > 0)
    rows = [row for row in connection.execute(query.order_by(a.key)) if _leads_here(stores.of(row.path))]
    marked = sa.or_(p.html.contains(f'"{HERE}'), p.html.contains(f'"{RELATIVE}'))
    query = sa.select(p.path, p.permalink, p.id, p.html, p.digest).where(marked)
    own = [row for row in connection.execute(query.order_by(p.path)) if _leads_here(stores.of(row.path))]
    targets = _Targets(connection, stores, {path for row in (*rows, *own) for path in _paths(_address_of(row), row.html)})
    found = []
    for row in rows:
        if (after := targets.settle(row.path, _address_of(row), row.html)) != row.html:
            found.append(Relinked(row.key, after, _mark_of(after)))
    for row in own:
        if (after := targets.settle(row.path, _address_of(row), row.html)) != row.html:
            values = {"html": after, "digest": f"{row.digest.partition('+')[0]}+{_mark_of(after)}"}
            connection.execute(sa.update(pages).where(p.path == row.path).values(values))
    return found


def _address_of(row: Any) -> str:
    """Return the address that relative links of an article or a page are relative to."""
    return str(row.permalink or page_path(row.id))


def _paths(address: str, body: str) -> Iterator[str]:
    """Yield the paths that relative links of a body lead to, but those to texts of the store."""
    for match in _LINK.finditer(body):
        if match[2].startswith(RELATIVE) and not TEXT.match(match[2]):
            reference = html.unescape(match[2].removeprefix(RELATIVE))
            if _is_path(reference):
                yield _plain(urlsplit(urljoin(address, reference)).path)


def _mark_of(body: str) -> str:
    return short_hash("".join(match[0] for match in _LINK.finditer(body)))


def _leads_here(settings: ParseSettings) -> bool:
    """Return whether articles of a store may have pages here; else their links are those of its site, whatever the ids are."""
    return not settings.site.base_url


class _Targets:
    """Where the articles and pages of the catalog are: by file, by the address that a parser makes for it, by permalink.

    `wanted`: the paths of addresses that are asked for, without a slash at the end.
    """

    def __init__(self, connection: sa.Connection, stores: Stores, wanted: Set[str]) -> None:
        self._connection, self._stores, self._wanted = connection, stores, wanted

    @cached_property
    def _by_path(self) -> dict[str, str]:
        a, p = articles.c, pages.c
        queries = (sa.select(a.path, a.id).order_by(a.key), sa.select(p.path, p.id).order_by(p.path))
        return {path: page_path(id) for query in queries for path, id in self._connection.execute(query)}

    @cached_property
    def _by_address(self) -> dict[str, str]:
        made: dict[str, str] = {}
        for path, page in self._by_path.items():
            settings, place = self._place(path)
            computed = page_path(article_id(settings.site, settings.kind, place, Fields(), ""))
            made[computed] = page if page == computed else made.get(computed, page)
        # What is no file's address by its path is an id that a header says, or that an article had where it was before.
        return {page: page for page in self._by_path.values()} | made

    @cached_property
    def _by_permalink(self) -> dict[str, str]:
        """Where the wanted addresses lead: pages, and addresses that this service redirects to pages."""
        written = {form for path in self._wanted for plain in (path, quote(path)) for form in (plain, f"{plain}/")}
        own = [form for form in written if form.startswith("/articles/")]  # no index finds these
        found: dict[str, str] = {}
        for table in (articles, pages):
            for column, forms in ((table.c.permalink, written), (table.c.url, own)):
                for part in chunks(sorted(forms)):
                    rows = self._connection.execute(sa.select(table.c.id, column).where(column.in_(part)))
                    found |= {_plain(address): page_path(id) for id, address in rows}
        return found

    def _place(self, path: str) -> tuple[ParseSettings, Place]:
        settings = self._stores.of(path)
        return settings, place_of(settings.site, path.removeprefix(settings.folder))

    def settle(self, path: str, address: str, body: str) -> str:
        """Return a body in the file at `path`, whose permalink is `address`, with each link to what it leads to now."""

        def lead(match: re.Match[str]) -> str:
            written = match[2]
            reference = html.unescape(written.removeprefix(RELATIVE))
            if written.startswith(HERE):
                found, mark = _split(written.removeprefix(HERE))
                page = self._by_address.get(found, "")
            elif TEXT.match(written):
                page, mark = self._find(path, reference)
            else:
                to = urlsplit(urljoin(address, reference)) if _is_path(reference) else None
                if to is None or self._is_list(to.path):
                    return f' href="{written}"'  # a page of the service itself
                page = self._by_permalink.get(_plain(to.path), "")
                mark = html.escape(f"?{to.query}" * bool(to.query) + f"#{to.fragment}" * bool(to.fragment))
            if page and written == f"{HERE}{page}{mark}":
                return f' href="{written}"'
            return f' href="{HERE}{page + mark if page else ""}{WAS}{written}"'

        return _LINK.sub(lead, body)

    def _is_list(self, path: str) -> bool:
        """Return whether a path is that of a list of this service: of all articles, of a facet, of a term."""
        facet, _, name = unquote(path).strip("/").partition("/")
        if facet not in PLURALS or not name:
            return facet in {"", *PLURALS}
        query = sa.select(terms.c.key).where(terms.c.facet == PLURALS[facet].name, terms.c.slug == name.partition("/")[0])
        return self._connection.execute(query.limit(1)).first() is not None

    def _find(self, path: str, reference: str) -> tuple[str, str]:
        """Return the page that a relative link to a text means, "" for none, and its query and fragment in HTML."""
        settings, place = self._place(path)
        found = resolve_reference(settings.site, settings.kind, place, "", reference)
        target = settings.folder + found.path if found.kind == "article" else ""
        return self._by_path.get(target, ""), html.escape(found.mark)


def _is_path(reference: str) -> bool:
    """Return whether a reference names a path on the host of its article."""
    try:
        parts = urlsplit(reference)
    except ValueError:
        return False
    return bool(parts.path) and not parts.scheme and not parts.netloc


def _plain(path: str) -> str:
    return unquote(path).rstrip("/")


def _split(address: str) -> tuple[str, str]:
    """Return an address without its query and fragment, and these."""
    at = min((found for found in (address.find("?"), address.find("#")) if found >= 0), default=len(address))
    return address[:at], address[at:]
