"""The access log, and what is measured of a request: its id (X-Request-ID), its duration, its status.

Documents from the cache only get their id, which costs half a microsecond. All other requests are timed and counted; failures
are logged, and responses slower than SLOW_SECONDS; with FEEDS_ACCESS_LOG every request. Never in a log: queries, whole
addresses of clients, links of subscribers (`logs` cuts them).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from ..counters import ANSWER, ANSWERS
from .rate_limit import RateLimiter, client_address, format_network

log: Any = structlog.get_logger("feeds.web")

HEADER = "X-Request-ID"
#: Keys of the WSGI environment: the request's id for Flask, and from Flask the part of the service that answered.
REQUEST_ID, PART = "feeds.request", "feeds.part"
SLOW_SECONDS = 1.0

StartResponse = Callable[..., Any]
App = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]

#: Headers of the response where the application, and its error page, failed.
_ERROR_HEADERS = [
    ("Content-Type", "text/plain; charset=utf-8"),
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
]


@dataclass(frozen=True, slots=True)
class AccessLog:
    """Watch and log the requests of one worker; threads share it. `everything`: log every request."""

    limiter: RateLimiter
    everything: bool = False

    def watch(self, app: App, environ: dict[str, Any], start_response: StartResponse, request_id: str) -> Iterable[bytes]:
        """Call `app`: timed, counted, with the request's id in the response. 500 in plain text where it raises."""
        environ[REQUEST_ID] = request_id
        begun = time.perf_counter()
        status = size = 0

        def start(line: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            nonlocal status, size
            status = int(line[:3])
            if environ.get("REQUEST_METHOD") != "HEAD":
                lengths = (int(value) for key, value in headers if key.lower() == "content-length" and value.isdigit())
                size = next(lengths, 0)
            return start_response(line, [*headers, (HEADER, request_id)], *rest)

        try:
            body = app(environ, start)
        except Exception as error:  # Flask answers failures itself; this is one that its error page met, too
            log.exception("request_failed", request=request_id, error=type(error).__name__, **_method_and_path(environ))
            start("500 Internal Server Error", _ERROR_HEADERS)
            body = [f"500: something went wrong here; in the log it is {request_id}\n".encode()]
        seconds = time.perf_counter() - begun
        part, stats = environ.get(PART, "none"), self.limiter.stats
        if part != "monitor":  # monitors leave no trace
            stats.measure(ANSWERS, part, str(status))
            stats.measure(ANSWER, part, seconds=seconds)
        if self.everything:
            self.write(environ, request_id, status, size, seconds)
        elif seconds >= SLOW_SECONDS:
            found = _method_and_path(environ)
            log.warning("slow_response", request=request_id, status=status, seconds=round(seconds, 3), **found)
        return body

    def write(self, environ: Mapping[str, Any], request_id: str, status: int, size: int, seconds: float) -> None:
        """Write one line of the access log."""
        network = format_network(client_address(environ, self.limiter.proxies))
        numbers = {"status": status, "bytes": size, "seconds": round(seconds, 6)}
        log.info("request", request=request_id, **_method_and_path(environ), **numbers, network=network)


def _method_and_path(environ: Mapping[str, Any]) -> dict[str, str]:
    """Return the method and the path, the latter in UTF-8, as it was requested."""
    path = str(environ.get("PATH_INFO", "")).encode("latin-1", "replace").decode("utf-8", "replace")
    return {"method": str(environ.get("REQUEST_METHOD", "")), "path": path}
