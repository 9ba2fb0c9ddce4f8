"""What is known of a request besides its answer: a name for it (X-Request-ID), how long it took, what of it is logged.

Documents from the cache get their name, which costs half a microsecond, and nothing else: they fail in no way of their own, and
`audience` counts them. All other requests are timed and counted; of those, faults are logged, and answers that took longer than
SLOW_SECONDS. With the access log every request is an event. Never in a log: queries, whole addresses of clients, links of
subscribers (`logs` cuts them).
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import structlog

from ..config.models import Config
from ..counters import ANSWER, ANSWERS
from . import rate_limit
from .rate_limit import Turnstile

log: Any = structlog.get_logger("feeds.web")

HEADER = "X-Request-ID"
#: Where Flask finds the name of its request, and says which part of the service answered it.
NAME, PART = "feeds.request", "feeds.part"
SLOW_SECONDS = 1.0
#: What a proxy may call a request: `$request_id` of nginx, a UUID, `{http.request.uuid}` of Caddy, and their like.
_WELL_FORMED = re.compile(r"[A-Za-z0-9._=+-]{1,128}")

StartResponse = Callable[..., Any]
App = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


#: Headers of an answer that nobody else could make.
_BARE = [
    ("Content-Type", "text/plain; charset=utf-8"),
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
]


class Journal:
    """Of one worker. Threads share it. `config` is what is in force."""

    def __init__(self, turnstile: Turnstile, config: Callable[[], Config | None], *, everything: bool = False) -> None:
        self.turnstile, self.config, self.everything = turnstile, config, everything
        self._prefix = os.urandom(6).hex()
        self._numbers = itertools.count(1)

    def name(self, environ: Mapping[str, Any]) -> str:
        """What a trusted proxy calls it, else the next of this process."""
        given = environ.get("HTTP_X_REQUEST_ID")
        if given is not None and _WELL_FORMED.fullmatch(given) and self._trusts(environ):
            return str(given)
        return f"{self._prefix}-{next(self._numbers)}"

    def _trusts(self, environ: Mapping[str, Any]) -> bool:
        with contextlib.suppress(Exception):  # the database is away: what was in force stays so
            self.turnstile.adopt(self.config())
        return self.turnstile.trusts(environ)

    def watch(self, app: App, environ: dict[str, Any], start_response: StartResponse, name: str) -> Iterable[bytes]:
        """Have `app` answer: timed, counted, named."""
        environ[NAME] = name
        begun = time.perf_counter()
        said = {"status": 0, "bytes": 0}

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            said["status"], said["bytes"] = int(status[:3]), _length(environ, headers)
            return start_response(status, [*headers, (HEADER, name)], *rest)

        try:
            body = app(environ, start)
        except Exception as error:  # Flask answers faults itself; this is one that even its answer met
            log.exception("request_failed", request=name, error=type(error).__name__, **_what(environ))
            start("500 Internal Server Error", _BARE)
            body = [f"500: something went wrong here; in the log it is {name}\n".encode()]
        self._note(environ, name, said, time.perf_counter() - begun)
        return body

    def _note(self, environ: Mapping[str, Any], name: str, said: Mapping[str, int], seconds: float) -> None:
        part, tally = environ.get(PART, "none"), self.turnstile.tally
        if part != "monitor":  # who only looks on leaves no trace
            tally.measure(ANSWERS, part, str(said["status"]))
            tally.measure(ANSWER, part, seconds=seconds)
        if self.everything:
            self.log(environ, name, said["status"], said["bytes"], seconds)
        elif seconds >= SLOW_SECONDS:
            log.warning("slow", request=name, status=said["status"], seconds=round(seconds, 3), **_what(environ))

    def log(self, environ: Mapping[str, Any], name: str, status: int, size: int, seconds: float) -> None:
        """One line of the access log."""
        network = rate_limit.network(rate_limit.client(environ, self.turnstile.proxies))
        numbers = {"status": status, "bytes": size, "seconds": round(seconds, 6)}
        log.info("request", request=name, **_what(environ), **numbers, network=network)


def _what(environ: Mapping[str, Any]) -> dict[str, str]:
    """Method and path, the latter as it was asked for: in UTF-8."""
    path = str(environ.get("PATH_INFO", "")).encode("latin-1", "replace").decode("utf-8", "replace")
    return {"method": str(environ.get("REQUEST_METHOD", "")), "path": path}


def _length(environ: Mapping[str, Any], headers: list[tuple[str, str]]) -> int:
    """Of the body that is sent, as far as it is known before."""
    if environ.get("REQUEST_METHOD") == "HEAD":
        return 0
    return next((int(value) for key, value in headers if key.lower() == "content-length" and value.isdigit()), 0)
