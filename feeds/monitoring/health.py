"""Whether this node can serve, and what is not as it should be though it can. Words, not paths: anyone may ask."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import sqlalchemy as sa

from .. import database
from ..catalog import ingest, queries
from ..config.models import Config
from ..errors import DatabaseError
from ..rescan import RemovalHold
from ..store.git import RepositoryStatus
from ..syndication import editions, feed_states

#: The clock says that it is there every BEAT_SECONDS; silent after that many seconds, which a long rescan may take, too.
BEAT_SECONDS, SILENT_SECONDS = 15, 120
#: A catalog is stale after so many of its intervals without a rescan that went well, and after so many seconds at least.
INTERVALS, STALE_SECONDS = 5, 300
#: The facts that are told, and counted in /metrics.
FACTS = ("store", "held", "rescan", "clock", "config", "schema")


@dataclass(frozen=True, slots=True)
class Readiness:
    """`fault`: why nothing can be served, "" where it can. `degraded`: fact -> words."""

    fault: str = ""
    degraded: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {"ready": not self.fault, **({"fault": self.fault} if self.fault else {}), "degraded": dict(self.degraded)}


def look(engine: sa.Engine, now: int) -> Readiness:
    """Raises what the database says where it does not answer."""
    found = database.version(engine)
    if not found:
        return Readiness("the catalog cannot be read: the database has no tables")
    if found < database.HEAD:
        return Readiness(f"the database is at {found}, this program needs {database.HEAD}: run `feeds migrate`")
    with database.reading(engine) as connection:
        stored = editions.load_state(connection)
    if int(stored.get("generation", "-1")) < 1:
        return Readiness("no rescan has finished yet")
    return Readiness(degraded=facts(stored, found, now))


def schema(connection: sa.Connection) -> str:
    """The migration that the database is at."""
    query = sa.select(sa.column("version_num", sa.Text)).select_from(sa.table("alembic_version"))
    return str(connection.execute(query).scalar())


def facts(stored: Mapping[str, str], schema: str, now: int) -> dict[str, str]:
    """What the state says is not as it should be; pure.

    Upgrades only add to the tables, so newer ones can be served: were a node to step aside, `feeds migrate` would take all old
    nodes along at once.
    """
    config = Config.model_validate_json(stored["config"]) if "config" in stored else Config()
    rescanned = json.loads(stored.get("rescan", "null")) or {"at": 0}
    beat = int(stored.get("clock", "0"))
    stale, silent = now - rescanned["at"], now - beat
    found = {
        "store": "the store cannot be read; what was found last is served" if stored.get("rescan_fault") else "",
        "held": "the files of many articles are gone; they stay published until they are let go" if stored.get("held") else "",
        "rescan": f"no rescan has ended well for {stale} seconds" if stale > _patience(config) else "",
        "clock": f"the clock has been silent for {silent} seconds" if beat and silent > SILENT_SECONDS else "",
        "config": "the configuration is refused; the last good one is in force" if stored.get("config_fault") else "",
        "schema": f"the database is at {schema}, newer than this program ({database.HEAD})" if schema > database.HEAD else "",
    }
    return {fact: words for fact, words in found.items() if words}


def _patience(config: Config) -> int:
    return max(STALE_SECONDS, INTERVALS * config.site.rescan_seconds)


#: Errors of a database that answers and does not like the question: that is this program's fault.
_OURS = (sa.exc.IntegrityError, sa.exc.ProgrammingError, sa.exc.DataError, sa.exc.NotSupportedError)


def is_away(error: BaseException) -> bool:
    """Whether it is the database that failed, not this program: it is stopped, locked, damaged, or has no connection left."""
    if isinstance(error, sa.exc.TimeoutError | DatabaseError):
        return True
    return isinstance(error, sa.exc.DatabaseError | sa.exc.InterfaceError) and not isinstance(error, _OURS)


def readiness(engine: sa.Engine, now: float) -> Readiness:
    """Return whether anything can be served at `now` (UTC seconds). Never raises: a silent database is a fault."""
    try:
        return look(engine, int(now))
    except Exception as error:  # whatever the database says, this process cannot serve
        return Readiness(f"the catalog cannot be read ({type(error).__name__})")


def beat(connection: sa.Connection, now: float) -> None:
    """Note that the clock is alive at `now` (UTC seconds)."""
    editions.save_state(connection, {"clock": str(int(now))})


def status(connection: sa.Connection) -> dict[str, Any]:
    """Return what `feeds status` says of catalog, store and configuration, as it is printed as JSON."""
    stored = editions.load_state(connection)
    held, git = RemovalHold.from_state(stored), RepositoryStatus.from_state(stored)
    return {
        "articles": ingest.count_articles(connection),
        "quarantined": ingest.count_problems(connection),
        "feeds": len(feed_states.load_states(connection)),
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
