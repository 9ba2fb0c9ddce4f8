"""A real `feeds serve` and its readers: processes to kill, a time of day to set, a port that stays the same."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from feeds.syndication import lookup
from tests.conftest import CHECKOUT, Running
from tests.test_clock import children_of, command_of, is_alive

SHIMS = Path(__file__).with_name("shims")
FORMATS = ("atom", "rss", "json")
#: How long anything may take to heal, in seconds: far more than it does, so that a busy machine is no fault.
PATIENCE = 60.0


class House:
    """`feeds serve` over a site, at the time of day of the site until `set_time`. `settings`: variables of its environment."""

    def __init__(self, site: Any, folder: Path, *options: str, **settings: str) -> None:
        self.site, self.folder, self.options = site, folder, options
        folder.mkdir()
        self._clock, self._flag, self._log = folder / "time", folder / "hangs", folder / "log"
        self.set_time(site.now)
        self._environment = {
            "PYTHONPATH": f"{SHIMS}{os.pathsep}{CHECKOUT}",
            "FAULTS_TIME": str(self._clock),
            "FAULTS_DISK": str(site.store),
            "FAULTS_DISK_HANGS": str(self._flag),
            **settings,
        }
        self.runtime: Running | None = None
        self.port = 0

    def start(self) -> House:
        """At the same port as before. A predecessor may take a moment to let go of it."""
        deadline = time.monotonic() + PATIENCE
        while True:
            self.runtime = Running(
                self.site.config_dir, self._log, *self.options, environment=self._environment, port=self.port
            )
            self.port = self.runtime.port
            while self.runtime.process.poll() is None:
                with contextlib.suppress(OSError, http.client.HTTPException):
                    if self.runtime.request("/ready")[0] == 200:
                        return self
                time.sleep(0.03)
                assert time.monotonic() < deadline, self.excerpt()
            assert "cannot serve on" in self.log().splitlines()[-1] and time.monotonic() < deadline, self.excerpt()
            time.sleep(0.1)

    def close(self) -> None:
        self.come_back()
        if self.runtime:
            self.runtime.stop()

    # -- what a test sets --------------------------------------------------

    def set_time(self, now: float) -> None:
        aside = self._clock.with_suffix(".new")
        aside.write_text(str(now))
        aside.replace(self._clock)

    def hang(self) -> None:
        """The store's disk answers no more."""
        self._flag.touch()

    def come_back(self) -> None:
        self._flag.unlink(missing_ok=True)

    # -- processes ---------------------------------------------------------

    @property
    def pid(self) -> int:
        assert self.runtime
        return self.runtime.process.pid

    @property
    def running(self) -> bool:
        return self.runtime is not None and self.runtime.process.poll() is None

    def family(self) -> list[int]:
        return [self.pid, *children_of(self.pid)]

    def clocks(self) -> list[int]:
        return [pid for pid in children_of(self.pid) if " clock " in command_of(pid)]

    def workers(self) -> list[int]:
        return [pid for pid in children_of(self.pid) if " serve " in command_of(pid)]

    def kill(self, pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def kill_parent(self) -> None:
        """As the system does when memory is short; what it leaves behind ends by itself."""
        assert self.runtime
        family = self.family()
        self.runtime.process.kill()
        self.runtime.process.wait()
        self.wait(lambda: not any(is_alive(pid) for pid in family))

    # -- what readers get ---------------------------------------------------

    def log(self) -> str:
        return self._log.read_text("utf-8", "replace") if self._log.exists() else ""

    def excerpt(self) -> str:
        """What a failing test shows."""
        return "\n".join(line[:400] for line in self.log().splitlines()[-30:])

    def get(self, path: str, **headers: str) -> tuple[int, Any, bytes]:
        assert self.runtime
        return self.runtime.request(path, {name.replace("_", "-"): value for name, value in headers.items()})

    def wait(self, what: Callable[[], Any], seconds: float = PATIENCE) -> Any:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if found := what():
                    return found
            time.sleep(0.03)
        raise AssertionError(f"nothing after {seconds} s:\n{self.excerpt()}")

    def shows(self, words: str, path: str = "/all.json") -> bool:
        status, _headers, body = self.get(path)
        return status == 200 and words in body.decode()

    def everything(self) -> dict[str, tuple[int, str, str, str, bytes]]:
        """Every feed in every format and coding, as it comes over the wire: status, ETag, Last-Modified, coding, bytes."""
        paths = [state.path for state, _selection in self.site.runtime.read(lookup.list_feeds)]
        assert len(paths) > 3
        addresses = [f"/{path}.{name}" for path in map(quote, paths) for name in FORMATS]
        addresses += ["/feeds.opml", "/select.atom?tag=Linux&not-tag=odd", "/all/archive/2020-01.atom"]
        return {
            f"{address} {coding}": self._answer(address, coding) for address in addresses for coding in ("identity", "gzip")
        }

    def _answer(self, address: str, coding: str) -> tuple[int, str, str, str, bytes]:
        status, headers, body = self.get(address, Accept_Encoding=coding)
        named = (headers.get(name, "") for name in ("ETag", "Last-Modified", "Content-Encoding"))
        return (status, *named, body)  # type: ignore[return-value]

    @contextlib.contextmanager
    def readers(self, *addresses: str, every: float = 0.02) -> Iterator[Readers]:
        """They ask for feeds all the while."""
        polling = Readers(self, addresses or ("/all.atom", "/tags/Linux.rss", "/tags/Linux.json"), every)
        polling.start()
        try:
            yield polling
        finally:
            polling.stopped.set()
            polling.join()


class Readers(threading.Thread):
    """What they got: how many answers of which status, how often nobody answered, and what was wrong with answers."""

    def __init__(self, house: House, addresses: tuple[str, ...], every: float) -> None:
        super().__init__(daemon=True)
        self.house, self.addresses, self.every = house, addresses, every
        self.stopped = threading.Event()
        self.statuses: Counter[int] = Counter()
        self.unanswered = 0
        self.wrong: list[str] = []
        self._bodies: dict[str, bytes] = {}

    def run(self) -> None:
        while not self.stopped.wait(self.every):
            for address in self.addresses:
                self._ask(address)

    def _ask(self, address: str) -> None:
        try:
            status, headers, body = self.house.get(address)
        except (OSError, http.client.HTTPException):
            self.unanswered += 1
            return
        self.statuses[status] += 1
        if status == 200 and self._bodies.setdefault(headers["ETag"], body) != body:
            self.wrong.append(f"{address}: two bodies under {headers['ETag']}")
        if status == 503 and not headers.get("Retry-After"):
            self.wrong.append(f"{address}: 503 without Retry-After")
