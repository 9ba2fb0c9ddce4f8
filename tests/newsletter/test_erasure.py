"""Erased addresses are in no byte of the files in var/: database, write-ahead log, previews."""

from __future__ import annotations

import io
import random
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from feeds import database
from feeds.cli import main
from feeds.database.tables import bounces, outbox, subscribers
from feeds.newsletter.subscribers import importer, unsubscribe
from feeds.newsletter.subscribers.importer import ImportOptions

from .club import NOW, Club


@pytest.fixture
def club(site: Any) -> Club:
    return Club(site)


def remains(club: Club, addresses: list[str]) -> dict[str, list[str]]:
    """Which addresses are in which files of var/. On PostgreSQL files are the server's: none of ours may hold one."""
    files = [path for path in (club.site.root / "var").rglob("*") if path.is_file()]
    assert files
    found = {address: [path.name for path in files if address.encode() in path.read_bytes()] for address in addresses}
    return {address: names for address, names in found.items() if names}


def populate(club: Club, number: int) -> list[str]:
    """People with lives of different lengths, so that pages of the database were split, merged and used again."""
    chance = random.Random(number)
    people = [f"{chance.randbytes(6).hex()}.{index}@example.org" for index in range(number)]
    confirmed = "2020-01-01T00:00:00+00:00"
    rows = (f"{address},tag=Linux,{confirmed if index % 2 else ''}\n" for index, address in enumerate(people))
    text = ("email,select,confirmed_at\n" + "".join(rows)).encode()
    importer.import_csv(club.context, io.BytesIO(text), "people.csv", NOW, ImportOptions())
    with database.writing(club.context.engine) as connection:
        rows = connection.execute(sa.select(subscribers.c.key, subscribers.c.address)).all()
        for key, address in [*rows, *chance.choices(rows, k=3 * number)]:
            change = sa.update(subscribers).where(subscribers.c.key == key)
            connection.execute(change.values(reason="r" * chance.randrange(900)))
            connection.execute(sa.delete(bounces).where(bounces.c.subscriber == key))
            quoted = f"550 <{address}> user unknown {'.' * chance.randrange(300)}"
            values = {"issue": 1, "subscriber": key, "at": NOW, "kind": "soft", "status": "5.1.1", "diagnostic": quoted}
            connection.execute(sa.insert(bounces).values(message=chance.randbytes(8).hex(), **values))
    return people


def test_no_file_keeps_an_address_that_was_erased(club: Club) -> None:
    people = populate(club, 300)
    erased = random.Random(7).sample(people, 100)
    with club.context.reading() as connection:
        before = connection.execute(sa.select(subscribers).where(subscribers.c.mailbox.not_in(erased))).all()
        waiting = [row.recipient for row in connection.execute(sa.select(outbox.c.recipient))]
    assert set(erased) & set(waiting), "a mail that asks for a confirmation is erased, too"
    for address in erased:
        assert unsubscribe.erase_address(club.context, address, NOW + 1)
    overwrite(club)
    assert remains(club, erased) == {}
    with club.context.reading() as connection:
        assert connection.execute(sa.select(subscribers).where(subscribers.c.mailbox.not_in(erased))).all() == before
        assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == [] if not is_postgresql(club) else True
    assert club.join("later@example.org")
    with club.context.reading() as connection:
        keys = connection.execute(sa.select(sa.func.max(subscribers.c.key))).scalar()
        assert keys is not None and keys > max(row.key for row in before), "a key is given twice"


def is_postgresql(club: Club) -> bool:
    return database.is_postgresql(club.context.engine)


def overwrite(club: Club) -> None:
    """As the clock does, once the last mails are sent."""
    with database.writing(club.context.engine) as connection:
        connection.execute(sa.delete(outbox))
    assert unsubscribe.overwrite_erased(club.context.engine)


def test_a_reader_in_the_way_only_puts_it_off(club: Club) -> None:
    people = populate(club, 20)
    with database.reading(club.context.engine) as reader:
        reader.execute(sa.select(subscribers)).all()
        unsubscribe.erase_address(club.context, people[3], NOW + 1)
        with database.writing(club.context.engine) as connection:
            connection.execute(sa.delete(outbox))
        assert unsubscribe.overwrite_erased(club.context.engine) is is_postgresql(club)
    assert unsubscribe.overwrite_erased(club.context.engine) and remains(club, people[3:4]) == {}


def test_the_command_leaves_nothing_behind_it(club: Club) -> None:
    people = populate(club, 20)
    with database.writing(club.context.engine) as connection:
        connection.execute(sa.delete(outbox))
    club.site.runtime.close()
    for address in people[:3]:
        answered = CliRunner().invoke(main, ["subscribers", "erase", address, "--config", str(club.site.config_dir)])
        assert answered.exit_code == 0 and "erased" in answered.output
        assert remains(club, [address]) == {}


def test_deleted_rows_are_zeroed_however_sqlite_was_built(club: Club) -> None:
    if not is_postgresql(club):
        with club.context.engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA secure_delete").scalar() == 1


def test_nothing_is_rewritten_where_nobody_was_erased(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    populate(club, 4)
    monkeypatch.setattr(database, "rewrite", None)
    assert unsubscribe.overwrite_erased(club.context.engine)
