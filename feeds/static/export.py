"""Leaves -> a static tree, in a folder or a bucket, for a web server or a CDN to serve without this service.

Incremental: a leaf whose mark is the one in the manifest is neither rendered nor looked at, and one that is rendered is
written only where its bytes differ; where the mark of all of them is, not even the leaves are asked for. Interrupted: see
`manifest`. What is gone is removed last, so that no link leads nowhere.
Knows nothing of how an address is answered: that is `render`, which the door brings along.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

from .. import process_pool
from ..errors import RenderError
from ..syndication.documents import compress
from .files import CODINGS, File, Leaf, Render, codings_of, content_of, count_of
from .manifest import UNKNOWN, Done, Manifest

Progress = Callable[[int, int], None]
#: Below this many leaves the start of more processes costs more than it saves.
PARALLEL_FROM = 100
_BATCHES = (8, 100)


class Source(Protocol):
    """What a tree is made of."""

    def mark(self) -> str:
        """Of all that decides which leaves there are, and their marks."""

    def leaves(self) -> Sequence[Leaf]:
        """All of them; asked for when no other export can come between."""


class Target(Protocol):
    """Where a tree lies. Pickled into the processes that write.

    `alone`: while one export holds the manifest no other writes, and what lies there can be read to compare.
    """

    alone: bool

    @property
    def name(self) -> str:
        """For messages."""

    def held(self) -> AbstractContextManager[tuple[Manifest, Callable[[], None]]]:
        """The manifest in the hands of this export, and what puts it where the next one finds it as it is by then."""

    def absent(self, manifest: Manifest, codings: Collection[str]) -> set[str]:
        """Paths that someone else has taken files of away, as far as that can be seen."""

    def stamps(self, folders: Iterable[str]) -> dict[str, int]:
        """What will tell whether someone else has been in these folders."""

    def put(self, files: Iterable[File]) -> int:
        """How many were not so before, as far as that can be seen."""

    def remove(self, paths: Iterable[str], codings: Collection[str]) -> int:
        """How many there were."""


@dataclass(slots=True)
class Report:
    """Counts of files; `faults`: path -> why it could not be made. Such files stay as they were."""

    written: int = 0
    unchanged: int = 0
    removed: int = 0
    faults: dict[str, str] = field(default_factory=dict)


class Batch(NamedTuple):
    """What became of some leaves."""

    done: list[Done]
    written: int
    faults: dict[str, str]


@dataclass(frozen=True, slots=True)
class Job:
    """What a process needs to write some leaves. `known`: digests of what lies there now."""

    target: Target
    renderer: Callable[[], Render]
    codings: tuple[str, ...]
    leaves: tuple[Leaf, ...]
    known: Mapping[str, str]


def export(
    source: Source,
    target: Target,
    renderer: Callable[[], Render],
    progress: Progress | None = None,
    *,
    compressed: bool = True,
    full: bool = False,
    workers: int | None = None,
) -> Report:
    """Bring the tree up to date. `full` trusts no mark."""
    codings = tuple(CODINGS) if compressed else ("identity",)
    with target.held() as (manifest, keep):
        whole = f"{source.mark()} {'/'.join(codings)}"  # asked first: what comes after it is told by the next export
        if not full and manifest.noted("whole") == whole and not target.absent(manifest, codings):
            return Report(unchanged=int(manifest.noted("files")))
        wanted = {leaf.path: leaf for leaf in source.leaves()}
        marks = manifest.marks()
        was_packed = manifest.noted("packed") == "1"
        absent = target.absent(manifest, codings)
        anew = full or was_packed != compressed
        due = [leaf for path, leaf in wanted.items() if anew or marks.get(path) != leaf.mark or path in absent]
        gone = sorted(marks.keys() - wanted.keys())
        report = Report()
        files, left = count_of(wanted, codings), False
        if due or gone:
            job = Job(target, renderer, codings, tuple(due), {})
            left = _bring_about(job, manifest, marks, gone, keep, report, progress, workers)
        if not left:
            manifest.settle(whole, files)
        keep()
        report.unchanged = files - report.written
    return report


def _bring_about(
    job: Job,
    manifest: Manifest,
    marks: Mapping[str, str],
    gone: Sequence[str],
    keep: Callable[[], None],
    report: Report,
    progress: Progress | None,
    workers: int | None,
) -> bool:
    """Whether anything is left to the next export."""
    target, paths = job.target, [leaf.path for leaf in job.leaves]
    packed = len(job.codings) > 1
    # Where another export may be at work all the same, what it was about to write is written once more by the next one.
    others = [path for path, mark in marks.items() if not mark] if manifest.noted("open") and not target.alone else []
    known = {} if target.alone else manifest.contents(paths)
    folders = {path.rpartition("/")[0] for path in (*paths, *gone)}
    manifest.begin([*paths, *gone], folders, packed=packed)
    keep()
    for batch in _written(replace(job, known=known), progress, workers):
        manifest.done(batch.done)
        report.written += batch.written
        report.faults |= batch.faults
    report.removed = target.remove(gone, tuple(CODINGS))
    if manifest.noted("packed") and not packed:
        report.removed += target.remove(paths, [coding for coding in CODINGS if coding not in job.codings])
    stamps = dict.fromkeys(folders, UNKNOWN) | target.stamps(folders)
    manifest.finish(gone, stamps, others, packed=packed)
    return bool(report.faults or others)


def _written(job: Job, progress: Progress | None, workers: int | None) -> Iterable[Batch]:
    count = workers or min(os.cpu_count() or 1, 8)
    jobs = _parts(job, count)
    if len(job.leaves) < PARALLEL_FROM or count < 2:
        with ThreadPoolExecutor(count) as threads:
            yield from _followed((_write(one, threads) for one in jobs), jobs, progress)
        return
    with process_pool.pool(count, forks=job.target.alone) as pool:  # a client of a bucket has threads of its own
        yield from _followed(pool.map(write_batch, jobs), jobs, progress)


def _parts(job: Job, count: int) -> list[Job]:
    """Of a size that keeps all processes busy to the end."""
    least, most = _BATCHES
    size = max(least, min(most, len(job.leaves) // (count * 4)))
    parts = (job.leaves[start : start + size] for start in range(0, len(job.leaves), size))
    return [
        replace(job, leaves=part, known={leaf.path: job.known[leaf.path] for leaf in part if leaf.path in job.known})
        for part in parts
    ]


def _followed(batches: Iterable[Batch], jobs: Sequence[Job], progress: Progress | None) -> Iterable[Batch]:
    """Says how far it has come."""
    total, finished = sum(len(job.leaves) for job in jobs), 0
    for batch, job in zip(batches, jobs, strict=True):
        yield batch
        finished += len(job.leaves)
        if progress:
            progress(finished, total)


def write_batch(job: Job) -> Batch:
    """Render and write some leaves; runs in any process. What a rescan took away meanwhile is left to the next export."""
    with ThreadPoolExecutor(1) as thread:
        return _write(job, thread)


def _write(job: Job, threads: ThreadPoolExecutor) -> Batch:
    """What is rendered is packed in `threads` while the next is rendered: both compressors let other threads run."""
    render = job.renderer()
    done: list[Done] = []
    files: list[Future[File]] = []
    faults: dict[str, str] = {}
    for leaf in job.leaves:
        try:
            data = leaf.make() if leaf.make else render(leaf.address)
        except RenderError as error:
            faults[leaf.path] = str(error)
            continue
        if data is None:
            continue
        done.append(Done(leaf.path, leaf.mark, content_of(data)))
        if job.known.get(leaf.path) != done[-1].content:
            files += (threads.submit(_packed, leaf.path, coding, data) for coding in codings_of(leaf.path, job.codings))
    return Batch(done, job.target.put(file.result() for file in files), faults)


def _packed(path: str, coding: str, data: bytes) -> File:
    return File(path, coding, compress(data, coding))
