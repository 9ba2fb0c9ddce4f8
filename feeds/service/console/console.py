"""What the console's pages ask for. Reading takes one snapshot; whatever is changed is noted in the log by the same call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from ... import config as configuration
from ... import database, origins
from ...config import Config, Environment
from ...errors import AddressError, ConfigError
from ...library import catalog
from ...model import Issue, Problem
from ...newsletter import progress
from ...newsletter.mailboxes import parse as parse_mailbox
from ...newsletter.tokens import Tokens
from .. import holding, state
from ..consent import Consent, masked
from ..digests import Digests
from . import drafts, excerpts, following, overview, people, record, sessions, sheets
from .sessions import Admission, Guard
from .sheets import Sheet, Sheets

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

    # -- who may in ---------------------------------------------------------

    @property
    def guard(self) -> Guard:
        return Guard(self.environment.operator_token, self.tokens())

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

    def overview(self, now: int) -> overview.Overview:
        with database.reading(self.engine) as connection:
            return overview.look(connection, now)

    def problems(self, page: int) -> tuple[Sequence[Problem], int, int]:
        """One page of the files in quarantine, how many there are, and on how many pages."""
        with database.reading(self.engine) as connection:
            found = catalog.problems(connection)
        pages = max(1, -(-len(found) // PROBLEMS))
        page = min(max(page, 1), pages)
        return found[(page - 1) * PROBLEMS : page * PROBLEMS], len(found), pages

    def excerpt(self, config: Config, problem: Problem) -> Sequence[excerpts.Line]:
        return excerpts.around(Path(config.site.store), problem.path, problem.line)

    def table(self, config: Config, text: str, order: str, page: int, now: float) -> following.Table:
        with database.reading(self.engine) as connection:
            return following.table(connection, config, text, order, page, now)

    def history(self, config: Config, path: str, now: float) -> following.History | None:
        with database.reading(self.engine) as connection:
            return following.history(connection, config, path, now)

    def growth(self, config: Config, now: float) -> people.Growth:
        with database.reading(self.engine) as connection:
            return people.growth(connection, config, now)

    def log(self, page: int) -> tuple[Sequence[record.Entry], int]:
        """One page of what was done, and on how many pages it is."""
        with database.reading(self.engine) as connection:
            pages = max(1, -(-record.count_entries(connection) // ENTRIES))
            return record.entries(connection, ENTRIES, (min(max(page, 1), pages) - 1) * ENTRIES), pages

    def settings(self, config: Config) -> list[origins.Setting]:
        return origins.settings(config, self.environment)

    def variables(self) -> list[origins.Variable]:
        return origins.variables(self.environment)

    def find_subscriber(self, config: Config, address: str, ip: str, now: int) -> dict[str, Any] | None:
        """Raises MailboxError."""
        found = Consent(self.engine, self.environment, config, self.tokens()).found(address)
        self._note("look-up", masked(address.strip()), ip, now)
        return found

    # -- the store -----------------------------------------------------------

    def accept_removals(self, mark: str, ip: str, now: int) -> bool:
        """Let go, with the next rescan, the articles that `mark` names; False where others are held by now."""
        with database.writing(self.engine) as connection:
            stored = state.read(connection)
            word = holding.let_go(stored, mark)
            if word:
                state.put(connection, word)
                held = holding.Held.read(stored)
                record.note(connection, now, "removals", str(held.articles if held else 0), ip)
        return bool(word)

    # -- issues --------------------------------------------------------------

    def issues(self, limit: int) -> list[tuple[Issue, dict[str, int]]]:
        from ...newsletter import issues

        with database.reading(self.engine) as connection:
            return [(issue, progress.counts(connection, issue.key)) for issue in issues.newest(connection, limit)]

    def troubled(self, limit: int) -> Sequence[progress.Troubled]:
        with database.reading(self.engine) as connection:
            return progress.troubled(connection, limit)

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
        parse_mailbox(address)  # whatever else was typed here goes into no log
        with database.writing(self.engine) as connection:
            if record.count(connection, "test", now - 3600) >= TESTS:
                return False
            record.note(connection, now, "test", masked(address.strip()), ip)
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
            return configuration.load(self.environment)
        except ConfigError:
            return config

    def is_live(self, config: Config) -> bool:
        """Whether `config`, which is in force, says what feeds.yaml says now."""
        try:
            return configuration.load(self.environment).feeds == config.feeds
        except ConfigError:
            return False

    def draft(self, config: Config, text: str, *, everything: bool) -> drafts.Draft:
        """Raises SelectionError."""
        with database.reading(self.engine) as connection:
            return drafts.draft(connection, config, text, everything=everything)

    def save_feed(self, mark: str, words: drafts.Words, draft: drafts.Draft, ip: str, now: int) -> Config:
        """What is in force from the next rescan on. Raises EditError, ConfigError; then nothing is written."""
        entry = drafts.entry(words, draft.selection)
        made = self._sheets.save(mark, lambda config, text: drafts.with_feed(config, text, entry), now)
        self._note("feed-changed" if words.former else "feed-added", words.name, ip, now)
        return made

    def remove_feed(self, mark: str, name: str, ip: str, now: int, *, gone: bool) -> Config:
        """Raises EditError, ConfigError."""
        made = self._sheets.save(mark, lambda config, text: drafts.without_feed(config, text, name, gone=gone), now)
        self._note("feed-removed", name, ip, now)
        return made

    def undo(self, mark: str, ip: str, now: int) -> None:
        """Raises EditError."""
        self._sheets.undo(mark)
        self._note("undo", sheets.FILE, ip, now)

    def _note(self, event: str, details: str, ip: str, now: int) -> None:
        with database.writing(self.engine) as connection:
            record.note(connection, now, event, details, ip)
