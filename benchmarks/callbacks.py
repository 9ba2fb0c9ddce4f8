"""A thousand subscribers in one process: `python -m benchmarks.callbacks PORT`.

It confirms whatever it is asked, takes every delivery, and tells at /count?MARK how many callbacks have got a document with
MARK in it, and when (by the system's monotonic clock) the last of them did.
"""

from __future__ import annotations

import asyncio
import sys
import time
from urllib.parse import parse_qs, urlsplit


class Callbacks:
    def __init__(self) -> None:
        self.mark = b""
        self.got: dict[str, float] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            method, target, _version = head.split(b"\r\n", 1)[0].decode().split(" ")
            body = await reader.readexactly(_length(head))
            answer = self._take(target, body) if method == "POST" else self._tell(target)
            writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer))
            await writer.drain()
        finally:
            writer.close()

    def _take(self, target: str, body: bytes) -> bytes:
        if self.mark and self.mark in body:
            self.got.setdefault(target, time.monotonic())
        return b""

    def _tell(self, target: str) -> bytes:
        parts = urlsplit(target)
        if parts.path != "/count":
            return parse_qs(parts.query)["hub.challenge"][0].encode()
        if parts.query.encode() != self.mark:
            self.mark, self.got = parts.query.encode(), {}
        return b"%d %.6f" % (len(self.got), max(self.got.values(), default=0))


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


async def main(port: int) -> None:
    server = await asyncio.start_server(Callbacks().serve, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
