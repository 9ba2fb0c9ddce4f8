"""Keep the pages of the store: they have an address, and stand in no feed, list, archive, search or digest.

They have a table of their own, so that nothing which reads articles has to leave them out.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa

from .. import urls
from ..database import chunks, insert_rows
from ..database.tables import articles, files, pages
from ..model import Article, ParsedArticle
from ..store import addresses
from ..store.parse import with_id
from ..store.parsed import ParsedFile
from . import queries
from .identity import page_path, told_apart, without_links

if TYPE_CHECKING:
    from ..config.models import Site

_SAME = ("id", "url", "permalink", "title", "summary", "html", "original", "picture", "language", "digest")

# -- written by a rescan -------------------------------------------------------


def keep_ids(connection: sa.Connection, batch: Sequence[ParsedFile], removed: Collection[str]) -> list[ParsedFile]:
    """Return files; a new one with the id of the page that has moved there from a `removed` file: same title, same text."""
    new = {file.path for file in batch if file.page} if removed else set()
    new -= set(connection.scalars(sa.select(files.c.path).where(files.c.path.in_(new)))) if new else set()
    if not new:
        return list(batch)
    c = pages.c
    known = [
        row
        for part in chunks(sorted(removed))
        for row in connection.execute(sa.select(c.path, c.id, c.title, c.html).where(c.path.in_(part)).order_by(c.path))
    ]
    kept = []
    for file in batch:
        if file.page and file.path in new:
            same = (file.page.title, without_links(file.page.html))
            if before := next((row for row in known if (row.title, without_links(row.html)) == same), None):
                known.remove(before)
                connection.execute(sa.delete(pages).where(c.path == before.path))  # no other file is this page, too
                file = replace(file, page=with_id(file.page, before.id))
        kept.append(file)
    return kept


def put_pages(connection: sa.Connection, batch: Sequence[ParsedFile]) -> None:
    """Write the pages of some files that were read. A file with a problem keeps its last good version."""
    read = [file for file in batch if file.page or not file.result or isinstance(file.result, ParsedArticle)]
    drop_pages(connection, [file.path for file in read])
    rows = [_row(file.path, file.page) for file in read if file.page]
    insert_rows(connection, pages, [tuple(row[column.name] for column in pages.columns) for row in rows])


def _row(path: str, page: ParsedArticle) -> dict[str, object]:
    times = {"published": int(page.published.timestamp()), "updated": int(page.updated.timestamp())}
    return {"path": path, **{name: getattr(page, name) for name in _SAME}, **times}


def drop_pages(connection: sa.Connection, paths: Collection[str]) -> None:
    """Remove the pages of some files."""
    for part in chunks(sorted(paths)) if has_pages(connection) else ():
        connection.execute(sa.delete(pages).where(pages.c.path.in_(part)))


def settle_pages(connection: sa.Connection, now: int, before: Collection[PageMark]) -> None:
    """Remove the pages that have expired at `now` (UTC seconds), and part those that share an id with an article or a page.

    One that had the id `before` keeps it.
    """
    if not has_pages(connection):
        return
    c = pages.c
    expired = sa.select(files.c.path).where(files.c.due <= now)
    connection.execute(sa.delete(pages).where(c.path.in_(expired)))
    taken = set(connection.scalars(sa.select(articles.c.id).where(articles.c.id.in_(sa.select(c.id)))))
    had = {(mark.path, mark.id) for mark in before}
    rows = [(path, id) for path, id in connection.execute(sa.select(c.path, c.id).order_by(c.path))]
    for path, id in sorted(rows, key=lambda row: row not in had):
        if id in taken:
            id = told_apart(id, path)
            connection.execute(sa.update(pages).where(c.path == path).values(id=id, url=page_path(id)))
            connection.execute(sa.update(files).where(files.c.path == path).values(article=id))
        taken.add(id)


class PageMark(NamedTuple):
    """What tells whether anything of a page has changed."""

    id: str
    path: str
    permalink: str
    digest: str


def page_marks(connection: sa.Connection) -> list[PageMark]:
    """Return the marks of all pages, by id."""
    c = pages.c
    return [PageMark(*row) for row in connection.execute(sa.select(c.id, c.path, c.permalink, c.digest).order_by(c.id, c.path))]


def has_pages(connection: sa.Connection) -> bool:
    """Return whether there is any page."""
    return connection.execute(sa.select(pages.c.path).limit(1)).first() is not None


# -- read ------------------------------------------------------------------------


def find_page(connection: sa.Connection, site: Site, slug: str) -> Article | None:
    """Return the page at the slug of an address; its `position` is 0, and it has no terms."""
    columns = [column for column in pages.columns if column.name != "path"]
    none = {"position": 0, "comments": 0, "editor_choice": 0, "terms": "[]", "pinned": 0, "part": 0, "details": ""}
    query = sa.select(*columns, *(sa.literal(value).label(name) for name, value in none.items()))
    row = connection.execute(query.where(pages.c.id.in_((urls.unslug(slug), slug))).limit(1)).first()
    return queries.as_article(site, row, row.html) if row else None


def page_url(connection: sa.Connection, site: Site, permalink: str) -> str:
    """Return where the page with this permalink is; "" if there is none."""
    c = pages.c
    row = connection.execute(sa.select(c.url, c.permalink, c.id).where(c.permalink == permalink).limit(1)).first()
    return addresses.article_url(site, *row) if row else ""
