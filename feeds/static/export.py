"""Bring a static tree, in a folder or a bucket, up to date with a list of files.

Incremental: a file whose mark is the one in the manifest is neither rendered nor looked at, and one that is rendered is written
only where its bytes differ; where the mark of the whole site is as before, not even the list of files is made. Files that are
gone are removed last, so that no link leads nowhere.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from .. import process_pool
from ..errors import RenderError
from ..syndication.documents import compress
from .files import CODINGS, EncodedFile, Render, SiteFile, codings_of, digest_of
from .targets import UNKNOWN, Bucket, Folder, Manifest, WrittenFile

#: Where a tree lies; pickled into the processes that write. The class of a new kind has the same methods, and `alone`: whether
#: one export at a time writes there, which may read what lies there to compare.
Target = Folder | Bucket
Progress = Callable[[int, int], None]
#: Below this many files the start of more processes costs more than it saves.
PARALLEL_FROM = 100
#: The smallest and the largest number of files in a batch.
_BATCHES = (8, 100)


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
    codings: tuple[str, ...]
    files: tuple[SiteFile, ...]
    known: Mapping[str, str]


class Source(NamedTuple):
    """What a tree is made of. `mark` covers all that decides `files`, listed when no other export can come between."""

    mark: Callable[[], str]
    files: Callable[[], Sequence[SiteFile]]


def update_tree(source: Source, target: Target, renderer: Callable[[], Render], options: Options) -> Report:
    """Bring a tree up to date. `renderer` is called in each process that renders."""
    codings = tuple(CODINGS) if options.compressed else ("identity",)
    with target.open_manifest() as (manifest, store_manifest):
        whole = f"{source.mark()} {'/'.join(codings)}"  # asked first: what changes after it is for the next export
        if not options.full and manifest.note("whole") == whole and not target.missing(manifest, codings):
            return Report(unchanged=int(manifest.note("files")))
        wanted = {file.path: file for file in source.files()}
        marks, missing = manifest.marks(), target.missing(manifest, codings)
        full = options.full or (manifest.note("packed") == "1") != options.compressed
        due = tuple(file for path, file in wanted.items() if full or marks.get(path) != file.mark or path in missing)
        gone = sorted(marks.keys() - wanted.keys())
        report, complete = Report(), True
        if due or gone:
            batch = Batch(target, renderer, codings, due, {})
            report, complete = _write_changes(batch, manifest, store_manifest, gone, options)
        count = sum(1 for path in wanted for _coding in codings_of(path, codings))
        if complete:
            manifest.settle(whole, count)
        store_manifest()
        report.unchanged = count - report.written
        return report


def _write_changes(
    due: Batch, manifest: Manifest, store_manifest: Callable[[], None], gone: Sequence[str], options: Options
) -> tuple[Report, bool]:
    """Write what is due, remove what is gone; return also whether nothing is left to the next export."""
    target, paths, report = due.target, [file.path for file in due.files], Report()
    # Where another export may be at work, what it was about to write is written once more by the next one.
    interrupted = manifest.note("open") and not target.alone
    others = [path for path, mark in manifest.marks().items() if not mark] if interrupted else []
    known = {} if target.alone else manifest.digests(paths)
    folders = {path.rpartition("/")[0] for path in (*paths, *gone)}
    manifest.begin([*paths, *gone], folders, packed=options.compressed)
    store_manifest()
    for result in _results(replace(due, known=known), options):
        manifest.done(result.done)
        report.written += result.written
        report.faults |= result.faults
    report.removed = target.remove(gone, tuple(CODINGS))
    if manifest.note("packed") and not options.compressed:
        report.removed += target.remove(paths, [coding for coding in CODINGS if coding not in due.codings])
    stamps = dict.fromkeys(folders, UNKNOWN) | target.stamps(folders)
    manifest.finish(gone, stamps, others, packed=options.compressed)
    return report, not (report.faults or others)


def _results(due: Batch, options: Options) -> Iterator[BatchResult]:
    """Write what is due in threads or, where it is much, in processes; yield results in order and report progress."""
    count = options.workers or min(os.cpu_count() or 1, 8)
    size = max(_BATCHES[0], min(_BATCHES[1], len(due.files) // (count * 4)))  # keeps all processes busy to the end
    parts = (due.files[start : start + size] for start in range(0, len(due.files), size))
    known = due.known
    batches = [replace(due, files=part, known={f.path: known[f.path] for f in part if f.path in known}) for part in parts]
    finished = 0
    with contextlib.ExitStack() as running:
        results: Iterable[BatchResult]
        if len(due.files) < PARALLEL_FROM or count < 2:
            results = (write_batch(batch, count) for batch in batches)
        else:  # a client of a bucket has threads of its own
            results = running.enter_context(process_pool.pool(count, forks=due.target.alone)).map(write_batch, batches)
        for batch, result in zip(batches, results, strict=True):
            yield result
            finished += len(batch.files)
            if options.progress:
                options.progress(finished, len(due.files))


def write_batch(batch: Batch, threads: int = 1) -> BatchResult:
    """Render and write some files, in any process; what a rescan took away meanwhile is left to the next export.

    Files are compressed in `threads` while the next one is rendered: both compressors let other threads run.
    """
    render = batch.renderer()
    done: list[WrittenFile] = []
    encoded: list[tuple[str, str, Future[bytes]]] = []
    faults: dict[str, str] = {}
    with ThreadPoolExecutor(threads) as pool:
        for file in batch.files:
            try:
                data = file.make() if file.make else render(file.address)
            except RenderError as error:
                faults[file.path] = str(error)
                continue
            if data is None:
                continue
            done.append(WrittenFile(file.path, file.mark, digest_of(data)))
            if batch.known.get(file.path) != done[-1].digest:
                wanted = codings_of(file.path, batch.codings)
                encoded += ((file.path, coding, pool.submit(compress, data, coding)) for coding in wanted)
        written = batch.target.put(EncodedFile(path, coding, future.result()) for path, coding, future in encoded)
    return BatchResult(done, written, faults)
