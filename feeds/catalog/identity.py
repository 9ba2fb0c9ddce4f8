"""Keep the ids of articles: what each file was at the last rescan, and which new file is an article that has moved.

Reads only. An id is decided at the first publication; whatever becomes of its file, no other file is handed it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

import sqlalchemy as sa

from .. import urls
from ..database import chunks
from ..database.tables import articles, bodies, files
from ..database.tables import dated as dated_files
from ..model import ParsedArticle
from ..store.parse import with_id
from ..store.parsed import ParsedFile
from ..store.walk import FileChanges

# -- files as they were ----------------------------------------------------


class KnownFile(NamedTuple):
    """A file as the last rescan left it.

    `id`: of the article that it is, or was before it was withheld, "" for none; `is_published`: it is one now. `due` as in the
    table; `seen`: when it was first seen, or the time that its article has had so far.
    """

    id: str
    is_published: bool
    due: int | None
    seen: int | None


#: A file that no rescan has met.
NEW = KnownFile("", False, None, None)
_OWN = sa.and_(articles.c.id == files.c.article, articles.c.path == files.c.path)
_IN_GIT = sa.exists().where(dated_files.c.path == files.c.path)
#: Where history dates articles, it goes on to, or no longer does.
_SEEN = sa.func.coalesce(files.c.seen, sa.case((~_IN_GIT, articles.c.published)))
_KNOWN = (
    sa.select(files.c.path, files.c.article, articles.c.key.is_not(None), files.c.due, _SEEN)
    .select_from(sa.outerjoin(files, articles, _OWN))
    .where(files.c.path.in_(sa.bindparam("paths", expanding=True)))
)


def files_by_path(connection: sa.Connection, paths: Iterable[str]) -> dict[str, KnownFile]:
    """Return what each file was at the last rescan; without files that are new."""
    found = (connection.execute(_KNOWN, {"paths": part}) for part in chunks(paths))
    return {path: KnownFile(id, bool(is_published), due, seen) for rows in found for path, id, is_published, due, seen in rows}


def known_articles(connection: sa.Connection, changes: FileChanges) -> dict[str, tuple[str, int | None]]:
    """Return path -> id of the article that the file is or was, and when it was first seen if it says no date.

    A file system or a checkout that folds case, or Unicode's forms, makes no news of an article, and no other address.
    """
    known = files_by_path(connection, (*changes.to_read, *changes.removed))
    gone = {urls.fold(path): known[path] for path in changes.removed if path in known}
    found = {}
    for path in changes.to_read if known else ():
        if before := known.get(path) or gone.get(urls.fold(path)):
            found[path] = (before.id, before.seen)
    return found


# -- moves -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Moving:
    """An article whose file is gone: perhaps it stands elsewhere now."""

    id: str
    key: int
    published: int
    seen: int | None


def _moving_articles(connection: sa.Connection, removed: Iterable[str]) -> dict[str, list[_Moving]]:
    """Return the articles of removed files by title; under "", too, what has only the name of its file."""
    found: dict[str, list[_Moving]] = {}
    a = articles.c
    query = sa.select(a.title, a.path, a.id, a.key, a.published, files.c.seen)
    query = query.join_from(articles, files, sa.and_(files.c.path == a.path, files.c.article == a.id))
    for part in chunks(sorted(removed)):
        for title, path, *known in connection.execute(query.where(files.c.path.in_(part)).order_by(a.key)):
            for key in (title, "") if _is_name(title, path) else (title,):
                found.setdefault(key, []).append(_Moving(*known))
    return found


class Moves:
    """Recognises articles that have moved from one of the `removed` files; `ids` are those that did."""

    def __init__(self, connection: sa.Connection, removed: Iterable[str]) -> None:
        self.ids: set[str] = set()
        self._connection, self._removed = connection, set(removed)
        self._moving: dict[str, list[_Moving]] | None = None

    def keep_id(self, file: ParsedFile) -> ParsedFile:
        """Return a new file with the id of the article that has moved there: same title, same body, of the same time."""
        article = file.result
        if file.names_id or not isinstance(article, ParsedArticle) or not self._removed:
            return file
        if self._moving is None:
            self._moving = _moving_articles(self._connection, self._removed)
        untitled = self._moving.get("", []) if _is_name(article.title, file.path) else []
        for candidate in (*self._moving.get(article.title, []), *untitled):
            if candidate.id in self.ids:
                continue
            is_undated = file.seen is not None and candidate.seen is not None
            if not is_undated and candidate.published != int(article.published.timestamp()):
                continue
            body = sa.select(bodies.c.html).where(bodies.c.article_key == candidate.key)
            if without_links(self._connection.execute(body).scalar() or "") == without_links(article.html):
                self.ids.add(candidate.id)
                seen = candidate.published if is_undated else None
                return replace(file, result=with_id(article, candidate.id, published=seen), seen=seen)
        return file


_LINKS = re.compile(r' (?:href|src|srcset)="[^"]*"')


def without_links(html: str) -> str:
    """Return a body without what its links lead to, which depends on where its file lies."""
    return _LINKS.sub("", html)


def _is_name(title: str, path: str) -> bool:
    """Return whether a title says no more than the name of the file does."""
    title, name = ("".join(filter(str.isalnum, text)).casefold() for text in (title, plain_name(path)))
    return title == name


_DATED_NAME = re.compile(r"\d{2,4}-\d{1,2}-\d{1,2}-")


def plain_name(path: str) -> str:
    """Return what a file is called wherever it lies, without its suffix and the date that a folder of drafts drops."""
    folder, _, name = path.rpartition("/")
    stem = name.partition(".")[0]
    return folder.rpartition("/")[2] if stem == "index" else _DATED_NAME.sub("", stem, count=1)


def told_apart(id: str, path: str) -> str:
    """Return an id that no other file's path gives."""
    return f"{id}~{short_hash(path)}"


def short_hash(text: str) -> str:
    """Return six hexadecimal digits of a hash."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:6]


def page_path(id: str) -> str:
    """Return where the page of an article or page is in this service."""
    return f"/articles/{urls.encode(urls.slug(id))}"
