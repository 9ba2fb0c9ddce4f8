"""Parse files in child processes that are expendable: where a file kills one, or exceeds its limits, all others are parsed.

A child is a program of its own that shares no memory and no secrets with the process that started it. A file is tried twice:
first beside others, with a tenth of its time and a share of its memory, then alone with all of both.
"""

from __future__ import annotations

import contextlib
import gc
import io
import itertools
import json
import mmap
import os
import pickle
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import IO, Any, cast

from ..errors import StoreError
from ..model import Problem
from .parse import parse_file
from .parse_settings import ParserLimits, ParseSettings
from .parsed import NO_DATES, UNDATED, UNSETTLED_NS, FileDates, ParsedFile
from .verdict import Verdict
from .walk import UNSETTLED, file_stamp

#: Quarantined for what it cost, not for what it says.
EXCEEDED = "exceeded"
#: Below this many files the start of a second process costs more than it saves.
PARALLEL_FROM = 400
_BATCH = 100
_START_SECONDS = 60
#: A child without work ends after so many seconds.
_IDLE_SECONDS = 60
#: Seconds after which a child sends what it has: each message costs as much as some files.
_SEND_SECONDS = 0.2
#: Seconds that one rescan gives to files that exceeded their first limits; the others of these wait for the next rescan.
_SECOND_TRIES = 20
_MEGABYTE = 1024 * 1024
_OUT_OF_MEMORY = 77
#: Bytes that a child may write to its standard error, where Rust reports that memory is exhausted.
_MAX_ERRORS = 16 * _MEGABYTE
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from feeds.store.parser_pool import serve; serve(*map(int, sys.argv[2:]))"
)


@dataclass(frozen=True, slots=True)
class _Batch:
    """Files with git's dates, to be parsed within `seconds` of processor time each and `megabytes` of memory together."""

    settings: ParseSettings
    now_ns: int
    files: Sequence[tuple[str, FileDates]]
    seconds: float
    megabytes: int


# -- in a child ------------------------------------------------------------


def serve(descriptor: int, progress: int, megabytes: int) -> None:
    """Parse what is asked for at the socket `descriptor` within `megabytes` of address space, until its other end is closed.

    `progress` is a file of 8 bytes in which stands, after any death, at which file of the batch it was.
    """
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # these mean the service; it closes the socket
        signal.signal(ignored, signal.SIG_IGN)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")  # rather this one than the service
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, _MAX_ERRORS)
    _limit(resource.RLIMIT_AS, max(megabytes * _MEGABYTE, _address_space() + 32 * _MEGABYTE))
    gc.freeze()
    place = mmap.mmap(progress, 8)
    with socket.socket(fileno=descriptor) as connection, connection.makefile("rb") as requests:
        connection.sendall(bytes(8))  # an empty message: it has started
        while True:
            connection.settimeout(_IDLE_SECONDS)
            try:
                batch = pickle.loads(_receive(requests, sys.maxsize))  # noqa: S301  # from the process that started this one
            except (EOFError, OSError):
                return
            connection.settimeout(None)  # the parent may be busy
            # Where the parent is killed, nobody else ends a file that waits for something.
            signal.setitimer(signal.ITIMER_REAL, 60 + len(batch.files) * (batch.settings.limits.seconds + 5))
            for results in _parse(batch, place):
                connection.sendall(len(results).to_bytes(8, "big") + results)
            signal.setitimer(signal.ITIMER_REAL, 0)


def _parse(batch: _Batch, place: mmap.mmap) -> Iterator[bytes]:
    """Yield pickled lists of results. A file that takes too much time or memory ends this process."""
    results: list[ParsedFile] = []
    checked, sent = float("-inf"), time.monotonic()
    for index, (path, dates) in enumerate(batch.files):
        place[:] = index.to_bytes(8, "big")
        signal.setitimer(signal.ITIMER_PROF, batch.seconds)
        if (spent := time.process_time()) > checked + 1:  # for code that stops the timer
            checked = spent
            _limit(resource.RLIMIT_CPU, int(spent + batch.seconds) + 3, for_good=False)
        try:
            results.append(parse_file(batch.settings, path, batch.now_ns, dates))
            if index + 1 == len(batch.files) or time.monotonic() > sent + _SEND_SECONDS:
                yield pickle.dumps(results, pickle.HIGHEST_PROTOCOL)
                results, sent = [], time.monotonic()
        except MemoryError:
            os._exit(_OUT_OF_MEMORY)
    signal.setitimer(signal.ITIMER_PROF, 0)


def _limit(kind: int, value: int, *, for_good: bool = True) -> None:
    hard = resource.getrlimit(kind)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    with contextlib.suppress(ValueError, OSError):  # a system that has no such limit
        resource.setrlimit(kind, (value, value if for_good else hard))


def _address_space() -> int:
    with contextlib.suppress(OSError), open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()
    return 0


def _receive(stream: IO[bytes], limit: int) -> bytes:
    """Read one message. Raises EOFError at the end of the stream, _TooLarge beyond `limit` bytes."""
    length = int.from_bytes(head := stream.read(8), "big")
    if length > limit:
        raise _TooLarge
    data = stream.read(length) if len(head) == 8 else b""
    if len(head) < 8 or len(data) < length:
        raise EOFError
    return data


class _TooLarge(Exception):
    """A message is longer than it may be."""


# -- in the parent ---------------------------------------------------------


class _Died(Exception):
    """A child has ended. The first argument says what the file exceeded, the second its index in the batch."""


class _Results(pickle.Unpickler):
    """Reads what a child sends, which may be under the control of a file: no other class than these is made."""

    allowed = frozenset(
        {"feeds.store.parsed.ParsedFile", "feeds.model.ParsedArticle", "feeds.model.Problem", "feeds.store.verdict.Verdict"}
        | {"feeds.model.Details", "feeds.model.MediaFile", "feeds.store.assets.opening.Asset"}
        | {f"datetime.{name}" for name in ("datetime", "timedelta", "timezone")}
    )

    def find_class(self, module: str, name: str) -> Any:
        if f"{module}.{name}" not in self.allowed:
            raise pickle.UnpicklingError
        return super().find_class(module, name)


def _temporary() -> IO[bytes]:
    """Return a file without a name: in memory, where the system has such, as disks are full or may not be written to."""
    if sys.platform == "linux":
        return open(os.memfd_create("feeds-parser"), "w+b")
    import tempfile  # and all that it imports

    return tempfile.TemporaryFile()


class _Child:
    """One process that parses, within `megabytes` of address space. Raises StoreError where none can be started."""

    def __init__(self, megabytes: int) -> None:
        self.megabytes = megabytes
        try:
            self._errors, self._progress = _temporary(), _temporary()
            self._progress.truncate(8)
            self._socket, theirs = socket.socketpair()
        except OSError as error:
            raise StoreError(f"no process that parses files can be started: {error.strerror}") from error
        self._stream = cast("IO[bytes]", self._socket.makefile("rb", 256 * 1024))
        given = (theirs.fileno(), self._progress.fileno())
        try:
            with theirs:
                self._process = subprocess.Popen(  # noqa: S603
                    [sys.executable, "-c", _START, json.dumps(sys.path), *map(str, (*given, megabytes))],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=self._errors,
                    pass_fds=given,
                    env={name: value for name, value in os.environ.items() if not name.startswith("FEEDS_")},
                )
        except OSError as error:
            raise StoreError(f"no process that parses files can be started: {error.strerror}") from error
        self._socket.settimeout(_START_SECONDS)
        try:
            _receive(self._stream, 0)
        except (EOFError, OSError, _TooLarge):  # no fault of any file
            reason = self._last_words().strip().rpartition(b"\n")[2].decode("utf-8", "replace")[-200:]
            self.end()
            raise StoreError(f"a process that parses files does not start: {reason or 'it was ended'}") from None

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended, as it does where it was idle for long."""
        return self._process.poll() is None

    def parse(self, batch: _Batch) -> Iterator[ParsedFile]:
        """Yield the results of a batch in order. Raises _Died where a file ends this process, or takes too long."""
        limits = batch.settings.limits
        largest = 4 * _MEGABYTE + 80 * batch.settings.max_bytes
        self._socket.settimeout(limits.seconds + 1)
        os.pwrite(self._progress.fileno(), bytes(8), 0)
        try:
            request = pickle.dumps(batch)
            self._socket.sendall(len(request).to_bytes(8, "big") + request)
            paths = [path for path, _dates in batch.files]
            while paths:
                results = _Results(io.BytesIO(_receive(self._stream, largest))).load()
                found = [result.path for result in results if isinstance(result, ParsedFile)]
                if not found or len(found) != len(results) or found != paths[: len(found)]:
                    raise pickle.UnpicklingError
                yield from results
                del paths[: len(found)]
        except TimeoutError:
            raise self._died(f"took more than {limits.seconds} s") from None
        except _TooLarge:
            raise self._died(f"gave more than {largest // _MEGABYTE} MB") from None
        except (EOFError, OSError):
            raise self._died(self._reason(limits)) from None
        except Exception:  # whatever a pickle can raise
            raise self._died("its parser gave something else than an article") from None
        if os.fstat(self._errors.fileno()).st_size > _MAX_ERRORS // 2:
            self._errors.truncate(0)

    def _died(self, reason: str) -> _Died:
        """Return the reason with the index in the batch of the file at which the process was, as it says."""
        return _Died(reason, int.from_bytes(os.pread(self._progress.fileno(), 8, 0), "big"))

    def _reason(self, limits: ParserLimits) -> str:
        """Return what ended the process."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        status = self._process.poll()
        if status == _OUT_OF_MEMORY or b"memory allocation of" in self._last_words():
            return f"needed more than {limits.megabytes} MB"
        if status in (-signal.SIGPROF, -signal.SIGXCPU, -signal.SIGALRM):
            return f"took more than {limits.seconds} s"
        return f"its parser ended with {'status' if status is None or status >= 0 else 'signal'} {abs(status or 0)}"

    def _last_words(self) -> bytes:
        self._errors.seek(max(0, os.fstat(self._errors.fileno()).st_size - 4096))
        return self._errors.read()

    def kill(self) -> None:
        """Kill the process, whatever it does; `parse` says that it has died."""
        self._process.kill()

    def end(self) -> None:
        """Kill the process, and forget it."""
        self.kill()
        self._stream.close()
        self._socket.close()
        self._errors.close()
        with contextlib.suppress(subprocess.TimeoutExpired):  # it hangs in the kernel, with a disk that does not answer
            self._process.wait(5)


class ParserPool:
    """Child processes that parse, kept from one call to the next; they end by themselves when idle. Close it at the end.

    One thread at a time may use a pool.
    """

    def __init__(self) -> None:
        self._idle: list[_Child] = []
        self._busy: set[_Child] = set()
        self._is_given_up = False

    def __enter__(self) -> ParserPool:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """End all processes. The next call starts others."""
        while self._idle:
            self._idle.pop().end()

    def parse_all(
        self,
        settings: ParseSettings,
        paths: Sequence[str],
        now: int,
        workers: int | None = None,
        dates: Mapping[str, FileDates] = NO_DATES,
    ) -> Generator[list[ParsedFile], None, None]:
        """Yield batches in the order of `paths` (below the store's root), parsed in several processes where that is worth it.

        `dates` are git's, `now` in UTC seconds. A file that kills or exceeds its parser is a problem of the kind EXCEEDED.
        """
        from concurrent.futures import ThreadPoolExecutor, wait  # a third of the time that a child takes to start

        count = 1 if len(paths) < PARALLEL_FROM else workers or min(os.cpu_count() or 1, 8)
        work = list(_batches(settings, paths, now * 1_000_000_000, dates, count))
        executor, left = ThreadPoolExecutor(count, "parse"), float(_SECOND_TRIES)
        try:
            # The caller reads too slowly to keep up with all results at once, so only a few batches are under way.
            pending = [executor.submit(self._first_try, batch) for batch in work[: 3 * count]]
            for batch, later in itertools.zip_longest(work, work[3 * count :]):
                found = pending.pop(0).result()
                if any(isinstance(file, _Died) for file in found):
                    wait(pending)
                    self.close()
                    left = _second_try(batch, found, left)
                if later is not None:
                    pending.append(executor.submit(self._first_try, later))
                yield [file for file in found if isinstance(file, ParsedFile)]
        except BaseException:  # the caller wants no more
            self._is_given_up = True
            for child in list(self._busy):
                child.kill()
            raise
        finally:
            executor.shutdown(cancel_futures=True)
            self._is_given_up = False

    def _first_try(self, batch: _Batch) -> list[ParsedFile | _Died]:
        """Parse a batch; in place of the result of a file at which its process died stands how."""
        found: dict[int, ParsedFile | _Died] = {}
        while todo := [index for index in range(len(batch.files)) if index not in found]:
            child = self._take(batch.megabytes)
            results = child.parse(replace(batch, files=[batch.files[index] for index in todo]))
            self._busy.add(child)
            if self._is_given_up:  # after the line before, so that either this or the caller ends it
                child.kill()
            try:
                for index, result in zip(todo, results, strict=True):
                    found[index] = result
            except _Died as died:
                child.end()
                if self._is_given_up:
                    raise
                waiting = [index for index in todo if index not in found]
                _reason, at = died.args
                found[todo[at] if at < len(todo) and todo[at] in waiting else waiting[0]] = died
            else:
                self._idle.append(child)
            finally:
                self._busy.discard(child)
        return [found[index] for index in range(len(batch.files))]

    def _take(self, megabytes: int) -> _Child:
        while self._idle:
            with contextlib.suppress(IndexError):  # another thread took it
                child = self._idle.pop()
                if child.megabytes == megabytes and child.is_alive:
                    return child
                child.end()
        return _Child(megabytes)


def _batches(
    settings: ParseSettings, paths: Sequence[str], now_ns: int, dates: Mapping[str, FileDates], count: int
) -> Iterator[_Batch]:
    """Yield the work for `count` processes that share the memory of one, with a tenth of the time for each file."""
    settings = replace(settings, root=os.path.realpath(settings.root))
    limits = settings.limits
    seconds, megabytes = max(limits.seconds / 10, 0.25), max(limits.megabytes // count, 64)
    for start in range(0, len(paths), _BATCH):
        files = [(path, dates.get(path, UNDATED)) for path in paths[start : start + _BATCH]]
        yield _Batch(settings, now_ns, files, seconds, megabytes)


def _second_try(batch: _Batch, found: list[ParsedFile | _Died], left: float) -> float:
    """Parse each file at which a process died again, alone with all of the limits; return what is left of `left` seconds.

    A file is remembered by the stamp that it had before: it is not tried again until it changes.
    """
    limits = batch.settings.limits
    for index, (path, dates) in enumerate(batch.files):
        if isinstance(found[index], ParsedFile):
            continue
        reason, stamp, settled, began = "is expensive to parse: the next rescan tries again", UNSETTLED, False, time.monotonic()
        if left > 0:
            with contextlib.suppress(OSError):
                status = os.stat(batch.settings.file(path))
                stamp, settled = file_stamp(status), batch.now_ns - status.st_mtime_ns > UNSETTLED_NS
            child = _Child(limits.megabytes)
            try:
                alone = replace(batch, files=[(path, dates)], seconds=limits.seconds, megabytes=limits.megabytes)
                [found[index]] = child.parse(alone)
                continue
            except _Died as died:
                reason = died.args[0]
            finally:
                child.end()
                left -= time.monotonic() - began
        problem, verdict = Problem(path, 0, 0, reason, EXCEEDED), Verdict("quarantined", reason)
        found[index] = ParsedFile(path, stamp, problem, settled, verdict, dates.seen)
    return left
