"""What carries messages: the transport that newsletter.yaml names, and messages that nobody keeps a row of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from ...config.environment import Environment
from ...config.models import Config
from ...counters import Gathered
from ...model import Message, Outcome
from . import smtp_session
from .base import Parcel, Transport, TransportError
from .maildir import Maildir
from .smtp import Smtp

__all__ = ["ListDesk", "Transport", "TransportError", "carry", "choose"]


def choose(config: Config, environment: Environment, gathered: Gathered | None = None) -> Transport:
    """The transport that newsletter.yaml names. Raises TransportError where FEEDS_SMTP_URL is missing or wrong.

    How servers answer is `gathered`.
    """
    settings = config.newsletter
    if settings.transport == "maildir":
        return Maildir(environment.root / settings.maildir, together=settings.connections)
    if not environment.smtp_url:
        raise TransportError("newsletter.yaml says `transport: smtp`, and FEEDS_SMTP_URL is not set")
    found = smtp_session.parse(environment.smtp_url.get_secret_value())
    return Smtp(
        found,
        connections=settings.connections,
        per_connection=settings.messages_per_connection,
        gathered=gathered or Gathered(),
    )


class ListDesk:
    """Some messages that nobody keeps a row of."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self._waiting = [Parcel(index, message) for index, message in enumerate(messages)][::-1]
        self.outcomes = [Outcome("retry", "not tried") for _message in messages]

    @property
    def finished(self) -> bool:
        return not self._waiting

    @property
    def stopping(self) -> bool:
        return False  # whoever sends a test message waits for it

    def ready(self) -> int:
        return len(self._waiting)

    def pause(self) -> float:
        return 0.05

    def take(self, server: str = "", rate: float = 0.0) -> Parcel | None:
        return self._waiting.pop() if self._waiting else None

    def move(self, ended: tuple[Parcel, Outcome] | None, begun: Parcel | None, then: Callable[[bool], None] | None) -> None:
        if ended:
            self.outcomes[ended[0].key] = ended[1]
        if then:
            asyncio.get_running_loop().call_soon(then, True)

    def give_back(self, parcel: Parcel, *, tried: bool = True) -> None:
        parcel.returns += tried
        if parcel.returns > 2:
            self.outcomes[parcel.key] = Outcome("retry", "the connection was lost three times")
        else:
            self._waiting.append(parcel)

    def give_up(self, reason: str) -> None:
        for parcel in self._waiting:
            self.outcomes[parcel.key] = Outcome("retry", reason)
        self._waiting.clear()


def carry(transport: Transport, messages: Sequence[Message]) -> list[Outcome]:
    """Send these now, without a row for any; for test messages."""
    desk = ListDesk(messages)
    asyncio.run(transport.run(desk))
    return desk.outcomes
