"""Requests a second for a document in the cache, against a bare Flask view under the same server, and against nginx."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from feeds import urls
from feeds.feed_formats import load_formats
from feeds.runtime import Runtime
from feeds.syndication import lookup
from feeds.syndication.documents import compress
from feeds.syndication.lookup import Document

from . import nginx
from .bench import Bench
from .figures import Absent, Figure, NotMeasured, Result, middle, need, ratio, spread
from .processes import HOST, get, serving

#: Bytes of the gzip body that the chosen feed is to be nearest to.
WANTED = 30_000
GZIP = {"Accept-Encoding": "gzip"}
_PER_CONNECTION = {"date", "server", "connection", "transfer-encoding", "content-length"}


@dataclass(frozen=True, slots=True)
class Target:
    """A server under test: where it answers 200 and where 304, and how many requests a second it has done, round by round."""

    name: str
    port: int
    full: str
    short: str
    rates: dict[int, list[float]]


def measure(bench: Bench) -> Iterator[Result]:
    wrk = need("wrk")
    site = bench.site("main", bench.store(bench.articles)).catalogued()
    runtime = site.runtime()
    path = _path_of_size(runtime, 20 if bench.quick else 120)
    runtime.close()
    with contextlib.ExitStack() as stack:
        port, _pid = stack.enter_context(serving(site.command("serve"), path))
        headers, body = response(port, path)
        ours = Target("feeds", port, path, path, {})
        bare = bare_flask(bench.folder / "bare-flask.json", headers, body, stack)
        targets = [ours, bare]
        ceiling: Target | str
        try:
            ceiling = _nginx(bench.folder / "nginx", headers, body, stack)
            targets.append(ceiling)
        except NotMeasured as missing:
            ceiling = str(missing)
        for _round in range(bench.rounds(5)):
            for status in (200, 304):
                for target in targets:
                    done = rate(wrk, target, status, 1 if bench.quick else 3)
                    target.rates.setdefault(status, []).append(done)
    for status in (200, 304):
        what = f"cached 200 of {len(body) / 1000:.0f} KB" if status == 200 else "304"
        yield _against(f"{what}, against bare Flask", ours, bare, status, 2.0)
        if isinstance(ceiling, str):
            yield Absent(f"{what}, against nginx", f"not measured: {ceiling}", failed=False)
        else:
            yield _against(f"{what}, against nginx", ours, ceiling, status, 0.5)


def _against(name: str, ours: Target, other: Target, status: int, bound: float) -> Figure:
    mine, theirs = ours.rates[status], other.rates[status]
    note = f"requests/s: {middle(mine):,.0f} ({spread(mine)}), {other.name} {middle(theirs):,.0f} ({spread(theirs)})"
    return Figure(
        name,
        ratio(mine, theirs),
        "x",
        bound,
        at_least=True,
        note=note,
        sides=((ours.name, middle(mine)), (other.name, middle(theirs))),
    )


def _path_of_size(runtime: Runtime, feeds: int) -> str:
    """The address of the document whose gzip body is nearest to WANTED, among some of all feeds, large and small."""
    edition = runtime.edition()
    sizes: dict[str, int] = {}
    states = runtime.read(lookup.list_feeds)
    for state, _selection in states[:: max(1, len(states) // feeds)]:
        for format in load_formats().values():
            found = runtime.read(lookup.find_document, edition, state.path, format)
            assert isinstance(found, Document) and found.body is not None
            sizes[f"/{urls.encode(state.path)}{format.extension}"] = len(compress(found.body, "gzip"))
    return min(sizes, key=lambda path: abs(sizes[path] - WANTED))


def response(port: int, path: str) -> tuple[list[tuple[str, str]], bytes]:
    status, headers, body = get(port, path, GZIP)
    assert status == 200, status
    return [(name, value) for name, value in headers if name.lower() not in _PER_CONNECTION], body


def bare_flask(kept: Path, headers: list[tuple[str, str]], body: bytes, stack: contextlib.ExitStack) -> Target:
    kept.write_text(json.dumps({"headers": headers, "body": base64.b64encode(body).decode()}))
    command = [
        "env",
        f"BENCH_RESPONSE={kept}",
        sys.executable,
        "-m",
        "benchmarks.under_granian",
        "benchmarks.bare_flask:create",
    ]
    port, _pid = stack.enter_context(serving(command, "/bare"))
    return Target("bare Flask", port, "/bare", "/conditional", {})


def _nginx(folder: Path, headers: list[tuple[str, str]], body: bytes, stack: contextlib.ExitStack) -> Target:
    return Target("nginx", stack.enter_context(nginx.serving(folder, headers, body)), "/feed", "/feed", {})


def rate(wrk: str, target: Target, status: int, seconds: int) -> float:
    """Requests a second; every one of them is checked to have the status by one asked beforehand."""
    path = target.full if status == 200 else target.short
    headers = dict(GZIP)
    if status == 304:
        headers["If-None-Match"] = next(value for name, value in get(target.port, path, GZIP)[1] if name.lower() == "etag")
    answered, _headers, body = get(target.port, path, headers)
    if answered != status or bool(body) != (status == 200):
        raise RuntimeError(f"{target.name} answered {answered} where {status} was expected")
    words = [word for name, value in headers.items() for word in ("-H", f"{name}: {value}")]
    command = [wrk, "-t1", "-c32", f"-d{seconds}s", *words, f"http://{HOST}:{target.port}{path}"]
    said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds + 60).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(f"{target.name}: {said}")
    found = re.search(r"Requests/sec:\s*([\d.]+)", said)
    assert found is not None, said
    return float(found[1])
