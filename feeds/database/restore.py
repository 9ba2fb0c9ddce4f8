"""Put a backup in the place of a database, without harm: nothing that people or the service did since is undone.

A database that can be read is replaced in one transaction: processes that have it open go on, and what they accept is either
before it, and counts, or after it. One that is damaged or missing is replaced by a new file, which is renamed into place.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa

from .. import private_files
from ..errors import DatabaseError, DatabaseFault
from . import backup, backup_file, identity
from . import engine as database
from .backup import RESTORED, Counts, Progress
from .tables import (
    articles,
    bounces,
    buckets,
    cohorts,
    deliveries,
    departed,
    hub_announced,
    hub_requests,
    hub_subscriptions,
    issue_articles,
    issue_sections,
    issues,
    metadata,
    operator_log,
    operator_sessions,
    outbox,
    plans,
    requests,
    selections,
    state,
    subscribers,
    subscriptions,
    suppressions,
)

#: How many of its safety copies a site keeps.
SAFETY_COPIES = 3
#: Keys of subscribers that may have been given in a database that is lost: no link of theirs is to open someone else's page.
LOST_KEYS = 1_000_000
#: What strangers asked for, what was sent, what was decided since: taken from the current database if it continues the backup.
SINCE: tuple[sa.Table, ...] = (
    *(selections, cohorts, suppressions, requests, outbox, plans, issues, issue_articles, issue_sections, deliveries),
    *(buckets, bounces, hub_subscriptions, hub_requests, hub_announced, operator_sessions, operator_log),
)
#: Rows of `state` that belong to the catalog, and so come with a backup; all others are about the service that runs.
MARKS = ("config", "parse", "aliases", "shown", "touched", "dated", "search", "generation", "changed", "secret")


class Settled(Protocol):
    """What happened to subscribers since the backup."""

    def learn(self, old: sa.Connection) -> None:
        """Take in what the database knows that is to be replaced; it may be damaged."""

    def settle(self, restored: sa.Connection) -> int:
        """Bring the restored rows up to that. Return how many people had left."""


@dataclass(frozen=True, slots=True)
class RestoreOptions:
    """`file`: the backup; `people`: who settles subscribers; `check`: raises where marks of the catalog cannot be read.

    `folder`: where a server's safety copy goes; `var`: the site's, with the record of its database; `now` in UTC seconds.
    """

    file: Path
    people: Settled
    check: Callable[[sa.Connection], object]
    folder: Path
    now: int
    var: Path
    progress: Progress | None = None


@dataclass(slots=True)
class Restored:
    """`rows` of each table of the backup; `safety`: the copy of what was replaced; `left`: subscribers who had left since;
    `later`: who came since, and are only in that copy.
    """

    rows: Counts = field(default_factory=dict)
    safety: str = ""
    left: int = 0
    later: int = 0


def restore(target: sa.Engine, options: RestoreOptions) -> Restored:
    """Replace everything by a backup, all or nothing, while the service runs.

    Processes see a new generation and read again. Issues that were open are paused. A backup of an older version is brought up
    to date, in a copy. Raises DatabaseError for a file that is not a sound backup, SchemaError for one of a newer version, or
    for a database that this program does not fit; then nothing has changed.
    """
    home = options.folder if database.is_postgresql(target) else _place(target).parent
    private_files.make_private_folder(home)
    with (
        private_files.temporary_beside(home / "restore.db") as draft,
        backup_file.opened(options.file, draft) as source,
        database.reading(source) as rows,
        backup.open_engine(target.url.render_as_string(hide_password=False)) as target,  # a watched one refuses what is to go
    ):
        done = _replace_or_swap(target, rows, options)
        done.rows = {table.name: database.count_rows(rows, table) for table in metadata.sorted_tables}
        identity.note(target, options.var)
        return done


def _replace_or_swap(target: sa.Engine, rows: sa.Connection, options: RestoreOptions) -> Restored:
    if not database.is_postgresql(target) and not _is_sound(target):
        return _swap(target, rows, options)
    try:
        database.ensure_tables(target)
        return _replace(target, rows, options)
    except (DatabaseFault, sa.exc.DBAPIError) as error:  # damage that shows only where all of it is read
        if database.is_postgresql(target) or not (isinstance(error, DatabaseFault) or identity.describe(error).words):
            raise
    return _swap(target, rows, options)


def _place(target: sa.Engine) -> Path:
    """Return the file of an SQLite database, where a link to it leads."""
    return Path(os.path.realpath(str(target.url.database)))


def _is_sound(target: sa.Engine) -> bool:
    """Return whether the tables of an SQLite file can be read. Nothing is written. Raises SchemaError for another version."""
    place = _place(target)
    if place.exists() and not place.is_file():
        raise DatabaseError(f"{place}: something else is in the place of the database file")
    try:
        if not place.stat().st_size:
            return False
        with backup.open_engine(str(target.url), wal=False) as engine:
            with engine.connect() as connection:
                answer = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
            if answer != "ok" or not database.version(engine):
                return False
            database.check_tables(engine)
            with engine.connect() as connection:
                for table in metadata.sorted_tables:
                    connection.execute(sa.select(table).limit(1)).all()
    except sa.exc.DBAPIError as error:
        if database.is_temporary(error):
            raise
        return False
    except FileNotFoundError:
        return False
    return True


# -- into a database that can be read ----------------------------------------


def _replace(target: sa.Engine, rows: sa.Connection, options: RestoreOptions) -> Restored:
    done = Restored()
    quiet = target.execution_options(departures=None)
    with database.lock(target, "rescan"), database.writing(quiet, durable=True) as written:
        if backup.is_closed(written):
            raise DatabaseError(backup.MOVED)
        if database.is_postgresql(target):
            names = ", ".join(f'"{table.name}"' for table in metadata.sorted_tables)
            written.exec_driver_sql(f"LOCK TABLE {names} IN EXCLUSIVE MODE")
        done.safety = _copy_aside(target, options)
        since: Collection[sa.Table] = SINCE if _continues(rows, written) else ()
        if not since:
            options.people.learn(written)
        before = _state(written)
        known = _known_articles(written)
        done.later = _fill(rows, written, since, options)
        _remember_articles(written, known)
        _save_state(written, before, options, lost=not since)
        done.left = options.people.settle(written)
        _pause(written)
    return done


def _continues(rows: sa.Connection, written: sa.Connection) -> bool:
    """Return whether the current database goes on where the backup ends, so that keys mean the same in both."""
    c = cohorts.c
    for columns in (
        (selections.c.key, selections.c.query),
        (c.key, c.frequency, c.day, c.timezone),
        (issues.c.key, issues.c.id, issues.c.planned_at),
    ):
        query = sa.select(*columns)
        if not {tuple(row) for row in written.execute(query)}.issuperset(tuple(row) for row in rows.execute(query)):
            return False
    then, now = _state(rows), _state(written)
    same_site = then.get("site_id", now.get("site_id")) == now.get("site_id")
    return same_site and then.get("secret", now.get("secret")) == now.get("secret")


def _fill(rows: sa.Connection, written: sa.Connection, since: Collection[sa.Table], options: RestoreOptions) -> int:
    """Replace the rows of all tables but those in `since`. Returns how many subscribers came later than the backup."""
    later, merged = 0, (subscribers, subscriptions) if since else ()
    for table in reversed(metadata.sorted_tables):
        if table not in since and table not in merged:
            written.execute(sa.delete(table))
    kept = {*since, *merged}
    backup.copy(rows, written, options.progress, [table for table in metadata.sorted_tables if table not in kept])
    if since:
        later = _merge_people(rows, written)
        _finish_deliveries(rows, written)
    else:
        unsent = outbox.c.status.in_(("pending", "retry", "sending"))  # it was sent since, as far as anybody knows
        written.execute(sa.delete(outbox).where(unsent))
        written.execute(sa.delete(operator_sessions))
    return later


def _merge_people(rows: sa.Connection, written: sa.Connection) -> int:
    """Leave people of the backup as they are now; bring back those whose rows are gone; drop and count those who came later."""
    s = subscribers.c
    backed = {key: (created, mailbox) for key, created, mailbox in rows.execute(sa.select(s.key, s.created, s.mailbox))}
    mailboxes = {mailbox for _created, mailbox in backed.values()}
    keys, here, later = set(), set(), []
    for key, created, mailbox in written.execute(sa.select(s.key, s.created, s.mailbox)).all():
        if mailbox in mailboxes or (key in backed and backed[key][0] == created):
            keys.add(key)
            here.add(mailbox)
        else:
            later.append(key)
    for part in database.chunks(later):
        written.execute(sa.delete(subscriptions).where(subscriptions.c.subscriber.in_(part)))
        written.execute(sa.delete(subscribers).where(s.key.in_(part)))
    missing = [key for key, (_created, mailbox) in backed.items() if key not in keys and mailbox not in here]
    for part in database.chunks(missing):
        found = rows.execute(sa.select(subscribers).where(s.key.in_(part))).all()
        database.insert_rows(written, subscribers, [tuple(row) for row in found])
        columns = [column for column in subscriptions.c if column.name != "key"]
        wanted = rows.execute(sa.select(*columns).where(subscriptions.c.subscriber.in_(part))).mappings().all()
        if wanted:
            written.execute(sa.insert(subscriptions), [dict(row) for row in wanted])
    return len(later)


def _known_articles(written: sa.Connection) -> dict[str, tuple[int, int]]:
    """Return id -> (available, arrival) of all articles that digests may have brought."""
    return {
        id: (available, arrival)
        for table in (departed, articles)
        for id, available, arrival in written.execute(sa.select(table.c.id, table.c.available, table.c.arrival))
    }


def _remember_articles(written: sa.Connection, known: dict[str, tuple[int, int]]) -> None:
    """Note articles that only the replaced database had: when a rescan finds them again, no digest brings them twice."""
    new = {id: when for id, when in known.items() if id not in _known_articles(written)}
    database.insert_rows(written, departed, [(id, *when) for id, when in new.items()])


def _state(connection: sa.Connection) -> dict[str, str]:
    return {name: value for name, value in connection.execute(sa.select(state.c.name, state.c.value))}


def _number(text: str | None) -> int:
    """Return a number of `state`; 0 for a text that no catalog writes."""
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 16 else 0


def _save_state(written: sa.Connection, before: dict[str, str], options: RestoreOptions, *, lost: bool) -> None:
    """Take from the backup only what belongs to its catalog; keep what the target is, and let generation and time go on.

    Marks that this version cannot read are dropped, and the configuration stays: the next rescan makes all of it again.
    `lost`: what was sent since is not known.
    """
    after = _state(written)
    try:
        options.check(written)
        marks: tuple[str, ...] = MARKS
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        marks = ("secret",)
    values = {name: value for name, value in before.items() if name not in MARKS}
    values |= {name: before[name] for name in ("config", "secret") if name in before}
    values |= {name: after[name] for name in marks if name in after}
    if "generation" in after:
        values["generation"] = str(max(_number(before.get("generation")), _number(after["generation"])) + 1)
        values["changed"] = str(max(_number(before.get("changed")), _number(after.get("changed"))))
    if lost:
        values["restored"] = str(options.now)  # what was due before may have gone out: see newsletter.issues.planning
    written.execute(sa.delete(state))
    if values:
        written.execute(sa.insert(state), [{"name": name, "value": value} for name, value in values.items()])
    identity.continue_site(written, options.var)


def _pause(written: sa.Connection) -> None:
    """Let issues that were not finished wait for the operator."""
    written.execute(sa.update(issues).where(issues.c.status == "open").values(status="paused", reason=RESTORED))


def _finish_deliveries(rows: sa.Connection, written: sa.Connection) -> None:
    """Take over marks of delivery that only the backup has: the current database may itself be a restored, older one."""
    d = deliveries.c
    waiting = sa.select(d.issue, d.subscriber).where(d.status.in_(("pending", "retry")))
    for part in database.chunks(written.execute(waiting).all(), 200):
        mine = sa.tuple_(d.issue, d.subscriber).in_([tuple(one) for one in part])
        for row in rows.execute(sa.select(deliveries).where(mine, d.status.not_in(("pending", "retry")))).mappings():
            same = sa.and_(d.issue == row["issue"], d.subscriber == row["subscriber"])
            written.execute(sa.update(deliveries).where(same).values(status=row["status"], updated=row["updated"]))


# -- what is replaced --------------------------------------------------------


def _safety_name(target: sa.Engine, options: RestoreOptions) -> Path:
    """Return a name that is free, beside the database: `feeds.db.before-restore-20261130T142000Z`."""
    place = options.folder / "feeds.db" if database.is_postgresql(target) else _place(target)
    stem = f"{place.name}.before-restore-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(options.now))}"
    # Never the name of a copy that was removed in this second: names are in the order of time.
    named = (re.fullmatch(r"(?:\.(\d+))?", path.name.removeprefix(stem)) for path in place.parent.glob(f"{stem}*"))
    last = max((int(match[1] or 1) for match in named if match), default=0)
    return place.with_name(f"{stem}.{last + 1}" if last else stem)


def _copy_aside(target: sa.Engine, options: RestoreOptions) -> str:
    """Copy a database that can be read, unless it has no rows; return the name of the copy."""
    with database.reading(target) as connection:
        if not any(connection.execute(sa.select(table).limit(1)).first() for table in metadata.sorted_tables):
            return ""
    path = _safety_name(target, options)
    backup.back_up(target, path)
    _remove_old_copies(path, options)
    return str(path)


def _remove_old_copies(newest: Path, options: RestoreOptions) -> None:
    """Keep the newest safety copies, and the one that is being restored."""
    stem = newest.name.partition(".before-restore-")[0]
    copies = [path for path in newest.parent.glob(f"{stem}.before-restore-*") if not path.name.endswith(("-wal", "-shm"))]
    for old in sorted(copies, key=lambda path: path.name)[:-SAFETY_COPIES]:
        if options.file.exists() and old.samefile(options.file):
            continue
        for path in (old, old.with_name(f"{old.name}-wal")):
            path.unlink(missing_ok=True)


# -- instead of one that cannot be read --------------------------------------


def _swap(target: sa.Engine, rows: sa.Connection, options: RestoreOptions) -> Restored:
    """Build a new file beside one that is damaged or missing, and rename it into place."""
    place, done = _place(target), Restored()
    target.dispose()
    with database.lock(target, "rescan"), private_files.temporary_beside(place) as draft:
        with _read_damaged(place) as old, backup.open_engine(draft, wal=False) as engine:
            before: dict[str, str] = {}
            if old is not None:
                options.people.learn(old)
                with contextlib.suppress(sa.exc.DBAPIError):
                    before = _state(old)
            database.make_tables(engine)
            with database.writing(engine, durable=True) as written:
                _fill(rows, written, (), options)
                database.continue_keys(rows, written, subscribers, LOST_KEYS)
                _save_state(written, before, options, lost=True)
                done.left = options.people.settle(written)
                _pause(written)
            with engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        if place.exists() and place.stat().st_size:
            done.safety = _copy_files_aside(target, place, options)
        with _closed(place):
            for beside in private_files.SATELLITES:
                place.with_name(f"{place.name}{beside}").unlink(missing_ok=True)
            private_files.replace_file(draft, place)
    return done


@contextlib.contextmanager
def _read_damaged(place: Path) -> Iterator[sa.Connection | None]:
    """Yield a connection to a copy of a damaged database, with what its log has, if SQLite opens it at all; else None."""
    with private_files.temporary_beside(place) as copy:
        engine = database.connect(copy, wal=False)
        try:
            for suffix in ("", "-wal"):
                with contextlib.suppress(FileNotFoundError):
                    os.close(private_files.open_private(f"{copy}{suffix}"))
                    shutil.copyfile(f"{place}{suffix}", f"{copy}{suffix}")
            connection = engine.connect()
        except (sa.exc.DBAPIError, OSError):
            connection = None
        try:
            yield connection
        finally:
            if connection is not None:
                connection.close()
            engine.dispose()


def _copy_files_aside(target: sa.Engine, place: Path, options: RestoreOptions) -> str:
    """Copy a damaged database as it is, with the log of its last changes."""
    path = _safety_name(target, options)
    for suffix in ("", "-wal"):
        source = place.with_name(f"{place.name}{suffix}")
        if source.exists() and (not suffix or source.stat().st_size):
            with private_files.temporary_beside(path) as draft:
                shutil.copyfile(source, draft)
                private_files.replace_file(draft, path.with_name(f"{path.name}{suffix}"))
    _remove_old_copies(path, options)
    return str(path)


@contextlib.contextmanager
def _closed(place: Path) -> Iterator[None]:
    """Keep processes that have a damaged database open from writing into it, as far as it still takes in that they may not."""
    if not place.exists():
        yield
        return
    engine = database.connect(place, busy_seconds=5)
    with contextlib.suppress(sa.exc.DBAPIError), database.writing(engine) as connection:
        backup.close(connection, backup.REPLACED)
    engine.dispose()
    yield
