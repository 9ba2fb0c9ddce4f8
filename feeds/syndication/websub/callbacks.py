"""Whom the hub may call. Pure: `parse` judges a callback as it is written, `is_allowed` the address that its name stands for.

The hub calls whatever strangers ask it to, from inside the operator's network, so only public unicast addresses are allowed;
the registries of special ones are https://www.iana.org/assignments/iana-ipv4-special-registry and -ipv6-special-registry.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

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
