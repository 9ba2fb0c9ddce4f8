"""HTTP to strangers. The only user of aiohttp.

Law: a connection is made to an address that was judged, and to no other. A name is looked up once; what it stands for is
judged, and the connection goes to those very addresses, each judged again by the hand that makes its socket. No redirect is
followed, no proxy asked, no cookie kept, and no request outlasts its time or reads more of an answer than it needs.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from .protocol import MAX_ANSWER, Answer

#: Look-ups of names under way; a name server that does not answer holds each for as long as the system lets it.
LOOKUPS = 32
PIECE = 64 * 1024

Judge = Callable[[str], bool]


class NotAllowed(OSError):
    """The name stands for an address that must not be called."""


class _Resolver(AbstractResolver):
    """Names to addresses, in threads of its own; all addresses of a name must be allowed."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._threads = ThreadPoolExecutor(LOOKUPS, "look-up")

    async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_UNSPEC) -> list[ResolveResult]:
        ask = lambda: socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)  # noqa: E731
        found = await asyncio.get_running_loop().run_in_executor(self._threads, ask)
        for *_kind, address in found:
            if not self._judge(str(address[0])):
                raise NotAllowed(host)
        return [
            ResolveResult(hostname=host, host=str(address[0]), port=port, family=kind, proto=proto, flags=socket.AI_NUMERICHOST)
            for kind, _type, proto, _name, address in found
        ]

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


class Wire:
    """Use it as a context. `judge` says whether a numeric address may be called."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Wire:
        connector = aiohttp.TCPConnector(
            resolver=_Resolver(self._judge),
            use_dns_cache=False,
            socket_factory=self._socket,
            ssl=ssl.create_default_context(),
            limit=0,  # the lanes bound what is under way
            force_close=True,  # a connection kept open may just be closed at the other end: a failure that is none
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None),  # each request has its own, over all that it does
            skip_auto_headers=("Accept-Encoding", "User-Agent", "Content-Type"),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    def _socket(self, info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _name, address = info
        if not self._judge(str(address[0])):
            raise NotAllowed(address[0])
        return socket.socket(family, kind, protocol)

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None, *, seconds: float
    ) -> Answer:
        """One request; never raises for what the other end does. The answer to a GET is read as far as MAX_ANSWER."""
        assert self._session is not None
        length = {} if body is None else {"Content-Length": str(len(body))}
        try:
            async with asyncio.timeout(seconds), self._session.request(
                method,
                URL(url, encoded=True),  # exactly as it was given
                headers={**headers, **length, "Accept-Encoding": "identity"},
                data=None if body is None else _pieces(body),
                allow_redirects=False,
            ) as answered:  # fmt: skip
                return Answer(answered.status, await _read(answered) if method == "GET" else b"")
        except TimeoutError:
            return Answer(0, problem=f"no answer within {seconds:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Answer(0, problem=_words(error))


async def _read(answered: aiohttp.ClientResponse) -> bytes:
    """One byte more than is allowed tells that it is too long."""
    found = b""
    while len(found) <= MAX_ANSWER and (piece := await answered.content.read(MAX_ANSWER + 1 - len(found))):
        found += piece
    return found


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    """Piece by piece, so that slow callbacks do not each hold a copy of the whole."""
    for start in range(0, len(body), PIECE):
        yield body[start : start + PIECE]


def _words(error: BaseException) -> str:
    """For the operator; nothing of what a stranger sent."""
    cause = getattr(error, "os_error", None) or error.__cause__ or error
    if isinstance(cause, NotAllowed) or isinstance(error, NotAllowed):
        return "its name stands for an address that is not allowed"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name is not known"
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
        return "its certificate is not valid"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "no connection"
    return "no answer that is HTTP" if isinstance(error, aiohttp.ClientResponseError) else "the connection broke"
