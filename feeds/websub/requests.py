"""What a form asks the hub for (WebSub, section 5.1). Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from ..config.models import Lease, WebSub

# Whom the hub may call. Pure: `parse` judges a callback as it is written, `is_allowed` the address that its name stands for.
#
# The hub calls whatever strangers ask it to, from inside the operator's network, so only public unicast addresses are allowed;
# the registries of special ones are https://www.iana.org/assignments/iana-ipv4-special-registry and -ipv6-special-registry.

MAX_LENGTH = 2000
#: Besides these, ports from 1024: below lie services (mail, databases' older ones) that a request could do harm to.
PORTS = (80, 443)
_ADDRESS = re.compile(r"[!-~]+")
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*\.?")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


#: This machine and networks of one's own: allowed by `allow_private_callbacks`.
_PRIVATE = _networks(
    "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "::1/128", "fc00::/7"
)  # fmt: skip
#: Never, whatever the setting: link-local (where clouds keep their metadata), multicast, unspecified, reserved, documentation,
#: and clouds' own addresses that lie elsewhere.
_FORBIDDEN = _networks(
    "0.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24",
    "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "100.100.100.200/32", "168.63.129.16/32", "fd00:ec2::/32",
    "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
)  # fmt: skip
#: All other IPv6 is reserved, or stands for an IPv4 address: mapped, compatible, NAT64 (64:ff9b::/96, 64:ff9b:1::/48).
_UNICAST = ipaddress.ip_network("2000::/3")


@dataclass(frozen=True, slots=True)
class Callback:
    """`url` exactly as it was given; `host` in lower case."""

    url: str
    host: str


def is_allowed(address: str, *, private: bool) -> bool:
    """Whether a connection may be made to this numeric address."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if _is_in(found, _FORBIDDEN):
        return False
    if _is_in(found, _PRIVATE):
        return private
    return found.version == 4 or found in _UNICAST


def _is_in(address: ipaddress.IPv4Address | ipaddress.IPv6Address, networks: Iterable[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


def parse(url: str, *, private: bool) -> Callback | str:
    """The callback, or what is wrong with it."""
    if len(url) > MAX_LENGTH or not _ADDRESS.fullmatch(url):
        return f"hub.callback must be an ASCII address without blanks, of at most {MAX_LENGTH} characters"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "hub.callback is not an address"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "hub.callback must begin with http:// or https:// and name a host"
    if "@" in parts.netloc or "#" in url or "\\" in url:
        return "hub.callback must not hold a user, a fragment or a backslash"
    if port is not None and port not in PORTS and port < 1024:
        return "hub.callback must use port 80, 443, or one from 1024"
    fault = _fault_of_host(parts.hostname, bracketed="[" in parts.netloc, private=private)
    return fault or Callback(url, parts.hostname)


def _fault_of_host(host: str, *, bracketed: bool, private: bool) -> str:
    if bracketed or _is_number(host.rstrip(".").rpartition(".")[2]):
        return "" if is_allowed(host, private=private) else "hub.callback is at an address that this hub does not call"
    if len(host) > 253 or not _NAME.fullmatch(host):
        return "hub.callback must name its host in ASCII (xn--... for others)"
    local = host.rstrip(".").rpartition(".")[2] == "localhost"
    return "hub.callback is at an address that this hub does not call" if local and not private else ""


def _is_number(label: str) -> bool:
    """A host that ends so is an IPv4 address, in whatever notation (https://url.spec.whatwg.org/#ends-in-a-number-checker)."""
    return label.isdigit() or bool(re.fullmatch(r"0x[0-9a-f]*", label))


MODES = ("subscribe", "unsubscribe", "publish")
MAX_SECRET = 199
MAX_PUBLISHED = 1000
_UNRESERVED = re.compile(r"%([0-9A-Fa-f]{2})")

Form = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request to subscribe or unsubscribe. `topic` as it was written; `lease` in seconds; `secret` "" for none."""

    mode: str
    topic: str
    callback: Callback
    lease: int
    secret: str


@dataclass(frozen=True, slots=True)
class Published:
    """Someone says that these topics have changed."""

    topics: Sequence[str]


def read(form: Form, settings: WebSub) -> Asked | Published | str:
    """What is asked for, or what is wrong. Parameters that are not known are ignored."""
    mode = _one(form, "hub.mode")
    if mode not in MODES:
        return f"hub.mode must be given once: one of {', '.join(MODES)}"
    if mode == "publish":
        return _published(form)
    topic, callback = _one(form, "hub.topic"), _one(form, "hub.callback")
    if not topic or len(topic) > MAX_LENGTH:
        return f"hub.topic must be given once, with at most {MAX_LENGTH} characters"
    if not callback:
        return "hub.callback must be given once"
    found = parse(callback, private=settings.allow_private_callbacks)
    if isinstance(found, str):
        return found
    if mode == "unsubscribe":  # a lease and a secret may be there and mean nothing
        return Asked(mode, topic, found, 0, "")
    return _subscription(form, topic, found, settings.lease_seconds)


def _subscription(form: Form, topic: str, callback: Callback, bounds: Lease) -> Asked | str:
    wanted = _one(form, "hub.lease_seconds")
    if wanted is None or (wanted and not re.fullmatch(r"0*[1-9][0-9]{0,17}", wanted)):
        return "hub.lease_seconds must be a positive decimal integer"
    secret = _one(form, "hub.secret")
    if secret is None or len(secret.encode()) > MAX_SECRET:
        return f"hub.secret must have at most {MAX_SECRET} bytes"
    if "\0" in secret or "\ufffd" in secret:
        return "hub.secret must be UTF-8 text"
    return Asked("subscribe", topic, callback, lease(int(wanted) if wanted else None, bounds), secret)


def _published(form: Form) -> Published | str:
    topics = [*form.get("hub.url", ()), *form.get("hub.topic", ())]
    if not topics or len(topics) > MAX_PUBLISHED or any(len(topic) > MAX_LENGTH for topic in topics):
        return f"hub.url must be given, at most {MAX_PUBLISHED} times"
    return Published(topics)


def _one(form: Form, name: str) -> str | None:
    """ "" where it is not given, None where it is given more than once."""
    values = form.get(name, ())
    return None if len(values) > 1 else values[0] if values else ""


def lease(wanted: int | None, bounds: Lease) -> int:
    """How long the subscription will hold, in seconds."""
    return bounds.default if wanted is None else min(max(wanted, bounds.min), bounds.max)


def normal(url: str) -> str:
    """Equal for addresses that differ only in needless encoding (RFC 3986, section 6.2.2; WebSub, section 5.1.1)."""
    scheme, separator, rest = quote(url, safe="%:/?#[]@!$&'()*+,;=-._~").partition("://")
    host, slash, path = rest.partition("/")
    return scheme.lower() + separator + host.lower() + slash + _UNRESERVED.sub(_decoded, path)


def _decoded(match: re.Match[str]) -> str:
    character = chr(int(match[1], 16))
    return character if re.fullmatch(r"[A-Za-z0-9._~-]", character) else match[0].upper()
