"""Report readiness, what is degraded, and the status of the service. In words without paths: anyone may ask for /ready."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from .. import database
from ..audience import requests
from ..catalog import queries
from ..database import identity, jobs
from ..database import is_busy as is_busy
from ..database.tables import articles, feeds, quarantine
from ..errors import DatabaseError
from ..model import Problem
from ..newsletter.delivery import issue_status
from ..syndication import editions
from ..websub import subscriptions

if TYPE_CHECKING:
    from ..rescan import RemovalHold
    from ..runtime import Runtime
    from ..store.git import RepositoryStatus

#: The clock reports every BEAT_SECONDS that it is alive; it is silent after SILENT_SECONDS, which a long rescan may take.
BEAT_SECONDS, SILENT_SECONDS = 15, 120
#: A catalog is stale after so many of its intervals without a successful rescan, and after so many seconds at least.
INTERVALS, STALE_SECONDS = 5, 300
#: What can be degraded; each is a time series in /metrics.
FACTS = ("database", "store", "held", "rescan", "clock", "config", "schema")
#: Errors of a database that answers and rejects the statement: those are this program's fault.
_OURS = (sa.exc.IntegrityError, sa.exc.ProgrammingError, sa.exc.DataError, sa.exc.NotSupportedError)


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether this node can serve. `fault`: why it cannot, "" where it can. `degraded`: fact -> words."""

    fault: str = ""
    degraded: Mapping[str, str] = field(default_factory=dict)


def check_readiness(runtime: Runtime, now: float) -> Readiness:
    """Return whether anything can be served at `now` (UTC seconds). Never raises: a silent database is a fault.

    A busy one is no fault: another process holds a lock, and what is in memory is served.
    """
    try:
        fault = runtime.watch.latest().words
        if not fault:
            version, stored = runtime.probe(_read_stored)
    except Exception as error:  # whatever the database's fault is, this process cannot serve
        if is_busy(error):
            return Readiness()
        fault = runtime.watch.report(error).words
        if not fault:
            return Readiness(f"the catalog cannot be read ({type(error).__name__})")
    if fault:
        return Readiness(fault, {"database": fault})
    if not version:
        return Readiness("the catalog cannot be read: the database has no tables")
    if version < database.HEAD:
        return Readiness(f"the database is at {version}, this program needs {database.HEAD}: run `feeds migrate`")
    if int(stored.get("generation", "-1")) < 1:
        return Readiness("no rescan has finished yet")
    return Readiness(degraded=find_degraded(stored, version, int(now)))


def _read_stored(connection: sa.Connection) -> tuple[str, dict[str, str]]:
    """Return the migration that the database is at, "" without tables, and the stored state."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return "", {}
    return schema_version(connection), editions.load_state(connection)


def schema_version(connection: sa.Connection) -> str:
    """Return the migration that the database is at."""
    query = sa.select(sa.column("version_num", sa.Text)).select_from(sa.table("alembic_version"))
    return str(connection.execute(query).scalar())


def find_degraded(stored: Mapping[str, str], schema: str, now: int) -> dict[str, str]:
    """Return fact -> words for what is degraded, from the stored state and the `schema` version. Pure; `now` in UTC seconds.

    A newer schema is served, as upgrades only add to the tables: else `feeds migrate` would take all old nodes down at once.
    """
    from ..config.models import Config  # as in `editions.load_edition`

    config = Config.model_validate_json(stored["config"]) if "config" in stored else Config()
    rescanned = json.loads(stored.get("rescan", "null")) or {"at": 0}
    beat = int(stored.get("clock", "0"))
    stale, silent = now - rescanned["at"], now - beat
    is_stale = stale > max(STALE_SECONDS, INTERVALS * config.site.rescan_seconds)
    found = {
        "store": "the store cannot be read; what was found last is served" if stored.get("rescan_fault") else "",
        "held": "the files of many articles are gone; they stay published until they are let go" if stored.get("held") else "",
        "rescan": f"no rescan has ended well for {stale} seconds" if is_stale else "",
        "clock": f"the clock has been silent for {silent} seconds" if beat and silent > SILENT_SECONDS else "",
        "config": "the configuration is refused; the last good one is in force" if stored.get("config_fault") else "",
        "schema": f"the database is at {schema}, newer than this program ({database.HEAD})" if schema > database.HEAD else "",
    }
    return {fact: words for fact, words in found.items() if words}


def is_database_failure(error: BaseException) -> bool:
    """Return whether the database failed and not this program: it is stopped, locked, damaged, or out of connections."""
    failures = (sa.exc.TimeoutError, DatabaseError, sa.exc.DatabaseError, sa.exc.InterfaceError)
    return isinstance(error, failures) and not isinstance(error, _OURS)


def write_heartbeat(connection: sa.Connection, now: float) -> None:
    """Note that the clock is alive at `now` (UTC seconds)."""
    editions.save_state(connection, {"clock": str(int(now))})
    identity.advance(connection)


def catalog_status(connection: sa.Connection) -> dict[str, Any]:
    """Return the status of catalog, store and configuration, as `feeds status --json` prints it."""
    stored = editions.load_state(connection)
    held, git = _read_exceptions(stored)
    return {
        "articles": database.count_rows(connection, articles),
        "quarantined": database.count_rows(connection, quarantine),
        **dict(zip(("waiting", "next_due"), queries.waiting_files(connection), strict=True)),
        "feeds": database.count_rows(connection, feeds),
        "terms": queries.term_counts(connection),
        "generation": int(stored.get("generation", "-1")),
        "rescan": json.loads(stored.get("rescan", "null")),
        "rescan_fault": stored.get("rescan_fault", ""),
        "config_fault": stored.get("config_fault", ""),
        "held": asdict(held) if held else None,
        "held_fault": held.in_words if held else "",
        "store_git": asdict(git) if git else None,
        "schema": database.HEAD,
    }


def _read_exceptions(stored: Mapping[str, str]) -> tuple[RemovalHold | None, RepositoryStatus | None]:
    """Return what holds removals back, and the state of a store in git: few stores have either, others load nothing for it."""
    held = git = None
    if stored.get("held"):
        from ..rescan import RemovalHold

        held = RemovalHold.from_state(stored)
    if stored.get("git"):
        from ..store.git import RepositoryStatus

        git = RepositoryStatus.from_state(stored)
    return held, git


class Health(NamedTuple):
    """Whether a process is well, and a sentence that says it."""

    well: bool
    words: str


#: Seconds that `feeds health` waits for a web process.
ASK_SECONDS = 4.0


def ask_web(host: str, port: int) -> Health:
    """Return the health of the web processes that listen there, as their /ready reports it."""
    import http.client  # TLS and more, for this question alone

    connection = http.client.HTTPConnection(host, port, timeout=ASK_SECONDS)
    try:
        connection.request("GET", "/ready")
        answered = connection.getresponse()
        said = answered.read(10_000).decode("utf-8", "replace").strip()
    except (OSError, http.client.HTTPException) as error:
        return Health(False, f"nothing answers at {host}:{port} ({type(error).__name__})")
    finally:
        connection.close()
    return Health(answered.status == 200, said if answered.status in (200, 503) else f"/ready answers {answered.status}")


def ask_database(engine: sa.Engine, role: str, now: float) -> Health:
    """Return the health of clock or workers, by their heartbeats in the database; `now` in UTC seconds. Never raises."""
    try:
        with database.reading(engine) as connection:
            if role == "clock":
                beat = int(editions.load_state(connection).get("clock", "0"))
                silent = int(now) - beat
                if not beat:
                    return Health(False, "no clock has acted for this database yet")
                well = silent <= SILENT_SECONDS
                return Health(well, "a clock acts" if well else f"the clock has been silent for {silent} seconds")
            if not database.is_postgresql(engine) or not jobs.is_prepared(connection):
                return Health(False, "there are no workers: they need PostgreSQL, and `workers: true` in site.yaml")
            if number := jobs.workers(connection):
                return Health(True, f"{number} worker{'s' if number > 1 else ''} at work")
            return Health(False, f"no worker has given a sign of life for {jobs.STALLED:.0f} seconds")
    except Exception as error:  # whatever the database's fault is, nobody works
        return Health(False, f"the database cannot be read ({type(error).__name__})")


class Status(NamedTuple):
    """The whole status of the service, part by part; the mappings are as `feeds status --json` prints them."""

    catalog: Mapping[str, Any]
    newsletter: Mapping[str, int]
    audience: Mapping[str, Any]
    hub: Mapping[str, int]
    problems: Sequence[Problem]


def read_status(connection: sa.Connection, now: float, most_requested: int) -> Status:
    """Return the whole status at `now` (UTC seconds), with the audience of the `most_requested` feeds requested most."""
    zone = editions.load_zone(connection)
    return Status(
        catalog_status(connection),
        issue_status.counts(connection),
        requests.recent_as_json(connection, zone, now, most_requested),
        subscriptions.counts(connection),
        queries.list_problems(connection),
    )
