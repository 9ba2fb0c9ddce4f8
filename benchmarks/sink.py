"""An SMTP server that takes everything, pipelined: `python -m benchmarks.sink PORT REPLY_MS BODY_MS [LOG]`.

Each group of replies is held back for REPLY_MS, one that ends a message for BODY_MS more: a server that is far away and thinks.
LOG gets a line for each message that is taken, with its Message-ID, before the server says so.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from typing import Any

_OFFER = b"250-sink\r\n250-PIPELINING\r\n250 SIZE 0\r\n"


class Sink(asyncio.Protocol):
    def __init__(self, reply: float, body: float, log: int | None) -> None:
        self._delays, self._log = (reply, body), log
        self._loop = asyncio.get_running_loop()
        self._rest = b""
        self._in_body = False
        self._last = 0.0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._say(b"220 sink\r\n", self._delays[0])

    def data_received(self, data: bytes) -> None:
        self._rest += data
        before = self._in_body
        said = list(self._replies())
        if said:
            ended = before and b"250 taken\r\n" in said
            self._say(b"".join(said), self._delays[0] + (self._delays[1] if ended else 0))

    def _say(self, replies: bytes, delay: float) -> None:
        if not delay:
            self._transport.write(replies)
            return
        self._last = max(self._last, self._loop.time() + delay)
        self._loop.call_at(self._last, self._transport.write, replies)

    def _replies(self) -> Iterator[bytes]:
        while True:
            end = self._rest.find(b"\r\n.\r\n" if self._in_body else b"\r\n")
            if end < 0:
                return
            if self._in_body:
                self._take(self._rest[:end])
                self._rest, self._in_body = self._rest[end + 5 :], False
                yield b"250 taken\r\n"
            else:
                line, self._rest = self._rest[:end], self._rest[end + 2 :]
                yield self._answer(line[:4].upper())

    def _answer(self, verb: bytes) -> bytes:
        if verb == b"EHLO":
            return _OFFER
        self._in_body = verb == b"DATA"
        return {b"DATA": b"354 go on\r\n", b"QUIT": b"221 bye\r\n"}.get(verb, b"250 ok\r\n")

    def _take(self, message: bytes) -> None:
        if self._log is not None:
            start = message.index(b"Message-ID: ") + 12
            os.write(self._log, message[start : message.index(b"\r\n", start)] + b"\n")


async def serve(port: int, reply_ms: float, body_ms: float, path: str) -> None:
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644) if path else None
    make = lambda: Sink(reply_ms / 1000, body_ms / 1000, log)  # noqa: E731
    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", port, backlog=1024)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]), sys.argv[4] if len(sys.argv) > 4 else ""))
