"""Who asks: the address of the client, for limits, which is never stored. One answer for feeds, metrics and sign-ups alike.

It is the connection's, unless that is a proxy's that the setting `trusted_proxies` names: then X-Forwarded-For is read from its
end (each proxy appends whom it saw), up to the first address that is no trusted proxy's. What a client itself put in front is
never reached. `Forwarded` (RFC 7239) is not read: proxies that write X-Forwarded-For pass it on as a client sent it.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Mapping
from typing import Any

from ..config import NETWORKS

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
