"""Messages of 40 KB from rows to an SMTP server, in one process: claimed, made, noted on disk before and after.

Into Debian's smtp-sink; and into a server that holds each reply back for 20 ms and thinks 50 ms about each message, over 200
connections. What the marks on disk cost is measured against the same with SQLite's synchronous=NORMAL, by turns.

`python -m benchmarks.sending DATABASE SMTP_URL CONNECTIONS [normal] [composed]` sends what is open in a database that `prepare`
made, to any server; it says "ready", then seconds, messages sent and its CPU seconds.
"""

from __future__ import annotations

import contextlib
import random
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from feeds import database
from feeds.config.models import Config, Newsletter
from feeds.database.tables import deliveries, issues, subscribers
from feeds.model import Message, Recipient
from feeds.newsletter.delivery.ledgers import IssueLedger, send_issues
from feeds.newsletter.messages.composer import DigestComposer
from feeds.newsletter.transports.smtp import Smtp
from feeds.newsletter.transports.smtp_session import parse_servers
from feeds.resources import TEMPLATES
from feeds.tokens import Tokens
from tests.newsletter import servers as mail_servers

from . import composing
from .bench import Bench, clean_environ
from .figures import Figure, NotMeasured, middle, ratio, spread
from .stores import ROOT

SIZE = 40_960
NOW = 1_767_571_200
BOUND = 1_000.0


def measure(bench: Bench) -> Iterator[Figure]:
    number = 2_000 if bench.quick else 20_000
    try:
        with mail_servers.sink() as port:
            yield from _into_sink(bench, f"smtp://127.0.0.1:{port}?starttls=0", number)
    except mail_servers.Missing as missing:
        raise NotMeasured(str(missing)) from None
    with sink(reply_ms=20, body_ms=50) as port:
        url = f"smtp://127.0.0.1:{port}?starttls=0"
        rates = [_rate(bench, url, number, 200)[0] for _round in range(bench.rounds(3))]
    note = f"{number:,} of {SIZE / 1000:.0f} KB, 200 connections, one process; {spread(rates)}"
    yield Figure("sending, 20 ms a reply and 50 ms a message", middle(rates), "/s", BOUND, at_least=True, note=note)


def _into_sink(bench: Bench, url: str, number: int) -> Iterator[Figure]:
    full: list[tuple[float, float]] = []
    normal: list[tuple[float, float]] = []
    for turn in range(bench.rounds(5)):
        for mode in ("", "normal")[:: -1 if turn % 2 else 1]:
            (normal if mode else full).append(_rate(bench, url, number, 10, mode))
    rates = [rate for rate, _cpu in full]
    note = f"{number:,} of {SIZE / 1000:.0f} KB, 10 connections, one process, all marks on disk; {spread(rates)}"
    yield Figure("sending into smtp-sink", middle(rates), "/s", BOUND, at_least=True, note=note)
    cpu = middle(cpu for _rate, cpu in full)
    yield Figure("sending into smtp-sink, CPU a message", cpu * 1e6, "us", None, note="of the sender, messages ready")
    cost = ratio([1 / rate for rate in rates], [1 / rate for rate, _cpu in normal])
    note = f"time against synchronous=NORMAL ({spread(rate for rate, _cpu in normal)} a second), which a power cut may undo"
    yield Figure("sending with marks that outlive a power cut", cost, "x", None, note=note)
    composed = [_rate(bench, url, number // 2, 10, "composed")[0] for _round in range(bench.rounds(3))]
    note = f"20 articles for each reader, made and sent by one process; {spread(composed)}"
    yield Figure("composing and sending into smtp-sink", middle(composed), "/s", None, note=note)


def _rate(bench: Bench, url: str, number: int, connections: int, *modes: str) -> tuple[float, float]:
    """Messages in a second, and seconds of CPU a message."""
    path = prepare(bench.folder / "sending", number)
    done = subprocess.run(command(path, url, connections, *filter(None, modes)), check=True, **_PROCESS)
    seconds, sent, cpu = map(float, done.stdout.split()[1:])
    if sent != number:
        raise RuntimeError(f"{sent:.0f} of {number} were sent")
    return number / seconds, cpu / number


_PROCESS: dict[str, Any] = {"stdout": subprocess.PIPE, "text": True, "cwd": ROOT}


def command(path: Path, url: str, connections: int, *modes: str) -> list[str]:
    """What sends all that is open in the database, in a process of its own."""
    return [sys.executable, "-m", "benchmarks.sending", str(path), url, str(connections), *modes]


@contextlib.contextmanager
def sink(*, reply_ms: float = 0, body_ms: float = 0, log: Path | None = None) -> Iterator[int]:
    """The port of a `benchmarks.sink` in a process of its own."""
    port = mail_servers.free_port()
    words = [str(port), str(reply_ms), str(body_ms), *([str(log)] if log else [])]
    started = [sys.executable, "-m", "benchmarks.sink", *words]
    process = subprocess.Popen(started, env=clean_environ(), **_PROCESS)
    try:
        assert process.stdout
        process.stdout.readline()
        yield port
    finally:
        process.terminate()
        process.wait(10)


# -- a database to send from -----------------------------------------------


def prepare(folder: Path, number: int) -> Path:
    """A new database with one open issue to `number` subscribers: its file."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("feeds.db*"):
        old.unlink()
    path = folder / "feeds.db"
    engine = database.connect(f"sqlite:///{path}", create=True)
    database.ensure_tables(engine)
    chance = random.Random(1)
    with database.writing(engine) as connection:
        issue = (1, "weekly-2026-01-05", "weekly", NOW, "UTC", NOW, "open", "", 1, composing.ARTICLES)
        database.insert_rows(connection, issues, [issue])
        for start in range(1, number + 1, 20_000):
            keys = range(start, min(start + 20_000, number + 1))
            database.insert_rows(connection, subscribers, [_subscriber(key) for key in keys])
            database.insert_rows(connection, deliveries, [_delivery(key, chance) for key in keys])
    engine.dispose()
    return path


def _subscriber(key: int) -> tuple[object, ...]:
    address = f"reader{key}@example.net"
    return (key, address, address, "active", "zh-CN", "Asia/Shanghai", 1, NOW, NOW, None, "", "", 0, 0)


def _delivery(key: int, chance: random.Random) -> tuple[object, ...]:
    wanted = ",".join(map(str, chance.sample(range(1, composing.SELECTIONS + 1), 5)))
    return (1, key, 0, wanted, "pending", 0, 0, "", 0, NOW, "")


class Ready:
    """Messages of SIZE bytes that need no making."""

    def __init__(self) -> None:
        self._body = (b"x" * 70 + b"\r\n") * (SIZE // 72)

    def message(self, recipient: Recipient, now: int) -> Message:
        sender, id = f"digest+1.{recipient.subscriber}@example.org", f"<1.{recipient.subscriber}@example.org>"
        head = f"From: digest@example.org\r\nTo: {recipient.address}\r\nMessage-ID: {id}\r\n\r\n".encode()
        return Message(sender, recipient.address, id, head + self._body)


def _composer() -> DigestComposer:
    return DigestComposer(composing._config(), composing._content(), Tokens("benchmark"), [TEMPLATES / "mail"])


def _not_durable(engine: sa.Engine, *, durable: bool = False, together: bool = False) -> Any:
    return _writing(engine, together=together)


_writing = database.writing


def main(path: str, url: str, connections: str, *modes: str) -> None:
    if "normal" in modes:
        database.writing = _not_durable  # type: ignore[assignment]
    engine = database.connect(f"sqlite:///{path}")
    composer = _composer() if "composed" in modes else Ready()
    transport = Smtp(parse_servers(url), connections=int(connections), per_connection=Newsletter().messages_per_connection)
    print("ready", flush=True)
    started, cpu = time.perf_counter(), time.process_time()
    tally = send_issues(IssueLedger(engine, Config(), lambda _connection, _key: composer.message, lambda: NOW), transport)
    print(time.perf_counter() - started, tally.sent, time.process_time() - cpu, flush=True)
    print(f"{tally} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB", file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])
