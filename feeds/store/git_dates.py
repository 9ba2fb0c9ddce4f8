"""Read from a repository's log when each file was first and last committed, and keep it in the catalog.

One `git log` over the commits that are new, never a process for each file. A file that moved keeps its first date. The oldest
commits of a shallow clone stand for everything before them, so they date nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

import sqlalchemy as sa

from ..database import chunks
from ..database.tables import dated
from ..errors import GitError
from .git import Git, join_faults, shallow_commits
from .parsed import UNDATED, FileDates

_COMMIT = "\x01"
#: Renames are looked for among so many files of one commit: the search takes time by the square.
_RENAMES = "-l400"


@dataclass(frozen=True, slots=True)
class Change:
    """One file in one commit. `status` is git's letter; `score` is 100 for a rename that changed nothing."""

    status: str
    path: str
    source: str = ""
    score: int = 0


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit with the articles that it touches; `when` in UTC seconds."""

    id: str
    when: int
    changes: Sequence[Change]


def read_log(git: Git, after: str, until: str, folder: str = "") -> list[Commit]:
    """Return the commits that touch articles below git's folder, parents before children; all up to `until` if not `after`.

    `folder` is put before all paths.
    """
    # A partial clone has not got the old contents, and would fetch each of them to compare it.
    renames = "-M100%" if any(key.endswith(".promisor") for key in git.settings()) else "-M"
    order = ("--topo-order", "--reverse", "--full-history", "--relative")
    shown = (f"--format={_COMMIT}%H %ct", "--name-status", "--no-ext-diff", renames, _RENAMES, "-z")
    commits = f"{after}..{until}" if after else until
    output = git.run_command("log", *order, *shown, commits, "--", ":(icase)*.md", ":(icase)*.markdown")
    log: list[Commit] = []
    changes: list[Change] = []
    tokens = iter(output.split("\0"))
    for token in tokens:
        word = token.lstrip("\n")
        if word.startswith(_COMMIT):
            id, _, when = word.strip().removeprefix(_COMMIT).partition(" ")
            changes = []
            log.append(Commit(id, int(when), changes))
        elif word:
            source = folder + next(tokens) if word[0] in "RC" else ""
            changes.append(Change(word[0], folder + next(tokens), source, int(word[1:] or 0)))
    return log


def apply_commits(
    known: Mapping[str, FileDates], log: Iterable[Commit], shallow: frozenset[str]
) -> dict[str, FileDates | None]:
    """Return the files whose dates differ from `known` after some commits, parents first; None for a file that moved. Pure.

    A file that was deleted is remembered: should it come back, it is as old as it was.
    """
    found: dict[str, FileDates | None] = {}
    for commit in log:
        for change in commit.changes:
            before = found.get(change.path, known.get(change.path))
            if commit.id in shallow:
                found[change.path] = before or UNDATED
            elif change.status == "R":
                source = found.get(change.source, known.get(change.source)) or before or UNDATED
                found[change.source] = None
                found[change.path] = source if change.score == 100 else source.changed(commit.when)
            elif change.status == "A" and before is None:
                found[change.path] = FileDates(commit.when, commit.when)
            elif change.status != "D":
                found[change.path] = (before or UNDATED).changed(commit.when)
    return {path: dates for path, dates in found.items() if dates != known.get(path)}


# -- dates in the catalog: read once, then updated by the commits that are new ---
#
# While the files in which git keeps its branches are unchanged, git is not started at all.


@dataclass(frozen=True, slots=True)
class DateChanges:
    """Files with other dates than the catalog has, None for no dates any more; `mark` is to be stored until the next time."""

    mark: str = ""
    changed: Mapping[str, FileDates | None] = field(default_factory=dict)
    shallow: bool = False
    fault: str = ""
    head: str = ""


@dataclass(frozen=True, slots=True)
class _Mark:
    """Up to which commit the dates are known. `watched` are the files that a new commit would change, with their stamps."""

    store: str = ""
    head: str = ""
    shallow: list[str] = field(default_factory=list)
    watched: Mapping[str, list[int]] = field(default_factory=dict)


def check_mark(text: str) -> None:
    """Raise ValueError or TypeError for a mark that `join_changes` never wrote: git would take its parts for options."""
    for one in split_mark(text).values():
        mark = _Mark(**json.loads(one or "{}"))
        if not re.fullmatch("[0-9a-f]*", mark.head) or not isinstance(mark.watched, dict) or not isinstance(mark.shallow, list):
            raise ValueError("dated")


def split_mark(text: str) -> dict[str, str]:
    """Return the mark of each store by the folder that its paths begin with; of one that is alone, by ""."""
    stored = json.loads(text or "{}")
    return {folder: json.dumps(mark) for folder, mark in stored["stores"].items()} if "stores" in stored else {"": text}


def join_changes(found: Mapping[str, DateChanges]) -> DateChanges:
    """Return the changes of several stores, by the folders that their paths begin with, as those of one."""
    if list(found) == [""]:
        return found[""]
    faults = join_faults({folder.rstrip("/"): changes.fault for folder, changes in found.items()})
    mark = json.dumps(
        {"stores": {folder: json.loads(changes.mark or "{}") for folder, changes in found.items()}}, sort_keys=True
    )
    changed = {path: dates for changes in found.values() for path, dates in changes.changed.items()}
    head = next((changes.head for changes in found.values() if changes.head), "")
    return DateChanges(mark, changed, any(changes.shallow for changes in found.values()), faults, head)


def find_date_changes(
    connection: sa.Connection,
    store: str,
    mark: str,
    *,
    everything: bool = False,
    folder: str = "",
    others: tuple[str, ...] = (),
) -> DateChanges:
    """Compare git's dates with the catalog's. Reads only. Where git fails, the known dates stay valid, and `fault` says why.

    In the catalog the paths of this store begin with `folder`; none of them begins with one of `others`.
    """
    before = _Mark(**json.loads(mark or "{}"))
    same = before.store == store and not everything
    if same and before.watched and _file_stamps(before.watched) == before.watched:
        return DateChanges(mark, shallow=bool(before.shallow), head=before.head)
    try:
        return _read_date_changes(connection, Git(store), before if same else _Mark(), folder, others)
    except GitError as error:
        return DateChanges(mark, shallow=bool(before.shallow), fault=str(error), head=before.head)


def _read_date_changes(connection: sa.Connection, git: Git, before: _Mark, folder: str, others: tuple[str, ...]) -> DateChanges:
    names = ["HEAD", "packed-refs", "shallow", "reftable/tables.list"]
    if branch := git.read_line("symbolic-ref", "--quiet", "HEAD"):
        names.append(branch)
    paths = git.run_command("rev-parse", *(word for name in names for word in ("--git-path", name))).splitlines()
    # The stamps come first: what happens while git reads its log is then seen the next time.
    watched = _file_stamps(os.path.normpath(os.path.join(git.folder, path)) for path in paths)
    head = git.read_line("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    shallow = shallow_commits(git)
    after = json.dumps(asdict(_Mark(git.folder, head, sorted(shallow), watched)), sort_keys=True)
    # The log continues from the commit before, unless that is gone, as after a forced push.
    continues = before.head and head and before.shallow == sorted(shallow)
    known_to = before.head if continues and git.read_line("merge-base", before.head, head) == before.head else ""
    if known_to == head:
        return DateChanges(after, shallow=bool(shallow), head=head)
    log = read_log(git, known_to, head, folder) if head else []
    if known_to:
        touched = {path for commit in log for change in commit.changes for path in (change.path, change.source) if path}
        changed = apply_commits(read_dates(connection, touched), log, shallow)
    else:
        rows = connection.execute(sa.select(dated).where(dated.c.path.startswith(folder, autoescape=True)))
        known = {path: FileDates(first, last) for path, first, last in rows if not path.startswith(others)}
        found = dict.fromkeys(known) | apply_commits({}, log, shallow)
        changed = {path: dates for path, dates in found.items() if known.get(path) != dates}
    return DateChanges(after, changed, bool(shallow), head=head)


def _file_stamps(paths: Iterable[str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for path in paths:
        found[path] = []
        with contextlib.suppress(OSError):
            status = os.stat(path)
            found[path] = [status.st_mtime_ns, status.st_ino, status.st_size]
    return found


def read_dates(connection: sa.Connection, paths: Iterable[str]) -> dict[str, FileDates]:
    """Return the dates that the catalog has of some files."""
    queries = (sa.select(dated).where(dated.c.path.in_(part)) for part in chunks(sorted(paths)))
    return {path: FileDates(first, last) for query in queries for path, first, last in connection.execute(query)}


def write_dates(connection: sa.Connection, changed: Mapping[str, FileDates | None]) -> None:
    """Store changed dates, and delete those of files that have none any more."""
    for part in chunks(sorted(changed)):
        connection.execute(sa.delete(dated).where(dated.c.path.in_(part)))
    rows = [{"path": path, "first": dates.first, "last": dates.last} for path, dates in changed.items() if dates]
    if rows:
        connection.execute(sa.insert(dated), rows)
