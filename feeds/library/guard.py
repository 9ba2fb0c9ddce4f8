"""The guard of the store: how many articles a rescan may take away because their files are gone. Pure.

A disk that is not mounted and a folder that somebody has emptied look alike, and only the second is meant. What is held back
stays published; it goes when the operator says so, and is as before when the files are back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

#: What went in so many seconds counts together: a folder that is being deleted is swept several times.
WINDOW_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Guard:
    """Up to `percent` of the articles may go at once, or up to `articles` of them where that is more; 100 holds nothing back.

    `lately` articles went within the window. `accepted`: the operator has said that they may go. `moved`: the store is another
    folder than before.
    """

    percent: int = 100
    articles: int = 0
    lately: int = 0
    accepted: bool = False
    moved: bool = False

    def holds(self, going: int, published: int, *, seen: int, added: int) -> bool:
        """Whether `going` of the `published` articles have to stay; `seen` files are in the store, `added` articles are new.

        An empty store is never believed. One that was moved and shares no article with the old one is: that is another
        archive, and the setting was the operator's word.
        """
        if not going or self.accepted or self.percent >= 100:
            return False
        if self.moved and added and going == published:
            return False
        if not seen:
            return True
        total = going + self.lately
        return total > self.articles and total * 100 > self.percent * (published + self.lately)


#: For a catalog that is made to be thrown away.
OPEN = Guard()


def mark(paths: Iterable[str]) -> str:
    """Names a set of paths; "" where there is none."""
    joined = "\0".join(sorted(paths))
    return hashlib.sha256(joined.encode()).hexdigest()[:16] if joined else ""
