"""Single messages (confirmations, receipts): sent by one process at a time, tried again, refused or given up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from feeds import database
from feeds.database.tables import outbox
from feeds.newsletter.delivery.ledgers import due_messages, send_outbox

from .sending import NOW, Post, Recorder, serving, settings, smtp
from .servers import free_port


@pytest.fixture
def post(tmp_path: Path) -> Any:
    made = Post(tmp_path)
    yield made
    made.close()


def add_messages(post: Post, *recipients: str) -> None:
    with database.writing(post.engine) as connection:
        for number, recipient in enumerate(recipients, 1):
            values = {"recipient": recipient, "message_id": f"<c{number}@example.org>", "status": "pending", "attempts": 0}
            text = f"Message-ID: <c{number}@example.org>\nTo: {recipient}\n\nconfirm\n"
            connection.execute(sa.insert(outbox).values(message=text, next_at=NOW, created=NOW, reply="", **values))


def outbox_rows(post: Post) -> list[tuple[str, str, str]]:
    with database.reading(post.engine) as connection:
        rows = connection.execute(sa.select(outbox).order_by(outbox.c.key)).all()
        assert bool(due_messages(connection, int(post.now), 1)) == any(
            row.next_at <= post.now for row in rows if row.status != "failed"
        )
    return [(row.status, row.reply, row.message) for row in rows]


def send(post: Post, transport: Any) -> str:
    """Why the rest waits."""
    return send_outbox(post.engine, config=settings(confirm_hours=1), transport=transport, now=lambda: post.now)


def test_single_messages_are_sent_and_forgotten(post: Post) -> None:
    add_messages(post, "a@example.org", "b@example.org", "c@example.org")
    with serving() as server:
        assert send(post, smtp(server.url)) == ""
        assert sorted(taken.recipient[0] for taken in server.taken) == ["a", "b", "c"] and outbox_rows(post) == []
    assert server.taken[0].sender == "digest@example.org"


def test_single_messages_are_tried_again_refused_or_given_up(post: Post) -> None:
    add_messages(post, "late@example.org", "no@example.org")
    answers = {"late@example.org": "451 later", "no@example.org": "550 no"}
    with serving(rcpt=lambda to, _number: answers[to]) as server:
        send(post, smtp(server.url))
        [late, no] = outbox_rows(post)
        assert late[:2] == ("retry", "451 later") and no == ("failed", "550 no", ""), "a refused one keeps no text"
        for _hour in range(4):
            post.now += 3600
            send(post, smtp(server.url))
    assert outbox_rows(post)[0] == ("failed", "451 later", "")
    post.now += 8 * 86400
    assert send(post, Recorder()) == "" and outbox_rows(post) == []


def test_a_single_message_that_a_crash_left_in_doubt_goes_again(post: Post) -> None:
    add_messages(post, "a@example.org")
    post.write(sa.update(outbox).values(status="sending"))
    recorder = Recorder()
    assert send(post, recorder) == "" and recorder.sent == ["<c1@example.org>"]


def test_one_process_at_a_time_sends_single_messages(post: Post) -> None:
    add_messages(post, "a@example.org")
    recorder = Recorder()
    with database.lock(post.engine, "outbox"):
        assert send(post, recorder) == "" and recorder.sent == []
    assert send(post, recorder) == "" and len(recorder.sent) == 1


def test_single_messages_wait_while_no_server_answers(post: Post) -> None:
    add_messages(post, "a@example.org")
    assert "Connect call failed" in send(post, smtp(f"smtp://127.0.0.1:{free_port()}?starttls=0"))
    assert outbox_rows(post)[0][0] == "pending"
