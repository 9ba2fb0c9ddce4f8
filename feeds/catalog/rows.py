"""Write the rows of a rescan: what came of one batch of files, in few statements.

`catalog/ingest.py` decides what they say.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, field
from typing import Any

import sqlalchemy as sa

from ..database import insert_rows
from ..database.tables import articles, assets, bodies, departed, files, issue_articles, memberships, quarantine, sources
from ..model import NO_DETAILS, Details, ParsedArticle, Problem
from ..store.parsed import ParsedFile
from ..store.walk import UNSETTLED
from .assets import asset_rows
from .links import has_settled_links
from .terms import Member, Spelled

_JSON = json.JSONEncoder(ensure_ascii=False).encode
#: What goes with an article.
PARTS_OF_ARTICLES = tuple((table, table.c.article_key) for table in (memberships, bodies, sources))


@dataclass(frozen=True, slots=True)
class KnownArticle:
    """An article as the catalog has it."""

    key: int
    position: int
    path: str
    content: str
    available: int
    updated: int
    in_feeds: bool
    names: Spelled


@dataclass(slots=True)
class Rows:
    """What one batch writes."""

    files: list[dict[str, Any]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    cleared: list[str] = field(default_factory=list)
    added: list[dict[str, Any]] = field(default_factory=list)
    changed: list[dict[str, Any]] = field(default_factory=list)
    renamed: list[dict[str, Any]] = field(default_factory=list)
    leaving: list[int] = field(default_factory=list)
    members: list[Member] = field(default_factory=list)
    html: list[dict[str, Any]] = field(default_factory=list)
    sources: dict[int, bytes] = field(default_factory=dict)
    assets: list[dict[str, Any]] = field(default_factory=list)

    def add_file(self, file: ParsedFile, article: str, problem: Problem | None = None, *, due: int | None = None) -> None:
        """Add the row of a file that is or was an article, "" for none; and its problem, or none any more.

        `due` (UTC seconds) is that of its last good version, if it has a problem.
        """
        stamp = file.stamp if file.settled else UNSETTLED
        due = int(file.verdict.due.timestamp()) if file.verdict.due else due
        row = {"path": file.path, "stamp": stamp, "article": article, "due": due, "seen": file.seen}
        self.files.append(row)
        if problem is None:
            self.cleared.append(file.path)
            self.assets += asset_rows(file.path, file.assets)
        else:
            self.problems.append(problem)

    def write(self, connection: sa.Connection, now: int, *, fresh: bool) -> None:
        """Write all rows; `fresh`: none of the files was known before.

        Articles that come back are as old as they were: no digest brings them again. What was held back to a later date before
        any digest had brought it is news then.
        """
        c = departed.c
        query = sa.select(c.id, c.available, c.arrival).where(c.id.in_([row["id"] for row in self.added]))
        known = {id: {"available": available, "arrival": arrival} for id, available, arrival in connection.execute(query)}
        if known:
            connection.execute(sa.delete(departed).where(c.id.in_(known)))
            later = [row["id"] for row in self.added if row["published"] > known.get(row["id"], row)["available"]]
            sent = set(connection.scalars(sa.select(issue_articles.c.article).where(issue_articles.c.article.in_(later))))
            known = {id: when for id, when in known.items() if id in sent or id not in later}
            self.added = [row | known.get(row["id"], {}) for row in self.added]
        if not fresh:
            connection.execute(sa.delete(files).where(files.c.path.in_([row["path"] for row in self.files])))
            for table, column in ((quarantine, quarantine.c.path), (assets, assets.c.owner)):
                connection.execute(sa.delete(table).where(column.in_(self.cleared)))
        put_problems(connection, self.problems, now)
        update_articles(connection, self.changed)
        update_articles(connection, self.renamed)
        for table, column in PARTS_OF_ARTICLES:
            if self.leaving:
                connection.execute(sa.delete(table).where(column.in_(self.leaving)))
        for table, rows in ((files, self.files), (articles, self.added), (bodies, self.html), (assets, self.assets)):
            insert_rows(connection, table, [tuple(row[column.name] for column in table.columns) for row in rows])
        insert_rows(connection, memberships, self.members)
        query = sa.select(sources.c.article_key).where(sources.c.article_key.in_(list(self.sources)))
        stored = set(connection.scalars(query))  # of unchanged articles: the catalog of an older program lacks them
        insert_rows(connection, sources, [(key, data) for key, data in self.sources.items() if data and key not in stored])


def put_problems(connection: sa.Connection, problems: Sequence[Problem], now: int) -> None:
    """Write quarantine rows; one that says the same as before keeps its `since`. `now` in UTC seconds."""
    c = quarantine.c
    if not problems:
        return
    rows = connection.execute(sa.select(quarantine).where(c.path.in_([problem.path for problem in problems])))
    known = {row.path: (row.line, row.column, row.reason) for row in rows}
    new = [one for one in problems if known.get(one.path) != (one.line, one.column, one.reason)]
    if new:
        connection.execute(sa.delete(quarantine).where(c.path.in_([problem.path for problem in new])))
        connection.execute(sa.insert(quarantine), [{**asdict(problem), "since": now} for problem in new])


def details_text(details: Details) -> str:
    """Return the details of an article as JSON, "" for none."""
    if details is NO_DETAILS or details == NO_DETAILS:
        return ""
    written = asdict(details) | {"media": [astuple(one) for one in details.media]}
    return _JSON({name: value for name, value in written.items() if value})


def article_row(article: ParsedArticle, key: int, place: int, path: str) -> dict[str, Any]:
    same = ("id", "url", "permalink", "title", "summary", "original", "picture", "comments", "language", "translation")
    return {name: getattr(article, name) for name in (*same, "pinned", "part")} | {
        "key": key,
        "position": place,
        "path": path,
        "published": int(article.published.timestamp()),
        "updated": int(article.updated.timestamp()),
        "editor_choice": int(article.editor_choice),
        "names": _JSON({facet: list(names) for facet, names in article.names.items()}),
        "content": article.digest,
        "changes": _JSON(dict(article.changes)) if article.changes else "",
        "in_feeds": int(article.in_feeds),
        "in_digests": int(article.in_digests),
        "details": details_text(article.details),
        "linked": int(has_settled_links(article.html)),
    }


def update_articles(connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Update articles: `_key` names the row; the other columns are set."""
    if rows:
        connection.execute(sa.update(articles).where(articles.c.key == sa.bindparam("_key")), list(rows))
