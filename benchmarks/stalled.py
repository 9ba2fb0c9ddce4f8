"""How long answers take while connections stall: headers and bodies that stop, drip, or were promised and never come."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import socket
import threading
import time
from collections.abc import Iterator

from .bench import Bench
from .figures import Figure
from .processes import HOST, serving

TOKEN = "Zk3-wbTq9_xLr2Vd-stalled"
_POST = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
_SIGN_UP, _SIGN_IN, _LEAVE = (_POST % path for path in (b"/subscribe", b"/operator/sign-in", b"/unsubscribe/x"))
#: What each connection sends before it stalls; the next one sends the next, and every other one a byte a second.
KINDS = (
    b"",
    _SIGN_UP,
    _SIGN_UP + b"Content-Length: 1000\r\n\r\n",
    _SIGN_IN + b"Content-Length: 1000\r\n\r\ntoken=",
    _LEAVE + b"Content-Length: 1000\r\nExpect: 100-continue\r\n\r\n",
    _SIGN_UP + b"Transfer-Encoding: chunked\r\n\r\nfff\r\n",
)
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
ASKED = (
    ("one-click unsubscribe", "POST", "/unsubscribe/x", b"List-Unsubscribe=One-Click", 404),
    ("sign-in", "POST", "/operator/sign-in", f"token={TOKEN}".encode(), 303),
    ("feed", "GET", "/all.atom", b"", 200),
)


def measure(bench: Bench) -> Iterator[Figure]:
    site = bench.site("main", bench.store(bench.articles)).catalogued()
    command = [*site.command("serve"), "--workers", "1", "--no-clock"]
    with serving(command, environ={"FEEDS_OPERATOR_TOKEN": TOKEN}) as (port, _pid):
        for number in (0, 64, 256):
            with _stalling(port, number):
                times = _ask(port, 20 if bench.quick else 200)
            for name, found in times.items():
                note = f"median {found[len(found) // 2] * 1000:.0f} ms, slowest {found[-1] * 1000:.0f} ms, one worker"
                p99 = found[len(found) * 99 // 100]
                yield Figure(f"{number} stalled sockets: {name}, p99", p99, "s", 1.0 if number else None, note=note)


def _ask(port: int, rounds: int) -> dict[str, list[float]]:
    """Seconds of each answer, sorted, by what was asked; a new connection for each."""
    times: dict[str, list[float]] = {name: [] for name, *_rest in ASKED}
    for _round in range(rounds):
        for name, method, path, body, expected in ASKED:
            connection = http.client.HTTPConnection(HOST, port, timeout=60)
            begun = time.perf_counter()
            connection.request(method, path, body or None, _FORM if body else {})
            status = connection.getresponse().status
            times[name].append(time.perf_counter() - begun)
            connection.close()
            if status != expected:
                raise RuntimeError(f"{path} answered {status} where {expected} was expected")
    return {name: sorted(found) for name, found in times.items()}


@contextlib.contextmanager
def _stalling(port: int, number: int) -> Iterator[None]:
    """Hold `number` stalled connections; those that the server ends are opened again."""
    ended = threading.Event()
    kinds = itertools.cycle(KINDS)
    held: list[socket.socket] = []

    def keep() -> None:
        while not ended.is_set():
            for place, connection in enumerate(held):
                try:
                    connection.sendall(b"a" if place % 2 else b"")
                    alive = connection.recv(65536, socket.MSG_DONTWAIT) != b""
                except BlockingIOError:
                    alive = True
                except OSError:
                    alive = False
                if not alive:
                    connection.close()
                    held[place] = _open(port, next(kinds))
            ended.wait(1.0)

    held += [_open(port, next(kinds)) for _number in range(number)]
    keeper = threading.Thread(target=keep)
    keeper.start()
    try:
        yield
    finally:
        ended.set()
        keeper.join()
        for connection in held:
            connection.close()


def _open(port: int, sent: bytes) -> socket.socket:
    connection = socket.create_connection((HOST, port), timeout=60)
    connection.sendall(sent)
    return connection
