"""FEEDS_SMTP_URL -> servers. No password in any text that comes out of here.

`smtp://user:password@host:587` (STARTTLS required; port 587 by default), `smtps://host` (TLS from the start; 465), several
separated by blanks: the first is used while it answers. Options: `starttls=0` (plain; port 25), `cafile=FILE`, `verify=0`
(loopback only), `ehlo=NAME`, `rate=N` (messages a second to this server), `timeout=SECONDS` (longest wait for any reply).
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import ssl
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from .parcels import TransportError

_OPTIONS = ("starttls", "cafile", "verify", "ehlo", "rate", "timeout")
_EHLO = re.compile(r"[A-Za-z0-9.:\[\]-]{1,255}")


@dataclass(frozen=True, slots=True)
class Server:
    """One server. `timeout` 0 means those of RFC 5321."""

    host: str
    port: int
    user: str = ""
    password: str = field(default="", repr=False)
    implicit_tls: bool = False
    starttls: bool = True
    verify: bool = True
    cafile: str = ""
    ehlo: str = ""
    rate: float = 0.0
    timeout: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        with contextlib.suppress(ValueError):
            return ipaddress.ip_address(self.host).is_loopback
        return self.host == "localhost"

    def context(self) -> ssl.SSLContext:
        """Certificates and names are verified, but for `verify=0`. Raises TransportError."""
        try:
            context = ssl.create_default_context(cafile=self.cafile or None)
        except (OSError, ssl.SSLError):
            raise TransportError(f"{self.name}: cafile={self.cafile} cannot be read") from None
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def parse(urls: str) -> tuple[Server, ...]:
    """In the order of preference. Raises TransportError."""
    found = tuple(_server(number, url) for number, url in enumerate(urls.split(), 1))
    if not found:
        raise TransportError("FEEDS_SMTP_URL is empty")
    return found


def _server(number: int, url: str) -> Server:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise _fault(
            number, "it is no address; characters such as / @ : # in a password are written as %2F %40 %3A %23"
        ) from None
    if parts.scheme not in ("smtp", "smtps") or not host or parts.path.strip("/") or parts.fragment:
        raise _fault(
            number, "expected smtp://user:password@host:587 or smtps://host; / @ : # in a password are written as %2F ..."
        )
    server = _with_options(number, parts, host, port, dict(parse_qsl(parts.query, keep_blank_values=True)))
    if not server.verify and not server.loopback:
        raise _fault(number, "verify=0 is for servers on this machine; name the authority with cafile=FILE")
    if server.user and not server.implicit_tls and not server.starttls and not server.loopback:
        raise _fault(number, "a password needs TLS: leave starttls=0 out")
    return server


def _with_options(number: int, parts: SplitResult, host: str, port: int | None, options: dict[str, str]) -> Server:
    if not options.keys() <= {*_OPTIONS}:  # what stands there instead may be the end of a password
        raise _fault(number, f"an option that there is not; expected {', '.join(_OPTIONS)}, and ? in a password as %3F")
    implicit = parts.scheme == "smtps"
    starttls = _switch(number, options, "starttls")
    if options.get("ehlo") and not _EHLO.fullmatch(options["ehlo"]):
        raise _fault(number, "ehlo= expects a host name")
    return Server(
        host=host,
        port=port or (465 if implicit else 587 if starttls else 25),
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        implicit_tls=implicit,
        starttls=starttls,
        verify=_switch(number, options, "verify"),
        cafile=options.get("cafile", ""),
        ehlo=options.get("ehlo", ""),
        rate=_number(number, options, "rate"),
        timeout=_number(number, options, "timeout"),
    )


def _switch(number: int, options: dict[str, str], name: str) -> bool:
    value = options.get(name, "1")
    if value not in ("0", "1"):
        raise _fault(number, f"{name}= expects 0 or 1")
    return value == "1"


def _number(number: int, options: dict[str, str], name: str) -> float:
    try:
        value = float(options.get(name, "0"))
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1e6:
        raise _fault(number, f"{name}= expects a number")
    return value


def _fault(number: int, reason: str) -> TransportError:
    return TransportError(f"FEEDS_SMTP_URL, address {number}: {reason}")
