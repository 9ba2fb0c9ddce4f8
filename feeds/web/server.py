"""The server: one parent process with granian's workers, and the clock's process beside them. The only user of granian."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import structlog
from granian import Granian, _futures
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

from .. import faults, logs
from ..config.environment import Environment, variable
from ..errors import FeedsError

if TYPE_CHECKING:
    from .rsgi import Gateway

log: Any = structlog.get_logger("feeds.serve")

#: Seconds that responses in progress have to be finished when the service stops; messages have as long.
STOP_SECONDS = 10
#: Files that a process of the service needs to be open at the same time, at least.
LEAST_FILES = 64
#: Seconds between the end of a clock and the start of the next, at most; they double as long as clocks end at once.
CLOCK_PAUSE = 60.0
#: A reader that sends its headers slower than this is a slow-loris.
HEADER_TIMEOUT_MS = 15_000
#: Bytes of the request line and headers together, about; beyond that the response is 431.
MAX_HEADERS = 64 * 1024


def serve(environment: Environment, host: str, port: int, workers: int, *, clock: bool) -> None:
    """Serve until SIGTERM or SIGINT, with the clock's process if `clock`. Raises FeedsError where the address is not free."""
    _check_address(host, port)
    _check_open_files(workers)
    os.environ["FEEDS_CONFIG"] = str(environment.config_dir)  # children are told the command's options so
    os.environ[variable("log")], os.environ[variable("access_log")] = environment.log, "1" if environment.access_log else ""
    from . import app as _preloaded  # noqa: F401  # once, before the workers are forked: they share it

    server = _Server(
        "feeds.web.server:create_worker",
        factory=True,
        address=host,
        port=port,
        interface=Interfaces.RSGI,
        http=HTTPModes.http1,  # the proxy's HTTP/2 ends at the proxy; unencrypted it would only be another way in
        websockets=False,
        workers=workers,
        backlog=2048,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_TIMEOUT_MS, max_buffer_size=MAX_HEADERS),
        respawn_failed_workers=True,
        workers_kill_timeout=STOP_SECONDS,
        log_level=LogLevels.warning,
        log_dictconfig=logs.GRANIAN,
        process_name=None,
    )
    for name, reason in environment.weak_secrets.items():
        closed = "the console stays off" if name == variable("operator_token") else "links in mails can be forged"
        log.warning("weak_secret", variable=name, reason=reason, effect=closed)
    clock_process = server.clock_process = _ClockProcess(environment) if clock else None
    log.info("serving", address=f"http://{host}:{port}", workers=workers, clock=clock)
    try:
        server.serve()
    finally:
        if clock_process:
            clock_process.stop()
    log.info("stopped")


class _Server(Granian):  # type: ignore[misc, valid-type]  # a class that is chosen when it is imported
    """Stop the clock together with the workers, so that both finish their work at the same time."""

    clock_process: _ClockProcess | None = None

    def shutdown(self, exit_code: int = 0) -> None:
        if self.clock_process:
            self.clock_process.terminate()
        super().shutdown(exit_code)


def create_worker() -> Gateway:
    """Return the application of a worker process, which ends with its parent, or at an ordinary fault with a word about it."""
    from . import app
    from .rsgi import Gateway

    threading.Thread(target=_follow_parent, daemon=True).start()
    try:
        gateway = Gateway(app.create())
    except Exception as error:
        if not (fault := faults.sentence(error)):
            raise
        log.critical("worker_failed", fault=fault)
        sys.exit(1)
    _answer_directly(gateway)
    return gateway


def _answer_directly(gateway: Gateway) -> None:
    """Let the server's thread answer requests without a body, which saves their way through the event loop: a third of a 304.

    There is no public interface for that. Where a later granian has not got this function, all requests go through the loop.
    """
    usual = getattr(_futures, "_cbsched_aioschedule", None)
    if usual is None:
        return

    def schedule(loop: Any, context: Any, callback: Any) -> Callable[[Any], None]:
        later = usual(loop, context, callback)
        return lambda watcher: None if gateway.answer(watcher.scope, watcher.proto) else later(watcher)

    _futures._cbsched_aioschedule = schedule


def _follow_parent() -> None:
    """End this worker after its parent: it would keep the address from a successor, and serve what no clock keeps fresh."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(STOP_SECONDS)
    os._exit(1)


def _check_address(host: str, port: int) -> None:
    try:
        family, kind, protocol, _name, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise FeedsError(f"cannot serve on {host}:{port}: {error.strerror}; another --port, perhaps?") from None


def _check_open_files(workers: int) -> None:
    """Refuse a limit with which workers would end as soon as they start: libraries, the database, a few connections."""
    allowed, wanted = resource.getrlimit(resource.RLIMIT_NOFILE)[0], LEAST_FILES + 4 * workers
    if allowed != resource.RLIM_INFINITY and allowed < wanted:
        raise FeedsError(f"only {allowed} files may be open, and {wanted} are needed: raise the limit (ulimit -n)")


class _ClockProcess:
    """The clock's process, started again if it ends by itself."""

    def __init__(self, environment: Environment) -> None:
        options = ["--config", str(environment.config_dir), "--parent", str(os.getpid())]
        self._command = [sys.executable, "-m", "feeds", "clock", *options]
        self._stopping = threading.Event()
        self._process = subprocess.Popen(self._command)  # noqa: S603
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        pause, started = 0.5, time.monotonic()
        while True:
            code = self._process.wait()
            pause = min(2 * pause, CLOCK_PAUSE) if time.monotonic() - started < CLOCK_PAUSE else 1.0
            if self._stopping.wait(pause):
                return
            log.error("clock_ended", code=code, action="starting it again")
            started = time.monotonic()
            self._process = subprocess.Popen(self._command)  # noqa: S603

    def terminate(self) -> None:
        self._stopping.set()
        self._process.terminate()

    def stop(self) -> None:
        self.terminate()
        try:
            self._process.wait(STOP_SECONDS + 5)
        except subprocess.TimeoutExpired:
            log.error("clock_killed", reason="it did not stop in time; what it had in hand is put right at the next start")
            self._process.kill()
