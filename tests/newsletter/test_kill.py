"""Senders that die, and senders side by side: real processes on one database, a server that notes every message it takes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from feeds import database
from feeds.database.tables import deliveries
from feeds.newsletter.delivery import delivery_rows, issue_status
from tests import forking

from .sending import Post, Server, serving

CHECKOUT = Path(__file__).resolve().parents[2]
CONNECTIONS = 5
#: A sender as the clock runs it: `python -c SENDER DATABASE SMTP_URL`.
SENDER = """
import sys, time
from feeds import database
from feeds.newsletter.delivery.ledgers import IssueLedger, send_issues
from feeds.newsletter.transports.smtp import Smtp
from feeds.newsletter.transports.smtp_session import parse_servers
from tests.newsletter.sending import NOW, Composer, settings
engine = database.connect(sys.argv[1])
transport = Smtp(parse_servers(sys.argv[2]), connections=int(sys.argv[3]))
print("ready", flush=True)
sys.stdin.readline()
ledger = IssueLedger(engine, settings(max_errors=10**6), lambda _connection, issue: Composer(issue).message, lambda: NOW)
print(send_issues(ledger, transport).sent, flush=True)
"""


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    made = Post(tmp_path)
    yield made
    made.close()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(offers=("PIPELINING",)) as made:
        yield made


def sender(post: Post, server: Server, connections: int = CONNECTIONS, *, begin: bool = True) -> subprocess.Popen[str]:
    """Ready to send, and sending if it is to `begin`; otherwise a line of input lets it."""
    command = [sys.executable, "-c", SENDER, post.url, server.url, str(connections)]
    process = forking.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT)
    assert process.stdout and process.stdout.readline() == "ready\n"
    if begin:
        go(process)
    return process


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    process.stdin.write("go\n")
    process.stdin.flush()


def test_a_sender_that_is_killed_leaves_at_most_one_message_a_connection_in_doubt_and_sends_none_twice(
    post: Post, server: Server
) -> None:
    people, kills = 2000, 5
    post.add(people)
    chance, doubts = random.Random(7), []
    for _kill in range(kills):
        process, had = sender(post, server), len(server.taken)
        wanted = chance.randint(50, 250)
        while len(server.taken) < had + wanted and process.poll() is None:
            time.sleep(0.002)
        assert process.poll() is None, "killed in the middle of it"
        process.kill()
        process.wait()
        time.sleep(0.05)
        doubts.append(progress_of(post)["sending"])
    process = sender(post, server)
    out, _err = process.communicate(timeout=60)
    assert process.returncode == 0 and int(out) > 0
    counts = progress_of(post)
    assert max(doubts) <= CONNECTIONS and 0 < counts["uncertain"] <= CONNECTIONS * kills
    assert counts["sent"] + counts["uncertain"] == people and post.issue().status == "done"
    assert max(Counter(server.ids).values()) == 1, "no duplicates"
    with database.reading(post.engine) as connection:
        listed = [one for one in issue_status.troubled(connection) if one.status == "uncertain"]
        sent = set(connection.execute(sa.select(deliveries.c.subscriber).where(deliveries.c.status == "sent")).scalars())
    assert len(listed) == counts["uncertain"], "every one in doubt is listed"
    assert {f"<weekly-1.{key}@example.org>" for key in sent} <= set(server.ids), "what is marked as sent was taken"
    doubtful = {f"<weekly-1.{row.address.partition('@')[0].removeprefix('reader')}@example.org>" for row in listed}
    assert set(server.ids) <= {f"<weekly-1.{key}@example.org>" for key in sent} | doubtful
    assert post.retry() == len(listed)
    sender(post, server).communicate(timeout=60)
    assert len(set(server.ids)) == people and progress_of(post)["sent"] == people, "in the end everyone has it"


def progress_of(post: Post) -> dict[str, int]:
    with database.reading(post.engine) as connection:
        return issue_status.counts(connection)


def test_two_senders_at_once_send_each_message_once_and_leave_each_other_alone(post: Post, server: Server) -> None:
    post.add(4000)
    both = [sender(post, server, begin=False), sender(post, server, begin=False)]
    for process in both:
        go(process)
    shares = [int(process.communicate(timeout=60)[0]) for process in both]
    assert sum(shares) == 4000 and min(shares) >= 500, shares
    assert len(server.ids) == 4000 == len(set(server.ids))
    assert {name: number for name, number in progress_of(post).items() if number} == {"issues": 1, "sent": 4000}


def test_a_frozen_neighbour_keeps_its_rows(post: Post, server: Server) -> None:
    post.add(1500)
    frozen = sender(post, server)
    while len(server.taken) < 50:
        time.sleep(0.002)
    os.kill(frozen.pid, signal.SIGSTOP)
    try:
        while is_locked(post):  # stopped inside of a transaction, it would hold up everyone
            os.kill(frozen.pid, signal.SIGCONT)
            time.sleep(0.003)
            os.kill(frozen.pid, signal.SIGSTOP)
        sender(post, server).communicate(timeout=60)
        left = progress_of(post)
        assert left["uncertain"] == 0 and left["sending"] <= CONNECTIONS and 0 < left["pending"] <= 500
    finally:
        os.kill(frozen.pid, signal.SIGCONT)
    frozen.communicate(timeout=60)
    assert progress_of(post)["sent"] == 1500 and len(server.ids) == 1500 == len(set(server.ids))


def is_locked(post: Post) -> bool:
    quick = database.connect(post.url, busy_seconds=0.1)
    try:
        with database.writing(quick):
            return False
    except sa.exc.OperationalError:
        return True
    finally:
        quick.dispose()


def test_a_sender_that_dies_is_known_at_once(post: Post, server: Server) -> None:
    post.add(500)
    process = sender(post, server)
    while len(server.taken) < 20:
        time.sleep(0.002)
    process.kill()
    process.wait()
    with database.reading(post.engine) as connection:
        held: Any = connection.execute(
            sa.select(deliveries.c.owner, deliveries.c.lease).where(deliveries.c.owner != "")
        ).first()
    assert held is not None and not delivery_rows.is_alive(held.owner, held.lease, 0)
