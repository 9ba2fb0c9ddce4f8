"""Search: articles by the words of their titles and summaries, whole or in part, in any script."""

from __future__ import annotations

import unicodedata

import sqlalchemy as sa

from ..config.models import Site
from ..database.tables import articles
from ..model import Article
from . import queries

MAX_LENGTH, MAX_WORDS = 100, 8


def clean_query(text: str) -> str:
    """Return the part of a typed text that is searched for: printable, in NFC, within bounds.

    >>> clean_query("  Linux\\t内核 ")
    'Linux 内核'
    """
    printable = "".join(one if one.isprintable() else " " for one in unicodedata.normalize("NFC", text[:MAX_LENGTH]))
    return " ".join(printable.split()[:MAX_WORDS])


def search_articles(connection: sa.Connection, site: Site, text: str, limit: int, skip: int = 0) -> list[Article]:
    """Return the headings of articles that have every word of `text`: first by title, then the newest first.

    `text` must come from `clean_query`.
    """
    c = articles.c
    words = text.split()
    if not words:
        return []
    # SQLite's LIKE ignores the case of ASCII, and takes half the time of comparing what `lower` made.
    match = sa.Column.contains if connection.dialect.name == "sqlite" else sa.Column.icontains
    in_title = [match(c.title, word, autoescape=True) for word in words]
    in_summary = [match(c.summary, word, autoescape=True) for word in words]
    titled = sa.and_(*in_title)
    found = sa.and_(*map(sa.or_, in_title, in_summary))
    query = sa.select(c.key).where(found).order_by(sa.case((titled, 0), else_=1), c.position.desc(), c.key)
    keys = connection.execute(query.limit(limit).offset(skip)).scalars().all()
    return queries.load_articles(connection, site, keys, with_html=False)
