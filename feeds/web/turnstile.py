"""Where every feed document goes through, in the lane and in Flask: counted, and refused to who is greedy.

What it adds to a 304 is a few look-ups; whose request it is, is asked only where a document would be sent in full.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog

from ..config import Config, Site
from ..service import Edition
from . import clients
from .answers import Headers, Served, answer
from .clients import Networks
from .limits import Limits
from .tally import Tally, Today, Write

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
        return self.proxies.holds(clients.parse(environ.get("REMOTE_ADDR") or ""))

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
        address = clients.client(environ, self.proxies)
        if not address or _NEARBY.holds(address):
            self._wonder(environ)
            return 0
        conditional = "HTTP_IF_NONE_MATCH" in environ or "HTTP_IF_MODIFIED_SINCE" in environ
        return limits.wait(address, served.tags[0], self.clock(), conditional=conditional)

    def _wonder(self, environ: Mapping[str, Any]) -> None:
        """Say once that a proxy may have been forgotten: without it all readers look like one neighbour."""
        if self._wondered or "HTTP_X_FORWARDED_FOR" not in environ:
            return
        if not self.proxies.holds(clients.parse(environ.get("REMOTE_ADDR") or "")):
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
