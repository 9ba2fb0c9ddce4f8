"""Settle what links between articles lead to, where they have their pages here: to the id that an article has, or nowhere.

A parser knows no ids but those that paths and headers give. What it made of a link stays in the body behind `addresses.WAS`, so
that the link follows its target: when that moves, is withheld, or comes back.
"""

from __future__ import annotations

import html
import re
from typing import NamedTuple

import sqlalchemy as sa

from ..database.tables import articles, bodies, pages
from ..store.addresses import HERE, RELATIVE, WAS
from ..store.fields import Fields
from ..store.kinds import Place
from ..store.links.references import resolve_reference
from ..store.parse import article_id
from ..store.parse_settings import ParseSettings
from ..store.places import place_of
from ..store.stores import Stores
from .identity import page_path, short_hash

#: A link to a page here, or one to a text of the store of which the parser found no page.
_LINK = re.compile(
    f' href="(?:{HERE}([^"{WAS}]*){WAS})?((?:{HERE}/articles/|{RELATIVE}(?=[^"?#]*\\.(?:md|markdown|mdx|mkd)[?#"]))[^"{WAS}]*)"'
)


class Relinked(NamedTuple):
    """A body whose links changed; `mark` tells it from the same file's with other links."""

    key: int
    html: str
    mark: str


def settle_links(connection: sa.Connection, stores: Stores) -> list[Relinked]:
    """Return the bodies of articles with links that lead elsewhere now; those of pages are written."""
    if not any(map(_leads_here, stores.parts)):
        return []
    targets: _Targets | None = None
    found = []
    for table, key, path in ((bodies, bodies.c.article_key, articles.c.path), (pages, pages.c.path, pages.c.path)):
        own = sa.select(key, path, table.c.html, sa.literal("") if table is bodies else pages.c.digest)
        if table is bodies:
            own = own.join(articles, articles.c.key == bodies.c.article_key)
        marked = sa.or_(table.c.html.contains(f'"{HERE}'), table.c.html.contains(f'"{RELATIVE}'))
        for row, place, before, digest in connection.execute(own.where(marked).order_by(key)).all():
            if not _leads_here(stores.of(place)) or not _LINK.search(before):
                continue
            targets = targets or _Targets(connection, stores)
            after = targets.settle(place, before)
            if after == before:
                continue
            mark = short_hash("".join(match[0] for match in _LINK.finditer(after)))
            if table is bodies:
                found.append(Relinked(row, after, mark))
            else:
                values = {"html": after, "digest": f"{digest.partition('+')[0]}+{mark}"}
                connection.execute(sa.update(pages).where(key == row).values(values))
    return found


def _leads_here(settings: ParseSettings) -> bool:
    """Return whether articles of a store have pages here; else their links are those of its site, whatever the ids are."""
    return settings.site.kind != "archive" and not settings.site.base_url


class _Targets:
    """Where the articles and pages of the catalog are, by file and by the address that a parser makes for it."""

    def __init__(self, connection: sa.Connection, stores: Stores) -> None:
        self._stores = stores
        rows = [*connection.execute(sa.select(articles.c.path, articles.c.id).order_by(articles.c.key))]
        rows += connection.execute(sa.select(pages.c.path, pages.c.id).order_by(pages.c.path))
        self._by_path = {path: page_path(id) for path, id in rows}
        made: dict[str, str] = {}
        for path, page in self._by_path.items():
            settings, place = self._place(path)
            computed = page_path(article_id(settings.site, settings.kind, place, Fields(), ""))
            made[computed] = page if page == computed else made.get(computed, page)
        # What is no file's address by its path is an id that a header says, or that an article had where it was before.
        self._by_address = {page: page for page in self._by_path.values()} | made

    def _place(self, path: str) -> tuple[ParseSettings, Place]:
        settings = self._stores.of(path)
        return settings, place_of(settings.site, path.removeprefix(settings.folder))

    def settle(self, path: str, body: str) -> str:
        """Return a body in the file at `path` with each link to what it leads to now."""

        def lead(match: re.Match[str]) -> str:
            written = match[2]
            if written.startswith(HERE):
                address, mark = _split(written.removeprefix(HERE))
                page = self._by_address.get(address, "")
            else:
                page, mark = self._find(path, html.unescape(written.removeprefix(RELATIVE)))
            if page and written == f"{HERE}{page}{mark}":
                return f' href="{written}"'
            return f' href="{HERE}{page + mark if page else ""}{WAS}{written}"'

        return _LINK.sub(lead, body)

    def _find(self, path: str, reference: str) -> tuple[str, str]:
        """Return the page that a relative link to a text means, "" for none, and its query and fragment in HTML."""
        settings, place = self._place(path)
        found = resolve_reference(settings.site, settings.kind, place, "", reference)
        target = settings.folder + found.path if found.kind == "article" else ""
        return self._by_path.get(target, ""), html.escape(found.mark)


def _split(address: str) -> tuple[str, str]:
    """Return an address without its query and fragment, and these."""
    at = min((found for found in (address.find("?"), address.find("#")) if found >= 0), default=len(address))
    return address[:at], address[at:]
