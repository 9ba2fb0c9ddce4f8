"""Bring the catalog and feeds up to date with the store and the configuration, in one transaction.

A store in git is pulled first. Where many files are gone at once, a removal hold keeps their articles published until the files
are back or the operator accepts: its state lies in the table `state`, under the names below.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import sqlalchemy as sa

from . import audit_log, counters, database
from .catalog import ingest, search_index, store_changes
from .catalog.ingest import Counts, IngestOptions, IngestResult, Progress
from .catalog.store_changes import StoreChanges
from .config.environment import Environment
from .config.load import load_config
from .config.models import Config
from .counters import FILES, RESCAN, PendingCounts
from .database.tables import articles, quarantine
from .errors import ConfigError, StoreError
from .model import RescanReport
from .selections import Aliases
from .store import git, git_dates, search_words, walk
from .store.git_dates import DateChanges
from .store.kinds import GeneratorSite
from .store.parsed import ParsedFile
from .store.parser_pool import ParserPool
from .store.stores import Stores, find_sites, with_addresses
from .store.walk import RemovalGuard
from .syndication import editions, feed_states, feeds

#: Names in the table `state`: the hold, removals of the last hours, the hold that the operator accepted, the kinds of stores.
HELD, RECENTLY_REMOVED, ACCEPTED, KIND = "held", "removed_lately", "removals_accepted", "store_kind"


def check_marks(connection: sa.Connection) -> None:
    """Raise ValueError, TypeError or LookupError where a rescan, or a page, could not read what the last rescan left."""
    stored = editions.load_state(connection)
    editions.load_edition(connection)
    git_dates.check_mark(stored.get("dated", ""))
    Aliases.from_config(json.loads(stored.get("aliases", "{}")))


@dataclass(frozen=True, slots=True)
class RemovalHold:
    """Articles whose files are gone, still published since `since` (UTC seconds). `mark` is a digest of their paths."""

    articles: int
    published: int
    since: int
    mark: str

    @classmethod
    def from_state(cls, stored: Mapping[str, str]) -> RemovalHold | None:
        """Return the hold that the last rescan left; None where nothing is held."""
        text = stored.get(HELD, "")
        return cls(**json.loads(text)) if text else None

    @property
    def in_words(self) -> str:
        """Return what is wrong and what to do, for the operator."""
        return (
            f"the files of {self.articles} of {self.published} articles are gone from the store; these articles stay published "
            "until the files are back, or until `feeds rescan --accept-removals` says that they may go"
        )


def is_accepted(stored: Mapping[str, str]) -> bool:
    """Return whether the operator has accepted in the console that the articles on hold are removed."""
    hold = RemovalHold.from_state(stored)
    return hold is not None and stored.get(ACCEPTED) == hold.mark


def accept_hold(stored: Mapping[str, str], mark: str) -> dict[str, str]:
    """Return the state in which the hold of this `mark` is accepted; {} where another one is in force by now."""
    hold = RemovalHold.from_state(stored)
    return {ACCEPTED: mark} if hold is not None and hold.mark == mark else {}


@dataclass(frozen=True, slots=True)
class RescanOptions:
    """`full`: parse every file again. `pull`: also where a pull is not due. `accept_removals`: hold nothing back.

    `workers`: processes that parse, None for as many as fit the machine; from `parsers`, where these are kept between rescans.
    """

    full: bool = False
    pull: bool = False
    accept_removals: bool = False
    workers: int | None = None
    parsers: ParserPool | None = None


USUAL = RescanOptions()


def rescan(
    engine: sa.Engine,
    environment: Environment,
    options: RescanOptions = USUAL,
    *,
    now: int,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> RescanReport:
    """Rescan once, after a rescan under way in another process. `stop` ends a pull; `progress` may raise to end the rescan.

    Raises StoreError, and ConfigError before the first good configuration.
    """
    started = time.perf_counter()
    with database.lock(engine, "rescan"):
        with database.reading(engine) as connection:
            stored = editions.load_state(connection)
        config, fault = _load_or_keep(environment, stored)
        git_status, pulled = git.pull_if_due(config, stored, now, at_once=options.pull, stop=stop)
        if pulled:  # the configuration may lie in the same repository
            config, fault = _load_or_keep(environment, stored)
        try:
            sites = find_sites(config, known_kinds(stored))
            unread = [fault for site in sites for fault in site.faults]
            if unread and stored.get("generation", "0") != "0":  # half-written, perhaps: what is published stays
                raise StoreError("; ".join(unread))
            config = with_addresses(config, sites)
            report, dates = _Rescan(engine, config, sites, stored, now, options, progress, started).run()
        except StoreError as error:
            values = {"rescan_fault": str(error), "config_fault": fault, git.STATE_NAME: git_status.as_json()}
            faults = "\n".join(filter(None, (str(error), fault)))
            _record(engine, values, now, {}, faults, time.perf_counter() - started)
            raise
        done = asdict(report)
        values = {"rescan": json.dumps({"at": now, **done}), "rescan_fault": "", "config_fault": fault}
        commit = dates.head or git_status.commit
        git_status = replace(git_status, commit=commit, dates_fault=dates.fault, shallow=dates.shallow)
        values[git.STATE_NAME] = git_status.as_json()
        _record(engine, values, now, done, fault, report.seconds)
    return report


def known_kinds(stored: Mapping[str, str]) -> dict[str, str]:
    """Return folder -> kind of the stores in which the last rescan found files."""
    known: dict[str, str] = json.loads(stored.get(KIND) or "{}")
    # An older program had one store, and kept its folder and its kind by these words.
    return {known["path"]: known["kind"]} if known.keys() == {"path", "kind"} else known


def _load_or_keep(environment: Environment, stored: Mapping[str, str]) -> tuple[Config, str]:
    """Return the configuration of the files, or the last good one and the faults of the files."""
    try:
        return load_config(environment), ""
    except ConfigError as error:
        if "config" not in stored:
            raise
        return Config.model_validate_json(stored["config"]), str(error)


def _record(
    engine: sa.Engine, values: Mapping[str, str], now: int, report: Mapping[str, Any], fault: str, seconds: float
) -> None:
    """Write the outcome to the state, the log of rescans and the counters. `report` is empty where the rescan failed."""
    gathered = PendingCounts()
    changes = {change: report.get(change, 0) for change in ("added", "changed", "renamed", "removed")}
    for change, number in changes.items():
        if number:
            gathered.count(FILES, change, number=number)
    outcome = "changed" if any(changes.values()) or report.get("feeds_changed") else "idle"
    gathered.observe(RESCAN, seconds, outcome if report else "failed")
    with database.writing(engine) as connection:
        editions.save_state(connection, values)
        audit_log.note_rescan(connection, now, report, fault)
        counters.add(connection, gathered.take())


def _folders(config: Config) -> set[str]:
    return {store.path for store in config.site.stores}


@dataclass(frozen=True, slots=True)
class _Rescan:
    """One rescan with all that it depends on; `stored` is the state before it, `started` a reading of perf_counter."""

    engine: sa.Engine
    config: Config
    sites: tuple[GeneratorSite, ...]
    stored: Mapping[str, str]
    now: int
    options: RescanOptions
    progress: Progress | None
    started: float

    def run(self) -> tuple[RescanReport, DateChanges]:
        stores = Stores.from_config(self.config, self.sites)
        marks = editions.catalog_marks(self.config, stores.key) | {search_index.MARK: search_words.key()}
        hold, known = RemovalHold.from_state(self.stored), self._known_config()
        with contextlib.ExitStack() as stack:
            with database.reading(self.engine) as connection:
                found = store_changes.find_changes(
                    connection,
                    stores,
                    now=self.now,
                    everything=self.options.full or self.stored.get("parse") != marks["parse"],
                    mark=self.stored.get("dated", ""),
                    held=hold.mark if hold else "",
                    exceeded=known is not None and known.site.parser != self.config.site.parser,
                )
                marks["dated"] = found.dates.mark
                # What the operator let go is these very files, and no others that are gone by now.
                accepted = self.options.accept_removals or (
                    is_accepted(self.stored) and self.stored[ACCEPTED] == walk.paths_digest(found.files.removed)
                )
                idle = found.idle and not (hold and accepted)
                if idle and all(self.stored.get(name, "") == value for name, value in marks.items()):
                    return self._report(connection, found, held=hold.articles if hold else 0), found.dates
                pool = self.options.workers, self.options.parsers
                parsed = stack.enter_context(ingest.parsing(connection, stores, found, self.now, *pool))
            with database.writing(self.engine, together=True) as connection:  # under the lock of rescans
                return self._write(connection, stores, found, parsed, accepted, marks), found.dates

    def _write(
        self,
        connection: sa.Connection,
        stores: Stores,
        found: StoreChanges,
        parsed: Iterable[list[ParsedFile]],
        accepted: bool,
        marks: dict[str, str],
    ) -> RescanReport:
        """Apply the changes of files, then of feeds; raise the generation where anything has changed."""
        known = self._known_config()
        moved = known is not None and not _folders(known) & _folders(self.config)
        generation = int(self.stored.get("generation", "0")) + 1
        limits, rows = self.config.site.removal, json.loads(self.stored.get(RECENTLY_REMOVED) or "[]")
        # (when, how many articles); none in the future, where a clock was set back.
        recently = [(at, number) for at, number in rows if self.now - walk.WINDOW_SECONDS < at <= self.now]
        former = self.stored.get("aliases", marks["aliases"])
        options = IngestOptions(
            now=self.now,
            # What lies in a store at its first rescan is not news: digests go by the articles' own dates.
            arrival=0 if generation < 2 or moved else generation,
            guard=RemovalGuard(limits.percent, limits.articles, sum(number for _at, number in recently), accepted, moved),
            former=None if former == marks["aliases"] else Aliases.from_config(json.loads(former)),
            reindex=self.stored.get(search_index.MARK) != marks[search_index.MARK],
            progress=self.progress,
        )
        taken = ingest.apply_changes(connection, stores, feeds.aliases_of(self.config), found, parsed, options)
        everything = self.stored.get("shown") != marks["shown"]
        touched = None if everything else taken.touched
        latest = max(self.now, int(self.stored.get("changed", "0")) + 1)
        changed = feed_states.refresh(connection, self.config, touched, latest) if everything or taken.changed else []
        if changed or taken.changed or known != self.config:
            marks["generation"] = str(generation)
            marks["changed"] = str(latest)
            # Selections and archive documents count with what left any feed: all are asked for again.
            reached = None if taken.raised else touched
            marks["touched"] = editions.encode_touched(self.stored.get("touched", "{}"), generation, reached)
        report = self._report(connection, found, taken, len(changed), len(taken.held))
        # What the operator has accepted does not count against later removals.
        recently = [] if accepted else [*recently, *([(self.now, taken.lost)] if taken.lost else [])]
        marks |= {HELD: self._hold(taken, report.articles), RECENTLY_REMOVED: json.dumps(recently)}
        if self.stored.get(ACCEPTED):  # an acceptance that was given meanwhile is the next rescan's
            marks[ACCEPTED] = ""
        if found.files.to_read:  # of an empty folder nothing is known
            marks[KIND] = json.dumps(self._kinds(stores, found))
        editions.save_state(connection, marks)
        return report

    def _kinds(self, stores: Stores, found: StoreChanges) -> dict[str, str]:
        before = {path: kind for path, kind in known_kinds(self.stored).items() if path in _folders(self.config)}
        return before | stores.kinds_of(found.files.to_read)

    def _known_config(self) -> Config | None:
        """Settings are compared, not their text: another version of the program may write the same ones otherwise."""
        if self.stored.get("config") == self.config.model_dump_json(by_alias=True):
            return self.config
        return Config.model_validate_json(self.stored["config"]) if "config" in self.stored else None

    def _hold(self, taken: IngestResult, published: int) -> str:
        if not taken.held:
            return ""
        before = RemovalHold.from_state(self.stored)
        since = before.since if before else self.now
        return json.dumps(asdict(RemovalHold(len(taken.held), published, since, walk.paths_digest(taken.held))))

    def _report(
        self,
        connection: sa.Connection,
        found: StoreChanges,
        taken: IngestResult | None = None,
        feeds_changed: int = 0,
        held: int = 0,
    ) -> RescanReport:
        counts = taken.counts if taken else Counts()
        total = database.count_rows(connection, articles)
        return RescanReport(
            articles=total,
            **{name: getattr(counts, name) for name in ("added", "changed", "removed", "renamed")},
            unchanged=total - counts.added - counts.changed - counts.renamed,
            quarantined=database.count_rows(connection, quarantine),
            seconds=round(time.perf_counter() - self.started, 3),
            feeds_changed=feeds_changed,
            held=held,
            ignored=found.ignored,
        )
