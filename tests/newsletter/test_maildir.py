"""The Maildir: readable by others, and the same message never twice."""

from __future__ import annotations

import asyncio
import mailbox
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from feeds.database.tables import deliveries
from feeds.errors import TransportError
from feeds.model import Message, Outcome
from feeds.newsletter.transports.base import Maildir, file_name, send_now

from .sending import Post


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
    (tmp_path / "tmp" / ".weekly-1.1@example.org.feeds-tmp").mkdir(parents=True)
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
