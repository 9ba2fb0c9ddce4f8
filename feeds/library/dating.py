"""The dates that git gives files, kept in the catalog: read once, brought up to date by the commits that are new.

While the files in which git keeps its branches are as they were, nothing is asked of git at all.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa

from ..database import dated
from ..errors import GitError
from . import history
from .git import Git
from .history import Dates

_CHUNK = 400


@dataclass(frozen=True, slots=True)
class Outlook:
    """What git has to say against what the catalog knows. `mark` is to be kept until the next time; "" where dates are off.

    `changed`: files whose dates are others now, None for no longer any.
    """

    mark: str = ""
    changed: Mapping[str, Dates | None] = field(default_factory=dict)
    shallow: bool = False
    fault: str = ""
    head: str = ""


@dataclass(frozen=True, slots=True)
class _Mark:
    """Up to which commit the dates are known. `watched` are the files that a new commit would change, with their stamps."""

    store: str = ""
    head: str = ""
    shallow: tuple[str, ...] = ()
    watched: Mapping[str, list[int]] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str) -> _Mark:
        found = json.loads(text or "{}")
        return cls(**{**found, "shallow": tuple(found["shallow"])}) if found else cls()

    def written(self) -> str:
        values = {"store": self.store, "head": self.head, "shallow": list(self.shallow), "watched": self.watched}
        return json.dumps(values, sort_keys=True)


def look(connection: sa.Connection, store: str, mark: str, *, everything: bool = False) -> Outlook:
    """Reads only. Where git has no answer, what is known goes on to hold, and `fault` says why."""
    before = _Mark.read(mark)
    if before.store == store and not everything and before.watched and _stamps(before.watched) == before.watched:
        return Outlook(mark, shallow=bool(before.shallow), head=before.head)
    try:
        return _look(connection, Git(store), before if before.store == store and not everything else _Mark())
    except GitError as error:
        return Outlook(mark, shallow=bool(before.shallow), fault=str(error), head=before.head)


def _look(connection: sa.Connection, git: Git, before: _Mark) -> Outlook:
    watched = _stamps(_watched(git))  # before git is asked: what happens meanwhile is seen the next time
    head = git.ask("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    shallow = tuple(sorted(history.shallow_ids(git)))
    after = _Mark(git.folder, head, shallow, watched)
    known_to = before.head if before.shallow == shallow and _is_ancestor(git, before.head, head) else ""
    if known_to == head:
        return Outlook(after.written(), shallow=bool(shallow), head=head)
    log = list(history.commits(git, known_to, head)) if head else []
    if known_to:
        changed = history.fold(known(connection, history.paths_of(log)), log, frozenset(shallow))
    else:
        changed = _against(_all_known(connection), history.fold({}, log, frozenset(shallow)))
    return Outlook(after.written(), changed, bool(shallow), head=head)


def _is_ancestor(git: Git, before: str, after: str) -> bool:
    """False, too, where the commit of before is no more, as after a forced push."""
    return bool(before and after) and git.ask("merge-base", before, after) == before


def _watched(git: Git) -> list[str]:
    names = ["HEAD", "packed-refs", "shallow", "reftable/tables.list"]
    if branch := git.ask("symbolic-ref", "--quiet", "HEAD"):
        names.append(branch)
    found = git.run("rev-parse", *(word for name in names for word in ("--git-path", name)))
    return [os.path.normpath(os.path.join(git.folder, path)) for path in found.splitlines()]


def _stamps(paths: Iterable[str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for path in paths:
        try:
            status = os.stat(path)
        except OSError:
            found[path] = []
        else:
            found[path] = [status.st_mtime_ns, status.st_ino, status.st_size]
    return found


def _against(known: Mapping[str, Dates], found: Mapping[str, Dates | None]) -> dict[str, Dates | None]:
    gone: dict[str, Dates | None] = dict.fromkeys(known.keys() - found.keys())
    return gone | {path: dates for path, dates in found.items() if known.get(path) != dates}


# -- rows ------------------------------------------------------------------


def known(connection: sa.Connection, paths: Iterable[str]) -> dict[str, Dates]:
    """What the catalog has of some files."""
    found: dict[str, Dates] = {}
    wanted = sorted(paths)
    for start in range(0, len(wanted), _CHUNK):
        rows = connection.execute(sa.select(dated).where(dated.c.path.in_(wanted[start : start + _CHUNK])))
        found.update((path, Dates(first, last)) for path, first, last in rows)
    return found


def _all_known(connection: sa.Connection) -> dict[str, Dates]:
    return {path: Dates(first, last) for path, first, last in connection.execute(sa.select(dated))}


def write(connection: sa.Connection, changed: Mapping[str, Dates | None]) -> None:
    paths = sorted(changed)
    for start in range(0, len(paths), _CHUNK):
        connection.execute(sa.delete(dated).where(dated.c.path.in_(paths[start : start + _CHUNK])))
    rows = [{"path": path, "first": dates.first, "last": dates.last} for path, dates in changed.items() if dates]
    if rows:
        connection.execute(sa.insert(dated), rows)


def forget(connection: sa.Connection) -> None:
    """Dates from git are switched off."""
    connection.execute(sa.delete(dated))
