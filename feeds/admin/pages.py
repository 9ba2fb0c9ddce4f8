"""What the console's pages ask for. Reading takes one snapshot; whatever is changed is noted in the log by the same call."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import sqlalchemy as sa

from .. import audit_log, database, rescan
from ..audit_log import Rescan, last_rescans
from ..catalog import ingest, queries
from ..config import sources
from ..config.environment import Environment
from ..config.load import load_config
from ..config.models import FREQUENCIES, Config
from ..errors import AddressError, ConfigError
from ..model import Issue, Problem
from ..newsletter import NewsletterContext
from ..newsletter.delivery import issue_status
from ..newsletter.digests import Digests
from ..newsletter.issues import calendar
from ..newsletter.subscribers.email_address import mask_address, parse_address
from ..newsletter.subscribers.importer import find_subscriber
from ..rescan import Held, is_let_go
from ..runtime import Runtime
from ..store.git import RepositoryStatus
from ..syndication import documents, editions
from ..tokens import Tokens
from ..websub import subscriptions as hub_rows
from . import audience, custom_feeds, sessions, source_excerpt
from .custom_feeds import Sheet, Sheets
from .sessions import Admission, Guard

# How things stand, on one page: what is published, what is faulty, what was done lately, what is due next.

#: Rescans that the page lists.
LISTED = 15


@dataclass(frozen=True, slots=True)
class Overview:
    """`rescan` is the last one that went well, with its time `at`; None before the first. `due`: frequency -> UTC seconds.

    `going`: what is `held` has been let go, and goes with the next rescan.
    """

    articles: int
    feeds: int
    quarantined: int
    terms: Mapping[str, int]
    rescan: Mapping[str, Any] | None
    rescans: Sequence[Rescan]
    rescan_fault: str
    config_fault: str
    held: Held | None
    going: bool
    git: RepositoryStatus | None
    due: Mapping[str, int]
    deliveries: Mapping[str, int]
    subscribers: Mapping[str, int]
    hub: Mapping[str, int]


def look(connection: sa.Connection, now: int) -> Overview:
    stored, config = editions.read(connection), editions.edition(connection).config
    return Overview(
        articles=ingest.count_articles(connection),
        feeds=len(documents.paths(connection)),
        quarantined=ingest.count_problems(connection),
        terms=queries.term_counts(connection),
        rescan=json.loads(stored.get("rescan", "null")),
        rescans=last_rescans(connection, LISTED),
        rescan_fault=stored.get("rescan_fault", ""),
        config_fault=stored.get("config_fault", ""),
        held=Held.read(stored),
        going=is_let_go(stored),
        git=RepositoryStatus.from_state(stored),
        due=_due(config, now) if config else {},
        deliveries=issue_status.counts(connection),
        subscribers=issue_status.subscriber_counts(connection),
        hub=hub_rows.counts(connection),
    )


def _due(config: Config, now: int) -> dict[str, int]:
    """When the next issues are due in the site's own time zone."""
    settings = config.newsletter
    if not settings.enabled:
        return {}
    offered = [name for name in FREQUENCIES if name in settings.frequencies]
    return {name: calendar.following(name, settings.cron(name), config.zone, now) for name in offered}


#: Faulty files, and lines of the log, on one page.
PROBLEMS, ENTRIES = 20, 100
#: Test messages an hour.
TESTS = 10
ACTIONS = ("pause", "resume", "cancel", "retry", "retry-failed")


@dataclass(frozen=True, slots=True)
class Console:
    """`ip` is the operator's, of whom only the network is kept; all times are UTC seconds."""

    engine: sa.Engine
    environment: Environment
    tokens: Callable[[], Tokens]

    @classmethod
    def of(cls, runtime: Runtime) -> Self:
        return cls(runtime.engine, runtime.environment, runtime.tokens)

    # -- who may in ---------------------------------------------------------

    @property
    def guard(self) -> Guard:
        return Guard(self.environment.operator_token.get_secret_value(), self.tokens())

    def sign_in(self, given: str, ip: str, now: int) -> Admission:
        guard = self.guard  # the first one may have to write a secret, in a transaction of its own
        with database.writing(self.engine) as connection:
            return sessions.sign_in(connection, guard, given, ip, now)

    def is_signed_in(self, cookie: str, now: int) -> bool:
        guard = self.guard
        with database.reading(self.engine) as connection:
            goes_on, stale = sessions.is_open(connection, guard, cookie, now)
        if stale:
            with database.writing(self.engine) as connection:
                sessions.mark(connection, guard, cookie, now)
        return goes_on

    def sign_out(self, cookie: str, ip: str, now: int) -> None:
        guard = self.guard
        with database.writing(self.engine) as connection:
            sessions.sign_out(connection, guard, cookie, ip, now)

    # -- looking -------------------------------------------------------------

    def overview(self, now: int) -> Overview:
        with database.reading(self.engine) as connection:
            return look(connection, now)

    def problems(self, page: int) -> tuple[Sequence[Problem], int, int]:
        """One page of the files in quarantine, how many there are, and on how many pages."""
        with database.reading(self.engine) as connection:
            found = queries.list_problems(connection)
        pages = max(1, -(-len(found) // PROBLEMS))
        page = min(max(page, 1), pages)
        return found[(page - 1) * PROBLEMS : page * PROBLEMS], len(found), pages

    def excerpt(self, config: Config, problem: Problem) -> Sequence[source_excerpt.Line]:
        return source_excerpt.around(Path(config.site.store), problem.path, problem.line)

    def table(self, config: Config, text: str, order: str, page: int, now: float) -> audience.Table:
        with database.reading(self.engine) as connection:
            return audience.table(connection, config, text, order, page, now)

    def history(self, config: Config, path: str, now: float) -> audience.History | None:
        with database.reading(self.engine) as connection:
            return audience.history(connection, config, path, now)

    def growth(self, config: Config, now: float) -> audience.Growth:
        with database.reading(self.engine) as connection:
            return audience.growth(connection, config, now)

    def log(self, page: int) -> tuple[Sequence[audit_log.Entry], int]:
        """One page of what was done, and on how many pages it is."""
        with database.reading(self.engine) as connection:
            pages = max(1, -(-audit_log.count_entries(connection) // ENTRIES))
            return audit_log.entries(connection, ENTRIES, (min(max(page, 1), pages) - 1) * ENTRIES), pages

    def settings(self, config: Config) -> list[sources.Setting]:
        return sources.settings(config, self.environment)

    def variables(self) -> list[sources.Variable]:
        return sources.variables(self.environment)

    def find_subscriber(self, config: Config, address: str, ip: str, now: int) -> dict[str, Any] | None:
        """Raises EmailAddressError."""
        found = find_subscriber(NewsletterContext(self.engine, self.environment, config, self.tokens()), address)
        self._note("look-up", mask_address(address.strip()), ip, now)
        return found

    # -- the store -----------------------------------------------------------

    def accept_removals(self, mark: str, ip: str, now: int) -> bool:
        """Let go, with the next rescan, the articles that `mark` names; False where others are held by now."""
        with database.writing(self.engine) as connection:
            stored = editions.read(connection)
            word = rescan.let_go(stored, mark)
            if word:
                editions.put(connection, word)
                held = rescan.Held.read(stored)
                audit_log.note(connection, now, "removals", str(held.articles if held else 0), ip)
        return bool(word)

    # -- issues --------------------------------------------------------------

    def issues(self, limit: int) -> list[tuple[Issue, dict[str, int]]]:
        from ..newsletter.issues import planning

        with database.reading(self.engine) as connection:
            return [(issue, issue_status.counts(connection, issue.key)) for issue in planning.newest(connection, limit)]

    def troubled(self, limit: int) -> Sequence[issue_status.Troubled]:
        with database.reading(self.engine) as connection:
            return issue_status.troubled(connection, limit)

    def act(self, config: Config, action: str, id: str, ip: str, now: int) -> int:
        """One of ACTIONS on the issue. How many messages it sends again, where it does. Raises AddressError."""
        digests, again = self._digests(config), 0
        if action in ("retry", "retry-failed"):
            again = digests.retry(id, failed=action == "retry-failed", now=now)
        elif action in ACTIONS:
            {"pause": digests.pause, "resume": digests.resume, "cancel": digests.cancel}[action](id, now=now)
        else:
            raise AddressError(f"{action[:40]!r} is nothing that can be done to an issue")
        self._note(action, id, ip, now)
        return again

    def send_test(self, config: Config, address: str, frequency: str, language: str, ip: str, now: int) -> bool:
        """False where there were too many within the hour. Raises FeedsError where it cannot be sent."""
        parse_address(address)  # whatever else was typed here goes into no log
        with database.writing(self.engine) as connection:
            if audit_log.count(connection, "test", now - 3600) >= TESTS:
                return False
            audit_log.note(connection, now, "test", mask_address(address.strip()), ip)
        self._digests(config).send_test(address, now, frequency=frequency, select=(), language=language)
        return True

    def _digests(self, config: Config) -> Digests:
        return Digests(self.engine, self.environment, config, self.tokens())

    # -- feeds of the operator's own ------------------------------------------

    @property
    def _sheets(self) -> Sheets:
        return Sheets(self.engine, self.environment)

    def sheet(self) -> Sheet:
        return self._sheets.read()

    def written(self, config: Config) -> Config:
        """What the files say; `config`, which is in force, where they are faulty."""
        try:
            return load_config(self.environment)
        except ConfigError:
            return config

    def is_live(self, config: Config) -> bool:
        """Whether `config`, which is in force, says what feeds.yaml says now."""
        try:
            return load_config(self.environment).feeds == config.feeds
        except ConfigError:
            return False

    def draft(self, config: Config, text: str, *, everything: bool) -> custom_feeds.Draft:
        """Raises SelectionError."""
        with database.reading(self.engine) as connection:
            return custom_feeds.draft(connection, config, text, everything=everything)

    def save_feed(self, mark: str, words: custom_feeds.Words, draft: custom_feeds.Draft, ip: str, now: int) -> Config:
        """What is in force from the next rescan on. Raises EditError, ConfigError; then nothing is written."""
        entry = custom_feeds.entry(words, draft.selection)
        made = self._sheets.save(mark, lambda config, text: custom_feeds.with_feed(config, text, entry), now)
        self._note("feed-changed" if words.former else "feed-added", words.name, ip, now)
        return made

    def remove_feed(self, mark: str, name: str, ip: str, now: int, *, gone: bool) -> Config:
        """Raises EditError, ConfigError."""
        made = self._sheets.save(mark, lambda config, text: custom_feeds.without_feed(config, text, name, gone=gone), now)
        self._note("feed-removed", name, ip, now)
        return made

    def undo(self, mark: str, ip: str, now: int) -> None:
        """Raises EditError."""
        self._sheets.undo(mark)
        self._note("undo", custom_feeds.FILE, ip, now)

    def _note(self, event: str, details: str, ip: str, now: int) -> None:
        with database.writing(self.engine) as connection:
            audit_log.note(connection, now, event, details, ip)
