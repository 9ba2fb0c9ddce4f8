"""Search: articles by the words of their titles and summaries, whole or in part, in any script."""

from __future__ import annotations

import bisect
import contextlib
import unicodedata
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

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


class SearchText:
    """Titles and summaries of all articles of one generation of the catalog, in memory up to `max_bytes`; threads share it.

    A scan of the table takes ten times as long as one of this text. It is loaded where a generation is searched a second time,
    and folded by the database, so that a search finds what a query would.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._asked = -1
        self._loaded: tuple[int, _Records | None] = (-1, None)

    def of(self, connection: sa.Connection, generation: int) -> _Records | None:
        """Return the texts; None where a query is to be asked: at first, and where they are too long."""
        known, records = self._loaded
        if known != generation and self._asked == generation:
            records = _Records.load(connection, self.max_bytes)
            known, _records = self._loaded = generation, records
        self._asked = generation
        return records if known == generation else None


@dataclass(frozen=True, slots=True)
class _Records:
    """Articles, newest first: their keys, and `TITLE\\nSUMMARY\\n` of each in `text`, which end at `ends`."""

    keys: array[int]
    ends: array[int]
    text: bytes

    @classmethod
    def load(cls, connection: sa.Connection, max_bytes: int) -> _Records | None:
        keys, ends, parts, size = array("q"), array("q"), [], 0
        with contextlib.closing(connection.execute(_FOLDED)) as rows:
            for key, title, summary in rows:
                parts.append(f"{title}\n{summary}\n".encode())
                size += len(parts[-1])
                if size > max_bytes:
                    return None
                keys.append(key)
                ends.append(size)
        return cls(keys, ends, b"".join(parts))

    def find(self, words: Sequence[bytes], most: int) -> list[int]:
        """Return keys of articles with all of the words, those with all in their titles first: up to `most`."""
        first, at = max(words, key=len), 0
        titled: list[int] = []
        others: list[int] = []
        while len(titled) < most and (at := self.text.find(first, at)) >= 0:
            index = bisect.bisect_right(self.ends, at)
            begin, at = self.ends[index - 1] if index else 0, self.ends[index]
            record = self.text[begin:at]
            if all(word in record for word in words):
                title = record[: record.index(b"\n")]
                (titled if all(word in title for word in words) else others).append(self.keys[index])
        return (titled + others)[:most]


_LOWER = sa.select(sa.func.lower(sa.bindparam("text", type_=sa.Text)))
_FOLDED = sa.select(articles.c.key, sa.func.lower(articles.c.title), sa.func.lower(articles.c.summary)).order_by(
    articles.c.position.desc(), articles.c.key
)


def search_articles(
    connection: sa.Connection, site: Site, text: str, limit: int, skip: int = 0, records: _Records | None = None
) -> list[Article]:
    """Return the headings of articles that have every word of `text`: first by title, then the newest first.

    `text` must come from `clean_query`. `records`: all articles of this snapshot, where they are known.
    """
    if not text:
        return []
    if records:
        folded = str(connection.execute(_LOWER, {"text": text}).scalar())
        keys = records.find(folded.encode().split(), skip + limit)[skip:]
    else:
        keys = _query(connection, text.split(), limit, skip)
    return queries.load_articles(connection, site, keys, with_html=False)


def _query(connection: sa.Connection, words: Sequence[str], limit: int, skip: int) -> list[int]:
    c = articles.c
    # SQLite's LIKE ignores the case of ASCII, and takes half the time of comparing what `lower` made.
    match = sa.Column.contains if connection.dialect.name == "sqlite" else sa.Column.icontains
    in_title = [match(c.title, word, autoescape=True) for word in words]
    in_summary = [match(c.summary, word, autoescape=True) for word in words]
    titled = sa.and_(*in_title)
    found = sa.and_(*map(sa.or_, in_title, in_summary))
    query = sa.select(c.key).where(found).order_by(sa.case((titled, 0), else_=1), c.position.desc(), c.key)
    return list(connection.execute(query.limit(limit).offset(skip)).scalars())
