"""The rescan: store and configuration -> catalog and feeds, in one transaction. A store in git is pulled before it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from . import audit_log, counters, database
from .catalog import ingest
from .catalog.ingest import Counts, IngestOptions, IngestResult, Progress, StoreChanges
from .config.environment import Environment
from .config.load import load_config
from .config.models import Config
from .counters import FILES, RESCAN, Gathered, Sums
from .errors import ConfigError, StoreError
from .model import RescanReport
from .selections import Aliases
from .store import git, walk
from .store.git import DateChanges
from .store.parse import ParseSettings
from .store.walk import RemovalGuard
from .syndication import editions, feed_states, feeds

# What the guard of the store holds back, as the `state` table keeps it between rescans, and the operator's word on it.

STATE, LATELY, ACCEPTED = "held", "removed_lately", "removals_accepted"


@dataclass(frozen=True, slots=True)
class Held:
    """Articles whose files are gone, still published since `since` (UTC seconds). `mark` names these very files."""

    articles: int
    published: int
    since: int
    mark: str

    @classmethod
    def read(cls, stored: Mapping[str, str]) -> Held | None:
        """As the last rescan left it; None where nothing is held."""
        text = stored.get(STATE, "")
        return cls(**json.loads(text)) if text else None

    @property
    def in_words(self) -> str:
        """For the operator: what is the matter, and what to do."""
        return (
            f"the files of {self.articles} of {self.published} articles are gone from the store; these articles stay published "
            "until the files are back, or until `feeds rescan --accept-removals` says that they may go"
        )


def is_let_go(stored: Mapping[str, str]) -> bool:
    """Whether the operator has accepted in the console that what is held goes."""
    held = Held.read(stored)
    return held is not None and stored.get(ACCEPTED) == held.mark


def is_accepted(stored: Mapping[str, str], found: StoreChanges) -> bool:
    """Whether the files that are gone now are those, and no others, that were let go."""
    return is_let_go(stored) and stored[ACCEPTED] == walk.paths_digest(found.files.removed)


def let_go(stored: Mapping[str, str], mark: str) -> dict[str, str]:
    """What to remember where the operator accepts what `mark` names; {} where something else is held by now."""
    held = Held.read(stored)
    return {ACCEPTED: mark} if held is not None and held.mark == mark else {}


def guard_of(config: Config, stored: Mapping[str, str], now: int, *, accepted: bool, moved: bool) -> RemovalGuard:
    limits = config.site.removal
    lately = sum(number for _at, number in _lately(stored, now))
    return RemovalGuard(limits.percent, limits.articles, lately, accepted, moved)


def removal_marks(
    stored: Mapping[str, str], taken: IngestResult, guard: RemovalGuard, published: int, now: int
) -> dict[str, str]:
    """What to remember after a rescan that wrote. What the operator has accepted counts against nothing later."""
    before = Held.read(stored)
    held = ""
    if taken.held:
        since = before.since if before else now
        held = json.dumps(asdict(Held(len(taken.held), published, since, walk.paths_digest(taken.held))))
    lately = [] if guard.accepted else [*_lately(stored, now), *([(now, taken.counts.removed)] if taken.counts.removed else [])]
    word = {ACCEPTED: ""} if stored.get(ACCEPTED) else {}  # one that was given meanwhile is the next rescan's
    return {STATE: held, LATELY: json.dumps(lately), **word}


def _lately(stored: Mapping[str, str], now: int) -> list[tuple[int, int]]:
    """(when, how many articles) of the rescans within the window; none from ahead, where a clock has been set back."""
    rows = json.loads(stored.get(LATELY) or "[]")
    return [(at, number) for at, number in rows if now - walk.WINDOW_SECONDS < at <= now]


def rescan(
    engine: sa.Engine,
    environment: Environment,
    *,
    now: int,
    full: bool = False,
    progress: Progress | None = None,
    workers: int | None = None,
    pull: bool = False,
    accept_removals: bool = False,
    stop: threading.Event | None = None,
) -> RescanReport:
    """Waits for a rescan under way in another process. Raises StoreError, ConfigError (no good configuration yet).

    `pull` does not wait until a pull is due; `stop` ends one that is under way. `accept_removals` lets go what the guard of
    the store would hold back.
    """
    started = time.perf_counter()
    with database.lock(engine, "rescan"):
        with database.reading(engine) as connection:
            stored = editions.load_state(connection)
        config, fault = _configuration(environment, stored)
        found, moved = git.pull_if_due(config, stored, now, at_once=pull, stop=stop)
        if moved:  # the configuration may lie in the same repository
            config, fault = _configuration(environment, stored)
        try:
            report, dates = _Rescan(engine, config, stored, now, full, accept_removals, progress, workers, started).run()
        except StoreError as error:
            said = {"rescan_fault": str(error), "config_fault": fault, git.STATE_NAME: found.as_json()}
            _note(engine, said, now, {}, "\n".join(filter(None, (str(error), fault))), time.perf_counter() - started)
            raise
        done = asdict(report)
        said = {"rescan": json.dumps({"at": now, **done}), "rescan_fault": "", "config_fault": fault}
        _note(engine, {**said, git.STATE_NAME: found.with_dates(dates).as_json()}, now, done, fault, report.seconds)
    return report


def _configuration(environment: Environment, stored: Mapping[str, str]) -> tuple[Config, str]:
    """The files' configuration, or the last good one and what is wrong with the files."""
    try:
        return load_config(environment), ""
    except ConfigError as error:
        if "config" not in stored:
            raise
        return Config.model_validate_json(stored["config"]), str(error)


def _note(engine: sa.Engine, values: Mapping[str, str], now: int, report: dict[str, Any], fault: str, seconds: float) -> None:
    """`report` is empty where the rescan failed."""
    with database.writing(engine) as connection:
        editions.save_state(connection, values)
        audit_log.note_rescan(connection, now, report, fault)
        counters.add(connection, _measured(report, seconds))


def _measured(report: dict[str, Any], seconds: float) -> Sums:
    gathered = Gathered()
    changes = {change: report.get(change, 0) for change in ("added", "changed", "renamed", "removed")}
    for change, number in changes.items():
        if number:
            gathered.count(FILES, change, number=number)
    done = "changed" if any(changes.values()) or report.get("feeds_changed") else "idle"
    gathered.observe(RESCAN, seconds, done if report else "failed")
    return gathered.take()


@dataclass(frozen=True, slots=True)
class _Rescan:
    """One rescan with all that it depends on; `stored` is the state before it, `started` a reading of perf_counter."""

    engine: sa.Engine
    config: Config
    stored: Mapping[str, str]
    now: int
    full: bool
    accept_removals: bool
    progress: Progress | None
    workers: int | None
    started: float

    def run(self) -> tuple[RescanReport, DateChanges]:
        settings = ParseSettings.from_config(self.config)
        marks = editions.catalog_marks(self.config, settings)
        held = Held.read(self.stored)
        gone = held.mark if held else ""
        with database.reading(self.engine) as connection:
            anew = self.full or self.stored.get("parse") != marks["parse"]
            found = ingest.find_changes(connection, settings, everything=anew, mark=self.stored.get("dated", ""), held=gone)
            marks["dated"] = found.dates.mark
            accepted = self.accept_removals or is_accepted(self.stored, found)
            idle = found.idle and not (held and accepted)
            if idle and all(self.stored.get(name, "") == value for name, value in marks.items()):
                return self._report(connection, held=held.articles if held else 0), found.dates
        with database.writing(self.engine, together=True) as connection:  # under the lock of rescans
            return self._write(connection, settings, found, self._guard(accepted), marks), found.dates

    def _write(
        self,
        connection: sa.Connection,
        settings: ParseSettings,
        found: StoreChanges,
        guard: RemovalGuard,
        marks: dict[str, str],
    ) -> RescanReport:
        generation = int(self.stored.get("generation", "0")) + 1
        options = IngestOptions(
            now=self.now,
            arrival=0 if self._is_baseline() else generation,
            guard=guard,
            former=self._former_aliases(marks),
            progress=self.progress,
            workers=self.workers,
        )
        taken = ingest.apply_changes(connection, settings, feeds.aliases_of(self.config), found, options)
        everything = self.stored.get("shown") != marks["shown"]
        changed: list[str] = []
        if everything or taken.changed:
            changed = feed_states.refresh(connection, self.config, None if everything else taken.touched, self.now)
        if changed or taken.changed or self.stored.get("config") != marks["config"]:
            marks["generation"] = str(generation)
            marks["changed"] = str(max(self.now, int(self.stored.get("changed", "0")) + 1))
            touched = None if everything else taken.touched
            marks["touched"] = editions.encode_touched(self.stored.get("touched", "{}"), generation, touched)
        report = self._report(connection, taken, len(changed), len(taken.held))
        editions.save_state(connection, {**marks, **removal_marks(self.stored, taken, guard, report.articles, self.now)})
        return report

    def _guard(self, accepted: bool) -> RemovalGuard:
        return guard_of(self.config, self.stored, self.now, accepted=accepted, moved=self._is_moved())

    def _former_aliases(self, marks: Mapping[str, str]) -> Aliases | None:
        before = self.stored.get("aliases", marks["aliases"])
        return None if before == marks["aliases"] else Aliases.from_config(json.loads(before))

    def _is_baseline(self) -> bool:
        """The first rescan of a store: what lies in it is no news, so digests go by the articles' own dates."""
        if int(self.stored.get("generation", "0")) < 1:
            return True
        return self._is_moved()

    def _is_moved(self) -> bool:
        """Whether the store is another folder than at the rescan before."""
        before = self.stored.get("config", "")
        return before != "" and Config.model_validate_json(before).site.store != self.config.site.store

    def _report(
        self, connection: sa.Connection, taken: IngestResult | None = None, feeds_changed: int = 0, held: int = 0
    ) -> RescanReport:
        counts = taken.counts if taken else Counts()
        total = ingest.count_articles(connection)
        return RescanReport(
            articles=total,
            added=counts.added,
            changed=counts.changed,
            removed=counts.removed,
            unchanged=total - counts.added - counts.changed - counts.renamed,
            quarantined=ingest.count_problems(connection),
            seconds=round(time.perf_counter() - self.started, 3),
            renamed=counts.renamed,
            feeds_changed=feeds_changed,
            held=held,
        )
