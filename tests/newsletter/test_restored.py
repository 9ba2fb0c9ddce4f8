"""Restoring a backup revives nobody who left since, and loses nobody who is subscribed: over random lives of subscribers.

Twelve people live at a time, each a life of their own; a backup is made somewhere in between. Then the database is there as it
was, or lost, or damaged, or a new one was begun in its place.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from feeds import database
from feeds.database import backup, backup_file, tables
from feeds.database import restore as restores
from feeds.database.restore import Restored, RestoreOptions
from feeds.newsletter import NewsletterContext
from feeds.newsletter.subscribers import departures, importer, records, suppression, unsubscribe
from feeds.newsletter.subscribers.records import Settings, Wish
from feeds.newsletter.subscribers.restored import Departed
from feeds.newsletter.subscribers.signup import RequestedSubscription, enter_subscriber
from feeds.rescan import check_marks
from feeds.runtime import Runtime
from tests.examples import some

from .club import NOW, Club

PEOPLE = 12
#: What may happen to a subscriber, by whose hand it may be.
EVENTS = ("confirm", "import", "unsubscribe", "erase", "bounce", "complain", "revoke", "refuse", "operator")
#: What becomes of the database after the last event.
ENDS = ("present", "lost", "damaged", "begun again")


def address(person: int) -> str:
    return f"Reader{person}@example.org"


class Life:
    """Acts in the way of the service: each event in a transaction of its own, by the functions that the service has."""

    def __init__(self, club: Club) -> None:
        self.club = club
        self.now = NOW
        self.context: NewsletterContext = club.context

    def active(self) -> dict[str, Any]:
        with self.context.reading() as connection:
            rows = connection.execute(sa.select(tables.subscribers)).all()
        return {row.mailbox: row for row in rows if row.status == "active"}

    def known(self) -> dict[str, Any]:
        with self.context.reading() as connection:
            return {row.mailbox: row for row in connection.execute(sa.select(tables.subscribers)).all()}

    def act(self, person: int, event: str, seconds: int) -> None:
        self.now += seconds
        mailbox = address(person).lower()
        hashed = self.context.tokens.salted(mailbox)
        with self.context.writing() as connection:
            known = records.find_by_mailbox(connection, mailbox)
            if event == "confirm":
                wanted = (Wish("weekly", f"tag=tag{person % 3}"),)
                asked = RequestedSubscription(address(person), wanted, Settings(0, "UTC", "en"), "web")
                enter_subscriber(self.context, connection, asked, self.now, self.now)
            elif event == "refuse":
                departures.record(connection, departures.Departure(departures.REFUSED, self.now, mailbox, hashed))
            elif known is None:
                pass
            elif event in ("bounce", "complain", "unsubscribe"):
                status = {"bounce": "bounced", "complain": "complained", "unsubscribe": "unsubscribed"}[event]
                suppression.end_subscription(connection, known.key, status, "", self.now, hashed)
        if event == "import":
            form = self.form(person)
            importer.add_subscriber(self.context, form, confirmed_at="2025-06-01", source="old list", now=self.now)
        elif event in ("erase", "operator"):
            unsubscribe.erase_address(self.context, address(person), self.now)
        elif event == "revoke" and known is not None:
            self.revoke(mailbox)

    def form(self, person: int) -> Any:
        from feeds.newsletter.subscribers.signup import SignupForm

        return SignupForm(address(person), ("tag=Linux",), "weekly", timezone="UTC", language="en")

    def revoke(self, mailbox: str) -> None:
        with self.context.writing() as connection:
            known = records.find_by_mailbox(connection, mailbox)
            if known is not None:
                version = known.version + 1
                departures.record(connection, departures.Departure(departures.LINKS, self.now, mailbox, version=version))
                connection.execute(
                    sa.update(tables.subscribers).where(tables.subscribers.c.key == known.key).values(version=version)
                )


@pytest.fixture
def life(site: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Life]:
    """A site where nobody has been yet, as often as it is called."""
    club = Club(site)
    folder = site.runtime.folder
    backup.back_up(site.runtime.engine, site.root / "empty.db")

    def inside(path: Path, draft: Path, seconds: float | None = None) -> None:
        """Without a process of its own, which takes a second to begin; tests/test_backup_file.py has it."""
        with backup_file._open(path) as source:
            backup_file._extract(source, draft)

    monkeypatch.setattr(backup_file, "extract", inside)

    def begin() -> Life:
        for path in (*folder.glob("departures.jsonl"), *folder.glob("*.before-restore-*"), *site.root.glob("copy.db")):
            path.unlink()
        if not database.is_postgresql(site.runtime.engine):
            lose(club)
        restore(club, site.root / "empty.db", NOW)
        for path in folder.glob("*.before-restore-*"):
            path.unlink()
        return Life(club)

    return begin


def restore(club: Club, path: Path, now: int) -> Restored:
    runtime: Runtime = club.site.runtime
    people = Departed(runtime.departures, "", now)
    options = RestoreOptions(path, people, check_marks, runtime.folder, now, runtime.watch.folder)
    return restores.restore(runtime.engine, options)


def lose(club: Club) -> None:
    """The database is gone, with all that it knew; the list of departures stays."""
    runtime: Runtime = club.site.runtime
    if database.is_postgresql(runtime.engine):
        with database.writing(runtime.engine) as connection:
            for table in reversed(tables.metadata.sorted_tables):
                connection.execute(sa.delete(table))
        return
    runtime.engine.dispose()
    for path in runtime.folder.glob("feeds.db*"):
        if "before" not in path.name:
            path.unlink()


def damage(club: Club) -> None:
    """Pages of the file are overwritten; those of the header are not, so that it opens."""
    runtime: Runtime = club.site.runtime
    if database.is_postgresql(runtime.engine):
        return lose(club)
    with runtime.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    runtime.engine.dispose()
    path = runtime.folder / "feeds.db"
    data = bytearray(path.read_bytes())
    for start in range(8192, len(data), 3 * 4096):
        data[start : start + 2048] = b"\xff" * 2048
    path.write_bytes(data)
    return None


def begin_again(club: Club) -> None:
    """Somebody started the service after the loss: there is a database, with another secret."""
    lose(club)
    (club.site.runtime.watch.folder / "site-id").unlink(missing_ok=True)
    club.site.close()
    club.site.runtime = Runtime(club.site.environment, create=True)
    club.site.runtime.prepare()
    club.site.runtime.tokens()


WAYS = {"present": lambda _club: None, "lost": lose, "damaged": damage, "begun again": begin_again}
STEPS = st.tuples(st.integers(0, PEOPLE - 1), st.sampled_from(EVENTS), st.sampled_from((0, 1, 60, 86400)))


@settings(max_examples=some(25))
@given(
    before=st.lists(STEPS, min_size=10, max_size=30),
    after=st.lists(STEPS, min_size=5, max_size=30),
    end=st.sampled_from(ENDS),
)
@example([(0, "confirm", 1)], [(0, "unsubscribe", 1)], "lost")
@example([(0, "confirm", 1)], [(0, "erase", 1)], "lost")
@example([(0, "confirm", 1)], [(0, "erase", 1), (0, "confirm", 1)], "present")
@example([(0, "confirm", 1)], [(0, "unsubscribe", 1), (0, "confirm", 0)], "lost")
@example([(0, "confirm", 1), (0, "unsubscribe", 0)], [(0, "confirm", 0)], "lost")
@example([(0, "confirm", 1)], [(0, "erase", 0), (0, "confirm", 0), (0, "bounce", 0)], "damaged")
def test_nobody_who_left_is_revived_and_nobody_who_is_subscribed_is_lost(
    life: Callable[[], Life], before: list[Any], after: list[Any], end: str
) -> None:
    one = life()
    for person, event, seconds in before:
        one.act(person, event, seconds)
    backed, kept = one.active(), one.known()
    path = one.club.site.root / "copy.db"
    backup.back_up(one.context.engine, path)
    for person, event, seconds in after:
        one.act(person, event, seconds)
    wanted, known = one.active(), one.known()
    WAYS[end](one.club)
    restore(one.club, path, one.now)
    found, rows = one.active(), one.known()
    assert not set(found) - set(wanted), "revived"
    assert not (set(wanted) & set(backed)) - set(found), "lost"
    erased = {mailbox for mailbox in kept if mailbox not in known}
    assert not erased & set(rows), "rows of people who were erased"
    for mailbox, row in rows.items():
        if mailbox in known and row.key == known[mailbox].key:
            assert row.version >= known[mailbox].version, "links that were revoked work again"
    # and once more: what was restored is as good a beginning
    restore(one.club, path, one.now)
    assert set(one.active()) == set(found)
