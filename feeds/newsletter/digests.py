"""Plan, preview and send digests: the newsletter's use cases for commands, the console, the clock and workers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from threading import Event

import sqlalchemy as sa

from .. import counters, database
from ..database import jobs
from ..errors import AddressError, StateError
from ..model import Issue, IssueContent, Message, Recipient
from ..syndication import editions
from . import NewsletterContext
from .bounces.booking import BounceBook
from .delivery import issue_status
from .delivery.ledgers import IssueLedger, Tally, due_messages, send_issues, send_outbox
from .issues import planning
from .issues.planning import Progress
from .issues.preview import PreviewRequest, newest_content
from .issues.sections import arrange_sections
from .messages.composer import DigestComposer, MessagePreview
from .messages.dkim import Signer
from .messages.templates import template_folders
from .subscribers.email_address import parse_address
from .transports import choose_transport
from .transports.base import send_now

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


def has_work(context: NewsletterContext, now: int) -> bool:
    """Return whether `plan` or `send` would find anything: a few look-ups, for the scheduler."""
    with context.reading() as connection:
        is_sending = issue_status.has_work(connection, now) or bool(due_messages(connection, now, 1))
        return is_sending or bool(planning.due_cohorts(connection, context.config, now))


def plan(
    context: NewsletterContext, now: int, *, written_at: int | None = None, progress: Progress | None = None
) -> list[Issue]:
    """Write the issues that are due, and return them: `planning.plan_issues`. Waits for a rescan, which decides what is new."""
    with context.reading() as connection:
        if not planning.due_cohorts(connection, context.config, now):
            return []
    with _planned(context, now, written_at, progress) as (connection, issues):
        if context.config.site.workers:
            enqueue_jobs(connection, now)
        return issues


def rehearse(context: NewsletterContext, now: int, *, catching_up: bool = False, limit: int | None = None) -> list[Rehearsal]:
    """Return who would get what, at most `limit` recipients of each issue named. Nothing is written."""
    found: list[Rehearsal] = []
    planned = _planned(context, now, now if catching_up else None, None)
    with contextlib.suppress(_RolledBack), planned as (connection, issues):
        for issue in issues:
            content = planning.load_content(connection, issue.key)
            messages = []
            for recipient in planning.load_recipients(connection, issue.key, limit):
                most = context.config.newsletter.max_articles
                sections = arrange_sections(content, recipient.reach, recipient.selections, most)
                ids = tuple(content.articles[rank].id for section in sections for rank in section.ranks)
                messages.append(PlannedMessage(recipient.address, ids, sum(section.more for section in sections)))
            found.append(Rehearsal(issue, issue_status.counts(connection, issue.key)["pending"], messages))
        raise _RolledBack
    return found


class _RolledBack(Exception):
    """Ends a transaction that was only tried."""


@contextlib.contextmanager
def _planned(
    context: NewsletterContext, now: int, written_at: int | None, progress: Progress | None
) -> Iterator[tuple[sa.Connection, list[Issue]]]:
    with database.lock(context.engine, "rescan"), context.writing() as connection:
        arrival = max(editions.load_generation(connection), 0)
        planned = planning.plan_issues(
            connection, context.config, now=now, arrival=arrival, written_at=written_at, progress=progress
        )
        yield connection, planned


def preview(context: NewsletterContext, wanted: PreviewRequest, now: int) -> tuple[MessagePreview, Message, bool]:
    """Return the newest digest that such a reader would have got: as seen, as sent, and whether it is a true one.

    Where nothing was new, it shows the last articles instead.
    """
    with context.reading() as connection:
        content = newest_content(connection, context.config, wanted, now)
        is_true = bool(content.sections)
        if not is_true:
            content = newest_content(connection, context.config, wanted, now, after=0, limit=_PREVIEW_ARTICLES)
    recipient = Recipient(0, wanted.address, wanted.language, wanted.timezone, 0, 0, tuple(content.queries))
    composer = _composer(context, content)
    return composer.preview(recipient), composer.message(recipient, now), is_true


def send_test(context: NewsletterContext, address: str, wanted: PreviewRequest, now: int) -> Message:
    """Send the newest digest to one address, outside of every count. Raises AddressError where it was not sent."""
    _preview, message, _is_true = preview(context, replace(wanted, address=parse_address(address).envelope), now)
    [outcome] = send_now(choose_transport(context.config, context.environment), [message])
    if outcome.status != "sent":
        raise AddressError(f"{address}: not sent: {outcome.reply}")
    return message


def send(
    context: NewsletterContext,
    now: Callable[[], float],
    *,
    issue: int | None = None,
    stop: Event | None = None,
    progress: Progress | None = None,
) -> Tally:
    """Send what is open and due now, single messages first, then issues. Returns when nothing is left.

    With an `issue`, what one job does: some of the issue's messages, whichever are free.
    """
    engine, config, problem = context.engine, context.config, ""
    with counters.flush_regularly(engine) as gathered:
        transport = choose_transport(config, context.environment, gathered)
        if issue is None:
            problem = send_outbox(engine, config=config, transport=transport, now=now, stop=stop)
        ledger = IssueLedger(
            engine,
            config,
            lambda connection, key: _composer(context, planning.load_content(connection, key)).message,
            now,
            progress=progress,
            on_hard_failure=lambda connection, subscriber, key, reply, at: BounceBook(
                connection, context.tokens, config.newsletter, at
            ).book_refusal(subscriber, key, reply),
            only=issue,
            limit=None if issue is None else MESSAGES_PER_JOB,
        )
        tally = send_issues(ledger, transport, stop)
    tally.problem = tally.problem or problem
    return tally


def send_single(context: NewsletterContext, now: Callable[[], float], *, stop: Event | None = None) -> str:
    """Send single messages (confirmations, receipts) that are due. Returns why they wait, "" where they do not."""
    with counters.flush_regularly(context.engine) as gathered:
        transport = choose_transport(context.config, context.environment, gathered)
        return send_outbox(context.engine, config=context.config, transport=transport, now=now, stop=stop)


def enqueue_jobs(connection: sa.Connection, now: int) -> None:
    """Enqueue jobs for issues that are due where no worker has one: after a crash, and for what is to be tried again."""
    for issue in issue_status.due_issues(connection):
        key = issue.key
        if issue_status.has_work(connection, now, key) and not jobs.is_queued(connection, "send", issue=key):
            number = issue_status.count_due(connection, key, now)
            one = jobs.Job("send", {"issue": key}, at=0 if number else now + _UNCLEAR)
            jobs.enqueue(connection, [one] * max(1, -(-number // MESSAGES_PER_JOB)))


def _composer(context: NewsletterContext, content: IssueContent) -> DigestComposer:
    root = context.environment.root
    signer = Signer.from_settings(context.config.newsletter.dkim, root)
    return DigestComposer(context.config, content, context.tokens, template_folders(root), signer)


#: Action -> the states of an issue in which it can be done, and what it has been then.
_ACTIONS = {
    "pause": (("open",), "paused"),
    "resume": (("paused",), "resumed"),
    "cancel": (("open", "paused"), "cancelled"),
}


def retry(context: NewsletterContext, id: str | None, *, failed: bool, now: int) -> int:
    """Open uncertain messages again (and failed ones), of one issue or of all. Returns how many.

    Raises AddressError, and StateError where the one issue has no such message.
    """
    with context.writing() as connection:
        issue = _find_issue(connection, id) if id else None
        number = issue_status.retry(connection, now, issue.key if issue else None, failed=failed)
        if issue is None or number:
            return number
        found = issue_status.statuses(connection, issue.key)
        wanted = "uncertain or failed" if failed else "uncertain"
        more = f"; --failed sends {found['failed']} again that were refused" if found["failed"] and not failed else ""
        why = "nothing of it is sent any more" if issue.status == "cancelled" else f"no message of it is {wanted}{more}"
        raise StateError(f"{issue.id} is {issue.status}: {why}")


def change_status(context: NewsletterContext, id: str, action: str, now: int) -> int:
    """Pause, resume or cancel an issue: hold it up, go on with it, or never send what is left of it.

    Returns how many messages are not sent for that. Raises AddressError, and StateError where the issue is in another state.
    """
    if action not in _ACTIONS:
        raise AddressError(f"{action[:40]!r} is nothing that can be done to an issue")
    states, done = _ACTIONS[action]
    with context.writing() as connection:
        issue = _find_issue(connection, id)
        if issue.status not in states:
            raise StateError(f"{id} is {issue.status}: only an issue that is {' or '.join(states)} can be {done}")
        if action == "pause":
            issue_status.pause(connection, issue.key, "by the operator")
        elif action == "resume":
            issue_status.resume(connection, issue.key)
        else:
            return issue_status.cancel(connection, issue.key, now)
    return 0


def _find_issue(connection: sa.Connection, id: str) -> Issue:
    found = planning.find_issue(connection, id)
    if found is None:
        raise AddressError(f"no issue is called {id!r}; `feeds digest status` lists them")
    return found
