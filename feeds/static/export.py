"""Bring a static tree, in a folder or a bucket, up to date with a list of files.

Incremental: a file whose mark is the one in the manifest is neither rendered nor looked at, and one that is rendered is written
only where its bytes differ; where the mark of the whole site is as before, not even the list of files is made. Files that are
gone are removed last, so that no link leads nowhere.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from .. import process_pool
from ..errors import RenderError
from ..syndication.documents import compress
from .files import Codings, EncodedFile, Render, SiteFile, digest_of, is_archive
from .targets import UNKNOWN, Bucket, Folder, Manifest, WrittenFile

#: Where a tree lies; pickled into the processes that write. The class of a new kind has the same methods, and `alone`: whether
#: one export at a time writes there, which may read what lies there to compare.
Target = Folder | Bucket
Progress = Callable[[int, int], None]
#: Below this many files the start of more processes costs more than it saves.
PARALLEL_FROM = 100
#: The smallest and the largest number of files in a batch of what shows articles of no particular year.
_BATCHES = (8, 100)
#: What a file costs, in entries of a document.
_FILE_COST = 16
#: Compressed files that wait for those before them to be written: archive documents have megabytes.
_AHEAD = 6


@dataclass(slots=True)
class Report:
    """Counts of files; `faults`: path -> why it could not be made. Such files stay as they were."""

    written: int = 0
    unchanged: int = 0
    removed: int = 0
    faults: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Options:
    """How to export. `full` trusts no mark; `workers` is the number of processes, None for one per core, at most eight."""

    compressed: bool = True
    full: bool = False
    workers: int | None = None
    progress: Progress | None = None


class BatchResult(NamedTuple):
    """What became of the files of a batch."""

    done: list[WrittenFile]
    written: int
    faults: dict[str, str]


@dataclass(frozen=True, slots=True)
class Batch:
    """What a process needs to write some files. `known`: digests of what lies there now."""

    target: Target
    renderer: Callable[[], Render]
    codings: Codings
    files: tuple[SiteFile, ...]
    known: Mapping[str, str]


class Source(NamedTuple):
    """What a tree is made of. `mark` covers all that decides `files`, listed when no other export can come between."""

    mark: Callable[[], str]
    files: Callable[[], Sequence[SiteFile]]


@dataclass(frozen=True, slots=True)
class Changes:
    """What a tree lacks and has too much: files that are due, paths that are `gone`, `unwanted` files as (path, coding).

    `before`: the codings that its files may have.
    """

    due: tuple[SiteFile, ...]
    gone: list[str]
    unwanted: list[tuple[str, str]]
    before: Codings


def update_tree(source: Source, target: Target, renderer: Callable[[], Render], codings: Codings, options: Options) -> Report:
    """Bring a tree up to date. `renderer` is called in each process that renders."""
    with target.open_manifest() as (manifest, store_manifest):
        whole = f"{source.mark()} {codings.note}"  # asked first: what changes after it is for the next export
        if not options.full and manifest.note("whole") == whole and not target.missing(manifest, codings):
            return Report(unchanged=int(manifest.note("files")))
        wanted = {file.path: file for file in source.files()}
        changes = _find_changes(wanted, manifest, target.missing(manifest, codings), codings, options.full)
        report, complete = Report(), True
        if changes.due or changes.unwanted or changes.before.note != codings.note:
            batch = Batch(target, renderer, codings, changes.due, {})
            report, complete = _write_changes(changes, batch, manifest, store_manifest, options)
        count = sum(len(codings.of(path)) for path in wanted)
        if complete:
            manifest.settle(whole, count)
        store_manifest()
        report.unchanged = count - report.written
        return report


def _find_changes(
    wanted: Mapping[str, SiteFile], manifest: Manifest, missing: set[str], codings: Codings, full: bool
) -> Changes:
    marks, before = manifest.marks(), Codings.parse(manifest.note("packed"))
    missing = missing.union(path for path, _coding in codings.without(before, wanted))
    due = tuple(file for path, file in wanted.items() if full or marks.get(path) != file.mark or path in missing)
    gone = sorted(path for path in marks if path not in wanted)
    unwanted = [(path, coding) for path in gone for coding in Codings().of(path)]
    if before.note != codings.note:
        unwanted += before.without(codings, sorted(marks.keys() & wanted.keys()))
    return Changes(due, gone, unwanted, before)


def _write_changes(
    changes: Changes, batch: Batch, manifest: Manifest, store_manifest: Callable[[], None], options: Options
) -> tuple[Report, bool]:
    """Write what is due, remove what is not wanted; return also whether nothing is left to the next export."""
    target, paths, gone, report = batch.target, [file.path for file in changes.due], changes.gone, Report()
    # Where another export may be at work, what it was about to write is written once more by the next one.
    interrupted = manifest.note("open") and not target.alone
    others = [path for path, mark in manifest.marks().items() if not mark] if interrupted else []
    known = {} if target.alone or changes.before.note != batch.codings.note else manifest.digests(paths)
    folders = {path.rpartition("/")[0] for path in (*paths, *gone, *(path for path, _coding in changes.unwanted))}
    manifest.begin([*paths, *gone], folders, max(changes.before, batch.codings).note)
    store_manifest()
    for result in _results(replace(batch, known=known), options):
        manifest.done(result.done)
        report.written += result.written
        report.faults |= result.faults
    report.removed = target.remove(changes.unwanted)
    stamps = dict.fromkeys(folders, UNKNOWN) | target.stamps(folders)
    manifest.finish(gone, stamps, others, batch.codings.note)
    return report, not (report.faults or others)


def _results(due: Batch, options: Options) -> Iterator[BatchResult]:
    """Write what is due in threads or, where it is much, in processes; yield results in order and report progress."""
    count = options.workers or min(os.cpu_count() or 1, 8)
    known, many = due.known, len(due.files) >= PARALLEL_FROM
    parts = divide([file.with_facts(many=many) for file in due.files], count)
    if not many:  # one batch: compression of its last file does not wait for the next one
        parts = [part for part in [tuple(itertools.chain.from_iterable(parts))] if part]
    batches = [
        replace(due, files=part, known={file.path: known[file.path] for file in part if file.path in known}) for part in parts
    ]
    finished = 0
    with contextlib.ExitStack() as running:
        results: Iterable[BatchResult]
        if count < 2 or not many:
            results = (write_batch(batch, count) for batch in batches)
        else:  # a client of a bucket has threads of its own
            results = running.enter_context(process_pool.pool(count, forks=due.target.alone)).map(write_batch, batches)
        for batch, result in zip(batches, results, strict=True):
            yield result
            finished += len(batch.files)
            if options.progress:
                options.progress(finished, len(due.files))


def divide(files: Sequence[SiteFile], processes: int) -> list[tuple[SiteFile, ...]]:
    """Return files in batches that keep all processes busy to the end, in the order in which they are to be written. Pure.

    Documents that show the articles of one year are in one batch, unless it would be the last to end: an article is read and
    made into entries once. Before them comes what is listed before the first of them, and the rest after.

    >>> paths = ["1.html", "a/2018.rss", "a/2019.rss", "a/2020.rss", "a.html", "b/2020.rss", "b.html"]
    >>> files = [SiteFile(path, "", when=path[2:6] if "/" in path else "") for path in paths]
    >>> [[file.path for file in batch] for batch in divide(files, 1)]
    [['1.html'], ['a/2020.rss', 'b/2020.rss'], ['a/2018.rss'], ['a/2019.rss'], ['a.html', 'b.html']]
    """
    first = next((index for index, file in enumerate(files) if file.when), len(files))
    dated = sorted((file for file in files if file.when), key=lambda file: file.when)
    largest = sum(map(_cost, dated)) // (2 * processes)
    years = [_cut(list(year), largest) for _name, year in itertools.groupby(dated, key=lambda file: file.when[:4])]
    size = max(_BATCHES[0], min(_BATCHES[1], len(files) // (processes * 4)))
    before, after = files[:first], [file for file in files[first:] if not file.when]
    return [
        *_cut(before, size * _FILE_COST),
        *sorted(itertools.chain.from_iterable(years), key=lambda batch: -sum(map(_cost, batch))),
        *_cut(after, size * _FILE_COST),
    ]


def _cut(files: Iterable[SiteFile], largest: int) -> Iterator[tuple[SiteFile, ...]]:
    """Yield the files in batches of a cost up to `largest`; the formats of a document stay together."""
    part: list[SiteFile] = []
    cost = 0
    for _stem, formats in itertools.groupby(files, key=lambda file: file.path.rpartition(".")[0]):
        together = list(formats)
        more = sum(map(_cost, together))
        if part and cost + more > largest:
            yield tuple(part)
            part, cost = [], 0
        part += together
        cost += more
    if part:
        yield tuple(part)


def _cost(file: SiteFile) -> int:
    return _FILE_COST + file.entries


def write_batch(batch: Batch, threads: int = 1) -> BatchResult:
    """Render and write some files, in any process; what a rescan took away meanwhile is left to the next export.

    Files are compressed in `threads` while the next one is rendered: both compressors let other threads run.
    """
    result = BatchResult([], 0, {})
    with ThreadPoolExecutor(threads) as pool:
        return result._replace(written=batch.target.put(_encode(batch, result, pool)))


def _encode(batch: Batch, result: BatchResult, pool: ThreadPoolExecutor) -> Iterator[EncodedFile]:
    """Yield the files of a batch in all of their codings, in order; add to `result` what became of them."""
    render, waiting = batch.renderer(), deque[tuple[str, str, Future[bytes]]]()
    for file in batch.files:
        try:
            data = file.make() if file.make else render(file.address, file.facts)
        except RenderError as error:
            result.faults[file.path] = str(error)
            continue
        if data is None:
            continue
        result.done.append(WrittenFile(file.path, file.mark, digest_of(data)))
        if batch.known.get(file.path) != result.done[-1].digest:
            encode = functools.partial(compress, data, quickly=is_archive(file.path))
            waiting.extend((file.path, coding, pool.submit(encode, coding)) for coding in batch.codings.of(file.path))
        while len(waiting) > _AHEAD:
            path, coding, future = waiting.popleft()
            yield EncodedFile(path, coding, future.result())
    yield from (EncodedFile(path, coding, future.result()) for path, coding, future in waiting)
