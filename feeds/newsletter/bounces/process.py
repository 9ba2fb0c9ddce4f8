"""What follows from a report: the bounce is booked once, and a subscriber whose mail is of no use or unwelcome is taken off.

Who is decided by signed tokens alone; a report without a valid one changes nothing.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from email.utils import parseaddr
from threading import Event
from typing import Any

import sqlalchemy as sa
import structlog

from ... import database
from ...config.environment import Environment
from ...config.models import BounceSettings, Config, Newsletter
from ...database.tables import bounces, deliveries, issues, subscribers
from ...runtime import Runtime
from ...tokens import Tokens
from ..subscribers import suppression
from . import parse
from .mailbox import Letter, Mailbox, open_mailboxes
from .parse import Report, Verdict

#: A point of the score, in hundredths: one passing failure of one day.
POINT = 100
DAY = 86400


@dataclass(frozen=True, slots=True)
class Booking:
    """What became of one report. `what`: hard | soft | noted | complaint | unsubscribed | ignored | repeated | kept.

    `ended`: the subscriber was taken off the list by it. A message that is `kept` changed nothing; `reason` says why.
    """

    what: str
    subscriber: int = 0
    issue: int = 0
    ended: bool = False
    reason: str = ""


def book(connection: sa.Connection, tokens: Tokens, settings: Newsletter, report: Report, now: int) -> Booking:
    """Book one report. Idempotent: a report that was booked before is `repeated`. Run it in a durable transaction."""
    if (wish := _wish(tokens, settings, report)) is not None:
        return _unsubscribe(connection, tokens, wish[0], now)
    who = _first(map(tokens.read_bounce, report.tokens))
    if who is None and report.kind == "complaint":
        reader = _first(map(tokens.read_preferences, report.links))
        who = (0, reader[0]) if reader else None
    if who is None:
        return Booking("kept", reason="it names no subscriber by a valid token")
    issue, subscriber = who
    if report.kind == "unknown":
        return Booking("kept", subscriber, issue, reason="it is no report of a kind that is known here")
    if report.kind == "none":
        return Booking("ignored", subscriber, issue, reason=report.diagnostic)
    verdict = Verdict(report.kind, report.status, report.diagnostic)
    return _record(connection, tokens, settings.bounces, report.id, issue, subscriber, verdict, now)


def book_hard(
    connection: sa.Connection,
    tokens: Tokens,
    subscriber: int,
    issue: int,
    reply: str,
    now: int,
    settings: BounceSettings | None = None,
) -> Booking:
    """Book a refusal (5xx) in our own session, once for a delivery. A refusal by policy is noted and ends nothing."""
    identity = hashlib.sha256(f"session:{issue}:{subscriber}".encode()).hexdigest()
    verdict = parse.judge(reply)
    verdict = Verdict(verdict.kind, verdict.status, reply[: parse.MAX_DIAGNOSTIC])
    return _record(connection, tokens, settings or BounceSettings(), identity, issue, subscriber, verdict, now)


def _first(found: Iterable[tuple[int, int] | None]) -> tuple[int, int] | None:
    return next((who for who in found if who), None)


def _record(
    connection: sa.Connection,
    tokens: Tokens,
    settings: BounceSettings,
    identity: str,
    issue: int,
    subscriber: int,
    verdict: Verdict,
    now: int,
) -> Booking:
    row = _subscriber(connection, subscriber)
    if row is None:
        return Booking("ignored", subscriber, issue, reason="the subscriber has been erased")
    if connection.execute(sa.select(bounces.c.at).where(bounces.c.message == identity)).first():
        return Booking("repeated", subscriber, issue)
    kind = "soft" if verdict.kind == "noted" else verdict.kind
    values = {"subscriber": subscriber, "issue": issue, "kind": kind, "status": verdict.status, "at": now}
    connection.execute(sa.insert(bounces).values(message=identity, diagnostic=verdict.diagnostic, **values))
    _warn(verdict.status, issue)
    ended = _follow(connection, tokens, settings, row, verdict, now)
    return Booking(verdict.kind, subscriber, issue, ended, verdict.diagnostic)


def _warn(status: str, issue: int) -> None:
    """Outlook.com refuses all mail of a sender that does not authenticate it: no matter of one subscriber."""
    if status.endswith(".7.515"):
        log = structlog.get_logger()
        log.error("mail_refused_for_authentication", status=status, issue=issue, hint="check SPF, DKIM and DMARC of `from`")


def _subscriber(connection: sa.Connection, key: int) -> Any:
    columns = (subscribers.c.key, subscribers.c.mailbox, subscribers.c.status, subscribers.c.confirmed)
    return connection.execute(sa.select(*columns).where(subscribers.c.key == key).with_for_update()).first()


def _follow(connection: sa.Connection, tokens: Tokens, settings: BounceSettings, row: Any, verdict: Verdict, now: int) -> bool:
    mailbox_hash = tokens.salted(row.mailbox)
    if verdict.kind == "complaint":
        return suppression.end(connection, row.key, "complained", "a complaint was reported", now, mailbox_hash)
    if verdict.kind == "hard":
        return suppression.end(connection, row.key, "bounced", f"refused for good: {verdict.status}", now, mailbox_hash)
    if verdict.kind == "noted":
        return False
    days = _score(connection, settings, row, now)
    if days < settings.soft_limit:
        return False
    reason = f"{days} passing failures in {settings.soft_days} days, the last one {verdict.status or 'without a code'}"
    return suppression.end(connection, row.key, "bounced", reason, now, mailbox_hash)


def _score(connection: sa.Connection, settings: BounceSettings, row: Any, now: int) -> int:
    """On how many days mail to a subscriber failed for now, of those that count still; kept beside the subscriber, too."""
    since = max(now - settings.soft_days * DAY + 1, row.confirmed)
    recent = sa.and_(bounces.c.subscriber == row.key, bounces.c.at >= since, bounces.c.kind == "soft")
    rows = connection.execute(sa.select(bounces.c.at, bounces.c.status).where(recent))
    days = failing_days((at, status) for at, status in rows)
    update = sa.update(subscribers).where(subscribers.c.key == row.key)
    connection.execute(update.values(bounce_score=days * POINT, bounced_at=now))
    return days


def failing_days(soft: Iterable[tuple[int, str]]) -> int:
    """Days (UTC) of soft bounces given as (time, status); refusals by policy do not count."""
    return len({at // DAY for at, status in soft if parse.counts(status)})


# -- unsubscribing by mail -------------------------------------------------


def _wish(tokens: Tokens, settings: Newsletter, report: Report) -> tuple[int, int] | None:
    """(subscriber, version) of a message to the address that unsubscribes; the token is its plus part or in the subject.

    Links that have been revoked lead nowhere any more, but for unsubscribing: the version does not matter.
    """
    local, _, domain = parseaddr(settings.unsubscribe_mailto)[1].lower().rpartition("@")
    if not local or report.kind == "complaint":
        return None
    if not any(_is_at(address, local, domain) for address in report.recipients):
        return None
    return _first(map(tokens.read_preferences, report.wishes))


def _is_at(address: str, local: str, domain: str) -> bool:
    name, _, place = address.rpartition("@")
    return place == domain and (name == local or name.startswith(f"{local}+"))


def _unsubscribe(connection: sa.Connection, tokens: Tokens, subscriber: int, now: int) -> Booking:
    row = _subscriber(connection, subscriber)
    if row is None or row.status == "unsubscribed":
        return Booking("ignored", subscriber, reason="unsubscribed before")
    ended = suppression.end(connection, subscriber, "unsubscribed", "by mail", now, tokens.salted(row.mailbox))
    return Booking("unsubscribed", subscriber, ended=ended)


# -- looking ---------------------------------------------------------------


def by_issue(connection: sa.Connection, limit: int = 10) -> dict[str, dict[str, int]]:
    """What came back of the newest issues of which anything did: id -> kind -> number, and how many were `sent`."""
    newest = sa.select(issues.c.key, issues.c.id).order_by(issues.c.key.desc()).limit(limit).subquery()
    counted = (
        sa.select(newest.c.id, bounces.c.kind, sa.func.count())
        .select_from(newest.join(bounces, bounces.c.issue == newest.c.key))
        .group_by(newest.c.key, newest.c.id, bounces.c.kind)
        .order_by(newest.c.key.desc(), bounces.c.kind)
    )
    found: dict[str, dict[str, int]] = {}
    for id, kind, number in connection.execute(counted):
        found.setdefault(id, {"sent": 0})[kind] = number
    sent = (
        sa.select(newest.c.id, sa.func.count())
        .select_from(newest.join(deliveries, deliveries.c.issue == newest.c.key))
        .where(deliveries.c.status == "sent", newest.c.id.in_(list(found)))
        .group_by(newest.c.id)
    )
    for id, number in connection.execute(sent) if found else ():
        found[id]["sent"] = number
    return found


# The use case of mail that came back: read the mailboxes, book each message, and only then let it go.

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


def bounces_by_issue(engine: sa.Engine) -> dict[str, dict[str, int]]:
    """What came back of the newest issues: id -> hard, soft, complaint -> number; `sent` beside them, for the rates."""
    with database.reading(engine) as connection:
        return by_issue(connection)


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
    read = [parse.read(letter.raw) for letter in letters]  # before the transaction, which others wait for
    with database.writing(engine, durable=True) as connection:
        bookings = [book(connection, tokens, settings, report, now) for report in read]
    pairs = list(zip(letters, bookings, strict=True))
    mailbox.remove([letter for letter, booking in pairs if booking.what != "kept"])
    mailbox.flag([letter for letter, booking in pairs if booking.what == "kept"])
    for letter, booking in pairs:
        found.add(name, letter, booking)


def fetch(runtime: Runtime, config: Config, now: int, stop: Event | None = None) -> dict[str, Any] | None:
    """Book what came back, until `stop`; None where no mailbox is configured. Raises MailboxError."""
    if not is_configured(config, runtime.environment):
        return None
    return collect(runtime.engine, runtime.environment, config, runtime.tokens(), now, stop=stop).as_json()
