"""Plan, preview and send digests: the newsletter's use cases for commands, the console, the clock and workers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from threading import Event
from typing import Self

import sqlalchemy as sa

from .. import counters, database
from ..config.environment import Environment
from ..config.models import Config
from ..database import jobs
from ..errors import AddressError
from ..model import Issue, IssueContent, Message
from ..runtime import Runtime
from ..syndication import editions
from ..tokens import Tokens
from .bounces.booking import BounceBook
from .delivery import issue_status, outbox
from .delivery.issue_ledger import IssueLedger, Tally, send_issues
from .issues import planning
from .issues.preview import PreviewRequest, newest_content
from .issues.sections import arrange_sections
from .messages.composer import DigestComposer, MessagePreview
from .messages.dkim import Signer
from .messages.templates import template_folders
from .subscribers.email_address import parse_address
from .transports import Transport, choose_transport
from .transports.base import send_now

Progress = Callable[[int], None]
#: Articles among which a preview finds some where nothing is new.
_PREVIEW_ARTICLES = 500
#: Messages of one job: few enough that all workers have a share of an issue, and that another issue has its turn soon.
MESSAGES_PER_JOB = 500
#: Seconds until rows are looked at again that some sender, dead or alive, still has in hand.
_UNCLEAR = 10


@dataclass(frozen=True, slots=True)
class PlannedMessage:
    """What one subscriber would get of an issue: `articles` by id."""

    address: str
    articles: tuple[str, ...]
    more: int


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """An issue as it would be planned; nothing of it is written."""

    issue: Issue
    deliveries: int
    recipients: Sequence[PlannedMessage]


@dataclass(frozen=True, slots=True)
class Digests:
    """The digests of one configuration; cheap to make. All times are UTC seconds."""

    engine: sa.Engine
    environment: Environment
    config: Config
    tokens: Tokens

    @classmethod
    def from_runtime(cls, runtime: Runtime, config: Config) -> Self:
        """Return the digests of a process's database, by this configuration."""
        return cls(runtime.engine, runtime.environment, config, runtime.tokens())

    def has_work(self, now: int) -> bool:
        """Return whether `plan` or `send` would find anything: a few look-ups, for the clock."""
        with database.reading(self.engine) as connection:
            return bool(
                planning.due_cohorts(connection, self.config, now)
                or issue_status.has_work(connection, now)
                or outbox.has_work(connection, now)
            )

    # -- planning ----------------------------------------------------------

    def plan(self, now: int, *, written_at: int | None = None, progress: Progress | None = None) -> list[Issue]:
        """Write the issues that are due, and return them. Idempotent. Waits for a rescan under way: it decides what is new.

        With `written_at`, the real time, an operator catches up as at `now` (see `planning.plan_issues`).
        """
        with database.reading(self.engine) as connection:
            if not planning.due_cohorts(connection, self.config, now):
                return []
        with self._plan(now, written_at, progress) as (connection, planned):
            if self.config.site.workers:
                self._enqueue_jobs(connection, now)
            return planned

    def rehearse(self, now: int, *, catching_up: bool = False, limit: int | None = None) -> list[Rehearsal]:
        """Return who would get what, at most `limit` recipients of each issue named. Nothing is written."""
        found: list[Rehearsal] = []
        with contextlib.suppress(_RolledBack), self._plan(now, now if catching_up else None, None) as (connection, planned):
            for issue in planned:
                content = planning.load_content(connection, issue.key)
                messages = []
                for recipient in planning.load_recipients(connection, issue.key, limit):
                    most = self.config.newsletter.max_articles
                    sections = arrange_sections(content, recipient.reach, recipient.selections, most)
                    ids = tuple(content.articles[rank].id for section in sections for rank in section.ranks)
                    messages.append(PlannedMessage(recipient.address, ids, sum(section.more for section in sections)))
                found.append(Rehearsal(issue, issue_status.counts(connection, issue.key)["pending"], messages))
            raise _RolledBack
        return found

    @contextlib.contextmanager
    def _plan(self, now: int, written_at: int | None, progress: Progress | None) -> Iterator[tuple[sa.Connection, list[Issue]]]:
        with database.lock(self.engine, "rescan"), database.writing(self.engine, durable=True) as connection:
            arrival = max(editions.generation(connection), 0)
            yield (
                connection,
                planning.plan_issues(
                    connection, self.config, now=now, arrival=arrival, written_at=written_at, progress=progress
                ),
            )

    # -- previews ----------------------------------------------------------

    def preview(self, wanted: PreviewRequest, now: int) -> tuple[MessagePreview, Message, bool]:
        """Return the newest digest that such a reader would have got: as seen, as sent, and whether it is a true one.

        Where nothing was new, it shows the last articles there are instead.
        """
        with database.reading(self.engine) as connection:
            content = newest_content(connection, self.config, wanted, now)
            is_true = bool(content.sections)
            if not is_true:
                content = newest_content(connection, self.config, wanted, now, after=0, limit=_PREVIEW_ARTICLES)
        composer, recipient = self._composer(content), wanted.recipient(content)
        return composer.preview(recipient), composer.message(recipient, now), is_true

    def send_test(self, address: str, wanted: PreviewRequest, now: int) -> Message:
        """Send the newest digest to one address, outside of every count. Raises AddressError where it was not sent."""
        wanted = replace(wanted, address=parse_address(address).envelope)
        _preview, message, _is_true = self.preview(wanted, now)
        [outcome] = send_now(choose_transport(self.config, self.environment), [message])
        if outcome.status != "sent":
            raise AddressError(f"{address}: not sent: {outcome.reply}")
        return message

    # -- sending -----------------------------------------------------------

    def send(self, now: Callable[[], float], *, stop: Event | None = None, progress: Progress | None = None) -> Tally:
        """Send what is open and due now, single messages first, then issues. Returns when nothing is left."""
        with self._measured_transport() as transport:
            problem = outbox.send_due(self.engine, config=self.config, transport=transport, now=now, stop=stop)
            tally = send_issues(self._ledger(now, progress=progress), transport, stop)
        tally.problem = tally.problem or problem
        return tally

    def send_single(self, now: Callable[[], float], *, stop: Event | None = None) -> str:
        """Send single messages (confirmations, receipts) that are due. Returns why they wait, "" where they do not."""
        with self._measured_transport() as transport:
            return outbox.send_due(self.engine, config=self.config, transport=transport, now=now, stop=stop)

    def send_some(self, issue: int, now: Callable[[], float], *, stop: Event | None = None) -> Tally:
        """Send what one job does: some of the messages of an issue, whichever are free."""
        with self._measured_transport() as transport:
            return send_issues(self._ledger(now, only=issue, limit=MESSAGES_PER_JOB), transport, stop)

    def enqueue_jobs(self, now: int) -> None:
        """Enqueue jobs for issues that are due where no worker has one: after a crash, and for what is to be tried again."""
        with database.writing(self.engine) as connection:
            self._enqueue_jobs(connection, now)

    def _enqueue_jobs(self, connection: sa.Connection, now: int) -> None:
        for issue in [issue.key for issue in issue_status.due_issues(connection)]:
            if issue_status.has_work(connection, now, issue) and not jobs.is_queued(connection, "send", issue=issue):
                number = issue_status.count_due(connection, issue, now)
                one = jobs.Job("send", {"issue": issue}, at=0 if number else now + _UNCLEAR)
                jobs.enqueue(connection, [one] * max(1, -(-number // MESSAGES_PER_JOB)))

    def _ledger(
        self,
        now: Callable[[], float],
        *,
        progress: Progress | None = None,
        only: int | None = None,
        limit: int | None = None,
    ) -> IssueLedger:
        return IssueLedger(
            self.engine,
            self.config,
            lambda connection, issue: self._composer(planning.load_content(connection, issue)).message,
            now,
            progress=progress,
            on_hard_failure=self._book_refusal,
            only=only,
            limit=limit,
        )

    def _book_refusal(self, connection: sa.Connection, subscriber: int, issue: int, reply: str, now: int) -> None:
        BounceBook(connection, self.tokens, self.config.newsletter, now).book_refusal(subscriber, issue, reply)

    def _composer(self, content: IssueContent) -> DigestComposer:
        root = self.environment.root
        signer = Signer.from_settings(self.config.newsletter.dkim, root)
        return DigestComposer(self.config, content, self.tokens, template_folders(root), signer)

    @contextlib.contextmanager
    def _measured_transport(self) -> Iterator[Transport]:
        """How servers answer is counted."""
        with counters.gathered(self.engine) as gathered:
            yield choose_transport(self.config, self.environment, gathered)

    # -- operator's actions ------------------------------------------------

    def retry(self, id: str | None, *, failed: bool, now: int) -> int:
        """Open uncertain messages again (and failed ones), of one issue or of all. Returns how many."""
        with database.writing(self.engine, durable=True) as connection:
            key = _find_key(connection, id) if id else None
            return issue_status.retry(connection, now, key, failed=failed)

    def pause(self, id: str, *, now: int) -> None:
        """Send nothing of an issue until `resume`. Raises AddressError where there is no such issue."""
        with database.writing(self.engine, durable=True) as connection:
            issue_status.pause(connection, _find_key(connection, id), "by the operator")

    def resume(self, id: str, *, now: int) -> None:
        """Send a paused issue. Raises AddressError where there is no such issue."""
        with database.writing(self.engine, durable=True) as connection:
            issue_status.resume(connection, _find_key(connection, id))

    def cancel(self, id: str, *, now: int) -> None:
        """Send nothing more of an issue, for good. Raises AddressError where there is no such issue."""
        with database.writing(self.engine, durable=True) as connection:
            issue_status.cancel(connection, _find_key(connection, id), now)


def _find_key(connection: sa.Connection, id: str) -> int:
    found = planning.find_issue(connection, id)
    if found is None:
        raise AddressError(f"no issue is called {id!r}; `feeds digest status` lists them")
    return found.key


class _RolledBack(Exception):
    """Ends a transaction that was only tried."""
