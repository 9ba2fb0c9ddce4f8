"""Where every feed document goes through, in the lane and in Flask: counted, and refused to who is greedy.

What it adds to a 304 is a few look-ups; whose request it is, is asked only where a document would be sent in full.
"""

from __future__ import annotations

import ipaddress
import math
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

import structlog

from ..config.models import NETWORKS, Config, Site
from ..syndication.editions import Edition
from .cache import Headers, Served, answer
from .request_stats import Tally, Today, Write

# Who asks: the address of the client, for limits, which is never stored. One answer for feeds, metrics and sign-ups alike.
#
# It is the connection's, unless that is a proxy's that the setting `trusted_proxies` names: then X-Forwarded-For is read
# from its
# end (each proxy appends whom it saw), up to the first address that is no trusted proxy's. What a client itself put in front is
# never reached. `Forwarded` (RFC 7239) is not read: proxies that write X-Forwarded-For pass it on as a client sent it.

#: An address as bytes: 4 or 16 of them; empty where there is none (a Unix socket).
Address = bytes


class Networks:
    """A set of networks; `holds` takes about a microsecond, `ipaddress` ten times as long."""

    def __init__(self, words: Iterable[str]) -> None:
        self._masks: dict[int, list[tuple[int, int]]] = {4: [], 16: []}
        for word in words:
            for text in NETWORKS.get(word, (word,)):
                network = ipaddress.ip_network(text)
                rows = self._masks[len(network.network_address.packed)]
                rows.append((int(network.netmask), int(network.network_address)))

    def holds(self, address: Address) -> bool:
        rows = self._masks.get(len(address))
        if not rows:
            return False
        number = int.from_bytes(address, "big")
        for mask, network in rows:  # noqa: SIM110  # half the time of any()
            if number & mask == network:
                return True
        return False


def parse(text: str) -> Address:
    """`192.0.2.7`, `192.0.2.7:1234`, `2001:db8::1`, `[2001:db8::1]:443`, `::ffff:192.0.2.7`; empty for anything else."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        if ":" not in text:
            return socket.inet_pton(socket.AF_INET, text)
        packed = socket.inet_pton(socket.AF_INET6, text.partition("%")[0])
    except (OSError, ValueError):  # ValueError: a character that no address has
        return b""
    return packed[12:] if packed.startswith(_MAPPED) else packed


_MAPPED = bytes(10) + b"\xff\xff"


def show(address: Address) -> str:
    if not address:
        return ""
    return socket.inet_ntop(socket.AF_INET if len(address) == 4 else socket.AF_INET6, address)


def network(address: Address) -> str:
    """The /24 or /48 that an address is in: as much as a log may know."""
    kept = {4: 3, 16: 6}.get(len(address), 0)
    return f"{show(address[:kept] + bytes(len(address) - kept))}/{8 * kept}" if kept else ""


def client(environ: Mapping[str, Any], trusted: Networks) -> Address:
    """A trusted proxy that names nobody, or nobody's address, is the client itself: no more than that is known."""
    found = parse(environ.get("REMOTE_ADDR") or "")
    forwarded = environ.get("HTTP_X_FORWARDED_FOR")
    if not forwarded or not trusted.holds(found):
        return found
    for text in reversed(forwarded.split(",")[-MAX_HOPS:]):
        hop = parse(text)
        if not hop:
            return found
        found = hop
        if not trusted.holds(hop):
            return found
    return found


MAX_HOPS = 20


# What one client may be sent. Pure: the time is an argument. Law: a reader that asks as RFC 9110 wants it never hears a no.
#
# Greedy is who is sent again and again what it has. So only these documents count:
#
# - those asked for without If-None-Match and If-Modified-Since (a new reader does so once; a greedy one always);
# - those sent before, in the very same version, to the same client.
#
# Two meters: `same_version` for one version of one document, asked for without a validator; `documents` for all that count.
# Both allow their hour's worth at once, so an import of hundreds of feeds passes, and refill evenly. 304 and HEAD never get
# here.
# A new version to a reader that named its old one is free, however many feeds change at once.
#
# A client is an IPv4 address or an IPv6 /64 (what one household has), kept as a hash under a key of this process, in memory
# only,
# and forgotten an hour or two later, or earlier where there are too many: then greedy ones profit, never the others pay.

Key = TypeVar("Key")

HOUR = 3600.0
#: The least that a refused client is told to wait, in seconds.
LEAST = 60
#: Versions sent to clients, and clients, that are remembered: a hundred bytes each.
VERSIONS, CLIENTS = 32_768, 16_384


class Meter(Generic[Key]):
    """So many an hour for each key, at once or evenly (GCRA: one number a key, the time when its bucket will be full again)."""

    def __init__(self, per_hour: int, room: int) -> None:
        self.interval = HOUR / per_hour if per_hour else 0.0
        self._slack = HOUR - self.interval
        self._half = room // 2
        self._young: dict[Key, float] = {}
        self._old: dict[Key, float] = {}
        self._turn = -math.inf

    def _full_at(self, key: Key) -> float | None:
        found = self._young.get(key)
        return found if found is not None else self._old.get(key)

    def knows(self, key: Key) -> bool:
        """Whether it was charged lately, if only with nothing."""
        return self._full_at(key) is not None

    def missing(self, key: Key, now: float) -> float:
        """Seconds until one more is allowed."""
        full_at = self._full_at(key)
        return max(0.0, full_at - now - self._slack) if full_at is not None else 0.0

    def charge(self, key: Key, now: float, cost: int = 1) -> None:
        if len(self._young) >= self._half or now >= self._turn:
            # What was not charged for an hour is full again, so nothing is lost with it; without room the oldest half goes.
            self._old, self._young, self._turn = self._young, {}, now + HOUR
        self._young[key] = max(self._full_at(key) or now, now) + cost * self.interval

    def __len__(self) -> int:
        return len(self._young) + len(self._old)


class Limits:
    """Of one worker process; threads share it."""

    def __init__(self, same_version: int, documents: int) -> None:
        self.versions: Meter[tuple[int, str]] = Meter(same_version, VERSIONS)
        self.clients: Meter[int] = Meter(documents, CLIENTS)
        self._secret = os.urandom(16)
        self._lock = threading.Lock()

    def wait(self, address: Address, version: str, now: float, *, conditional: bool) -> int:
        """0: send it. Else after how many seconds the client may come again; asking too early costs it nothing.

        `version` names a version of a document, `now` is of any clock that never goes back.
        """
        client = hash((self._secret, address[:8]))
        key = (client, version)
        with self._lock:
            if conditional and not self.versions.knows(key):
                self.versions.charge(key, now, 0)
                return 0
            missing = max(self.clients.missing(client, now), 0.0 if conditional else self.versions.missing(key, now))
            # Who is refused is charged nothing, but remembered: the greedy are to be forgotten last.
            self.clients.charge(client, now, 0 if missing else 1)
            self.versions.charge(key, now, 0 if missing or conditional else 1)
        # Whoever goes on at this pace is never refused again.
        return math.ceil(max(LEAST, missing, self.versions.interval, self.clients.interval)) if missing else 0


log: Any = structlog.get_logger("feeds.web")

#: Addresses that stand for no client: a proxy's that names none, a neighbour's. Behind one might be all the readers there are.
_NEARBY = Networks(("loopback", "private"))
_REFUSED = """\
429: this feed was sent to you several times without any change, or all feeds together too often.

Please keep the ETag (or Last-Modified) that came with it and send it back as If-None-Match (or If-Modified-Since).
The answer is then 304 as long as nothing is new; such requests are never limited.
Come back in {wait} seconds; Retry-After says so, too.

429：本订阅源在内容没有变化的情况下已多次发给您，或者您取得的全部订阅源过多。
请保存随之而来的 ETag（或 Last-Modified），下次以 If-None-Match（或 If-Modified-Since）发回。
没有新内容时的回答是 304，这样的请求不受限制。请在 {wait} 秒之后再来（见 Retry-After）。
"""


class Turnstile:
    """Of one worker. Limits go on across editions as long as their settings stay."""

    def __init__(self, write: Write) -> None:
        self.tally = Tally(write, self._today)
        self.clock: Callable[[], float] = time.monotonic
        self._config: Config | None = None
        self._counting = False
        self._limits: Limits | None = None
        self.proxies = Networks(())
        self._wondered = False

    def answer(self, served: Served, environ: Mapping[str, Any], edition: Edition) -> tuple[int, Headers, bytes]:
        """Status, headers and body for GET or HEAD; the body comes with HEAD, too: the server leaves it out."""
        if edition.config is not self._config:
            self.adopt(edition.config)
        status, headers, body = answer(served, environ)
        sent = environ["REQUEST_METHOD"] == "GET"
        if status == 200 and sent and self._limits is not None and (wait := self._wait(self._limits, served, environ)):
            status, headers, body = _refuse(wait)
        if self._counting:
            self.tally.count(served.key, status, len(body) if sent else 0, environ.get("HTTP_USER_AGENT"))
        return status, headers, body

    def count(self, key: tuple[str, str], status: int, size: int, environ: Mapping[str, Any], edition: Edition) -> None:
        """A feed (path, format) that is made and answered elsewhere. `size` in bytes."""
        if edition.config is not self._config:
            self.adopt(edition.config)
        if self._counting:
            self.tally.count(key, status, size, environ.get("HTTP_USER_AGENT"))

    def trusts(self, environ: Mapping[str, Any]) -> bool:
        """Whether a proxy of the operator's is who asks."""
        return self.proxies.holds(parse(environ.get("REMOTE_ADDR") or ""))

    def adopt(self, config: Config | None) -> None:
        """What is in force now."""
        if config is None or config is self._config:
            return
        before, site = self._config, config.site
        self._config, self._counting = config, site.audience_days > 0
        if before is None or before.site.limits != site.limits:
            self._limits = _limits(site)
        self.proxies = Networks(site.trusted_proxies)

    def _wait(self, limits: Limits, served: Served, environ: Mapping[str, Any]) -> int:
        address = client(environ, self.proxies)
        if not address or _NEARBY.holds(address):
            self._wonder(environ)
            return 0
        conditional = "HTTP_IF_NONE_MATCH" in environ or "HTTP_IF_MODIFIED_SINCE" in environ
        return limits.wait(address, served.tags[0], self.clock(), conditional=conditional)

    def _wonder(self, environ: Mapping[str, Any]) -> None:
        """Say once that a proxy may have been forgotten: without it all readers look like one neighbour."""
        if self._wondered or "HTTP_X_FORWARDED_FOR" not in environ:
            return
        if not self.proxies.holds(parse(environ.get("REMOTE_ADDR") or "")):
            self._wondered = True
            log.warning("forwarded_ignored", reason="X-Forwarded-For of a private address; is it a proxy for trusted_proxies?")

    def _today(self) -> Today:
        now = datetime.now(self._config.zone if self._config else None)
        tomorrow = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), now.tzinfo)
        return Today(now.date().toordinal(), max(0.0, tomorrow.timestamp() - now.timestamp()))


def _limits(site: Site) -> Limits | None:
    wanted = site.limits
    return Limits(wanted.same_version, wanted.documents) if wanted.same_version or wanted.documents else None


def _refuse(wait: int) -> tuple[int, Headers, bytes]:
    body = _REFUSED.format(wait=wait).encode()
    headers = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Retry-After", str(wait)),
        ("Cache-Control", "no-store"),
        ("Access-Control-Allow-Origin", "*"),
        ("Access-Control-Expose-Headers", "Retry-After"),
        ("X-Content-Type-Options", "nosniff"),
        ("Content-Length", str(len(body))),
    ]
    return 429, headers, body
