"""Rate limits for feed documents: the client's address, what one client may be sent, and the answer 429.

Every feed document is sent through `RateLimiter.respond`, by the fast path and by Flask. It adds a few dictionary look-ups to
a 304: the client's address is looked up only where a document would be sent in full.
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

from ..audience.requests import Batch
from ..config.models import NETWORKS, Config
from ..syndication.editions import Edition
from .cache import CachedDocument, Headers
from .request_stats import RequestStats, Today

# The client's address, for limits on feeds, metrics and sign-ups alike. It is never stored.
#
# It is the address of the connection, unless that is of a proxy in `trusted_proxies`: then X-Forwarded-For is read from its end
# (each proxy appends the address it saw) up to the first one of no trusted proxy, never as far as what a client put in front.
# `Forwarded` (RFC 7239) is ignored: proxies that write X-Forwarded-For pass it on as a client sent it.

#: An address as bytes: 4 or 16 of them; empty where there is none (a Unix socket).
Address = bytes


class Networks:
    """Networks, from words such as `192.0.2.0/24` or `loopback`. `contains` takes a tenth of the time of `ipaddress`."""

    def __init__(self, words: Iterable[str]) -> None:
        self._masks: dict[int, list[tuple[int, int]]] = {4: [], 16: []}
        for word in words:
            for text in NETWORKS.get(word, (word,)):
                network = ipaddress.ip_network(text)
                rows = self._masks[len(network.network_address.packed)]
                rows.append((int(network.netmask), int(network.network_address)))

    def contains(self, address: Address) -> bool:
        """Return whether `address` is in one of the networks; False for the empty address."""
        rows = self._masks.get(len(address))
        if not rows:
            return False
        number = int.from_bytes(address, "big")
        for mask, network in rows:  # noqa: SIM110  # half the time of any()
            if number & mask == network:
                return True
        return False


_IPV4_MAPPED = bytes(10) + b"\xff\xff"


def parse_address(text: str) -> Address:
    """Parse an address with or without a port; empty for anything else.

    >>> parse_address("192.0.2.7:1234") == parse_address("::ffff:192.0.2.7") == bytes([192, 0, 2, 7])
    True
    >>> parse_address("[2001:db8::1]:443") == parse_address("2001:db8::1"), parse_address("unknown")
    (True, b'')
    """
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
    return packed[12:] if packed.startswith(_IPV4_MAPPED) else packed


def format_address(address: Address) -> str:
    """Return an address as text, "" for the empty one."""
    if not address:
        return ""
    return socket.inet_ntop(socket.AF_INET if len(address) == 4 else socket.AF_INET6, address)


def format_network(address: Address) -> str:
    """Return the /24 or /48 that contains `address`: a log may hold no longer part of it.

    >>> format_network(parse_address("192.0.2.7"))
    '192.0.2.0/24'
    """
    kept = {4: 3, 16: 6}.get(len(address), 0)
    return f"{format_address(address[:kept] + bytes(len(address) - kept))}/{8 * kept}" if kept else ""


#: Entries of X-Forwarded-For that are read, from its end.
MAX_HOPS = 20


def client_address(environ: Mapping[str, Any], trusted: Networks) -> Address:
    """Return the client's address of a WSGI request: a trusted proxy's own where it names none, or what is not an address."""
    found = parse_address(environ.get("REMOTE_ADDR") or "")
    forwarded = environ.get("HTTP_X_FORWARDED_FOR")
    if not forwarded or not trusted.contains(found):
        return found
    for text in reversed(forwarded.split(",")[-MAX_HOPS:]):
        hop = parse_address(text)
        if not hop:
            return found
        found = hop
        if not trusted.contains(hop):
            return found
    return found


# What one client may be sent. Pure: the time is an argument.
#
# Invariant: clients that send validators, as RFC 9110 describes, are never rate-limited.
#
# A greedy client requests again and again what it already has. So only these responses count: to requests without
# If-None-Match and If-Modified-Since (a new reader sends one such request), and of a version that the client was sent before.
# Two meters: `same_version` for one version of one document, requested without a validator; `documents` for all that count.
# Memory is bounded; where there are too many clients the oldest half is forgotten: then greedy ones profit, others never pay.

Key = TypeVar("Key")

HOUR = 3600.0
#: The shortest wait that a 429 asks for, in seconds.
MIN_WAIT = 60
#: Versions sent to clients, and clients, that are remembered: a hundred bytes each.
VERSIONS, CLIENTS = 32_768, 16_384


class Meter(Generic[Key]):
    """Allow `per_hour` events an hour for each key, at once or evenly (GCRA: one number a key, when it is full again)."""

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
        """Return whether the key was charged within the last hour, also with a cost of 0."""
        return self._full_at(key) is not None

    def missing(self, key: Key, now: float) -> float:
        """Return the seconds until one more event is allowed, 0.0 for at once."""
        full_at = self._full_at(key)
        return max(0.0, full_at - now - self._slack) if full_at is not None else 0.0

    def charge(self, key: Key, now: float, cost: int = 1) -> None:
        """Count `cost` events; 0 only remembers the key."""
        if len(self._young) >= self._half or now >= self._turn:
            # A key that was not charged for an hour is full again, so nothing is lost; without room the oldest half goes.
            self._old, self._young, self._turn = self._young, {}, now + HOUR
        self._young[key] = max(self._full_at(key) or now, now) + cost * self.interval

    def __len__(self) -> int:
        return len(self._young) + len(self._old)


class Limits:
    """The two meters of one worker process; threads share it."""

    def __init__(self, same_version: int, documents: int) -> None:
        self.versions: Meter[tuple[int, str]] = Meter(same_version, VERSIONS)
        self.clients: Meter[int] = Meter(documents, CLIENTS)
        self._secret = os.urandom(16)
        self._lock = threading.Lock()

    def wait(self, address: Address, version: str, now: float, *, conditional: bool) -> int:
        """Return 0 to send a document, else the seconds after which the client may come again; coming earlier costs nothing.

        `version` names one version of a document, `now` is the time of any monotonic clock, `conditional` says whether the
        request had a validator.
        """
        client = hash((self._secret, address[:8]))
        key = (client, version)
        with self._lock:
            if conditional and not self.versions.knows(key):
                self.versions.charge(key, now, 0)
                return 0
            missing = max(self.clients.missing(client, now), 0.0 if conditional else self.versions.missing(key, now))
            # A refused client is charged nothing, but remembered: the greedy are to be forgotten last.
            self.clients.charge(client, now, 0 if missing else 1)
            self.versions.charge(key, now, 0 if missing or conditional else 1)
        # A client that goes on at this pace is never refused again.
        return math.ceil(max(MIN_WAIT, missing, self.versions.interval, self.clients.interval)) if missing else 0


log: Any = structlog.get_logger("feeds.web")

#: Addresses that are not limited: a proxy that names no client, a host in the same network. All readers may stand behind one.
_UNLIMITED = Networks(("loopback", "private"))
_TOO_MANY = """\
429: this feed was sent to you several times without any change, or all feeds together too often.

Please keep the ETag (or Last-Modified) that came with it and send it back as If-None-Match (or If-Modified-Since).
The answer is then 304 as long as nothing is new; such requests are never limited.
Come back in {wait} seconds; Retry-After says so, too.

429：本订阅源在内容没有变化的情况下已多次发给您，或者您取得的全部订阅源过多。
请保存随之而来的 ETag（或 Last-Modified），下次以 If-None-Match（或 If-Modified-Since）发回。
没有新内容时的回答是 304，这样的请求不受限制。请在 {wait} 秒之后再来（见 Retry-After）。
"""
_TOO_MANY_HEADERS = (
    ("Cache-Control", "no-store"),
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Expose-Headers", "Retry-After"),
    ("X-Content-Type-Options", "nosniff"),
)


class RateLimiter:
    """Answer and count a worker's requests for feed documents, with 429 above limits, which stay as long as their settings."""

    def __init__(self, write: Callable[[Batch], None]) -> None:
        self.stats = RequestStats(write, self._today)
        self.clock: Callable[[], float] = time.monotonic
        self.proxies = Networks(())
        self._config: Config | None = None
        self._counting = False
        self._limits: Limits | None = None
        self._warned = False

    def respond(self, document: CachedDocument, environ: Mapping[str, Any], edition: Edition) -> tuple[int, Headers, bytes]:
        """Return status, headers and body for GET or HEAD; HEAD gets the body, too: the server leaves it out."""
        if edition.config is not self._config:
            self.adopt(edition.config)
        status, headers, body = document.respond(environ)
        sent = environ["REQUEST_METHOD"] == "GET"
        if status == 200 and sent and self._limits is not None and (wait := self._wait(self._limits, document, environ)):
            body = _TOO_MANY.format(wait=wait).encode()
            headers = [("Content-Type", "text/plain; charset=utf-8"), ("Retry-After", str(wait)), *_TOO_MANY_HEADERS]
            headers.append(("Content-Length", str(len(body))))
            status = 429
        if self._counting:
            self.stats.count(document.counted_as, status, len(body) if sent else 0, environ.get("HTTP_USER_AGENT"))
        return status, headers, body

    def count(self, key: tuple[str, str], status: int, size: int, environ: Mapping[str, Any], edition: Edition) -> None:
        """Count a feed (path, format) of `size` bytes that is answered elsewhere."""
        if edition.config is not self._config:
            self.adopt(edition.config)
        if self._counting:
            self.stats.count(key, status, size, environ.get("HTTP_USER_AGENT"))

    def trusts(self, environ: Mapping[str, Any]) -> bool:
        """Return whether the connection comes from one of the operator's proxies."""
        return self.proxies.contains(parse_address(environ.get("REMOTE_ADDR") or ""))

    def adopt(self, config: Config | None) -> None:
        """Apply the configuration in force; None, before the first rescan, changes nothing."""
        if config is None or config is self._config:
            return
        before, site, limits = self._config, config.site, config.site.limits
        self._config, self._counting = config, site.audience_days > 0
        if before is None or before.site.limits != limits:
            limited = limits.same_version or limits.documents
            self._limits = Limits(limits.same_version, limits.documents) if limited else None
        self.proxies = Networks(site.trusted_proxies)

    def _wait(self, limits: Limits, document: CachedDocument, environ: Mapping[str, Any]) -> int:
        address = client_address(environ, self.proxies)
        if not address or _UNLIMITED.contains(address):
            if not self._warned and "HTTP_X_FORWARDED_FOR" in environ and not self.trusts(environ):
                # Said once: without the proxy in the settings all readers look like one neighbour.
                self._warned = True
                reason = "X-Forwarded-For of a private address; is it a proxy for trusted_proxies?"
                log.warning("forwarded_ignored", reason=reason)
            return 0
        conditional = "HTTP_IF_NONE_MATCH" in environ or "HTTP_IF_MODIFIED_SINCE" in environ
        return limits.wait(address, document.etags[0], self.clock(), conditional=conditional)

    def _today(self) -> Today:
        now = datetime.now(self._config.zone if self._config else None)
        tomorrow = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), now.tzinfo)
        return Today(now.date().toordinal(), max(0.0, tomorrow.timestamp() - now.timestamp()))
