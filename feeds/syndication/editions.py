"""Read and write the `state` table: which edition is published, what it was made with, what the last rescan reported."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from .. import database
from ..database.tables import state
from . import feed_states

if TYPE_CHECKING:
    from ..config.environment import Environment
    from ..config.models import Config

#: How many of the last generations are recorded with the terms that they touched, and at most how many terms of each.
REMEMBERED, MOST_TOUCHED = 16, 500


@dataclass(frozen=True, slots=True)
class Edition:
    """What is published: the catalog's generation, and its configuration (None before the first rescan).

    `changed` (UTC seconds) is when a rescan last changed anything at all; it never goes back. `touched`: for the last
    generations the keys of all terms whose articles changed.
    """

    generation: int
    config: Config | None
    changed: int = 0
    touched: Mapping[int, frozenset[int]] = field(default_factory=dict)

    def touched_since(self, generation: int) -> frozenset[int] | None:
        """Return the keys of the terms whose articles changed after a generation; None where that is not known."""
        if not 0 <= self.generation - generation <= REMEMBERED:
            return None
        missed = range(generation + 1, self.generation + 1)
        if any(one not in self.touched for one in missed):
            return None
        return frozenset().union(*(self.touched[one] for one in missed))


def load_state(connection: sa.Connection) -> dict[str, str]:
    """Return the whole table."""
    return {name: value for name, value in connection.execute(sa.select(state.c.name, state.c.value))}


_GENERATION = sa.select(state.c.value).where(state.c.name == "generation")


def load_generation(connection: sa.Connection) -> int:
    """Return the generation of the catalog, which every rescan with changes raises; -1 for an empty database."""
    value = connection.execute(_GENERATION).scalar()
    return int(value) if value is not None else -1


def load_edition(connection: sa.Connection) -> Edition:
    """Return what is published."""
    from ..config.models import Config  # to build its checks takes longer than most questions to the catalog

    stored = load_state(connection)
    config = Config.model_validate_json(stored["config"]) if "config" in stored else None
    touched = {int(one): frozenset(keys) for one, keys in json.loads(stored.get("touched", "{}")).items()}
    return Edition(int(stored.get("generation", "-1")), config, int(stored.get("changed", "0")), touched)


def load_zone(connection: sa.Connection) -> tzinfo:
    """Return the time zone of the configuration in force, without loading all of it; UTC before the first rescan."""
    stored = load_state(connection)
    return ZoneInfo(json.loads(stored["config"])["site"]["timezone"]) if "config" in stored else UTC


def encode_touched(before: str, generation: int, keys: Collection[int] | None) -> str:
    """Return the text to store as `touched`, with one generation more. `keys` None: all terms."""
    known = {int(one): found for one, found in json.loads(before).items() if int(one) > generation - REMEMBERED}
    if keys is not None and len(keys) <= MOST_TOUCHED:
        known[generation] = sorted(keys)
    return json.dumps(known)


def save_state(connection: sa.Connection, values: Mapping[str, str]) -> None:
    """Insert or replace rows of the table."""
    connection.execute(sa.delete(state).where(state.c.name.in_(list(values))))
    connection.execute(sa.insert(state), [{"name": name, "value": value} for name, value in values.items()])


def catalog_marks(config: Config, parse_key: str) -> dict[str, str]:
    """Return what the catalog is made with, by name: a rescan does again what belongs to a mark that differs."""
    text = config.model_dump_json(by_alias=True)
    aliases = json.dumps({f: dict(rows) for f, rows in config.feeds.aliases.items()}, sort_keys=True)
    shown = hashlib.sha256((text + feed_states.versions()).encode()).hexdigest()[:16]
    return {"config": text, "parse": parse_key, "aliases": aliases, "shown": shown}


def adopt_config(engine: sa.Engine, environment: Environment) -> Config:
    """Return the configuration of the files, stored for all processes if the catalog has none yet. Raises ConfigError."""
    from ..config.load import load_config  # the reader of YAML

    config = load_config(environment)
    with database.writing(engine) as connection:
        if "config" not in load_state(connection):
            save_state(connection, {"config": config.model_dump_json(by_alias=True), "generation": "0"})
    return config
