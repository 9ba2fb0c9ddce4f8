"""Suggest what was perhaps meant by a word that no article has: words of titles, names of tags and people."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from ..database import fetch_rows
from ..database.tables import articles, terms
from ..store.search_words import fold
from .terms import collation_key

_WORD = re.compile(r"[^\W\d_][\w+#.]{2,30}")
#: Words and names that are compared with one that was typed.
MAX_WORDS = 50_000


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Words of titles and names, folded, and how many titles or articles have each. What is not ASCII is a name."""

    words: Mapping[str, int]

    @classmethod
    def load(cls, connection: sa.Connection) -> Vocabulary:
        """Return the commonest words of one snapshot, at most MAX_WORDS."""
        titles = "\n".join(title for (title,) in fetch_rows(connection, sa.select(articles.c.title)))
        found = Counter(word for word in _WORD.findall(titles.lower()) if word.isascii())
        for name, number in connection.execute(sa.select(terms.c.name, terms.c.articles).where(terms.c.articles > 0)):
            found[fold(name)] += number
        return cls(dict(found.most_common(MAX_WORDS)))

    def nearest(self, written: str) -> str:
        """Return the word that is meant most probably; "" for none.

        >>> Vocabulary({"tcp": 5, "内核": 9}).nearest("tpc"), Vocabulary({"tcp": 5, "内核": 9}).nearest("内河")
        ('tcp', '内核')
        """
        from rapidfuzz import process
        from rapidfuzz.distance import OSA

        folded = fold(written)
        if not folded.isascii():
            return self._sounding(folded) or self._nearest_name(folded)
        most = 1 if len(folded) < 6 else 2
        if len(folded) < 3:
            return ""
        rows = process.extract(folded, self.words.keys(), scorer=OSA.distance, score_cutoff=most, limit=50)
        # People make few errors in the first letter.
        near = [(distance, word[0] != folded[0], -self.words[word], word) for word, distance, _index in rows if word != folded]
        if near:
            return min(near)[3]
        longer = [(-number, word) for word, number in self.words.items() if word.startswith(folded) and len(folded) > 3]
        return min(longer)[1] if longer else ""

    def _sounding(self, folded: str) -> str:
        """Return a name that sounds alike: of Chinese, the error that typing makes."""
        same = [name for name in self.words if len(name) == len(folded) and not name.isascii() and name != folded]
        alike = [(-self.words[name], name) for name in same if collation_key(name)[0] == collation_key(folded)[0]]
        return min(alike)[1] if alike else ""

    def _nearest_name(self, folded: str) -> str:
        from rapidfuzz import process
        from rapidfuzz.distance import OSA

        if len(folded) < 3:
            return ""
        names = [name for name in self.words if not name.isascii()]
        rows = process.extract(folded, names, scorer=OSA.distance, score_cutoff=1, limit=50)
        near = [(distance, -self.words[name], name) for name, distance, _index in rows if name != folded]
        return min(near)[2] if near else ""
