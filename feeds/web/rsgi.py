"""The WSGI application behind the server's RSGI interface: https://github.com/emmett-framework/granian/blob/master/docs/spec/RSGI.md

    request without a body -> cached document, at once | one of THREADS threads -> application
    request with a body    -> event loop reads it (`body_limit`)   -> one of THREADS threads -> application

With WSGI, the server would hand a request to a thread before its body has come. Here none waits for a client.
"""

from __future__ import annotations

import asyncio
import functools
import io
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog
from werkzeug.exceptions import HTTPException

from .access_log import StartResponse
from .body_limit import Bodies, NoBody
from .fast_path import FastPath
from .file_parts import FilePart, Slots
from .rate_limit import client_address, format_network

log: Any = structlog.get_logger("feeds.web")

#: Of a worker: threads that answer what is not in the cache.
THREADS = 5
_WITHOUT_BODY = ("GET", "HEAD", "OPTIONS")
_PLAIN = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}
#: The same for every request (PEP 3333).
_WSGI: dict[str, Any] = {
    "SCRIPT_NAME": "",
    "SERVER_SOFTWARE": "Granian",
    "wsgi.errors": sys.stderr,
    "wsgi.input_terminated": True,
    "wsgi.multiprocess": True,
    "wsgi.multithread": True,
    "wsgi.run_once": False,
    "wsgi.version": (1, 0),
}


@functools.lru_cache(maxsize=1024)
def _variable(header: str) -> str:
    """Return the name of a header in the WSGI environment; "" for one with "_", which could pass for another header."""
    return "" if "_" in header else _PLAIN.get(header) or "HTTP_" + header.upper().replace("-", "_")


def _latin1(text: str) -> str:
    """Return text as PEP 3333 wants it: its UTF-8 bytes as characters."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("latin-1")


def make_environ(scope: Any) -> dict[str, Any]:
    """Return of a WSGI environment what cached documents are answered by: method, address, client and headers."""
    environ = {
        "REQUEST_METHOD": scope.method,
        "PATH_INFO": _latin1(scope.path),
        "QUERY_STRING": _latin1(scope.query_string),
        "REMOTE_ADDR": scope.client.rpartition(":")[0].strip("[]"),
    }
    for header, value in scope.headers.items():
        if name := _variable(header):
            environ[name] = value if name not in environ else f"{environ[name]}{';' if header == 'cookie' else ','}{value}"
    return environ


def complete_environ(environ: dict[str, Any], scope: Any) -> dict[str, Any]:
    """Add the rest that PEP 3333 asks for, with an empty body."""
    environ["SERVER_NAME"], _colon, environ["SERVER_PORT"] = scope.server.rpartition(":")
    environ["SERVER_PROTOCOL"], environ["wsgi.url_scheme"] = f"HTTP/{scope.http_version}", scope.scheme
    environ.setdefault("HTTP_HOST", scope.authority or "")
    environ["wsgi.input"] = io.BytesIO()
    environ |= _WSGI
    return environ


class Gateway:
    """An RSGI application in front of the WSGI application of one worker."""

    def __init__(self, app: FastPath) -> None:
        self.app, self.bodies = app, Bodies()
        self._pool = ThreadPoolExecutor(THREADS, "web")
        self._slots = Slots()

    def answer(self, scope: Any, proto: Any) -> bool:
        """Answer a request that has no body, or give it to a thread; False for one with a body. Never raises, never waits."""
        try:
            environ = make_environ(scope)
            if _has_body(environ):
                return False
            if not self._answer_from_cache(environ, proto):
                self._pool.submit(self._run, complete_environ(environ, scope), proto)
        except Exception as error:  # the server would leave the client without an answer; or the worker is ending
            log.error("request_failed", error=type(error).__name__)
            proto.response_empty(503, [])
        return True

    async def __rsgi__(self, scope: Any, proto: Any) -> None:
        """Answer any request; one with a body after that has come."""
        environ = complete_environ(make_environ(scope), scope)
        if _has_body(environ):
            network = format_network(client_address(environ, self.app.limiter.proxies))
            given = environ.get("CONTENT_LENGTH", "")
            try:
                body = await self.bodies.read(proto, network, int(given) if given.isdecimal() else None)
            except HTTPException as error:
                environ["wsgi.input"] = NoBody(error)
            else:
                environ["wsgi.input"], environ["CONTENT_LENGTH"] = io.BytesIO(body), str(len(body))
        elif self._answer_from_cache(environ, proto):
            return
        await asyncio.get_running_loop().run_in_executor(self._pool, self._run, environ, proto)

    def _answer_from_cache(self, environ: dict[str, Any], proto: Any) -> bool:
        try:
            if (found := self.app.answer_at_once(environ)) is None:
                return False
            proto.response_bytes(*found)
        except Exception as error:
            log.exception("request_failed", error=type(error).__name__)
            proto.response_empty(500, [])
        return True

    def _run(self, environ: dict[str, Any], proto: Any) -> None:
        """Run the application, in a thread of the pool. It is sent as a whole, but for files that the server reads."""
        status, headers = 500, list[tuple[str, str]]()

        def start(line: str, given: list[tuple[str, str]], *_rest: Any) -> None:
            nonlocal status, headers
            status, headers = int(line[:3]), given

        start_response: StartResponse = start
        body = b""
        try:
            parts = self.app(environ, start_response)
            try:
                if isinstance(parts, FilePart):
                    self._send_file(status, headers, parts, proto)
                    return
                body = b"".join(parts)
            finally:
                getattr(parts, "close", lambda: None)()
        except Exception as error:
            log.exception("request_failed", error=type(error).__name__)
            status, headers = 500, []
        proto.response_bytes(status, headers, body)

    def _send_file(self, status: int, headers: list[tuple[str, str]], part: FilePart, proto: Any) -> None:
        if (name := self._slots.name(part.descriptor)) is None:
            proto.response_bytes(503, [("Retry-After", "10"), ("Cache-Control", "no-store")], b"")
        else:
            proto.response_file_range(status, headers, name, part.start, part.stop)


def _has_body(environ: dict[str, Any]) -> bool:
    """Return whether a body is to be read. That of a GET is not: nothing asks for it."""
    if environ["REQUEST_METHOD"] in _WITHOUT_BODY:
        return False
    return "HTTP_TRANSFER_ENCODING" in environ or environ.get("CONTENT_LENGTH", "0") != "0"
