"""The position of an article in the order of time, as one integer. Pure.

Seconds since 1970 in the upper bits, the article's number below, so that articles of one second have an order that every
rebuilt catalog agrees on.
"""

from __future__ import annotations

import hashlib

_NUMBER_BITS = 24


def position(published: int, id: str) -> int:
    """Return the position of an article; `published` in UTC seconds.

    An id that is not a number, or too large a one, takes part by its hash.

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
