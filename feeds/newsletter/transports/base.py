"""The bargain between those who have messages (a desk) and those who carry them (a transport).

A transport pulls. It takes a parcel, asks that it be noted as being sent, and hands the message over only once that is on
disk; then it says what became of it. So a crash leaves no more rows in doubt than a transport has messages in hand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from ...errors import FeedsError
from ...model import Message, Outcome


class TransportError(FeedsError):
    """Nothing can be sent this way; one line, without secrets."""


@dataclass(slots=True, eq=False)
class Parcel:
    """A message on its way. `key` is the desk's own; `returns` counts how often it came back untouched."""

    key: Any
    message: Message
    returns: int = 0


class Desk(Protocol):
    """All of it is called on the event loop's thread."""

    @property
    def finished(self) -> bool:
        """Nothing more will come in this run."""
        ...

    @property
    def stopping(self) -> bool:
        """The process is to end soon: what is under way may be finished, within a bound."""
        ...

    def ready(self) -> int:
        """About how many parcels `take` would give at once; 0 while rates hold them back."""
        ...

    def pause(self) -> float:
        """Seconds after which it makes sense to ask again, where `ready` is 0."""
        ...

    def take(self, server: str = "", rate: float = 0.0) -> Parcel | None:
        """The next parcel, for a server that takes `rate` messages a second (0: any number)."""
        ...

    def move(self, ended: tuple[Parcel, Outcome] | None, begun: Parcel | None, then: Callable[[bool], None] | None) -> None:
        """Note what became of one parcel, and that another is about to be handed over; `then` is called when that is on disk.

        It is called with False where the parcel must not be sent any more: then it is out of the transport's hands.
        """
        ...

    def give_back(self, parcel: Parcel, *, tried: bool = True) -> None:
        """Not begun; some other connection may carry it. `tried`: the server has seen its envelope."""
        ...

    def give_up(self, reason: str) -> None:
        """Nothing can be sent for now; every row stays as it is."""
        ...


class Transport(Protocol):
    async def run(self, desk: Desk) -> None:
        """Carry parcels until the desk is finished."""
        ...

    async def check(self) -> str:
        """Try it without sending; one line that says what was found. Raises TransportError."""
        ...
