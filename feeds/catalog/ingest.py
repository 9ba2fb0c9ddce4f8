"""Readings -> rows, inside the rescan's transaction. The only writer of articles, terms and memberships."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import sqlalchemy as sa

from .. import process_pool
from ..database import insert_rows
from ..database.tables import articles, bodies, departed, files, memberships, quarantine
from ..model import ParsedArticle, Problem
from ..selections import Aliases
from ..store import git
from ..store.git import Dates, Outlook
from ..store.parse import NO_DATES, Reading, Rules, read_files
from ..store.walk import OPEN, UNSETTLED, Changes, Guard, Stamp, compare, sweep
from . import terms
from .bitmaps import Keeper
from .sort_key import position
from .terms import Member, Spelled, Vocabulary

_CHUNK = 400  # SQLite allows 32,766 parameters in a statement, PostgreSQL 65,535


@dataclass(slots=True)
class Counts:
    added: int = 0
    changed: int = 0
    removed: int = 0
    renamed: int = 0


class Intake:
    """Takes the readings of one rescan. Call `put` for all of them, then `finish` once."""

    def __init__(
        self,
        connection: sa.Connection,
        aliases: Aliases,
        now: int,
        arrival: int,
        to_read: Iterable[str],
        removed: Sequence[str],
    ) -> None:
        self.connection, self.now, self.arrival = connection, now, arrival
        self.counts = Counts()
        self.moved = False
        self._waiting = set(to_read)
        self._removed = set(removed)
        self._deferred: list[Reading] = []
        self._orphans: dict[str, str] = {id: path for path, id in self._owned(list(removed)).items() if id}
        self._aliases = aliases
        self._vocabulary = Vocabulary(connection, aliases)
        self._sets = Keeper(connection)
        self._renamed_terms: list[terms.Place] = []
        self._renamed: dict[int, tuple[str, Spelled]] = {}
        self._next_key = (connection.execute(sa.select(sa.func.max(articles.c.key))).scalar() or 0) + 1

    @property
    def touched(self) -> set[int]:
        """Keys of the terms that a changed article has or had."""
        return self._vocabulary.touched

    @property
    def changed(self) -> bool:
        counts = self.counts
        return bool(counts.added or counts.changed or counts.removed or counts.renamed or self.moved)

    # -- files -------------------------------------------------------------

    def put(self, batch: Sequence[Reading]) -> None:
        """A reading whose id belongs to a file still to be read waits for `finish`."""
        for part in _parts(batch, _CHUNK):
            self._deferred += self._put(part, final=False)

    def finish(self, guard: Guard = OPEN, seen: int = 0) -> frozenset[str]:
        """Which files are gone whose articles stay: `guard` decides, knowing how many files were `seen` in the store."""
        for part in _parts(self._deferred, _CHUNK):
            self._put(part, final=True)
        held = self._remove_orphans(guard, seen)
        self._settle_terms()
        self._sets.write()
        return held

    def _put(self, batch: Sequence[Reading], *, final: bool) -> list[Reading]:
        owned = self._owned([reading.path for reading in batch])
        existing = self._existing([r.result.id for r in batch if isinstance(r.result, ParsedArticle)])
        rows = _Rows()
        deferred = []
        for reading in batch:
            self._waiting.discard(reading.path)
            before = owned.get(reading.path, "")
            if isinstance(reading.result, Problem):
                rows.quarantine(reading, reading.result, before, self.now)
                continue
            if reading.result is None:
                if before:
                    self._orphans[before] = reading.path
                rows.publish(reading, "")
                continue
            article = reading.result
            current = existing.get(article.id)
            if before and before != article.id:
                self._orphans[before] = reading.path  # free for another file even while this one waits: ids can be swapped
            if current is not None and current.path != reading.path:
                if not final and current.path in self._waiting:
                    deferred.append(reading)
                    continue
                if self._orphans.get(article.id) != current.path:
                    rows.quarantine(reading, _duplicate(reading.path, article.id, current.path), before, self.now)
                    if self._orphans.get(before) == reading.path:
                        del self._orphans[before]  # its last good version stays
                    continue
            existing[article.id] = self._accept(rows, article, reading.path, current)
            rows.publish(reading, article.id)
        self._recall(rows.added)
        rows.write(self.connection, fresh=not owned)
        return deferred

    def _recall(self, added: list[dict[str, Any]]) -> None:
        """Articles that come back are as old as they were: no digest brings them again."""
        known = self._departed([row["id"] for row in added])
        for row in added:
            if row["id"] in known:
                row["available"], row["arrival"] = known[row["id"]]
        if known:
            self.connection.execute(sa.delete(departed).where(departed.c.id.in_(known)))

    def _owned(self, paths: list[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        for part in _parts(paths, _CHUNK):
            query = sa.select(files.c.path, files.c.article).where(files.c.path.in_(part))
            found.update((path, article) for path, article in self.connection.execute(query))
        return found

    def _existing(self, ids: list[str]) -> dict[str, _Known]:
        c = articles.c
        query = sa.select(c.id, c.key, c.position, c.path, c.content, c.available, c.names).where(c.id.in_(ids))
        return {row.id: _Known(*row[1:6], names=json.loads(row.names)) for row in self.connection.execute(query)}

    def _departed(self, ids: list[str]) -> dict[str, tuple[int, int]]:
        c = departed.c
        rows = self.connection.execute(sa.select(c.id, c.available, c.arrival).where(c.id.in_(ids)))
        return {id: (available, arrival) for id, available, arrival in rows}

    def _accept(self, rows: _Rows, article: ParsedArticle, path: str, known: _Known | None) -> _Known:
        if known is not None and known.content == article.digest:
            if known.path != path:
                self.counts.renamed += 1
                self.moved = True
                rows.renamed.append({"_key": known.key, "path": path})
            return known._replace_path(path)
        key = known.key if known else self._new_key()
        place = position(int(article.published.timestamp()), article.id)
        names = {facet: list(spelled) for facet, spelled in article.names.items()}
        members = self._vocabulary.join(key, place, names)
        row = _article_row(article, key, place, path, self.now) | self._shown(article.digest, names)
        row |= {"available": self._available(article, known), "arrival": self.arrival}
        if known is None:
            self.counts.added += 1
            rows.added.append(row)
        else:
            self.counts.changed += 1
            del row["first_seen"], row["arrival"]
            rows.changed.append({"_" + name if name == "key" else name: value for name, value in row.items()})
            self._vocabulary.count(known.names, -1)
            self._sets.drop(key, known.position, self._terms(known.names))
            rows.leaving.append(key)
        self._sets.put(key, place, [member[0] for member in members])
        rows.members += members
        self._renamed.pop(key, None)  # what `rejoin` knew of it is of the file before
        rows.html.append({"article_key": key, "html": article.html})
        return _Known(key, place, path, article.digest, row["available"], names)

    def _terms(self, names: Spelled) -> set[int]:
        return {self._vocabulary.term(facet, name).key for facet, spelled in names.items() for name in spelled}

    def _available(self, article: ParsedArticle, known: _Known | None) -> int:
        """Since when a digest may bring the article: its date, or its arrival if later. What is past stays as it was."""
        if known is not None and known.available <= self.now:
            return known.available
        published = int(article.published.timestamp())
        return published if self.arrival == 0 and known is None else max(published, self.now)

    def _new_key(self) -> int:
        self._next_key += 1
        return self._next_key - 1

    # -- removal -----------------------------------------------------------

    def _remove_orphans(self, guard: Guard, seen: int) -> frozenset[str]:
        """Articles whose file is gone or became another article, and that no other file took over; or the files to wait for."""
        going = [row for part in _parts(sorted(self._orphans), _CHUNK) for row in self._left_behind(part)]
        held = self._held({row.path for row in going} & self._removed, guard, seen)
        for part in _parts([row for row in going if row.path not in held], _CHUNK):
            for row in part:
                names = json.loads(row.names)
                self._vocabulary.count(names, -1)
                self._sets.drop(row.key, row.position, self._terms(names))
            self.counts.removed += len(part)
            self._delete([row.key for row in part])
        for part in _parts(sorted(self._removed - held), _CHUNK):
            for table in (files, quarantine):
                self.connection.execute(sa.delete(table).where(table.c.path.in_(part)))
        return held

    def _left_behind(self, ids: Sequence[str]) -> list[sa.Row[Any, Any, Any, Any, Any]]:
        c = articles.c
        rows = self.connection.execute(sa.select(c.id, c.path, c.key, c.position, c.names).where(c.id.in_(ids)))
        return [row for row in rows if self._orphans[row.id] == row.path]

    def _held(self, gone: set[str], guard: Guard, seen: int) -> frozenset[str]:
        if not gone:
            return frozenset()
        published = self.connection.execute(sa.select(sa.func.count()).select_from(articles)).scalar_one() - self.counts.added
        held = guard.holds(len(gone), published, seen=seen, added=self.counts.added)
        return frozenset(gone if held else ())

    def _delete(self, keys: list[int]) -> None:
        c = articles.c
        rows = sa.select(c.id, c.available, c.arrival).where(c.key.in_(keys))
        self.connection.execute(sa.insert(departed).from_select(["id", "available", "arrival"], rows))
        for table, column in (
            (memberships, memberships.c.article_key),
            (bodies, bodies.c.article_key),
            (articles, articles.c.key),
        ):
            self.connection.execute(sa.delete(table).where(column.in_(keys)))

    # -- terms -------------------------------------------------------------

    def rejoin(self, former: Aliases) -> None:
        """Give every article its terms anew from the spellings it was read with: after the aliases changed."""
        self._renamed_terms = list(terms.differing(former, self._aliases))
        self.connection.execute(sa.delete(memberships))
        self._vocabulary.forget_counts()
        self._sets.forget_terms()
        self.moved = True
        rows = self.connection.execute(sa.select(articles.c.key, articles.c.position, articles.c.names, articles.c.content))
        for part in _parts(rows.all(), 2000):
            members: list[Member] = []
            for key, place, text, content in part:
                names = json.loads(text)
                joined = self._vocabulary.join(key, place, names)
                self._sets.put(key, place, [member[0] for member in joined])
                members += joined
                self._renamed[key] = (content, names)
            insert_rows(self.connection, memberships, members)

    def _settle_terms(self) -> None:
        """Counts and commonest spellings; articles whose terms are called otherwise now are shown anew."""
        for key in self._vocabulary.settle():
            self._gather(key)
        rows = [{"_key": key, **self._shown(content, names)} for key, (content, names) in self._renamed.items()]
        for part in _parts(rows, 5000):
            _update(self.connection, articles, part)
        terms.settle(self.connection, self._aliases, [*self._renamed_terms, *self._vocabulary.first_published])

    def _gather(self, term_key: int) -> None:
        """All members of a term are to be shown anew, and all of their terms are touched."""
        query = (
            sa.select(articles.c.key, articles.c.content, articles.c.names)
            .join(memberships, memberships.c.article_key == articles.c.key)
            .where(memberships.c.term_key == term_key)
        )
        for key, content, text in self.connection.execute(query).all():
            names = json.loads(text)
            self._renamed[key] = (content, names)
            for facet, spelled in names.items():
                self.touched.update(self._vocabulary.term(facet, name).key for name in spelled)

    def _shown(self, content: str, names: Spelled) -> dict[str, str]:
        """The article's terms in canonical spelling, and the digest of all that a feed shows of it."""
        shown = json.dumps(self._vocabulary.canonical(names), ensure_ascii=False, separators=(",", ":"))
        return {"terms": shown, "digest": hashlib.sha256(f"{content}{shown}".encode()).hexdigest()[:32]}


@dataclass(frozen=True, slots=True)
class _Known:
    """An article as the catalog has it."""

    key: int
    position: int
    path: str
    content: str
    available: int
    names: Spelled

    def _replace_path(self, path: str) -> _Known:
        return _Known(self.key, self.position, path, self.content, self.available, self.names)


@dataclass(slots=True)
class _Rows:
    """What one batch writes."""

    files: list[dict[str, Any]] = field(default_factory=list)
    problems: list[dict[str, Any]] = field(default_factory=list)
    cleared: list[str] = field(default_factory=list)
    added: list[dict[str, Any]] = field(default_factory=list)
    changed: list[dict[str, Any]] = field(default_factory=list)
    renamed: list[dict[str, Any]] = field(default_factory=list)
    leaving: list[int] = field(default_factory=list)
    members: list[Member] = field(default_factory=list)
    html: list[dict[str, Any]] = field(default_factory=list)

    def publish(self, reading: Reading, id: str) -> None:
        self.cleared.append(reading.path)
        self._file(reading, id)

    def quarantine(self, reading: Reading, problem: Problem, article: str, now: int) -> None:
        self.problems.append({**_problem_row(problem), "since": now})
        self._file(reading, article)

    def _file(self, reading: Reading, article: str) -> None:
        stamp = reading.stamp if reading.settled else UNSETTLED
        self.files.append({"path": reading.path, "stamp": stamp, "article": article})

    def write(self, connection: sa.Connection, *, fresh: bool) -> None:
        """`fresh`: none of the files was known before."""
        paths = [row["path"] for row in self.files]
        if not fresh:
            connection.execute(sa.delete(files).where(files.c.path.in_(paths)))
            connection.execute(sa.delete(quarantine).where(quarantine.c.path.in_(self.cleared)))
        if self.problems:
            put_problems(connection, self.problems)
        _insert(connection, files, self.files)
        _insert(connection, articles, self.added)
        _update(connection, articles, self.changed)
        _update(connection, articles, self.renamed)
        for table, column in ((memberships, memberships.c.article_key), (bodies, bodies.c.article_key)):
            if self.leaving:
                connection.execute(sa.delete(table).where(column.in_(self.leaving)))
        insert_rows(connection, memberships, self.members)
        _insert(connection, bodies, self.html)


def put_problems(connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Write quarantine rows; one that says the same as before keeps its `since`. Returns whether any is new."""
    c = quarantine.c
    known = {
        row.path: (row.line, row.column, row.reason)
        for row in connection.execute(sa.select(quarantine).where(c.path.in_([row["path"] for row in rows])))
    }
    new = [row for row in rows if known.get(row["path"]) != (row["line"], row["column"], row["reason"])]
    if new:
        connection.execute(sa.delete(quarantine).where(c.path.in_([row["path"] for row in new])))
        connection.execute(sa.insert(quarantine), [dict(row) for row in new])
    return bool(new)


def _problem_row(problem: Problem) -> dict[str, Any]:
    return {name: getattr(problem, name) for name in ("path", "line", "column", "reason", "kind")}


def problem_rows(problems: Iterable[Problem], now: int) -> list[dict[str, Any]]:
    return [{**_problem_row(problem), "since": now} for problem in problems]


def _duplicate(path: str, id: str, other: str) -> Problem:
    return Problem(path, 0, 0, f"id {id} is already used by {other}", "duplicate")


def _article_row(article: ParsedArticle, key: int, place: int, path: str, now: int) -> dict[str, Any]:
    return {
        "key": key,
        "id": article.id,
        "position": place,
        "path": path,
        "url": article.url,
        "permalink": article.permalink,
        "title": article.title,
        "summary": article.summary,
        "published": int(article.published.timestamp()),
        "updated": int(article.updated.timestamp()),
        "original": article.original,
        "picture": article.picture,
        "comments": article.comments,
        "editor_choice": int(article.editor_choice),
        "names": json.dumps({facet: list(names) for facet, names in article.names.items()}, ensure_ascii=False),
        "content": article.digest,
        "first_seen": now,
    }


def _insert(connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    insert_rows(connection, table, [tuple(row[column.name] for column in table.columns) for row in rows])


def _update(connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """`_key` names the row; the other columns are set."""
    if rows:
        connection.execute(sa.update(table).where(table.c.key == sa.bindparam("_key")), list(rows))


def _parts(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


# The way of a rescan through the store: look (what changed) -> read (in parallel where it pays) -> take in (rows).
#
# `look` writes nothing and holds no lock; `take_in` runs inside the caller's transaction, so that a crash at any instant leaves
# the old catalog or the new one.

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
    outlook = git.look(connection, root, mark, everything=everything) if rules.dates else Outlook()
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
    aliases: Aliases,
    found: Look,
    *,
    now: int,
    arrival: int = 0,
    guard: Guard = OPEN,
    former: Aliases | None = None,
    progress: Progress | None = None,
    workers: int | None = None,
) -> Taken:
    """Read what changed and write it. `now` in UTC seconds; `arrival` numbers the rescan, 0 for a store's first.

    `former` are the aliases of before, where they are others now.
    """
    changes = found.changes
    intake = Intake(connection, aliases, now, arrival, changes.to_read, changes.removed)
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
        git.forget(connection)
        return {}
    git.write(connection, found.outlook.changed)
    return git.known(connection, found.changes.to_read)


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
    with process_pool.pool(count) as pool:
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
