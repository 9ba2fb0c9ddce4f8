"""Planning one weekly issue for a million subscribers of one to five selections each, out of 600 terms."""

from __future__ import annotations

import random
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from feeds import database
from feeds.config.models import Config
from feeds.database import tables
from feeds.newsletter.issues import planning

from .bench import Bench
from .figures import Figure

DUE = 1401667200  # Monday 2014-06-02 08:00 in Shanghai
BOUND_S, BOUND_MB = 60.0, 500.0
TERMS = 600


def measure(bench: Bench) -> Iterator[Figure]:
    people = 20_000 if bench.quick else 1_000_000
    folder = bench.folder / f"planning-{people}"
    database_file = folder / "feeds.db"
    if not (folder / "complete").exists():
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("feeds.db*"):
            old.unlink()
        fill(database_file, people)
        (folder / "complete").touch()
    command = [sys.executable, "-m", "benchmarks.planning", str(database_file)]
    seconds, made, megabytes = map(float, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())
    note = f"{people:,} subscribers, {made:,.0f} get the issue, {made / seconds:,.0f} a second"
    yield Figure("planning one weekly issue", seconds, "s", BOUND_S, note=note)
    yield Figure("memory while planning", megabytes, "MB", BOUND_MB, note="highest resident set of the process")


def fill(path: Path, people: int) -> None:
    """A catalog of 120 new articles and `people` subscribers, straight into the tables."""
    engine = database.connect(f"sqlite:///{path}", create=True)
    database.ensure_tables(engine)
    chance = random.Random(1)
    with database.writing(engine) as connection:
        _articles(connection, chance)
        rows = [(key, f"tag=term{key}") for key in range(1, TERMS + 1)]
        database.insert_rows(connection, tables.selections, rows)
        database.insert_rows(connection, tables.cohorts, [(1, "weekly", 0, "Asia/Shanghai")])
        for start in range(1, people + 1, 50_000):
            keys = range(start, min(start + 50_000, people + 1))
            database.insert_rows(connection, tables.subscribers, [_subscriber(key) for key in keys])
            wanted = ((key, ",".join(map(str, chance.sample(range(1, TERMS + 1), chance.randint(1, 5))))) for key in keys)
            rows_of = [(key, key, "weekly", 1, texts, DUE - 10**6, None, None) for key, texts in wanted]
            database.insert_rows(connection, tables.subscriptions, rows_of)
    engine.dispose()


def _articles(connection: sa.Connection, chance: random.Random) -> None:
    for key in range(1, 121):
        when = DUE - 3600 * key
        tags = chance.choices(range(1, TERMS + 1), weights=[1 / rank for rank in range(1, TERMS + 1)], k=4)
        terms = "[" + ",".join(f'["tag","term{tag}","term{tag}"]' for tag in dict.fromkeys(tags)) + "]"
        row = dict.fromkeys((column.name for column in tables.articles.columns), "")
        row |= {"key": key, "id": str(key), "position": when << 24, "title": f"Article {key}", "terms": terms, "names": "{}"}
        row |= dict.fromkeys(("comments", "editor_choice", "arrival"), 0)
        row |= dict.fromkeys(("published", "updated", "first_seen", "available"), when)
        connection.execute(sa.insert(tables.articles).values(row))


def _subscriber(key: int) -> tuple[object, ...]:
    address = f"reader{key}@example.org"
    return (key, address, address, "active", "zh-CN", "Asia/Shanghai", 1, DUE - 10**6, DUE - 10**6, None, "", "", 0, 0)


def main(path: str) -> None:
    """In a process of its own, and undone at the end, so that it can be measured again."""
    engine = database.connect(f"sqlite:///{path}")
    started = time.perf_counter()
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        planning.plan_issues(connection, Config(), now=DUE, arrival=1)
        made = connection.execute(sa.select(sa.func.count()).select_from(tables.deliveries)).scalar()
        seconds = time.perf_counter() - started
        connection.rollback()
    print(seconds, made, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


if __name__ == "__main__":
    main(sys.argv[1])
