"""Cards: what lists show of an article, rendered once and kept for all pages that list it."""

from __future__ import annotations

import os
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable

from markupsafe import Markup

from ..model import Article

#: Bytes that the key of a card takes in memory, with its place in the order of use.
_KEY_BYTES = 400
#: Renders the card of an article with a heading of a level, as macros of templates do.
Macro = Callable[[Article, int], str]


class Cards:
    """Cards within `max_bytes` of memory, those that were used last; threads share them.

    A card is kept by the digest of its article, the level of its heading and the reader's language. Whatever else decides it is
    in a mark: settings, templates, which terms have pages. Cards of another mark than the last one are dropped.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.bytes = 0
        self._mark: Hashable = None
        self._cards: OrderedDict[tuple[str, int, str], str] = OrderedDict()
        self._lock = threading.Lock()

    def join(self, mark: Hashable, language: str, macro: Macro, articles: Iterable[Article], level: int) -> Markup:
        """Return the cards of some articles, one after the other; those that are not kept are rendered by `macro`."""
        wanted = [((article.digest, level, language), article) for article in articles]
        with self._lock:
            if mark != self._mark:
                self._mark, self.bytes = mark, 0
                self._cards.clear()
            known = {key: card for key, _article in wanted if (card := self._cards.get(key)) is not None}
            for key in known:
                self._cards.move_to_end(key)
        made = {key: macro(article, level) for key, article in wanted if key not in known}
        if made:
            self._keep(mark, made)
            known |= made
        return Markup("").join(Markup(known[key]) for key, _article in wanted)  # noqa: S704  what a template escaped

    def _keep(self, mark: Hashable, made: dict[tuple[str, int, str], str]) -> None:
        with self._lock:
            if mark != self._mark:
                return
            for key, card in made.items():
                if key not in self._cards:
                    self._cards[key] = card
                    self.bytes += sys.getsizeof(card) + _KEY_BYTES
            while self.bytes > self.max_bytes:
                self.bytes -= sys.getsizeof(self._cards.popitem(last=False)[1]) + _KEY_BYTES


def mark_of_templates(folder: str) -> tuple[tuple[str, int], ...]:
    """Return paths and times of change of all templates below an operator's folder: an edited one shows at once."""
    found: list[tuple[str, int]] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                found += mark_of_templates(entry.path) if entry.is_dir() else [(entry.path, entry.stat().st_mtime_ns)]
    except OSError:  # there is none, or a file went meanwhile
        return ()
    return tuple(found)
