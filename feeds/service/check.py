"""`feeds check`: every fault in the configuration and in the store, without touching the catalog."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from .. import config as configuration
from .. import database
from ..config import Config, Environment
from ..errors import ConfigError, Fault, StoreError
from ..library import catalog, scan
from ..library.reading import Rules
from ..model import FACETS, PLURALS, Problem
from ..syndication import definitions


def check(environment: Environment) -> list[Problem]:
    try:
        config = configuration.load(environment)
    except ConfigError as error:
        return [_as_problem(fault) for fault in error.faults]
    return [*_check_addresses(environment, config), *check_store(config)]


def _as_problem(fault: Fault) -> Problem:
    return Problem(fault.path, fault.line, fault.column, fault.reason, "config")


def _check_addresses(environment: Environment, config: Config) -> Iterator[Problem]:
    path = str(environment.config_dir / "feeds.yaml")
    for written in (*config.feeds.moved, *config.feeds.moved.values(), *config.feeds.gone):
        folder, _, name = written.strip("/").partition("/")
        if folder != "all" and not (name and (folder in PLURALS or folder == "feeds")):
            known = ", ".join(facet.plural for facet in FACETS.values())
            yield Problem(
                path,
                1,
                1,
                f"moved/gone: {written!r} is no feed's address; expected all, feeds/NAME or one of {known}",
                "config",
            )


def check_store(config: Config) -> list[Problem]:
    """Read every file of the store into a catalog that is thrown away."""
    with tempfile.TemporaryDirectory(prefix="feeds-check-") as folder:
        engine = database.connect(f"sqlite:///{folder}/catalog.db")
        database.metadata.create_all(engine)
        try:
            with database.writing(engine) as connection:
                problems = _problems_of(connection, config)
        finally:
            engine.dispose()
    return [Problem(str(Path(config.site.store, p.path)), p.line, p.column, p.reason, p.kind) for p in problems]


def _problems_of(connection: sa.Connection, config: Config) -> list[Problem]:
    rules = Rules.of(config)
    try:
        found = scan.look(connection, rules)
    except StoreError as error:
        return [Problem("", 0, 0, str(error), "store")]
    scan.take_in(connection, rules, definitions.names_of(config), found, now=int(time.time()))
    return catalog.problems(connection)
