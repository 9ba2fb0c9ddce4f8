"""The feeds as a static tree, for a web server or a CDN to serve without this service.

Incremental: a manifest in the folder remembers each feed's digest, so what has not changed is neither rendered nor touched.
Atomic by file: written beside, then renamed over; the manifest comes last, so an interrupted export is simply done again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import sqlalchemy as sa

from .. import database, processes
from ..config import Config
from ..errors import FeedsError
from ..model import FACETS, Feed, FeedState
from . import opml
from .definitions import enabled_facets, every_feed
from .documents import compress, content_of, entries_of, history_of, states
from .formats import FORMATS

MANIFEST = ".feeds-export.json"
Progress = Callable[[int, int], None]
#: Below this many feeds the start of more processes costs more than it saves.
PARALLEL_FROM = 60
_BATCH = 8


@dataclass(slots=True)
class Report:
    """Counts of files."""

    written: int = 0
    unchanged: int = 0
    removed: int = 0

    def as_json(self) -> dict[str, int]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Job:
    """What a process needs to write some feeds."""

    database_url: str
    config: Config
    folder: Path
    compressed: bool
    feeds: tuple[tuple[Feed, FeedState], ...] = field(default=())


def export(
    connection: sa.Connection,
    config: Config,
    folder: Path,
    progress: Progress | None = None,
    *,
    compressed: bool = True,
    workers: int | None = None,
) -> Report:
    """Write what changed since the export before, remove what is gone. `connection` gives one snapshot of what to write."""
    before = _manifest(folder)
    rows = {row.path: row for row in states(connection)}
    wanted = [(feed, rows[feed.path]) for feed, _known in every_feed(connection, config) if feed.path in rows]
    suffixes = ("", ".gz", ".br") if compressed else ("",)
    after: dict[str, str] = {}
    due: list[tuple[Feed, FeedState]] = []
    for feed, row in wanted:
        mark = f"{row.digest} {len(suffixes)}"
        after.update({f"{feed.path}.{name}{suffix}": mark for name in FORMATS for suffix in suffixes})
        if any(before.get(path) != mark or not (folder / path).exists() for path in _paths(feed.path, suffixes)):
            due.append((feed, row))
    report = Report(written=len(due) * len(FORMATS) * len(suffixes))
    url = connection.engine.url.render_as_string(hide_password=False)
    _write_feeds(Job(url, config, folder, compressed), due, progress, workers)
    for path, data in _lists(config, list(rows.values())):
        for suffix in suffixes:
            mark = hashlib.sha256(data).hexdigest()[:24]
            after[path + suffix] = mark
            if before.get(path + suffix) != mark or not (folder / (path + suffix)).exists():
                _write(folder / (path + suffix), compress(data, _CODING[suffix]))
                report.written += 1
    report.unchanged = len(after) - report.written
    report.removed = _remove(folder, before.keys() - after.keys())
    if after != before:
        _write(folder / MANIFEST, json.dumps(after, ensure_ascii=False, sort_keys=True, indent=0).encode())
    return report


_CODING = {"": "identity", ".gz": "gzip", ".br": "br"}


def _paths(path: str, suffixes: Iterable[str]) -> Iterator[str]:
    return (f"{path}.{name}{suffix}" for name in FORMATS for suffix in suffixes)


def _write_feeds(job: Job, due: list[tuple[Feed, FeedState]], progress: Progress | None, workers: int | None) -> None:
    batches = [tuple(due[start : start + _BATCH]) for start in range(0, len(due), _BATCH)]
    jobs = [Job(job.database_url, job.config, job.folder, job.compressed, batch) for batch in batches]
    count = workers or min(os.cpu_count() or 1, 8)
    if len(due) < PARALLEL_FROM or count < 2:
        done: Iterable[int] = map(write_batch, jobs)
        _follow(done, len(due), progress)
        return
    with processes.pool(count) as pool:
        _follow(pool.map(write_batch, jobs), len(due), progress)


def _follow(done: Iterable[int], total: int, progress: Progress | None) -> None:
    written = 0
    for number in done:
        written += number
        if progress:
            progress(written, total)


def write_batch(job: Job) -> int:
    """Render and write some feeds; runs in any process. A feed that a rescan changed meanwhile is written as it is now."""
    engine = database.connect(job.database_url)
    suffixes = tuple(_CODING) if job.compressed else ("",)
    with database.reading(engine) as connection:
        for feed, row in job.feeds:
            entries, history = entries_of(connection, job.config, feed), history_of(connection, job.config, feed, row)
            for format in FORMATS.values():
                data = format.render(content_of(job.config, feed, row.updated, entries, format, history))
                for suffix in suffixes:
                    _write(job.folder / f"{feed.path}.{format.name}{suffix}", compress(data, _CODING[suffix]))
    engine.dispose()
    return len(job.feeds)


def _lists(config: Config, rows: list[FeedState]) -> Iterator[tuple[str, bytes]]:
    yield "feeds.opml", opml.render(config, config.site.title, rows, nested=True)
    for name in enabled_facets(config):
        facet = FACETS[name]
        title = f"{config.site.title} · {facet.zh if config.chinese else facet.en}"
        inside = [row for row in rows if row.path.startswith(facet.plural + "/")]
        yield f"{facet.plural}.opml", opml.render(config, title, inside, nested=False)


def _manifest(folder: Path) -> dict[str, str]:
    try:
        found = json.loads((folder / MANIFEST).read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (ValueError, OSError) as error:
        raise FeedsError(f"{folder / MANIFEST}: cannot be read ({error}); remove it to export everything anew") from None
    return {str(path): str(mark) for path, mark in found.items()}


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{hashlib.sha256(path.name.encode()).hexdigest()[:16]}.tmp")
    beside.write_bytes(data)
    beside.replace(path)


def _remove(folder: Path, paths: Iterable[str]) -> int:
    """Only files that an export wrote are ever removed."""
    removed = 0
    root = folder.resolve()
    for path in sorted(paths):
        target = folder / path
        if root in target.resolve().parents and target.is_file():
            target.unlink()
            removed += 1
    return removed
