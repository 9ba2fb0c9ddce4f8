"""The Maildir: readable by others, and the same message never twice."""

from __future__ import annotations

import asyncio
import mailbox
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from feeds import database
from feeds.database.tables import deliveries, outbox
from feeds.errors import TransportError
from feeds.model import Message, Outcome
from feeds.newsletter.delivery import outbox as single_messages
from feeds.newsletter.transports.base import send_now
from feeds.newsletter.transports.maildir import Maildir, file_name

from .sending import NOW, Post, Recorder, serving, settings, smtp
from .servers import free_port


@pytest.fixture
def post(tmp_path: Path) -> Any:
    made = Post(tmp_path)
    yield made
    made.close()


def files(folder: Path) -> list[Path]:
    return sorted((folder / "new").iterdir())


def test_messages_are_files_that_any_reader_understands(post: Post, tmp_path: Path) -> None:
    post.add(25)
    assert post.deliver(Maildir(tmp_path / "mail")).sent == 25
    box = mailbox.Maildir(tmp_path / "mail")
    assert len(box) == 25 and not list((tmp_path / "mail" / "tmp").iterdir())
    read = message_from_bytes((tmp_path / "mail" / "new" / "weekly-1.7@example.org").read_bytes(), policy=policy.default)
    assert (read["Return-Path"], read["Delivered-To"]) == ("<digest+1.7@example.org>", "reader7@example.org")
    assert "第一段。" in read.get_payload(decode=True).decode() and post.row(7).reply == "new/weekly-1.7@example.org"


def test_a_message_that_goes_again_replaces_itself_or_stays_read(post: Post, tmp_path: Path) -> None:
    post.add(3)
    post.deliver(Maildir(tmp_path))
    read = tmp_path / "cur" / "weekly-1.2@example.org:2,S"
    (tmp_path / "new" / "weekly-1.2@example.org").rename(read)
    post.write(sa.update(deliveries).values(status="uncertain"))
    assert post.retry() == 3 and post.deliver(Maildir(tmp_path)).sent == 3
    assert [path.name for path in files(tmp_path)] == ["weekly-1.1@example.org", "weekly-1.3@example.org"] and read.exists()


@pytest.mark.parametrize(
    "id", ["<../../etc/passwd@x>", "<.hidden@x>", "<a:2,S@x>", "<>", "<" + "x" * 300 + ">", "<a/b@x>", "<名@x>"]
)
def test_a_message_id_never_leads_out_of_the_folder(id: str) -> None:
    name = file_name(Message("a@example.org", "b@example.org", id, b""))
    assert len(name) == 64 and name.isalnum()


def test_a_full_or_broken_disk_puts_a_message_off(post: Post, tmp_path: Path) -> None:
    post.add(2)
    (tmp_path / "tmp" / "weekly-1.1@example.org").mkdir(parents=True)
    assert post.deliver(Maildir(tmp_path)).retry == 1 and post.counts() == {"sent": 1, "retry": 1}


def test_a_folder_that_cannot_be_made_is_said_and_changes_no_row(post: Post, tmp_path: Path) -> None:
    post.add(2)
    (tmp_path / "file").write_text("")
    with pytest.raises(TransportError, match="file"):
        asyncio.run(Maildir(tmp_path / "file" / "mail").check())
    assert "file" in post.deliver(Maildir(tmp_path / "file" / "mail")).problem and post.counts() == {"pending": 2}
    assert asyncio.run(Maildir(tmp_path / "mail").check()) == f"{tmp_path / 'mail'}: messages become files in it"


def test_test_messages_need_no_row(tmp_path: Path) -> None:
    assert send_now(Maildir(tmp_path), [Message("a@example.org", "b@example.org", "<1@x>", b"x\r\n")]) == [
        Outcome("sent", "new/1@x", "body")
    ]


# -- the outbox ------------------------------------------------------------


def letters(post: Post, *recipients: str) -> None:
    with database.writing(post.engine) as connection:
        for number, recipient in enumerate(recipients, 1):
            values = {"recipient": recipient, "message_id": f"<c{number}@example.org>", "status": "pending", "attempts": 0}
            text = f"Message-ID: <c{number}@example.org>\nTo: {recipient}\n\nconfirm\n"
            connection.execute(sa.insert(outbox).values(message=text, next_at=NOW, created=NOW, reply="", **values))


def outbox_rows(post: Post) -> list[tuple[str, str, str]]:
    with database.reading(post.engine) as connection:
        rows = connection.execute(sa.select(outbox).order_by(outbox.c.key)).all()
        assert single_messages.has_work(connection, int(post.now)) == any(
            row.next_at <= post.now for row in rows if row.status != "failed"
        )
    return [(row.status, row.reply, row.message) for row in rows]


def send(post: Post, transport: Any) -> str:
    """Why the rest waits."""
    return single_messages.send_due(post.engine, config=settings(confirm_hours=1), transport=transport, now=lambda: post.now)


def test_single_messages_are_sent_and_forgotten(post: Post) -> None:
    letters(post, "a@example.org", "b@example.org", "c@example.org")
    with serving() as server:
        assert send(post, smtp(server.url)) == ""
        assert sorted(taken.recipient[0] for taken in server.taken) == ["a", "b", "c"] and outbox_rows(post) == []
    assert server.taken[0].sender == "digest@example.org"


def test_single_messages_are_tried_again_refused_or_given_up(post: Post) -> None:
    letters(post, "late@example.org", "no@example.org")
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
    letters(post, "a@example.org")
    post.write(sa.update(outbox).values(status="sending"))
    recorder = Recorder()
    assert send(post, recorder) == "" and recorder.sent == ["<c1@example.org>"]


def test_one_process_at_a_time_sends_single_messages(post: Post) -> None:
    letters(post, "a@example.org")
    recorder = Recorder()
    with database.lock(post.engine, "outbox"):
        assert send(post, recorder) == "" and recorder.sent == []
    assert send(post, recorder) == "" and len(recorder.sent) == 1


def test_single_messages_wait_while_no_server_answers(post: Post) -> None:
    letters(post, "a@example.org")
    assert "Connect call failed" in send(post, smtp(f"smtp://127.0.0.1:{free_port()}?starttls=0"))
    assert outbox_rows(post)[0][0] == "pending"
