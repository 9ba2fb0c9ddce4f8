"""Search: articles by the words of their titles and summaries, whole or in part, in any script."""

from __future__ import annotations

import unicodedata
from typing import Any

import sqlalchemy as sa

from ..database.tables import articles
from ..model import Article
from . import queries

MAX_LENGTH, MAX_WORDS = 100, 8


def plain(text: str) -> str:
    """What of a typed text is searched for: printable, in NFC, within bounds."""
    printable = "".join(one if one.isprintable() else " " for one in unicodedata.normalize("NFC", text[:MAX_LENGTH]))
    return " ".join(printable.split()[:MAX_WORDS])


def search(connection: sa.Connection, text: str, limit: int, skip: int = 0) -> list[Article]:
    """Headings of the articles that have every word of `text`, made by `plain`: in titles first, then the newest first."""
    c = articles.c
    words = text.split()
    if not words:
        return []
    titled = sa.and_(*(_has(connection, c.title, word) for word in words))
    found = sa.and_(*(_has(connection, c.title, word) | _has(connection, c.summary, word) for word in words))
    query = sa.select(c.key).where(found).order_by(sa.case((titled, 0), else_=1), c.position.desc(), c.key)
    keys = connection.execute(query.limit(limit).offset(skip)).scalars().all()
    return queries.load(connection, keys, with_html=False)


def _has(connection: sa.Connection, column: sa.Column[Any], word: str) -> sa.ColumnElement[bool]:
    """Without regard to case. SQLite's LIKE has none for ASCII, and takes half the time of comparing what `lower` made."""
    if connection.dialect.name == "sqlite":
        return column.contains(word, autoescape=True)
    return column.icontains(word, autoescape=True)
