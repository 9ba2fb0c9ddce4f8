"""The way of a rescan through the store: look (what changed) -> read (in parallel where it pays) -> take in (rows).

`look` writes nothing and holds no lock; `take_in` runs inside the caller's transaction, so that a crash at any instant leaves
the old catalog or the new one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain

import sqlalchemy as sa

from .. import processes
from ..database import articles, files, quarantine
from ..model import Problem
from . import dating
from .dating import Outlook
from .guard import OPEN, Guard
from .history import Dates
from .intake import Counts, Intake, problem_rows, put_problems
from .reading import NO_DATES, Reading, Rules, read_files
from .sweep import Changes, Stamp, compare, sweep
from .vocabulary import Names

#: Below this many files the start of a second process costs more than it saves.
PARALLEL_FROM = 400
_BATCH = 100

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Look:
    """What a sweep found against the catalog."""

    changes: Changes
    problems: tuple[Problem, ...]
    stale_problems: tuple[str, ...]
    outlook: Outlook = field(default_factory=Outlook)

    @property
    def idle(self) -> bool:
        found = (self.changes.to_read, not self.changes.held, self.problems, self.stale_problems, self.outlook.changed)
        return not any(found)


@dataclass(frozen=True, slots=True)
class Taken:
    """What a rescan did to the catalog: counts, and the keys of the terms that any changed article has or had.

    `held` are the files that are gone while their articles stay.
    """

    counts: Counts
    touched: frozenset[int]
    changed: bool
    held: frozenset[str] = frozenset()


def look(connection: sa.Connection, rules: Rules, *, everything: bool = False, mark: str = "", held: str = "") -> Look:
    """`mark` is how far git's dates are known, `held` names the files held back. Raises StoreError where there is no store."""
    root = os.path.realpath(rules.root)
    known = _known(connection)
    swept = sweep(root)
    rows = connection.execute(sa.select(quarantine.c.path, quarantine.c.kind)).all()
    again = [row.path for row in rows if row.kind == "duplicate"]
    outlook = dating.look(connection, root, mark, everything=everything) if rules.dates else Outlook()
    changes = compare(known, swept, everything=everything, again=again, dated=outlook.changed, held=held)
    seen = {problem.path for problem in swept.problems}
    hidden = tuple(swept.unreadable)
    stale = [row.path for row in rows if not (row.path in swept.files or row.path in seen or row.path.startswith(hidden))]
    return Look(changes, tuple(swept.problems), tuple(sorted(set(stale) - set(changes.removed))), outlook)


def _known(connection: sa.Connection) -> dict[str, Stamp]:
    """Straight from the driver: a row object for each of 100,000 files would cost more than the sweep."""
    query = sa.select(files.c.path, files.c.stamp)
    compiled = str(query.compile(connection.engine))
    raw = connection.connection.driver_connection
    assert raw is not None
    cursor = raw.cursor()
    cursor.execute(compiled)
    return dict(cursor.fetchall())


def take_in(
    connection: sa.Connection,
    rules: Rules,
    names: Names,
    found: Look,
    *,
    now: int,
    arrival: int = 0,
    guard: Guard = OPEN,
    former: Names | None = None,
    progress: Progress | None = None,
    workers: int | None = None,
) -> Taken:
    """Read what changed and write it. `now` in UTC seconds; `arrival` numbers the rescan, 0 for a store's first.

    `former` are the aliases of before, where they are others now.
    """
    changes = found.changes
    intake = Intake(connection, names, now, arrival, changes.to_read, changes.removed)
    if former is not None:
        intake.rejoin(former)
    done = 0
    dates = _dates(connection, rules, found)
    for batch in read_all(rules, changes.to_read, now, workers, dates):
        intake.put(batch)
        done += len(batch)
        if progress:
            progress(done, len(changes.to_read))
    held = intake.finish(guard, changes.files + len(found.problems))
    if found.problems:
        put_problems(connection, problem_rows(found.problems, now))
    if found.stale_problems:
        connection.execute(sa.delete(quarantine).where(quarantine.c.path.in_(found.stale_problems)))
    return Taken(intake.counts, frozenset(intake.touched), intake.changed, held)


def _dates(connection: sa.Connection, rules: Rules, found: Look) -> Mapping[str, Dates]:
    """Git's dates of the files to be read; the catalog keeps what is new of them."""
    if not rules.dates:
        dating.forget(connection)
        return {}
    dating.write(connection, found.outlook.changed)
    return dating.known(connection, found.changes.to_read)


def read_all(
    rules: Rules, paths: tuple[str, ...], now: int, workers: int | None = None, dates: Mapping[str, Dates] = NO_DATES
) -> Iterator[list[Reading]]:
    """In the order of `paths`, in batches; with processes where there is enough to do."""
    root = os.path.realpath(rules.root)
    if root != rules.root:
        rules = Rules(root, *(getattr(rules, name) for name in Rules.__slots__ if name != "root"))
    batches = [paths[start : start + _BATCH] for start in range(0, len(paths), _BATCH)]
    count = workers or min(os.cpu_count() or 1, 8)
    now_ns = now * 1_000_000_000
    work = [(rules, batch, now_ns, {path: dates[path] for path in batch if path in dates}) for batch in batches]
    if len(paths) < PARALLEL_FROM or count < 2:
        yield from (read_files(*part) for part in work)
        return
    with processes.pool(count) as pool:
        # The parent reads too slowly to keep up with all results at once, so only a few batches are under way.
        pending = [pool.submit(read_files, *part) for part in work[: 3 * count]]
        for part in chain(work[3 * count :], [None] * len(pending)):
            ready = pending.pop(0)
            if part is not None:
                pending.append(pool.submit(read_files, *part))
            yield ready.result()


def count_articles(connection: sa.Connection) -> int:
    return int(connection.execute(sa.select(sa.func.count()).select_from(articles)).scalar() or 0)


def count_problems(connection: sa.Connection) -> int:
    return int(connection.execute(sa.select(sa.func.count()).select_from(quarantine)).scalar() or 0)
