"""The newsletter's use cases for operator and clock: plan what is due, rehearse, send, look, put right."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from threading import Event
from typing import Self

import sqlalchemy as sa

from .. import counters, database
from ..config.environment import Environment
from ..config.models import Config
from ..database import jobs
from ..errors import AddressError
from ..model import Issue, IssueContent, Message, Recipient, Section
from ..runtime import Runtime
from ..syndication import editions
from ..tokens import Tokens
from .bounces.booking import BounceBook
from .delivery import issue_status, outbox
from .delivery.issue_ledger import IssueLedger, Tally, send_issues
from .issues import planning
from .issues import preview as drafts
from .issues.sections import arrange_sections
from .messages.composer import DigestComposer, MessagePreview
from .messages.dkim import Signer
from .messages.templates import template_folders
from .subscribers.email_address import parse_address
from .transports import Transport, choose_transport
from .transports.base import send_now

Progress = Callable[[int], None]
#: Articles among which a preview finds some where nothing is new.
_LOOKED_AT = 500
#: Messages that one job sends: few enough that all workers have a share of an issue, and that another issue has its turn soon.
JOB = 500
#: Seconds until rows are looked at again that some sender, dead or alive, still has in hand.
_UNCLEAR = 10


@dataclass(frozen=True, slots=True)
class Planned:
    """What one subscriber would get of an issue: `articles` by id."""

    address: str
    articles: tuple[str, ...]
    more: int


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """An issue as it would be planned; nothing of it is written."""

    issue: Issue
    deliveries: int
    recipients: Sequence[Planned]


@dataclass(frozen=True, slots=True)
class Digests:
    """Of one configuration; cheap to make. All times are UTC seconds."""

    engine: sa.Engine
    environment: Environment
    config: Config
    tokens: Tokens

    @classmethod
    def of(cls, runtime: Runtime, config: Config) -> Self:
        return cls(runtime.engine, runtime.environment, config, runtime.tokens())

    # -- planning ----------------------------------------------------------

    def plan(self, now: int, *, written_at: int | None = None, progress: Progress | None = None) -> list[Issue]:
        """Write the issues that are due. Idempotent. Waits for a rescan under way: it decides what is new.

        With `written_at`, the real time, an operator catches up as at `now` (see `issues.plan`).
        """
        with database.reading(self.engine) as connection:
            if not planning.due_cohorts(connection, self.config, now):
                return []
        with self._transaction() as connection:
            planned = self._plan(connection, now, written_at, progress)
            if self.config.site.workers:
                self._offer(connection, now)
            return planned

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        with database.exclusive(self.engine, "rescan"), database.writing(self.engine, durable=True) as connection:
            yield connection

    def _plan(self, connection: sa.Connection, now: int, written_at: int | None, progress: Progress | None) -> list[Issue]:
        return planning.plan(
            connection,
            self.config,
            now=now,
            arrival=max(editions.generation(connection), 0),
            catching_up=written_at is not None,
            written_at=written_at,
            progress=progress,
        )

    def rehearse(self, now: int, *, catching_up: bool = False, limit: int | None = None) -> list[Rehearsal]:
        """Who would get what, at most `limit` recipients of each issue named. Nothing is written."""
        found: list[Rehearsal] = []
        with contextlib.suppress(_Undone), self._transaction() as connection:
            for issue in self._plan(connection, now, now if catching_up else None, None):
                found.append(self._rehearsal(connection, issue, limit))
            raise _Undone
        return found

    def _rehearsal(self, connection: sa.Connection, issue: Issue, limit: int | None) -> Rehearsal:
        content = planning.content(connection, issue.key)
        rows = planning.recipients(connection, issue.key, limit)
        number = issue_status.counts(connection, issue.key)["pending"]
        return Rehearsal(issue, number, [self._planned(content, recipient) for recipient in rows])

    def _planned(self, content: IssueContent, recipient: Recipient) -> Planned:
        sections = self._sections(content, recipient)
        ids = tuple(content.articles[rank].id for section in sections for rank in section.ranks)
        return Planned(recipient.address, ids, sum(section.more for section in sections))

    def _sections(self, content: IssueContent, recipient: Recipient) -> tuple[Section, ...]:
        limit = self.config.newsletter.max_articles
        return arrange_sections(content, recipient.reach, recipient.selections, limit)

    # -- looking -----------------------------------------------------------

    def preview(
        self,
        now: int,
        *,
        frequency: str,
        select: Sequence[str],
        language: str,
        timezone: str,
        address: str = "reader@example.org",
    ) -> tuple[MessagePreview, Message, bool]:
        """The newest digest that someone with these selections would have got: as seen, as sent, and whether it is true.

        Where nothing was new, it shows the last articles there are instead.
        """
        with database.reading(self.engine) as connection:
            wanted = (connection, self.config, frequency, timezone, select or [""], now)
            content = drafts.newest(*wanted)
            anything = bool(content.sections)
            if not anything:
                content = drafts.newest(*wanted, after=0, limit=_LOOKED_AT)
        recipient = Recipient(0, address, language, timezone, 0, 0, tuple(content.queries))
        composer = self._composer(content)
        return composer.preview(recipient), composer.message(recipient, now), anything

    def _composer(self, content: IssueContent) -> DigestComposer:
        folders = template_folders(self.environment.root)
        signer = Signer.of(self.config.newsletter.dkim, self.environment.root)
        return DigestComposer(self.config, content, self.tokens, folders, signer)

    # -- sending by workers --------------------------------------------------

    def offer(self, now: int) -> None:
        """Jobs for what is open and due, where no worker is at it: after the dead, and for what is to be tried again."""
        with database.writing(self.engine) as connection:
            self._offer(connection, now)

    def _offer(self, connection: sa.Connection, now: int) -> None:
        for issue in [issue.key for issue in issue_status.due_issues(connection)]:
            if issue_status.has_work(connection, now, issue) and not jobs.under_way(connection, "send", issue=issue):
                number = issue_status.count_due(connection, issue, now)
                one = jobs.Job("send", {"issue": issue}, at=0 if number else now + _UNCLEAR)
                jobs.enqueue(connection, [one] * max(1, -(-number // JOB)))

    def send_some(self, issue: int, now: Callable[[], float], *, stop: Event | None = None) -> Tally:
        """What one job does: some of the messages of an issue, whichever are free."""
        with self._transport() as transport:
            return self._deliver(transport, now, stop, None, issue, JOB)

    def send_letters(self, now: Callable[[], float], *, stop: Event | None = None) -> str:
        """Single messages (confirmations, receipts) that are due. Returns why they wait, "" where they do not."""
        with self._transport() as transport:
            return outbox.send_due(self.engine, config=self.config, transport=transport, now=now, stop=stop)

    # -- sending -----------------------------------------------------------

    def send(self, now: Callable[[], float], *, stop: Event | None = None, progress: Progress | None = None) -> Tally:
        """Hand over whatever is open and due now: single messages first, then issues. Returns when nothing is left."""
        with self._transport() as transport:
            problem = outbox.send_due(self.engine, config=self.config, transport=transport, now=now, stop=stop)
            tally = self._deliver(transport, now, stop, progress)
        tally.problem = tally.problem or problem
        return tally

    def _deliver(
        self,
        transport: Transport,
        now: Callable[[], float],
        stop: Event | None,
        progress: Progress | None,
        only: int | None = None,
        limit: int | None = None,
    ) -> Tally:
        ledger = IssueLedger(
            self.engine,
            self.config,
            lambda connection, key: self._composer(planning.content(connection, key)).message,
            now,
            progress=progress,
            on_hard_failure=self._book_hard,
            only=only,
            limit=limit,
        )
        return send_issues(ledger, transport, stop)

    @contextlib.contextmanager
    def _transport(self) -> Iterator[Transport]:
        """How servers answer is measured."""
        with counters.gathered(self.engine) as gathered:
            yield choose_transport(self.config, self.environment, gathered)

    def _book_hard(self, connection: sa.Connection, subscriber: int, issue: int, reply: str, now: int) -> None:
        BounceBook(connection, self.tokens, self.config.newsletter, now).book_refusal(subscriber, issue, reply)

    def has_work(self, now: int) -> bool:
        """Whether `plan` or `send` would find anything: a few look-ups, for the clock."""
        with database.reading(self.engine) as connection:
            return bool(
                planning.due_cohorts(connection, self.config, now)
                or issue_status.has_work(connection, now)
                or outbox.has_work(connection, now)
            )

    def send_test(self, address: str, now: int, *, frequency: str, select: Sequence[str], language: str) -> Message:
        """The newest digest to one address, outside of every count."""
        _preview, message, _articles = self.preview(
            now,
            frequency=frequency,
            select=select,
            language=language,
            timezone=self.config.site.timezone,
            address=parse_address(address).envelope,
        )
        [outcome] = send_now(choose_transport(self.config, self.environment), [message])
        if outcome.status != "sent":
            raise AddressError(f"{address}: not sent: {outcome.reply}")
        return message

    # -- operator's actions ------------------------------------------------

    def counts(self) -> dict[str, int]:
        with database.reading(self.engine) as connection:
            return issue_status.counts(connection)

    def recent(self, limit: int = 5) -> list[tuple[Issue, dict[str, int]]]:
        """The newest issues, and what became of each."""
        with database.reading(self.engine) as connection:
            return [(issue, issue_status.counts(connection, issue.key)) for issue in planning.newest(connection, limit)]

    def paused(self) -> list[Issue]:
        with database.reading(self.engine) as connection:
            return planning.paused(connection)

    def troubled(self) -> list[issue_status.Troubled]:
        """Every message that is uncertain or failed."""
        with database.reading(self.engine) as connection:
            return issue_status.troubled(connection)

    def retry(self, id: str | None, *, failed: bool, now: int) -> int:
        """Uncertain messages (and failed ones) of one issue or all are open again. Returns how many."""
        with database.writing(self.engine, durable=True) as connection:
            key = self._key(connection, id) if id else None
            return issue_status.retry(connection, now, key, failed=failed)

    def pause(self, id: str, *, now: int) -> None:
        with database.writing(self.engine, durable=True) as connection:
            issue_status.pause(connection, self._key(connection, id), "by the operator")

    def resume(self, id: str, *, now: int) -> None:
        with database.writing(self.engine, durable=True) as connection:
            issue_status.resume(connection, self._key(connection, id))

    def cancel(self, id: str, *, now: int) -> None:
        with database.writing(self.engine, durable=True) as connection:
            issue_status.cancel(connection, self._key(connection, id), now)

    def _key(self, connection: sa.Connection, id: str) -> int:
        found = planning.issue(connection, id)
        if found is None:
            raise AddressError(f"no issue is called {id!r}; `feeds digest status` lists them")
        return found.key


class _Undone(Exception):
    """Ends a transaction that was only tried."""
