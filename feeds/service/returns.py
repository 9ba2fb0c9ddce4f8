"""The use case of mail that came back: read the mailboxes, book each message, and only then let it go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Any

import sqlalchemy as sa

from .. import database
from ..config import Config, Environment, Newsletter
from ..newsletter import bounces, reports
from ..newsletter.bounces import Booking
from ..newsletter.mailbox import Letter, Mailbox, open_mailboxes
from ..newsletter.tokens import Tokens

Progress = Callable[[int], None]


@dataclass(slots=True)
class Returns:
    """What one reading found. `counts`: what became of the messages (see bounces.Booking); `ended`: subscribers taken off."""

    mailboxes: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    ended: int = 0
    kept: list[dict[str, str]] = field(default_factory=list)

    def add(self, mailbox: str, letter: Letter, booking: Booking) -> None:
        self.counts[booking.what] += 1
        self.ended += booking.ended
        if booking.what == "kept":
            self.kept.append({"mailbox": mailbox, "message": letter.name, "reason": booking.reason})

    def as_json(self) -> dict[str, Any]:
        numbers = {name: self.counts[name] for name in (*KINDS, "kept")}
        return {"read": self.counts.total(), **numbers, "ended": self.ended, "mailboxes": self.mailboxes, "problems": self.kept}


#: What a message can be booked as, in the order of the answer.
KINDS = ("hard", "soft", "noted", "complaint", "unsubscribed", "ignored", "repeated")


def is_configured(config: Config, environment: Environment) -> bool:
    return bool(config.newsletter.bounces.maildir or environment.imap_url)


def by_issue(engine: sa.Engine) -> dict[str, dict[str, int]]:
    """What came back of the newest issues: id -> hard, soft, complaint -> number; `sent` beside them, for the rates."""
    with database.reading(engine) as connection:
        return bounces.by_issue(connection)


def collect(
    engine: sa.Engine,
    environment: Environment,
    config: Config,
    tokens: Tokens,
    now: int,
    progress: Progress | None = None,
    stop: Event | None = None,
) -> Returns:
    """Book everything in the mailboxes, or until `stop`. `now` in UTC seconds. One process at a time; a second one waits.

    A message is removed after its booking is committed, so a crash in between has it read, and found booked, once more. What
    cannot be booked is flagged and kept. Raises MailboxError.
    """
    found = Returns()
    with database.exclusive(engine, "bounces"), open_mailboxes(config.newsletter, environment) as mailboxes:
        for name, mailbox in mailboxes:
            found.mailboxes.append(name)
            for letters in mailbox.batches():
                _batch(engine, config.newsletter, tokens, now, found, name, mailbox, letters)
                if progress is not None:
                    progress(found.counts.total())
                if stop is not None and stop.is_set():
                    return found
    return found


def _batch(
    engine: sa.Engine,
    settings: Newsletter,
    tokens: Tokens,
    now: int,
    found: Returns,
    name: str,
    mailbox: Mailbox,
    letters: Sequence[Letter],
) -> None:
    read = [reports.read(letter.raw) for letter in letters]  # before the transaction, which others wait for
    with database.writing(engine, durable=True) as connection:
        bookings = [bounces.book(connection, tokens, settings, report, now) for report in read]
    pairs = list(zip(letters, bookings, strict=True))
    mailbox.remove([letter for letter, booking in pairs if booking.what != "kept"])
    mailbox.flag([letter for letter, booking in pairs if booking.what == "kept"])
    for letter, booking in pairs:
        found.add(name, letter, booking)
