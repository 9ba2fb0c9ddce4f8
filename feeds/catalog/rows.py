"""Write the rows of a rescan: what came of one batch of files, in few statements.

`catalog/ingest.py` decides what they say.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import sqlalchemy as sa

from ..database import insert_rows
from ..database.tables import articles, bodies, departed, files, issue_articles, memberships, quarantine
from ..model import ParsedArticle, Problem
from ..store.parse import ParsedFile
from ..store.walk import UNSETTLED
from .terms import Member, Spelled

_JSON = json.JSONEncoder(ensure_ascii=False).encode
#: What goes with an article.
PARTS_OF_ARTICLES = ((memberships, memberships.c.article_key), (bodies, bodies.c.article_key))


@dataclass(frozen=True, slots=True)
class KnownArticle:
    """An article as the catalog has it."""

    key: int
    position: int
    path: str
    content: str
    available: int
    updated: int
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
            connection.execute(sa.delete(quarantine).where(quarantine.c.path.in_(self.cleared)))
        put_problems(connection, self.problems, now)
        update_articles(connection, self.changed)
        update_articles(connection, self.renamed)
        for table, column in PARTS_OF_ARTICLES:
            if self.leaving:
                connection.execute(sa.delete(table).where(column.in_(self.leaving)))
        for table, rows in ((files, self.files), (articles, self.added), (bodies, self.html)):
            insert_rows(connection, table, [tuple(row[column.name] for column in table.columns) for row in rows])
        insert_rows(connection, memberships, self.members)


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


def article_row(article: ParsedArticle, key: int, place: int, path: str) -> dict[str, Any]:
    same = ("id", "url", "permalink", "title", "summary", "original", "picture", "comments", "language", "translation")
    return {name: getattr(article, name) for name in same} | {
        "key": key,
        "position": place,
        "path": path,
        "published": int(article.published.timestamp()),
        "updated": int(article.updated.timestamp()),
        "editor_choice": int(article.editor_choice),
        "names": _JSON({facet: list(names) for facet, names in article.names.items()}),
        "content": article.digest,
        "changes": _JSON(dict(article.changes)) if article.changes else "",
    }


def update_articles(connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Update articles: `_key` names the row; the other columns are set."""
    if rows:
        connection.execute(sa.update(articles).where(articles.c.key == sa.bindparam("_key")), list(rows))
