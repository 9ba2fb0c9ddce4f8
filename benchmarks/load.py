"""A thousand readers' connections that poll thousands of different feeds, each with the ETag that it has.

The service is a whole `feeds serve` with two workers and its clock. Its 304s are counted against a bare Flask view under the
same server, which holds one response in memory and lets Werkzeug decide: alone, and while the whole store is read and parsed
again beside both. They are those of a service that has been asked for each feed before, as between two changes.

Then the load: an article changes every second, readers keep the ETags of what has changed, and an issue goes to a mail server.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import yaml

from . import polling, scale, throughput
from .bench import Bench, Site
from .figures import Figure, middle, ratio, spread
from .polling import Polled, Readers
from .processes import serving
from .sending import sink

#: Messages a second, and the limit that holds the sender there: mail is not what is measured.
MAIL_RATE = 100


def measure(bench: Bench) -> Iterator[Figure]:
    with contextlib.ExitStack() as stack:
        log = bench.folder / "load-taken"
        log.unlink(missing_ok=True)
        mail = stack.enter_context(sink(log=log))
        site = prepared(bench, "load", mail)
        port, _pid = stack.enter_context(serving(site.command("serve"), "/all.atom"))
        readers = polling.readers(site.folder, port, polling.addresses_of(site, polling.count(bench)))
        yield from _against_flask(bench, site, port, readers, stack)
        seconds = 5 if bench.quick else 60
        send_to_readers(site, 2 * seconds * MAIL_RATE, log)
        with polling.beside(polling.saves(site)):
            found = Readers(readers.table, learn=True).poll(port, seconds)
        yield from _told(found, log.read_bytes().count(b"\n"), polling.count(bench))


def prepared(bench: Bench, name: str, mail: int, feeds: dict[str, object] | None = None) -> Site:
    """All facets on, nobody subscribed yet, mail to a port of this machine."""
    site = bench.site(name, bench.store(bench.articles), polling.FEEDS | (feeds or {}))
    path = site.config / "newsletter.yaml"
    settings = {"enabled": True, "transport": "smtp", "rate": MAIL_RATE, "late_hours": 400, "from": "digest@example.org"}
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text("utf-8")), **settings}, allow_unicode=True), "utf-8")
    (site.folder / ".env").write_text(f'FEEDS_SMTP_URL="smtp://127.0.0.1:{mail}?starttls=0"\n')
    site.forget()
    return site.catalogued()


def send_to_readers(site: Site, number: int, log: Path) -> None:
    """An issue to so many is due; returns when its first message has arrived."""
    runtime = site.runtime()
    scale.people(runtime, number, int(time.time()))
    runtime.close()
    deadline = time.monotonic() + 60
    while not (log.exists() and log.stat().st_size):
        if time.monotonic() > deadline:
            raise RuntimeError("no message within a minute")
        time.sleep(0.1)


# -- 304s ----------------------------------------------------------------------


def _against_flask(bench: Bench, site: Site, port: int, readers: Readers, stack: contextlib.ExitStack) -> Iterator[Figure]:
    headers, body = throughput.response(port, "/all.atom")
    bare = throughput.bare_flask(bench.folder / "bare-flask-load.json", headers, body, stack)
    theirs = polling.readers(bench.folder, bare.port, [bare.short])
    readers.poll(port, 3 if bench.quick else 30)  # now each worker knows each feed
    what = f"304s over {polling.count(bench):,} feeds"
    rounds, seconds = bench.rounds(5), 2 if bench.quick else 5
    yield _paired(
        f"{what}, against bare Flask", 2.0, [_round(readers, port, theirs, bare.port, seconds) for _ in range(rounds)]
    )
    with polling.beside(polling.rescans(site)):
        pairs = [_round(readers, port, theirs, bare.port, 2 * seconds) for _ in range(rounds)]
    yield _paired(f"{what}, against bare Flask, while a rescan runs", 1.2, pairs)


def _round(readers: Readers, port: int, theirs: Readers, bare: int, seconds: int) -> tuple[Polled, Polled]:
    pair = readers.poll(port, seconds), theirs.poll(bare, seconds)
    for found in pair:
        if found.errors:
            raise RuntimeError(f"errors: {found}")
    return pair


def _paired(name: str, bound: float, pairs: list[tuple[Polled, Polled]]) -> Figure:
    mine, theirs = [one.rate for one, _other in pairs], [other.rate for _one, other in pairs]
    note = f"{polling.CONNECTIONS:,} connections; requests/s: {middle(mine):,.0f} ({spread(mine)}), "
    note += f"bare Flask with one feed {middle(theirs):,.0f} ({spread(theirs)})"
    sides = (("feeds", middle(mine)), ("bare Flask", middle(theirs)))
    return Figure(name, ratio(mine, theirs), "x", bound, at_least=True, note=note, sides=sides)


# -- load ----------------------------------------------------------------------


def _told(found: Polled, messages: int, feeds: int) -> Iterator[Figure]:
    note = (
        f"{found.requests:,.0f} requests in {found.seconds:.0f} s for {feeds:,} feeds, {polling.CONNECTIONS:,} connections; "
        f"a change every second, {messages:,} messages sent meanwhile"
    )
    yield Figure("load: errors", found.errors, "", 0, note=note)
    note = f"{found.unchanged:,.0f} times 304; {found.changed:,.0f} new versions came to readers"
    yield Figure("load: requests", found.rate, "/s", None, note=note)
    yield Figure("load: half of the answers within", found.p50 / 1000, "ms", None)
    yield Figure("load: 99 of 100 answers within", found.p99 / 1000, "ms", None, note=f"the slowest {found.max / 1000:,.0f} ms")
