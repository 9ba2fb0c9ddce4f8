"""HTTP client for addresses that others named. The only user of aiohttp.

Invariant: connections go to allowed addresses only. A name is looked up once (DNS rebinding), its addresses are checked, and
each is checked again when its socket is made. No redirect is followed, no proxy or cookie used, and no request takes longer
than its time or reads more of a response than it needs.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from .protocol import MAX_RESPONSE, Response

#: Concurrent look-ups of names; a name server that does not answer holds each for as long as the system allows.
LOOKUPS = 32
CHUNK = 64 * 1024

#: Whether a numeric address may be called.
IsAllowed = Callable[[str], bool]


class NotAllowed(OSError):
    """Raised where a name stands for an address that must not be called."""


class _Resolver(AbstractResolver):
    """Looks up names in threads of its own; all addresses of a name must be allowed."""

    def __init__(self, is_allowed: IsAllowed) -> None:
        self._is_allowed = is_allowed
        self._threads = ThreadPoolExecutor(LOOKUPS, "look-up")

    async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_UNSPEC) -> list[ResolveResult]:
        ask = lambda: socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)  # noqa: E731
        found = await asyncio.get_running_loop().run_in_executor(self._threads, ask)
        if not all(self._is_allowed(str(address[0])) for *_kind, address in found):
            raise NotAllowed(host)
        return [
            ResolveResult(hostname=host, host=str(address[0]), port=port, family=kind, proto=proto, flags=socket.AI_NUMERICHOST)
            for kind, _type, proto, _name, address in found
        ]

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


class HttpClient:
    """An HTTP client, used as an asynchronous context; `is_allowed` decides on numeric addresses.

    async with HttpClient(lambda address: is_allowed(address, private=False)) as client:
        response = await client.send("GET", "https://reader.example/cb", {}, seconds=10)
    """

    def __init__(self, is_allowed: IsAllowed) -> None:
        self._is_allowed = is_allowed
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> HttpClient:
        connector = aiohttp.TCPConnector(
            resolver=_Resolver(self._is_allowed),
            use_dns_cache=False,
            socket_factory=self._socket,
            ssl=ssl.create_default_context(),
            limit=0,  # the fair queues limit concurrency
            force_close=True,  # an idle connection may just be closed at the other end, which would count as a failure
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None),  # each request has its own, over all that it does
            skip_auto_headers=("Accept-Encoding", "User-Agent", "Content-Type"),
        )
        return self

    async def __aexit__(self, *_error: object) -> None:
        if self._session is not None:
            await self._session.close()

    def _socket(self, info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _name, address = info
        if not self._is_allowed(str(address[0])):
            raise NotAllowed(address[0])
        return socket.socket(family, kind, protocol)

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None, *, seconds: float
    ) -> Response:
        """Send one request; never raises for what the other end does. Of a GET, MAX_RESPONSE + 1 bytes are read at most."""
        assert self._session is not None
        length = {} if body is None else {"Content-Length": str(len(body))}
        try:
            async with asyncio.timeout(seconds), self._session.request(
                method,
                URL(url, encoded=True),  # exactly as given
                headers={**headers, **length, "Accept-Encoding": "identity"},
                data=None if body is None else _chunks(body),
                allow_redirects=False,
            ) as response:  # fmt: skip
                found = b""
                while (
                    method == "GET"
                    and len(found) <= MAX_RESPONSE  # one byte more shows that it is too long
                    and (chunk := await response.content.read(MAX_RESPONSE + 1 - len(found)))
                ):
                    found += chunk
                return Response(response.status, found)
        except TimeoutError:
            return Response(0, problem=f"no answer within {seconds:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Response(0, problem=_words(error))


async def _chunks(body: bytes) -> AsyncIterator[bytes]:
    """Yield a body in chunks, so that slow callbacks do not each hold a copy of the whole."""
    for start in range(0, len(body), CHUNK):
        yield body[start : start + CHUNK]


def _words(error: BaseException) -> str:
    """Return the fault in words for the operator; nothing in them was sent by the other end."""
    cause = getattr(error, "os_error", None) or error.__cause__ or error
    if NotAllowed in (type(cause), type(error)):
        return "its name stands for an address that is not allowed"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name is not known"
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
        return "its certificate is not valid"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "no connection"
    return "no answer that is HTTP" if isinstance(error, aiohttp.ClientResponseError) else "the connection broke"
