"""Sending into a real Postfix on this machine, against Postfix's own smtp-source into the same one; by turns, in one run.

Ours is the whole of `feeds digest send`: rows claimed, messages made, each marked on disk before and after. Postfix keeps every
message in its queue before it answers, then discards it.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from feeds import database
from feeds.config.environment import Environment
from feeds.config.models import Config
from feeds.database.tables import deliveries, issues, subscribers
from feeds.model import Message, Recipient
from feeds.newsletter.delivery.ledgers import IssueLedger, send_issues
from feeds.newsletter.transports import choose_transport
from tests.newsletter import servers

from .bench import Bench
from .figures import Figure, NotMeasured, need, ratio, spread

SIZE, CONNECTIONS, BOUND = 40_960, 10, 0.9
NOW = 1_767_571_200


def measure(bench: Bench) -> Iterator[Figure]:
    number = 300 if bench.quick else 3_000
    source = need("smtp-source")
    ours: list[float] = []
    theirs: list[float] = []
    try:
        with servers.postfix(connections=CONNECTIONS + 10) as mta:
            for turn in range(1 + bench.rounds(12)):
                pair = [lambda: ours.append(_ours(bench, mta, number)), lambda: theirs.append(_theirs(source, mta, number))]
                for run in pair[:: -1 if turn % 2 else 1]:
                    run()
                    _settle(mta)
    except servers.Missing as missing:
        raise NotMeasured(str(missing)) from None
    ours, theirs = ours[1:], theirs[1:]  # the first turn warms both up
    note = f"messages/s: {spread(ours)}, smtp-source {spread(theirs)}; {SIZE / 1000:.0f} KB, {CONNECTIONS} connections each"
    name = "sending into Postfix, against smtp-source"
    yield Figure(name, ratio(ours, theirs), "x", BOUND, at_least=True, note=note)


def _theirs(source: str, mta: servers.Postfix, number: int) -> float:
    """-d keeps connections for more than one message, as ours does; -N gives each message a recipient of its own."""
    words = ["-d", "-N", "-s", str(CONNECTIONS), "-l", str(SIZE), "-m", str(number), "-f", "digest@example.org"]
    started = time.perf_counter()
    subprocess.run([source, *words, "-t", "reader@example.net", f"{servers.HOST}:{mta.port}"], check=True, timeout=300)
    return number / (time.perf_counter() - started)


@dataclass(frozen=True, slots=True)
class _Composer:
    """Messages of SIZE bytes, each its reader's own."""

    body: bytes

    def message(self, recipient: Recipient, now: int) -> Message:
        sender, id = f"digest+1.{recipient.subscriber}@example.org", f"<{now}.{recipient.subscriber}@example.org>"
        head = f"From: digest@example.org\r\nTo: {recipient.address}\r\nSubject: digest\r\nMessage-ID: {id}\r\n\r\n".encode()
        return Message(sender, recipient.address, id, head + self.body[: SIZE - len(head)])


def _ours(bench: Bench, mta: servers.Postfix, number: int) -> float:
    url = f"sqlite:///{_fresh(bench.folder / 'postfix.db')}"
    settings = {"transport": "smtp", "connections": CONNECTIONS}
    config = Config.model_validate({"newsletter": settings})
    smtp_url = f"smtp://{servers.HOST}:{mta.port}?starttls=0"
    environment = Environment.read(bench.folder / "config", {"FEEDS_DATABASE_URL": url, "FEEDS_SMTP_URL": smtp_url})
    transport = choose_transport(config, environment)
    composer = _Composer((b"x" * 72 + b"\r\n") * (SIZE // 74 + 1))
    engine = database.connect(url, create=True)
    try:
        _fill(engine, number)
        started = time.perf_counter()
        tally = send_issues(IssueLedger(engine, config, lambda _connection, _key: composer.message, lambda: NOW), transport)
        seconds = time.perf_counter() - started
    finally:
        engine.dispose()
    if tally.sent != number:
        raise RuntimeError(f"{tally.sent} of {number} were sent: {tally.problem}")
    return number / seconds


def _fresh(path: Path) -> Path:
    for ending in ("", "-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
    return path


def _fill(engine: sa.Engine, number: int) -> None:
    """One issue, due to all."""
    database.ensure_tables(engine)
    with database.writing(engine) as connection:
        issue = (1, "weekly-2026-01-05", "weekly", NOW, "UTC", NOW, "open", "", 1, 20)
        database.insert_rows(connection, issues, [issue])
        people = (
            (
                key,
                f"reader{key}@example.net",
                f"reader{key}@example.net",
                "active",
                "en",
                "UTC",
                1,
                NOW,
                NOW,
                None,
                "",
                "",
                0,
                0,
            )
            for key in range(1, number + 1)
        )
        database.insert_rows(connection, subscribers, list(people))
        rows = ((1, key, 0, "", "pending", 0, NOW, "", 0, NOW, "") for key in range(1, number + 1))
        database.insert_rows(connection, deliveries, list(rows))


def _settle(mta: servers.Postfix) -> None:
    """Until Postfix has discarded what it took, so that nobody's run bears the work of the one before."""
    queue = mta.folder / "queue"

    def is_empty() -> bool:
        return not any(path.is_file() for place in ("incoming", "active", "deferred") for path in (queue / place).rglob("*"))

    servers.wait_for(is_empty, 120)
