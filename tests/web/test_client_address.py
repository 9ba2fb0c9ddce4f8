"""Whose request it is: through trusted proxies, and through nobody else's word."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.web.rate_limit import Networks, client_address, format_address, parse_address

LOOPBACK = Networks(["loopback"])
CHAIN = Networks(["loopback", "private", "198.51.100.0/24"])


def asked(peer: str, forwarded: str | None = None, trusted: Networks = LOOPBACK) -> str:
    environ = {"REMOTE_ADDR": peer} | ({"HTTP_X_FORWARDED_FOR": forwarded} if forwarded is not None else {})
    return format_address(client_address(environ, trusted))


@pytest.mark.parametrize(
    ("peer", "forwarded", "trusted", "expected"),
    [
        ("192.0.2.7", None, LOOPBACK, "192.0.2.7"),
        ("192.0.2.7", "203.0.113.1", LOOPBACK, "192.0.2.7"),  # a stranger's word
        ("10.0.0.2", "203.0.113.1", LOOPBACK, "10.0.0.2"),  # a neighbour that the operator has not named
        ("127.0.0.1", "203.0.113.1", LOOPBACK, "203.0.113.1"),
        ("127.0.0.1", "1.1.1.1,203.0.113.1", LOOPBACK, "203.0.113.1"),  # the first is what the client itself sent
        ("::1", " 2001:db8::5 ", LOOPBACK, "2001:db8::5"),
        ("::ffff:127.0.0.1", "203.0.113.1", LOOPBACK, "203.0.113.1"),
        ("127.0.0.1", "203.0.113.1, 198.51.100.9, 10.0.0.2", CHAIN, "203.0.113.1"),
        ("127.0.0.1", "203.0.113.1, 198.51.100.9, 10.0.0.2", LOOPBACK, "10.0.0.2"),
        ("127.0.0.1", "10.0.0.9", CHAIN, "10.0.0.9"),  # all of them are ours: the farthest
        ("127.0.0.1", "203.0.113.1:4711", LOOPBACK, "203.0.113.1"),
        ("127.0.0.1", "[2001:db8::5]:4711", LOOPBACK, "2001:db8::5"),
        ("127.0.0.1", "unknown", LOOPBACK, "127.0.0.1"),
        ("127.0.0.1", "203.0.113.1, _hidden, 10.0.0.2", CHAIN, "10.0.0.2"),
        ("127.0.0.1", "", LOOPBACK, "127.0.0.1"),
        ("", None, LOOPBACK, ""),
        ("", "203.0.113.1", LOOPBACK, ""),
        ("127.0.0.1", "203.0.113.1", Networks([]), "127.0.0.1"),
    ],
)
def test_the_client_is_whom_the_last_trusted_proxy_saw(
    peer: str, forwarded: str | None, trusted: Networks, expected: str
) -> None:
    assert asked(peer, forwarded, trusted) == expected


def test_forwarded_is_not_read() -> None:
    environ = {"REMOTE_ADDR": "127.0.0.1", "HTTP_FORWARDED": "for=203.0.113.1"}
    assert format_address(client_address(environ, LOOPBACK)) == "127.0.0.1"


@given(st.text(max_size=60), st.lists(st.ip_addresses().map(str), max_size=4))
def test_nothing_that_a_client_writes_in_front_changes_what_the_proxy_saw(written: str, more: list[str]) -> None:
    assert asked("127.0.0.1", ",".join([written, *more, "203.0.113.1"])) == "203.0.113.1"


@given(st.text(max_size=80))
def test_any_text_is_an_address_or_none(text: str) -> None:
    found = parse_address(text)
    assert found == b"" or ipaddress.ip_address(format_address(found))


@given(st.ip_addresses())
def test_every_address_is_read_as_it_is_written(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    assert parse_address(str(address)) == (mapped or address).packed


@given(st.ip_addresses(), st.integers(0, 32))
def test_networks_hold_what_the_standard_library_says(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, length: int
) -> None:
    network = ipaddress.ip_network((address, length), strict=False)
    for one in (address, network[0], network[-1], ipaddress.ip_address("192.0.2.1")):
        assert Networks([str(network)]).contains(one.packed) == (one in network)
