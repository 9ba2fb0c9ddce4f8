"""The WebSub hub's rules: which callbacks may be called, what the hub sends them, what their responses lead to. Pure.

Sections are those of https://www.w3.org/TR/websub/; times are UTC seconds. The hub calls whatever address a stranger asks it to
call, from inside the operator's network, so only public unicast addresses are allowed. The registries of special ones are
https://www.iana.org/assignments/iana-ipv4-special-registry and -ipv6-special-registry.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

if TYPE_CHECKING:
    from ..config.models import WebSub


MAX_URL_LENGTH = 2000
#: Ports allowed besides those from 1024: lower ones belong to services (mail, older databases) that a request could harm.
PORTS = (80, 443)
#: A response to verification holds a challenge and nothing more, so no more than this is read.
MAX_RESPONSE = 1024
#: Seconds until a callback that does not respond at all is asked to confirm again: after the first attempt, after the second.
VERIFICATION_DELAYS = (10, 60)
#: Seconds from the first failure of a callback to the next attempt, and at most between two.
FIRST_RETRY, LAST_RETRY = 30, 6 * 3600

_PRINTABLE = re.compile(r"[!-~]+")
_HOST_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*\.?")
#: This machine and private networks: allowed by `allow_private_callbacks`.
_PRIVATE = tuple(map(ipaddress.ip_network, (
    "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "::1/128", "fc00::/7",
)))  # fmt: skip
#: Never allowed: link-local (cloud metadata services), multicast, unspecified, reserved, documentation, and the addresses of
#: metadata services elsewhere.
_FORBIDDEN = tuple(map(ipaddress.ip_network, (
    "0.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24",
    "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "100.100.100.200/32", "168.63.129.16/32", "fd00:ec2::/32",
    "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
)))  # fmt: skip
#: All other IPv6 is reserved, or stands for an IPv4 address: mapped, compatible, NAT64 (64:ff9b::/96, 64:ff9b:1::/48).
_UNICAST = ipaddress.ip_network("2000::/3")


@dataclass(frozen=True, slots=True)
class Callback:
    """A subscriber's callback: `url` exactly as given; `host` in lower case."""

    url: str
    host: str


@dataclass(frozen=True, slots=True)
class SubscriptionRequest:
    """A request to subscribe or unsubscribe. `topic` as it was written; `lease` in seconds; `secret` "" for none."""

    mode: str
    topic: str
    callback: Callback
    lease: int
    secret: str


def is_allowed(address: str, *, private: bool) -> bool:
    """Return whether the hub may connect to a numeric IP address; `private` allows this machine and private networks.

    >>> is_allowed("192.0.43.8", private=False), is_allowed("10.0.0.1", private=False), is_allowed("::1", private=True)
    (True, False, True)
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if any(found in network for network in _FORBIDDEN):
        return False
    if any(found in network for network in _PRIVATE):
        return private
    return found.version == 4 or found in _UNICAST


def parse_callback(url: str, *, private: bool) -> Callback | str:
    """Return the callback, or what is wrong with it in words for the subscriber's developer. Looks up no names.

    >>> parse_callback("https://Reader.example/cb?a=1", private=False)
    Callback(url='https://Reader.example/cb?a=1', host='reader.example')
    >>> parse_callback("http://127.1/", private=False)
    'hub.callback is at an address that this hub does not call'
    """
    if len(url) > MAX_URL_LENGTH or not _PRINTABLE.fullmatch(url):
        return f"hub.callback must be an ASCII address without blanks, of at most {MAX_URL_LENGTH} characters"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "hub.callback is not an address"
    host = parts.hostname
    if parts.scheme not in ("http", "https") or not host:
        return "hub.callback must begin with http:// or https:// and name a host"
    if "@" in parts.netloc or "#" in url or "\\" in url:
        return "hub.callback must not hold a user, a fragment or a backslash"
    if port is not None and port not in PORTS and port < 1024:
        return "hub.callback must use port 80, 443, or one from 1024"
    last_label = host.rstrip(".").rpartition(".")[2]
    # A host that ends in a number is an IPv4 address in some notation: https://url.spec.whatwg.org/#ends-in-a-number-checker
    if "[" in parts.netloc or last_label.isdigit() or re.fullmatch(r"0x[0-9a-f]*", last_label):
        refused = not is_allowed(host, private=private)
    elif len(host) > 253 or not _HOST_NAME.fullmatch(host):
        return "hub.callback must name its host in ASCII (xn--... for others)"
    else:
        refused = last_label == "localhost" and not private
    return "hub.callback is at an address that this hub does not call" if refused else Callback(url, host)


@dataclass(frozen=True, slots=True)
class Content:
    """A topic's document as it is distributed; `links` is its Link header."""

    digest: str
    content_type: str
    links: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Response:
    """A callback's response. `status` is 0 where there was none; `problem` then says why."""

    status: int
    body: bytes = b""
    problem: str = ""

    @property
    def ok(self) -> bool:
        """Return whether the status is 2xx."""
        return 200 <= self.status < 300

    @property
    def words(self) -> str:
        """Return the response in words for the operator; nothing in them was written by the callback."""
        return self.problem or f"answered {self.status}"


@dataclass(frozen=True, slots=True)
class FailureRecord:
    """A callback's history: `attempts` of the pending delivery, `failures` in a row and since when."""

    attempts: int = 0
    failures: int = 0
    failing_since: int | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """Deliver again at `due`; None: not before the topic changes."""

    due: int | None


@dataclass(frozen=True, slots=True)
class Drop:
    """End the subscription. `denied`: notify the subscriber of it (section 5.2)."""

    reason: str
    denied: bool = False


def add_parameters(callback: str, **parameters: object) -> str:
    """Return the callback with `hub.*` parameters added to its own (section 5.1.1).

    >>> add_parameters("http://reader.example/cb?a=1", mode="denied")
    'http://reader.example/cb?a=1&hub.mode=denied'
    """
    joint = "?" if "?" not in callback else "" if callback.endswith(("?", "&")) else "&"
    return callback + joint + urlencode({f"hub.{name}": value for name, value in parameters.items()})


def sign(secret: str, body: bytes) -> str:
    """Return the X-Hub-Signature of a body (section 7.1)."""
    return f"sha256={hmac.new(secret.encode(), body, 'sha256').hexdigest()}"


def backoff(failures: int, key: int) -> int:
    """Return seconds until the next attempt after `failures` in a row, spread by the subscription's `key`.

    >>> [backoff(number, key=0) for number in (1, 2, 3, 9)]
    [30, 120, 480, 21600]
    """
    delay: int = min(FIRST_RETRY * 4 ** min(failures - 1, 10), LAST_RETRY)
    return delay + key * 7919 % (delay // 5 + 1)


def decide_after_failure(response: Response, record: FailureRecord, *, key: int, now: int, settings: WebSub) -> Retry | Drop:
    """Return what follows a failed delivery to the subscription `key`. `record` is its history before this attempt."""
    if response.status == 410:
        return Drop("the subscriber answered 410")
    lasted = now - (now if record.failing_since is None else record.failing_since)
    if record.failures + 1 >= settings.drop_after_failures and lasted >= settings.drop_after_hours * 3600:
        return Drop(f"{record.failures + 1} failures in a row, the last: {response.words}", denied=True)
    if record.attempts + 1 >= settings.max_attempts:
        return Retry(None)
    return Retry(now + backoff(record.failures + 1, key))
