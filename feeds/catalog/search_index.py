"""Which articles have which words: an index that a rescan keeps, and that searches look up. The only user of its table.

The words are those of `store.search_words`. Keys of articles are in blocks, so that a change writes little, and the first
rescan of a store writes each row once, in order. The same rows, and so the same answers, on every database.
"""

from __future__ import annotations

import sys
from array import array
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa
from pyroaring import BitMap

from ..database import chunks, insert_rows
from ..database.tables import articles, bodies, postings
from ..store.search_words import article_words

#: Name in the table `state`: the key of the words in the index.
MARK = "search"
#: Keys of articles in a block, which have 16 bits each. Never changes: the numbers of blocks are in the database.
BLOCK = 4096
#: Postings in memory, 10 bytes each.
_MAX_HELD = 8_000_000

_Changes = dict[int, dict[str, list[int]]]


def _changes() -> _Changes:
    return defaultdict(lambda: defaultdict(list))


# -- writing ---------------------------------------------------------------


@dataclass(slots=True)
class IndexWriter:
    """What one rescan adds to the index and removes from it. Call `finish` once, at the end.

    `everything`: the index is made again, since its words might be others now.
    """

    connection: sa.Connection
    everything: bool = False
    _coming: _Changes = field(default_factory=_changes)
    _going: _Changes = field(default_factory=_changes)
    _held: int = 0
    #: Articles whose words are not in the index yet.
    _left: BitMap = field(default_factory=BitMap)
    _last: int = -1

    def __post_init__(self) -> None:
        if self.everything:
            self.connection.execute(sa.delete(postings))
            self._left = BitMap(self.connection.execute(sa.select(articles.c.key)).scalars())
        last = self.connection.execute(sa.select(sa.func.max(postings.c.block))).scalar()
        self._last = -1 if last is None else last

    def put(self, key: int, words: str) -> None:
        """Add an article with its words, between blanks."""
        self._left.discard(key)
        # Keys of a store's first rescan come in order: its blocks are written when they are full.
        if self._held > _MAX_HELD or (key % BLOCK == 0 and self._held > _MAX_HELD // 2):
            self.write()
        self._held += _note(self._coming, key, words)

    def is_missing(self, key: int) -> bool:
        """Return whether an article of the catalog is not in the index yet."""
        return key in self._left

    def drop(self, keys: Sequence[int]) -> None:
        """Remove articles as the catalog still has them."""
        known = [key for key in keys if key not in self._left]
        self._left -= BitMap(keys)
        for key, words in self._stored(known):
            self._held += _note(self._going, key, words)

    def _stored(self, keys: Sequence[int]) -> Iterable[tuple[int, str]]:
        """Yield keys and words of articles of the catalog."""
        c = articles.c
        query = sa.select(c.key, c.title, c.summary, bodies.c.html).join(bodies, bodies.c.article_key == c.key)
        for part in chunks(keys):
            for key, title, summary, html in self.connection.execute(query.where(c.key.in_(part))):
                yield key, article_words(title, summary, html)

    def finish(self) -> None:
        """Add what is left of the catalog, where the index is made again, and write."""
        for key, words in self._stored(list(self._left)):
            self.put(key, words)
        self.write()

    def write(self) -> None:
        """Write what was added and removed."""
        for block in sorted(self._coming.keys() | self._going.keys()):
            coming, going = self._coming[block], self._going[block]
            # Words that an article has before and after are most of a change.
            for word in going.keys() & coming.keys():
                both = set(going[word]) & set(coming[word])
                coming[word] = [one for one in coming[word] if one not in both]
                going[word] = [one for one in going[word] if one not in both]
            words = sorted(word for word in coming.keys() | going.keys() if coming.get(word) or going.get(word))
            if block > self._last:
                insert_rows(
                    self.connection, postings, [(block, word, _packed(coming[word])) for word in words if word in coming]
                )
            else:
                for part in chunks(words, 5000):
                    self._merge(block, part, coming, going)
            self._last = max(block, self._last)
        self._coming, self._going, self._held = _changes(), _changes(), 0

    def _merge(self, block: int, words: Sequence[str], coming: dict[str, list[int]], going: dict[str, list[int]]) -> None:
        c, rows = postings.c, []
        where = sa.and_(c.block == block, c.word.in_(words))
        found = {word: data for word, data in self.connection.execute(sa.select(c.word, c.articles).where(where))}
        if found:
            self.connection.execute(sa.delete(postings).where(c.block == block, c.word.in_(list(found))))
        for word in words:
            if members := (set(_unpacked(found.get(word, b""))) - set(going.get(word, ()))) | set(coming.get(word, ())):
                rows.append((block, word, _packed(members)))
        insert_rows(self.connection, postings, rows)


def _note(changes: _Changes, key: int, words: str) -> int:
    """Note the words of an article; return how many."""
    block, number = divmod(key, BLOCK)
    inside, found = changes[block], words.split()
    for word in found:
        inside[word].append(number)
    return len(found)


def _packed(numbers: Iterable[int]) -> bytes:
    """Return numbers of 16 bits, the lower byte first."""
    packed = array("H", sorted(numbers))
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def _unpacked(data: bytes) -> array[int]:
    numbers = array("H", data)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


# -- reading ---------------------------------------------------------------

_EXACT = sa.select(postings.c.word, postings.c.block, postings.c.articles).where(
    postings.c.block.in_(sa.bindparam("blocks", expanding=True)), postings.c.word.in_(sa.bindparam("words", expanding=True))
)
_BEGINNING = sa.select(postings.c.block, postings.c.articles).where(
    postings.c.block.in_(sa.bindparam("blocks", expanding=True)),
    postings.c.word >= sa.bindparam("first"),
    postings.c.word < sa.bindparam("end"),
)


@dataclass(slots=True)
class SearchIndex:
    """The index as one snapshot has it."""

    connection: sa.Connection
    _blocks: list[int] = field(default_factory=list)
    _known: dict[str, BitMap] = field(default_factory=dict)

    def __post_init__(self) -> None:
        last = self.connection.execute(sa.select(sa.func.max(articles.c.key))).scalar() or 0
        self._blocks = list(range(last // BLOCK + 1))

    def look_up(self, words: Iterable[str]) -> None:
        """Read some words at once, for `having`."""
        wanted = {word for word in words if word not in self._known}
        if not wanted:
            return
        found: dict[str, BitMap] = {word: BitMap() for word in wanted}
        for word, block, data in self.connection.execute(_EXACT, {"blocks": self._blocks, "words": sorted(wanted)}):
            found[word] |= _members(block, data)
        self._known |= found

    def having(self, word: str) -> BitMap:
        """Return the articles that have a word."""
        self.look_up((word,))
        return self._known[word]

    def beginning(self, start: str) -> BitMap:
        """Return the articles that have a word with this beginning."""
        rows = self.connection.execute(_BEGINNING, {"blocks": self._blocks, "first": start, "end": f"{start}\U0010ffff"})
        return BitMap().union(*(_members(block, data) for block, data in rows))


def _members(block: int, data: bytes) -> BitMap:
    found = BitMap(array("I", _unpacked(data)))
    return found.shift(block * BLOCK) if block else found
