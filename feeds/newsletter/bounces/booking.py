"""Book bounce reports: each counts once, and a subscriber whose mail is of no use or unwelcome is taken off the list.

Signed tokens alone decide whom a report is about; a report without a valid one changes nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from email.utils import parseaddr
from threading import Event
from typing import Any

import sqlalchemy as sa
import structlog

from ... import database
from ...config.models import Newsletter
from ...database.tables import bounces, deliveries, issues, subscribers
from ...tokens import Tokens
from .. import NewsletterContext
from ..subscribers.suppression import COMPLAINT, end_subscription
from . import BounceReport, BounceSource, parser
from .parser import Verdict, one_line
from .sources import factories

#: A point of the score, in hundredths: one passing failure of one day.
POINT = 100
DAY = 86400
#: Days in which passing failures are counted together, for `bounces.soft_limit`.
SOFT_DAYS = 30
#: How long after its issue was planned a bounce token counts.
TOKEN_DAYS = 90
#: What a report can be booked as, in the order of the answer.
KINDS = ("hard", "soft", "noted", "complaint", "unsubscribed", "ignored", "repeated")
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Booking:
    """What became of one report. `what`: one of KINDS, or `kept`.

    `ended`: the subscriber was taken off the list by it. A report that is `kept` changed nothing; `reason` says why.
    """

    what: str
    subscriber: int = 0
    issue: int = 0
    ended: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class BounceBook:
    """Book reports inside the caller's transaction, which is to be a durable one. Idempotent. `now` in UTC seconds."""

    connection: sa.Connection
    tokens: Tokens
    settings: Newsletter
    now: int

    def book(self, report: BounceReport) -> Booking:
        """Book one report. A report that was booked before is `repeated`."""
        if (subscriber := self._unsubscriber(report)) is not None:
            row = self._subscriber(subscriber)
            if row is None or row.status == "unsubscribed":
                return Booking("ignored", subscriber, reason="unsubscribed before")
            return Booking("unsubscribed", subscriber, ended=self._end(row, "unsubscribed", "by mail"))
        found = next(filter(None, map(self.tokens.read_bounce, report.tokens)), None)
        if found is None and report.kind == "complaint":
            link = next(filter(None, map(self.tokens.read_unsubscribe, report.link_tokens)), None)
            found = (0, link) if link else None
        if found is None:
            return Booking("kept", reason="it names no subscriber by a valid token")
        issue, subscriber = found
        times = self.connection.execute(sa.select(issues.c.due, issues.c.planned_at).where(issues.c.key == issue)).first()
        if times is not None and max(times) <= self.now - TOKEN_DAYS * DAY:
            return Booking("ignored", subscriber, issue, reason=f"its message is older than {TOKEN_DAYS} days")
        if report.kind == "none":
            return Booking("ignored", subscriber, issue, reason=report.diagnostic)
        if report.kind not in ("hard", "soft", "noted", "complaint"):
            return Booking("kept", subscriber, issue, reason="it is no report of a kind that is known here")
        # Sources of other packages may call an event what they like.
        is_hash = re.fullmatch("[0-9a-f]{64}", report.id)
        identity = report.id if is_hash else hashlib.sha256(report.id.encode("utf-8", "replace")).hexdigest()
        verdict = Verdict(report.kind, report.status, one_line(report.diagnostic))
        return self._record(identity, issue, subscriber, verdict)

    def book_refusal(self, subscriber: int, issue: int, reply: str) -> Booking:
        """Book a refusal (5xx) in our own session, once for a delivery. A refusal by policy is noted and ends nothing."""
        identity = hashlib.sha256(f"session:{issue}:{subscriber}".encode()).hexdigest()
        verdict = replace(parser.classify_reply(reply), diagnostic=reply[: parser.MAX_DIAGNOSTIC])
        return self._record(identity, issue, subscriber, verdict)

    def _record(self, identity: str, issue: int, subscriber: int, verdict: Verdict) -> Booking:
        row = self._subscriber(subscriber)
        if row is None:
            return Booking("ignored", subscriber, issue, reason="the subscriber has been erased")
        if self.connection.execute(sa.select(bounces.c.at).where(bounces.c.message == identity)).first():
            return Booking("repeated", subscriber, issue)
        kind = "soft" if verdict.kind == "noted" else verdict.kind
        values = {"subscriber": subscriber, "issue": issue, "kind": kind, "status": verdict.status, "at": self.now}
        self.connection.execute(sa.insert(bounces).values(message=identity, diagnostic=verdict.diagnostic, **values))
        if verdict.status.endswith(".7.515"):
            # Outlook.com refuses all mail of a sender that does not authenticate it: no matter of one subscriber.
            hint = "check SPF, DKIM and DMARC of `from`"
            structlog.get_logger().error("mail_refused_for_authentication", status=verdict.status, issue=issue, hint=hint)
        return Booking(verdict.kind, subscriber, issue, self._follow(row, issue, verdict), verdict.diagnostic)

    def _subscriber(self, key: int) -> Any:
        columns = (subscribers.c.key, subscribers.c.mailbox, subscribers.c.status, subscribers.c.confirmed)
        return self.connection.execute(sa.select(*columns).where(subscribers.c.key == key).with_for_update()).first()

    def _follow(self, row: Any, issue: int, verdict: Verdict) -> bool:
        """End the subscription where the verdict, or the number of days with failures, asks for it. Return whether it did."""
        if verdict.kind == "noted":
            return False
        if verdict.kind == "complaint":
            # A link to unsubscribe alone, which anyone may have to whom a digest was forwarded, does that and no more.
            return self._end(row, "complained" if issue else "unsubscribed", COMPLAINT)
        if verdict.kind == "hard":
            return self._end(row, "bounced", f"refused for good: {verdict.status}")
        since = max(self.now - SOFT_DAYS * DAY + 1, row.confirmed)
        recent = sa.and_(bounces.c.subscriber == row.key, bounces.c.at >= since, bounces.c.kind == "soft")
        rows = self.connection.execute(sa.select(bounces.c.at, bounces.c.status).where(recent))
        days = len({at // DAY for at, status in rows if not parser.NOT_THE_ADDRESS.fullmatch(status)})
        update = sa.update(subscribers).where(subscribers.c.key == row.key)
        self.connection.execute(update.values(bounce_score=days * POINT, bounced_at=self.now))
        if days < self.settings.bounces.soft_limit:
            return False
        last = verdict.status or "without a code"
        return self._end(row, "bounced", f"{days} passing failures in {SOFT_DAYS} days, the last one {last}")

    def _end(self, row: Any, status: str, reason: str) -> bool:
        mailbox_hash = self.tokens.salted(row.mailbox)
        return end_subscription(self.connection, row.key, status, reason, self.now, mailbox_hash)

    def _unsubscriber(self, report: BounceReport) -> int | None:
        """Return the subscriber of a message to the address that unsubscribes; the token is its plus part or in the subject.

        A link to unsubscribe works however old it is.
        """
        local, _, domain = parseaddr(self.settings.unsubscribe_mailto)[1].lower().rpartition("@")
        if not local or report.kind == "complaint":
            return None
        for address in report.recipients:
            name, _, place = address.rpartition("@")
            if place == domain and (name == local or name.startswith(f"{local}+")):
                return next(filter(None, map(self.tokens.read_unsubscribe, report.unsubscribe_tokens)), None)
        return None


@dataclass(slots=True)
class Collected:
    """What one round found. `counts`: what became of the reports; `ended`: subscribers taken off the list."""

    mailboxes: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    ended: int = 0
    kept: list[dict[str, str]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return the figures as JSON values, a number for each of KINDS."""
        numbers = {name: self.counts[name] for name in (*KINDS, "kept")}
        return {"read": self.counts.total(), **numbers, "ended": self.ended, "mailboxes": self.mailboxes, "problems": self.kept}


def collect(
    context: NewsletterContext, now: int, progress: Progress | None = None, stop: Event | None = None
) -> Collected | None:
    """Book everything in the configured sources, or until `stop`; None where none is. A second process waits.

    A message is removed after its booking is committed, so a crash in between has it read, and found booked, once more. What
    cannot be booked is flagged and kept. Raises MailboxError.
    """
    made = [factory(context.config, context.environment) for factory in factories().values()]
    if not (sources := [source for source in made if source is not None]):
        return None
    found = Collected()
    with database.lock(context.engine, "bounces"):
        for source in sources:
            found.mailboxes.append(source.name)
            with contextlib.closing(source.poll()) as batches:
                for reports in batches:
                    pairs = list(zip(reports, _book_all(context, reports, now), strict=True))
                    kept = [(report, booking.reason) for report, booking in pairs if booking.what == "kept"]
                    source.settle([one for one, booking in pairs if booking.what != "kept"], [one for one, _reason in kept])
                    found.counts.update(booking.what for _report, booking in pairs)
                    found.ended += sum(booking.ended for _report, booking in pairs)
                    found.kept += [{"mailbox": source.name, "message": one.name, "reason": reason} for one, reason in kept]
                    if progress is not None:
                        progress(found.counts.total())
                    if stop is not None and stop.is_set():
                        return found
    return found


def _book_all(context: NewsletterContext, reports: Sequence[BounceReport], now: int) -> list[Booking]:
    with context.writing() as connection:
        book = BounceBook(connection, context.tokens, context.config.newsletter, now)
        return [book.book(report) for report in reports]


def find_webhook(context: NewsletterContext, name: str) -> BounceSource | None:
    """Return the source that takes what is posted to `/bounces/<name>`; None where none is installed and configured."""
    factory = factories().get(name)
    source = factory(context.config, context.environment) if factory else None
    return source if source and type(source).receive is not BounceSource.receive else None


def receive(
    context: NewsletterContext, source: BounceSource, headers: Mapping[str, str], body: bytes, now: int
) -> Counter[str]:
    """Book the events that a provider posts. Return what became of them, as in `Collected.counts`. Raises WebhookError.

    Idempotent: providers post an event again until they are answered.
    """
    reports = list(source.receive({name.lower(): value for name, value in headers.items()}, body))
    bookings = _book_all(context, reports, now)
    for report, booking in zip(reports, bookings, strict=True):
        if booking.what == "kept":
            log = structlog.get_logger("feeds.bounces")
            log.warning("bounce_kept", source=source.name, id=report.id, reason=booking.reason)
    return Counter(booking.what for booking in bookings)


def counts_by_issue(connection: sa.Connection, limit: int = 10) -> dict[str, dict[str, int]]:
    """Return what bounced of the newest issues that had bounces: id -> kind -> number, and how many were `sent`."""
    newest = sa.select(issues.c.key, issues.c.id).order_by(issues.c.key.desc()).limit(limit).subquery()
    counted = sa.select(newest.c.id, bounces.c.kind, sa.func.count()).join_from(
        newest, bounces, bounces.c.issue == newest.c.key
    )
    counted = counted.group_by(newest.c.key, newest.c.id, bounces.c.kind).order_by(newest.c.key.desc(), bounces.c.kind)
    found: dict[str, dict[str, int]] = {}
    for id, kind, number in connection.execute(counted):
        found.setdefault(id, {"sent": 0})[kind] = number
    sent = sa.select(newest.c.id, sa.func.count()).join_from(newest, deliveries, deliveries.c.issue == newest.c.key)
    sent = sent.where(deliveries.c.status == "sent", newest.c.id.in_(list(found))).group_by(newest.c.id)
    for id, number in connection.execute(sent) if found else ():
        found[id]["sent"] = number
    return found
