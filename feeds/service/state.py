"""The `state` table: which edition is out, what it was made with, what the last rescan said."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from ..config import Config
from ..database import state
from ..library.reading import Rules
from ..syndication import documents


@dataclass(frozen=True, slots=True)
class Edition:
    """What is out: the catalog's generation, and the configuration it was made with (None before the first rescan).

    `changed` (UTC seconds) is when a rescan last changed anything at all; it never goes back.
    """

    generation: int
    config: Config | None
    changed: int = 0


def read(connection: sa.Connection) -> dict[str, str]:
    return {name: value for name, value in connection.execute(sa.select(state.c.name, state.c.value))}


def generation(connection: sa.Connection) -> int:
    value = connection.execute(sa.select(state.c.value).where(state.c.name == "generation")).scalar()
    return int(value) if value is not None else -1


def edition(connection: sa.Connection) -> Edition:
    stored = read(connection)
    config = Config.model_validate_json(stored["config"]) if "config" in stored else None
    return Edition(int(stored.get("generation", "-1")), config, int(stored.get("changed", "0")))


def put(connection: sa.Connection, values: Mapping[str, str]) -> None:
    connection.execute(sa.delete(state).where(state.c.name.in_(list(values))))
    connection.execute(sa.insert(state), [{"name": name, "value": value} for name, value in values.items()])


def marks(config: Config, rules: Rules) -> dict[str, str]:
    """What the catalog was made with: which part of it a new configuration asks to be made anew."""
    text = config.model_dump_json(by_alias=True)
    aliases = json.dumps({f: dict(rows) for f, rows in config.feeds.aliases.items()}, sort_keys=True)
    shown = hashlib.sha256((text + documents.versions()).encode()).hexdigest()[:16]
    return {"config": text, "parse": rules.key, "aliases": aliases, "shown": shown}
