"""Senders that are killed (kill -9) at random moments, again and again, until everything is out: who got what?

The server notes each message that it takes. Afterwards every row is held against its notes; then the operator retries.
"""

from __future__ import annotations

import random
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from feeds import database
from feeds.database.tables import deliveries
from feeds.newsletter.delivery import issue_status

from .bench import Bench
from .figures import Figure
from .sending import NOW, command, prepare, sink
from .stores import ROOT

CONNECTIONS, KILLS = 10, 25


def measure(bench: Bench) -> Iterator[Figure]:
    number, kills = (5_000, 3) if bench.quick else (100_000, KILLS)
    folder = bench.folder / "crash"
    path = prepare(folder, number)
    log = folder / "taken"
    log.unlink(missing_ok=True)
    engine = database.connect(f"sqlite:///{path}")
    try:
        with sink(log=log) as port:
            url = f"smtp://127.0.0.1:{port}?starttls=0"
            doubts = [_kill(path, url, engine, log, number / (kills + 1)) for _kill_ in range(kills)]
            _send(path, url)
            yield from _judge(engine, log, number, doubts)
            with database.writing(engine, durable=True) as connection:
                again = issue_status.retry(connection, NOW)
            _send(path, url)
        without = number - len(set(_taken(log)))
        yield Figure("kill -9, after retry: subscribers without it", without, "", 0, note=f"{again} were sent again")
    finally:
        engine.dispose()


def _kill(path: Path, url: str, engine: sa.Engine, log: Path, share: float) -> int:
    """Start a sender, kill it at some moment of its share; how many rows it leaves in doubt."""
    enough = _lines(log) + random.uniform(0.1, 0.9) * share
    process = subprocess.Popen(command(path, url, CONNECTIONS), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)
    while process.poll() is None and _lines(log) < enough:
        time.sleep(0.005)
    time.sleep(random.uniform(0, 0.02))  # messages are counted in groups: any moment of one shall do
    if process.poll() is not None:
        raise RuntimeError("it was done before it could be killed")
    process.kill()
    process.wait()
    with database.reading(engine) as connection:
        return issue_status.counts(connection)["sending"]


def _lines(log: Path) -> int:
    return log.read_bytes().count(b"\n") if log.exists() else 0


def _send(path: Path, url: str) -> None:
    subprocess.run(command(path, url, CONNECTIONS), check=True, capture_output=True, cwd=ROOT, timeout=600)


def _taken(log: Path) -> list[int]:
    """Whom the server took a message for."""
    return [int(line.partition(".")[2].partition("@")[0]) for line in log.read_text().splitlines()]


def _judge(engine: sa.Engine, log: Path, number: int, doubts: list[int]) -> Iterator[Figure]:
    taken = Counter(_taken(log))
    sent, listed = _keys(engine, "sent"), _keys(engine, "uncertain")
    arrived = len(listed & taken.keys())
    with database.reading(engine) as connection:
        shown = sum(one.status == "uncertain" for one in issue_status.troubled(connection, 100_000))
    note = f"{number:,} deliveries, {CONNECTIONS} connections, {len(doubts)} kills at random moments"
    yield Figure("kill -9: sent twice", sum(taken.values()) - len(taken), "", 0, note=note)
    lost = number - len(sent | listed) + len(sent - taken.keys()) + len(taken.keys() - sent - listed)
    yield Figure(
        "kill -9: unaccounted for", lost + len(listed) - shown, "", 0, note="neither sent nor listed, or marked wrongly"
    )
    note = f"{len(listed)} in all, each listed; {arrived} of them had arrived"
    yield Figure("kill -9: uncertain, the most a kill", max(doubts), "", CONNECTIONS, note=note)


def _keys(engine: sa.Engine, status: str) -> set[int]:
    query = sa.select(deliveries.c.subscriber).where(deliveries.c.status == status)
    with database.reading(engine) as connection:
        return set(connection.execute(query).scalars())
