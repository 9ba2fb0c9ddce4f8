"""Divide a limit for all clients among their networks, so that no number of clients can use up what is another's."""

from __future__ import annotations

from collections.abc import Mapping


def is_within_share(used: Mapping[str, int], network: str, limit: int) -> bool:
    """Return whether `network` may have one more. `used` is what each network has now, `limit` what all may have together.

    Below the limit anyone may. Once it is reached, each network has an equal share of it, and at least one: a network that
    comes then is never refused its first. So the limit is exceeded, by at most one for each network that comes later.

    >>> is_within_share({"a": 9}, "a", 10), is_within_share({"a": 10}, "a", 10), is_within_share({"a": 10}, "b", 10)
    (True, False, True)
    """
    networks = len(used.keys() | {network})
    return sum(used.values()) < limit or used.get(network, 0) < max(1, limit // networks)
