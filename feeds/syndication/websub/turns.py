"""Who is next: hosts take turns, so that a host with many callbacks, or slow ones, keeps no other waiting. Pure."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Lane(Generic[Item]):
    """At most `slots` items are under way at a time, `per_host` of one host; those of a host in the order of their coming."""

    def __init__(self, slots: int, per_host: int) -> None:
        self.slots, self.per_host = slots, per_host
        self._waiting: OrderedDict[str, deque[Item]] = OrderedDict()
        self._busy: Counter[str] = Counter()

    def resize(self, slots: int, per_host: int) -> None:
        self.slots, self.per_host = slots, per_host

    def add(self, host: str, item: Item) -> None:
        self._waiting.setdefault(host, deque()).append(item)

    def take(self) -> Item | None:
        """The next item that may begin; call `done` with its host when it has ended."""
        if self._busy.total() >= self.slots:
            return None
        host = next((host for host in self._waiting if self._busy[host] < self.per_host), None)
        if host is None:
            return None
        item = self._waiting[host].popleft()
        self._waiting.move_to_end(host)
        if not self._waiting[host]:
            del self._waiting[host]
        self._busy[host] += 1
        return item

    def done(self, host: str) -> None:
        self._busy[host] -= 1
        if not self._busy[host]:
            del self._busy[host]
