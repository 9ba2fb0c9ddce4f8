"""Since when git knows the files of a store, and when it last saw them change. Pure but for asking git.

One `git log` over the commits that are new, never a process for each file. A file that moved keeps its first date; a move that
changes nothing is no modification. The oldest commits of a shallow clone stand for all that was before them, so they date
nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import GitError
from .git import Git

_COMMIT = "\x01"
#: What to say of a shallow clone.
SHALLOW = "dates nothing that its oldest commits brought"
#: Renames are looked for among so many files of one commit: the search takes time by the square.
_RENAMES = "-l400"


@dataclass(frozen=True, slots=True)
class Dates:
    """UTC seconds of the first and the last commit of a file; None where no commit says."""

    first: int | None = None
    last: int | None = None


UNDATED = Dates()


@dataclass(frozen=True, slots=True)
class Change:
    """One file in one commit. `status` is git's letter; `score` is 100 for a rename that changed nothing."""

    status: str
    path: str
    source: str = ""
    score: int = 0


@dataclass(frozen=True, slots=True)
class Commit:
    id: str
    when: int
    changes: tuple[Change, ...]


def shallow_ids(git: Git) -> frozenset[str]:
    """The commits whose parents a shallow clone has not got."""
    path = Path(git.folder, git.run("rev-parse", "--git-path", "shallow").strip())
    try:
        return frozenset(path.read_text("ascii").split())
    except FileNotFoundError:
        return frozenset()
    except (OSError, ValueError):
        raise GitError("the list of a shallow clone's oldest commits cannot be read") from None


def commits(git: Git, after: str, until: str) -> Iterator[Commit]:
    """Those that touch articles below git's folder, parents before children; `after` is "" for all of them."""
    # A partial clone has not got the old contents, and would fetch each of them to compare it.
    renames = "-M100%" if any(key.endswith(".promisor") for key in git.settings()) else "-M"
    answer = git.run(
        "log",
        "--topo-order",
        "--reverse",
        "--full-history",
        "--relative",
        f"--format={_COMMIT}%H %ct",
        "--name-status",
        "--no-ext-diff",
        renames,
        _RENAMES,
        "-z",
        f"{after}..{until}" if after else until,
        "--",
        "*.md",
        "*.markdown",
    )
    return read_log(answer)


def read_log(text: str) -> Iterator[Commit]:
    """The answer of `git log -z --name-status` with a header line for each commit."""
    tokens = iter(text.split("\0"))
    header = ""
    changes: list[Change] = []
    for token in tokens:
        word = token.lstrip("\n")
        if word.startswith(_COMMIT):
            if header:
                yield _commit(header, changes)
            header, changes = word, []
        elif word:
            status, score = word[0], word[1:]
            source = next(tokens) if status in "RC" else ""
            changes.append(Change(status, next(tokens), source, int(score or 0)))
    if header:
        yield _commit(header, changes)


def _commit(header: str, changes: Sequence[Change]) -> Commit:
    id, _, when = header.strip().removeprefix(_COMMIT).partition(" ")
    return Commit(id, int(when), tuple(changes))


def paths_of(log: Sequence[Commit]) -> set[str]:
    """All files that some commits name."""
    return {path for commit in log for change in commit.changes for path in (change.path, change.source) if path}


def fold(known: Mapping[str, Dates], log: Sequence[Commit], shallow: frozenset[str]) -> dict[str, Dates | None]:
    """What some commits, parents first, make of what was known: the files whose dates are others now, None for one that moved.

    A file that was deleted is remembered: should it come back, it is as old as it was.
    """
    found: dict[str, Dates | None] = {}
    for commit in log:
        for change in commit.changes:
            before = found[change.path] if change.path in found else known.get(change.path)
            if commit.id in shallow:
                found[change.path] = before or UNDATED
            elif change.status == "R":
                source = found[change.source] if change.source in found else known.get(change.source)
                found[change.source] = None
                found[change.path] = _moved(source, before, change, commit.when)
            elif change.status == "A":
                found[change.path] = Dates(commit.when, commit.when) if before is None else _changed(before, commit.when)
            elif change.status != "D":
                found[change.path] = _changed(before or UNDATED, commit.when)
    return {path: dates for path, dates in found.items() if dates != known.get(path)}


def _changed(before: Dates, when: int) -> Dates:
    return Dates(before.first, max(when, before.last or when))


def _moved(source: Dates | None, replaced: Dates | None, change: Change, when: int) -> Dates:
    old = source or replaced or UNDATED
    return old if change.score == 100 else _changed(old, when)
