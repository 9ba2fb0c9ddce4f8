"""Where an article stands in time, as one integer. Pure.

Seconds since 1970 in the upper bits, the article's number below, so that equal dates have an order that any rebuilt catalog
agrees on.
"""

from __future__ import annotations

import hashlib

_NUMBER_BITS = 24


def position(published: int, id: str) -> int:
    """`published` in UTC seconds. Ids that are no number, or too large a one, take part by their hash."""
    number = int(id) if id.isascii() and id.isdigit() and len(id) < 9 and (id[0] != "0" or id == "0") else -1
    if not 0 <= number < 1 << _NUMBER_BITS:
        number = int.from_bytes(hashlib.sha256(id.encode()).digest()[:3], "big")
    return (published << _NUMBER_BITS) + number


def first_of(published: int) -> int:
    """The lowest position of that second."""
    return published << _NUMBER_BITS


def published_at(position: int) -> int:
    """The second that a position is of."""
    return position >> _NUMBER_BITS
