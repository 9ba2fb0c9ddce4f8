"""Ingest what changed in the stores into the catalog: parse it, and write articles, terms and memberships.

`apply_changes` runs inside the caller's transaction, so that a crash at any instant leaves the old
catalog or the new one. This is the only writer of articles.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from .. import urls
from ..database import chunks, count_rows, insert_rows
from ..database.tables import articles, assets, bodies, departed, files, memberships, quarantine, state
from ..database.tables import dated as dated_files
from ..model import ParsedArticle, Problem
from ..selections import Aliases
from ..store import git_dates
from ..store.parse import with_id
from ..store.parsed import UNDATED, FileDates, ParsedFile
from ..store.parser_pool import PARALLEL_FROM, ParserPool
from ..store.stores import Stores
from ..store.walk import ALLOW_ALL, UNSETTLED, FileChanges, RemovalGuard
from . import pages, queries, terms
from .bitmaps import BitmapWriter
from .identity import NEW, Moves, files_by_path, known_articles, plain_name, told_apart
from .links import Relinked, settle_links
from .rows import PARTS_OF_ARTICLES, KnownArticle, Rows, article_row, put_problems, update_articles
from .search_index import IndexWriter
from .sort_key import position, published_at
from .store_changes import StoreChanges
from .subjects import subject_of
from .terms import Member, Spelled, TermWriter

Progress = Callable[[int, int], None]
#: `json.dumps` makes an encoder for each text.
_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
#: Characters of HTML that are parsed before the database is locked.
MAX_AHEAD = 16_000_000

# -- the whole way ---------------------------------------------------------


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """How a rescan writes. `now` in UTC seconds; `arrival` numbers the rescan, 0 for a store's first.

    `guard` decides about removals. `former` are the aliases of before, where they have changed. `reindex`: the index of
    searches is made again.
    """

    now: int
    arrival: int = 0
    guard: RemovalGuard = ALLOW_ALL
    former: Aliases | None = None
    reindex: bool = False
    progress: Progress | None = None


@dataclass(slots=True)
class Counts:
    """How many articles one rescan added, changed, removed, and found under another path."""

    added: int = 0
    changed: int = 0
    removed: int = 0
    renamed: int = 0


@dataclass(frozen=True, slots=True)
class IngestResult:
    """What a rescan did to the catalog. `touched` are the keys of the terms that any changed article has or had.

    `held` are the files that are gone while their articles stay; `lost` articles were removed because their files are gone.
    `raised`: what articles that left were dated is newer than before (`queries.former_updates`), which selections count with.
    """

    counts: Counts
    touched: frozenset[int]
    changed: bool
    held: frozenset[str] = frozenset()
    lost: int = 0
    raised: bool = False


@contextlib.contextmanager
def parsing(
    connection: sa.Connection,
    stores: Stores,
    found: StoreChanges,
    now: int,
    workers: int | None = None,
    parsers: ParserPool | None = None,
) -> Iterator[Iterable[list[ParsedFile]]]:
    """Yield the files that changed in batches, parsed in `workers` processes, of `parsers` if given; `connection` is read only.

    Few files are parsed before this yields: whatever they cost, no writer waits for them. `now` in UTC seconds.
    """
    dates: dict[str, FileDates] = {}
    if stores.reads_dates:
        dates = git_dates.read_dates(connection, found.files.to_read)
        dates |= {path: changed or UNDATED for path, changed in found.dates.changed.items()}
    for path, (id, seen) in known_articles(connection, found.files).items():
        dates[path] = replace(dates.get(path, UNDATED), known_as=id, seen=seen)
    for path in found.files.to_read if found.bundles else ():
        if around := frozenset(folder for folder in folders_of(path) if folder in found.bundles):
            dates[path] = replace(dates.get(path, UNDATED), bundles=around)
    with contextlib.ExitStack() as stack:
        parsers = parsers or stack.enter_context(ParserPool())
        batches = _parse_all(parsers, stores, found.files.to_read, now, workers, dates)
        stack.enter_context(contextlib.closing(batches))
        ahead, characters = [], 0
        while characters < MAX_AHEAD and len(found.files.to_read) < PARALLEL_FROM and (batch := next(batches, None)):
            ahead.append(batch)
            characters += sum(len(file.result.html) for file in batch if isinstance(file.result, ParsedArticle))
        yield itertools.chain(ahead, batches)


def _parse_all(
    parsers: ParserPool,
    stores: Stores,
    paths: Iterable[str],
    now: int,
    workers: int | None,
    dates: Mapping[str, FileDates],
) -> Generator[list[ParsedFile], None, None]:
    """Yield the files of each store in batches."""
    for settings, own in stores.grouped(paths):
        with contextlib.closing(parsers.parse_all(settings, own, now, workers, dates)) as batches:
            yield from batches


def apply_changes(
    connection: sa.Connection,
    stores: Stores,
    aliases: Aliases,
    found: StoreChanges,
    parsed: Iterable[list[ParsedFile]],
    options: IngestOptions,
) -> IngestResult:
    """Write what came of the files that changed."""
    if stores.reads_dates:
        git_dates.write_dates(connection, found.dates.changed)
    else:
        connection.execute(sa.delete(dated_files))
    ingest = Ingest(connection, aliases, options, found.files, found.overdue)
    if options.former is not None:
        ingest.rejoin(options.former)
    done, before = 0, pages.page_marks(connection)
    pages.drop_pages(connection, found.overdue)
    for batch in parsed:
        batch = pages.keep_ids(connection, batch, found.files.removed)
        ingest.put(batch)
        pages.put_pages(connection, batch)
        done += len(batch)
        if options.progress:
            options.progress(done, len(found.files.to_read))
    held = ingest.finish(seen=found.files.unchanged + done + len(found.problems))
    pages.drop_pages(connection, found.files.removed)
    pages.settle_pages(connection, options.now, before)
    page_changes = pages.page_marks(connection) != before
    relinked = settle_links(connection, stores) if page_changes or ingest.counts != Counts() else []
    ingest.relink(relinked)
    put_problems(connection, found.problems, options.now)
    if found.stale_problems:
        connection.execute(sa.delete(quarantine).where(quarantine.c.path.in_(found.stale_problems)))
    changed = ingest.counts != Counts() or options.former is not None or page_changes
    return IngestResult(ingest.counts, frozenset(ingest.terms.touched), changed, held, ingest.lost, ingest.raised)


def folders_of(path: str) -> Iterator[str]:
    """Yield the folders around a file, from the inner one.

    >>> list(folders_of("posts/lake/index.md"))
    ['posts/lake', 'posts']
    """
    while path := path.rpartition("/")[0]:
        yield path


class Ingest:
    """Writes the parsed files of one rescan: call `rejoin` if aliases changed, `put` for all files, then `finish` once."""

    def __init__(
        self,
        connection: sa.Connection,
        aliases: Aliases,
        options: IngestOptions,
        changes: FileChanges,
        overdue: Sequence[str] = (),
    ) -> None:
        self.connection, self.options = connection, options
        self.counts = Counts()
        self.lost = 0
        self._waiting = set(changes.to_read)
        self._removed = set(changes.removed)
        self._overdue = set(overdue)
        self._deferred: list[ParsedFile] = []
        #: Ids of articles whose file is gone, is withheld or has become another article, with the path of that file.
        self._orphans: dict[str, str] = {}
        #: Files that are gone and need not be held back: what they said has expired, or is withheld elsewhere by now.
        self._released: set[str] = set()
        for path, known in files_by_path(connection, (*changes.removed, *overdue)).items():
            if known.is_published:
                self._orphans[known.id] = path
                if known.due is not None and known.due <= options.now:
                    self._released.add(path)
        self._moves = Moves(connection, changes.removed)
        self._withheld_names: set[str] = set()
        self._aliases = aliases
        self.terms = TermWriter(connection, aliases)
        self._bitmaps = BitmapWriter(connection)
        self._index = IndexWriter(connection, options.reindex)
        self._changed_aliases: list[terms.Place] = []
        self._respelled: dict[int, tuple[str, Spelled]] = {}
        self._former: dict[str, int] = {}
        self.raised = False
        self._next_key = (connection.execute(sa.select(sa.func.max(articles.c.key))).scalar() or 0) + 1

    def put(self, batch: Sequence[ParsedFile]) -> None:
        """Write a batch. A file whose id belongs to a file still to be read waits for `finish`."""
        for part in chunks(batch):
            self._deferred += self._put(part, final=False)

    def finish(self, seen: int) -> frozenset[str]:
        """Remove what is gone, write terms and sets; return the files that are gone while their articles stay.

        `seen` is the number of files in the store, for the removal guard.
        """
        for part in chunks(self._deferred):
            self._put(part, final=True)
        held = self._remove_orphans(seen)
        m, c = memberships.c, articles.c
        # Besides counts and commonest spellings, all articles are written that have a term with a new spelling.
        for renamed in chunks(self.terms.write()):
            having = sa.select(m.article_key).where(m.term_key.in_(renamed))
            query = sa.select(c.key, c.content, c.names).where(c.key.in_(having)).order_by(c.key)
            self._respelled |= {key: (content, json.loads(names)) for key, content, names in self.connection.execute(query)}
        self.terms.prepare(names for _content, names in self._respelled.values())
        self._show_again(self._respelled)
        self._index.finish()
        if self.options.reindex:
            self.terms.write_words()
        terms.write_alias_ids(self.connection, self._aliases, [*self._changed_aliases, *self.terms.first_published])
        self._bitmaps.write()
        self._write_former_updates()
        return held

    def relink(self, relinked: Sequence[Relinked]) -> None:
        """Write bodies whose links lead elsewhere, after `finish`: feeds show these articles in another way."""
        b, c = bodies.c, articles.c
        for part in chunks(relinked):
            marks = {one.key: one.mark for one in part}
            rows = self.connection.execute(sa.select(c.key, c.content, c.names).where(c.key.in_(marks))).all()
            shown = {row.key: (f"{_of_file(row.content)}+{marks[row.key]}", json.loads(row.names)) for row in rows}
            update_articles(self.connection, [{"_key": key, "content": content} for key, (content, _names) in shown.items()])
            self.terms.prepare(names for _content, names in shown.values())
            self._show_again(shown)
            html = [{"_key": one.key, "_html": one.html} for one in part]
            query = sa.update(bodies).where(b.article_key == sa.bindparam("_key")).values(html=sa.bindparam("_html"))
            self.connection.execute(query, html)

    def _show_again(self, shown: Mapping[int, tuple[str, Spelled]]) -> None:
        """Write what feeds show of articles: key -> content and spellings."""
        for _content, names in shown.values():
            self.terms.touched.update(self.terms.keys(names))
        rows = [{"_key": key, **self._shown(content, names)} for key, (content, names) in shown.items()]
        for some in chunks(rows, 5000):
            update_articles(self.connection, some)

    def _put(self, batch: Sequence[ParsedFile], *, final: bool) -> list[ParsedFile]:
        owned = files_by_path(self.connection, [file.path for file in batch])
        c = articles.c
        batch = [self._moves.keep_id(file) if file.path not in owned else file for file in batch]
        ids = [file.result.id for file in batch if isinstance(file.result, ParsedArticle)]
        query = sa.select(c.id, c.key, c.position, c.path, c.content, c.available, c.updated, c.in_feeds, c.names)
        query = query.where(c.id.in_(ids))
        existing = {row.id: KnownArticle(*row[1:8], names=json.loads(row.names)) for row in self.connection.execute(query)}
        made = {file.result.id for file in batch if isinstance(file.result, ParsedArticle) and not file.names_id}
        kept = self._kept_ids(made - existing.keys())
        parsed = [file.result.names for file in batch if isinstance(file.result, ParsedArticle)]
        self.terms.prepare([*parsed, *(known.names for known in existing.values())])
        rows, worded = Rows(), dict[int, str]()
        deferred = []
        for file in batch:
            self._waiting.discard(file.path)
            known = owned.get(file.path, NEW)
            article = file.result
            if isinstance(article, Problem):
                # The last good version stays, but no longer than it said.
                if has_expired := known.is_published and known.due is not None and known.due <= self.options.now:
                    self._orphans[known.id] = file.path
                rows.add_file(file, known.id, article, due=None if has_expired else known.due)
                continue
            if known.is_published and (article is None or known.id != article.id):
                self._orphans[known.id] = file.path  # free for another file even while this one waits: ids can be swapped
            if article is None:
                if file.verdict.state == "withheld" and file.path not in owned:
                    self._withheld_names.add(plain_name(file.path))
                # Which it has again should it be published again; pages keep theirs in the same way.
                rows.add_file(file, file.page.id if file.page else known.id)
                continue
            current = existing.get(article.id)
            if current is not None and current.path != file.path:
                if not final and current.path in self._waiting:
                    deferred.append(file)
                    continue
                if not self._takes_over(file, article, current.path):
                    if not file.names_id:  # of two files that only their names make alike, both are out
                        article, current = with_id(article, told_apart(article.id, file.path)), None
                    else:
                        reason = f"id {article.id} is already used by {current.path}"
                        rows.add_file(file, known.id, Problem(file.path, 0, 0, reason, "duplicate"))
                        if self._orphans.get(known.id) == file.path:
                            del self._orphans[known.id]  # its last good version stays
                        continue
            elif current is None and not file.names_id and article.id != known.id and article.id in kept:
                article = with_id(
                    article, told_apart(article.id, file.path)
                )  # a file that is withheld now has been this article, and may be again
            accepted = existing[article.id] = self._accept(rows, article, file.path, current)
            if current is None or accepted.content != current.content or self._index.is_missing(current.key):
                worded[accepted.key] = file.words
            rows.add_file(file, article.id)
        self.terms.flush()
        self._index.drop(rows.leaving)
        for key, words in worded.items():
            self._index.put(key, words)
        rows.write(self.connection, self.options.now, fresh=not owned)
        return deferred

    def _takes_over(self, file: ParsedFile, article: ParsedArticle, path: str) -> bool:
        """Return whether the id of the article at `path` is free for a file, and this file is meant by it."""
        if self._orphans.get(article.id) != path:
            return False
        if file.names_id or article.id in self._moves.ids:
            return True
        return path in self._removed and urls.fold(plain_name(path)) == urls.fold(plain_name(file.path))

    def _kept_ids(self, ids: Iterable[str]) -> set[str]:
        """Return those of `ids` that belong to a file, although no article has them now."""
        c = files.c
        queries = (sa.select(c.article, c.path).where(c.article.in_(part)) for part in chunks(sorted(ids)))
        return {id for query in queries for id, path in self.connection.execute(query) if path not in self._removed}

    def _accept(self, rows: Rows, article: ParsedArticle, path: str, known: KnownArticle | None) -> KnownArticle:
        """Add an article that is new or differs from `known` to `rows`; return it as the catalog then has it."""
        key = self._next_key if known is None else known.key
        self._bitmaps.describe(key, subject_of(article.title, article.summary, article.original))
        rows.sources[key] = article.source
        if known is not None and _of_file(known.content) == article.digest:
            if known.path != path:
                self.counts.renamed += 1
                rows.renamed.append({"_key": known.key, "path": path})
            return replace(known, path=path)
        published, now = int(article.published.timestamp()), self.options.now
        place = position(published, article.id)
        names = {facet: list(spelled) for facet, spelled in article.names.items()}
        members = self.terms.join(key, place, names)
        # A digest may bring the article from its date on, or from its arrival if that is later; a time in the past stays.
        if known is not None and known.available <= now:
            available = known.available
        else:
            available = published if self.options.arrival == 0 and known is None else max(published, now)
        updated = int(article.updated.timestamp())
        row = article_row(article, key, place, path) | self._shown(article.digest, names) | {"available": available}
        if known is None:
            self.counts.added += 1
            self._next_key += 1
            rows.added.append(row | {"first_seen": now, "arrival": self.options.arrival})
        else:
            self.counts.changed += 1
            seen = updated < known.updated or place != known.position or names != known.names or not article.in_feeds
            if known.in_feeds and seen:
                self._note_former(known.position, known.updated)
            rows.changed.append({"_" + name if name == "key" else name: value for name, value in row.items()})
            self.terms.count(known.names, -1)
            self._bitmaps.drop(key, known.position, self.terms.keys(known.names))
            rows.leaving.append(key)
        self._bitmaps.put(key, place, [member[0] for member in members])
        rows.members += members
        self._respelled.pop(key, None)  # what `rejoin` knew of it is of the file before
        rows.html.append({"article_key": key, "html": article.html})
        return KnownArticle(key, place, path, article.digest, available, updated, article.in_feeds, names)

    def _remove_orphans(self, seen: int) -> frozenset[str]:
        """Remove the orphans that no other file took over, unless the guard holds them back: then return their files."""
        c = articles.c
        going: list[Any] = []
        for part in chunks(sorted(self._orphans)):
            query = sa.select(c.id, c.path, c.key, c.position, c.updated, c.in_feeds, c.names).where(c.id.in_(part))
            going += [row for row in self.connection.execute(query) if self._orphans[row.id] == row.path]
        # What was moved to a folder of drafts is not lost.
        self._released |= {row.path for row in going if plain_name(row.path) in self._withheld_names}
        gone = frozenset(row.path for row in going) & self._removed - self._released
        published = count_rows(self.connection, articles) - self.counts.added if gone else 0
        guarded = self.options.guard.holds_back(len(gone), published, seen=seen, added=self.counts.added)
        held = gone if guarded else frozenset()
        self.lost = len(gone - held)
        for rows in chunks(row for row in going if row.path not in held):
            named = [json.loads(row.names) for row in rows]
            self.terms.prepare(named)
            for row, names in zip(rows, named, strict=True):
                self.terms.count(names, -1)
                self._bitmaps.drop(row.key, row.position, self.terms.keys(names))
                self._bitmaps.describe(row.key, ())
                if row.in_feeds:
                    self._note_former(row.position, row.updated)
            self.counts.removed += len(rows)
            keys = [row.key for row in rows]
            self._index.drop(keys)
            leaving = sa.select(c.id, c.available, c.arrival).where(c.key.in_(keys))
            self.connection.execute(sa.insert(departed).from_select(["id", "available", "arrival"], leaving))
            for table, column in (*PARTS_OF_ARTICLES, (articles, c.key)):
                self.connection.execute(sa.delete(table).where(column.in_(keys)))
        for paths in chunks(sorted(self._overdue - self._removed)):  # they are read when they can be seen again
            self.connection.execute(sa.update(files).where(files.c.path.in_(paths)).values(due=None, stamp=UNSETTLED))
        for paths in chunks(sorted(self._removed - held)):
            for table, column in ((files, files.c.path), (quarantine, quarantine.c.path), (assets, assets.c.owner)):
                self.connection.execute(sa.delete(table).where(column.in_(paths)))
        return held

    def _note_former(self, place: int, updated: int) -> None:
        """Note what an article was dated that feeds may hold no more."""
        month = queries.month_of(published_at(place))
        self._former[month] = max(updated, self._former.get(month, 0))

    def _write_former_updates(self) -> None:
        known = queries.former_updates(self.connection)
        raised = {month: updated for month, updated in self._former.items() if updated > known.get(month, 0)}
        if raised:
            self.raised = True
            self.connection.execute(sa.delete(state).where(state.c.name == queries.FORMER_UPDATES))
            row = {"name": queries.FORMER_UPDATES, "value": json.dumps(known | raised)}
            self.connection.execute(sa.insert(state), [row])

    def rejoin(self, former: Aliases) -> None:
        """Give every article its terms again, from the spellings in its file, after the aliases changed from `former`."""
        self._changed_aliases = list(terms.changed_terms(former, self._aliases))
        self.connection.execute(sa.delete(memberships))
        self.terms.forget_counts()
        self._bitmaps.forget_terms()
        rows = self.connection.execute(sa.select(articles.c.key, articles.c.position, articles.c.names, articles.c.content))
        for part in chunks(rows.all(), 2000):
            members: list[Member] = []
            named = [json.loads(row.names) for row in part]
            self.terms.prepare(named)
            for (key, place, _text, content), names in zip(part, named, strict=True):
                joined = self.terms.join(key, place, names)
                self._bitmaps.put(key, place, [member[0] for member in joined])
                members += joined
                self._respelled[key] = (content, names)
            self.terms.flush()
            insert_rows(self.connection, memberships, members)

    def _shown(self, content: str, names: Spelled) -> dict[str, str]:
        """The article's terms in canonical spelling, and the digest of all that a feed shows of it."""
        shown = _COMPACT(self.terms.canonical(names))
        return {"terms": shown, "digest": hashlib.sha256(f"{content}{shown}".encode()).hexdigest()[:32]}


def _of_file(content: str) -> str:
    """Return the digest of a file's content without the mark of its links (`links.Relinked`)."""
    return content.partition("+")[0]
