"""Find what changed in the stores since the last rescan, and when something changes by itself. Reads only."""

from __future__ import annotations

from dataclasses import dataclass, field

import sqlalchemy as sa

from ..database import fetch_rows
from ..database.tables import files, quarantine
from ..model import Problem
from ..store.git_dates import DateChanges
from ..store.parser_pool import EXCEEDED
from ..store.stores import Stores
from ..store.walk import UNSETTLED, FileChanges, Stamp, compare
from . import assets


@dataclass(frozen=True, slots=True)
class StoreChanges:
    """What a walk of the store found against the catalog. `bundles`: folders that are one article (`places.bundle_folders`).

    `overdue`: files that cannot be read although their verdict has changed by itself.
    """

    files: FileChanges
    problems: tuple[Problem, ...]
    stale_problems: tuple[str, ...]
    ignored: int = 0
    dates: DateChanges = field(default_factory=DateChanges)
    bundles: frozenset[str] = frozenset()
    overdue: tuple[str, ...] = ()

    @property
    def idle(self) -> bool:
        """Whether there is nothing to write."""
        changed = (self.files.to_read, self.overdue, self.problems, self.stale_problems, self.dates.changed)
        return self.files.held and not any(changed)


def find_changes(
    connection: sa.Connection,
    stores: Stores,
    *,
    now: int,
    everything: bool = False,
    mark: str = "",
    held: str = "",
    exceeded: bool = False,
) -> StoreChanges:
    """Compare the store with the catalog at `now` (UTC seconds). Reads only. Raises StoreError where there is no store.

    `mark` says how far git's dates are known, `held` names the removed files that are held back (`walk.paths_digest`);
    `exceeded`: read the files again that were too expensive, as the limits have changed.
    """
    known: dict[str, Stamp] = dict(fetch_rows(connection, sa.select(files.c.path, files.c.stamp)))
    listing = stores.list_files()
    # What was under embargo, or expires: it is judged again at its second.
    due = connection.scalars(sa.select(files.c.path).where(files.c.due <= now)).all()
    known |= dict.fromkeys(due, UNSETTLED)
    rows = connection.execute(sa.select(quarantine.c.path, quarantine.c.kind)).all()
    again = [row.path for row in rows if row.kind == "duplicate"]
    if exceeded:
        known |= {row.path: UNSETTLED for row in rows if row.kind == EXCEEDED and row.path in known}
    dates = stores.find_date_changes(connection, mark, everything=everything)
    # Whose picture has changed; what is in quarantine shows what it showed before.
    others = {*dates.changed, *(assets.changed_owners(connection, stores) - {row.path for row in rows})}
    changes = compare(known, listing, everything=everything, again=again, others=others, held=held)
    bundles: frozenset[str] = frozenset()
    if changes.to_read or changes.removed:
        bundles = stores.bundle_folders(listing.files)
        # What lies in a folder is judged again where the folder becomes one article, or is that no more.
        around = tuple(f"{folder}/" for folder in bundles ^ stores.bundle_folders(known))
        if around:
            again += [path for path in listing.files if path.startswith(around)]
            changes = compare(known, listing, everything=everything, again=again, others=others, held=held)
    present = listing.files.keys() | {problem.path for problem in listing.problems}
    hidden = tuple(listing.unreadable)
    stale = {row.path for row in rows if row.path not in present and not row.path.startswith(hidden)}
    gone = tuple(sorted(stale - set(changes.removed)))
    overdue = tuple(path for path in due if path not in listing.files)
    return StoreChanges(changes, tuple(listing.problems), gone, listing.ignored, dates, bundles, overdue)


def next_due(connection: sa.Connection, now: int) -> int | None:
    """Return the next second after `now` (UTC seconds) at which a verdict changes by itself; None where none does."""
    found: int | None = connection.execute(sa.select(sa.func.min(files.c.due)).where(files.c.due > now)).scalar()
    return found
