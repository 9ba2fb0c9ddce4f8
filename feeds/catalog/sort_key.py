"""The order of time: the position of an article as one integer, and windows of positions. Pure.

Seconds since 1970 in the upper bits, the article's number below: articles of one second keep their order in a rebuilt catalog.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

_NUMBER_BITS = 24


def position(published: int, id: str) -> int:
    """Return the position of an article; `published` in UTC seconds. An id that is not a number below 2^24 counts by its hash.

    >>> position(1, "7") == (1 << 24) + 7
    True
    """
    number = int(id) if id.isascii() and id.isdigit() and len(id) < 9 and (id[0] != "0" or id == "0") else -1
    if not 0 <= number < 1 << _NUMBER_BITS:
        number = int.from_bytes(hashlib.sha256(id.encode()).digest()[:3], "big")
    return (published << _NUMBER_BITS) + number


def first_position(published: int) -> int:
    """Return the lowest position of a second."""
    return published << _NUMBER_BITS


def published_at(position: int) -> int:
    """Return the second (UTC) of a position."""
    return position >> _NUMBER_BITS


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the order of time: below position `before` and at or above position `after`, from one end or the other.

    At most `limit` articles, after the first `skip`; None for all. The default is all articles, newest first.
    """

    limit: int | None = None
    before: int | None = None
    after: int | None = None
    skip: int = 0
    newest_first: bool = True

    @classmethod
    def published(cls, first: int, end: int) -> Window:
        """Return the window of what was published from `first` to before `end`, in UTC seconds."""
        return cls(before=first_position(end), after=first_position(first))
