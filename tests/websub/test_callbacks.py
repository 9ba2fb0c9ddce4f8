"""Whom the hub calls: nobody inside the operator's network, however the address is written or what its name stands for."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import example, given
from hypothesis import strategies as st

from feeds.websub.http import HttpClient
from feeds.websub.protocol import MAX_RESPONSE, Callback, Response, is_allowed, parse_callback

from .conftest import Hub
from .listening import Subscriber, subscriber

INSIDE = ["127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "::1", "fd12::1"]
NEVER = [
    *("0.0.0.0", "0.1.2.3", "169.254.169.254", "169.254.0.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
    *(
        "192.0.0.192",
        "192.0.2.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "192.88.99.1",
        "100.100.100.200",
        "168.63.129.16",
    ),
    *("::", "::ffff:127.0.0.1", "::ffff:192.0.2.1", "::ffff:1.1.1.1", "::127.0.0.1", "64:ff9b::a00:1", "64:ff9b:1::a00:1"),
    *("2002:7f00:1::", "2001:0:7f00:1::", "2001:db8::1", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "fd00:ec2::254"),
    *("100::1", "5f00::1", "3fff::1", "4000::1"),
]
PUBLIC = ["1.1.1.1", "8.8.8.8", "172.15.0.1", "172.32.0.1", "100.63.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450::1"]


@pytest.mark.parametrize("address", INSIDE)
def test_private_and_loopback_addresses_are_called_only_where_the_operator_allows_it(address: str) -> None:
    assert not is_allowed(address, private=False)
    assert is_allowed(address, private=True)


@pytest.mark.parametrize("address", [*NEVER, "", "example.org", "1.2.3"])
def test_special_addresses_are_never_called(address: str) -> None:
    assert not is_allowed(address, private=False)
    assert not is_allowed(address, private=True)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_called(address: str) -> None:
    assert is_allowed(address, private=False)


@given(st.ip_addresses())
@example(ipaddress.ip_address("::ffff:10.0.0.1"))
@example(ipaddress.ip_address("192.175.48.1"))
def test_what_the_standard_library_knows_as_not_global_is_not_called(address: Any) -> None:
    if not address.is_global or address.is_multicast:
        assert not is_allowed(str(address), private=False)
    if is_allowed(str(address), private=False):
        assert is_allowed(str(address), private=True)


# -- as it is written ----------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        *(f"http://{address}/cb" if ":" not in address else f"http://[{address}]/cb" for address in (*INSIDE, *NEVER)),
        *("http://127.1/", "http://2130706433/", "http://0x7f000001/", "http://0177.0.0.1/", "http://127.0.0.1./", "http://0/"),
        *("http://localhost/", "http://a.localhost/", "http://LOCALHOST./"),
        *(
            "ftp://example.org/",
            "file:///etc/passwd",
            "//example.org/",
            "example.org/cb",
            "javascript:alert(1)",
            "http:///cb",
            "",
        ),
        *("http://example.org:22/", "http://example.org:25/", "http://example.org:0/", "http://example.org:99999/"),
        *("http://user@example.org/", "http://user:pw@example.org/", "http://example.org/cb#part", "http://example.org\\@x/"),
        *("http://exa mple.org/", "http://example.org/\r\nX: y", "http://例子.example/", "http://-a.example/", "http://a..b/"),
        "http://example.org/" + "x" * 2000,
    ],
)
def test_a_callback_that_may_not_be_called_is_refused_with_a_reason(url: str) -> None:
    found = parse_callback(url, private=False)
    assert isinstance(found, str) and found.startswith("hub.callback")


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://example.org/cb?a=1&b=%7E", "example.org"),
        ("https://Reader.Example.org:8443/x", "reader.example.org"),
        ("https://xn--fsqu00a.example/", "xn--fsqu00a.example"),
        ("http://example.org:80", "example.org"),
        ("http://[2606:4700::1111]:1024/", "2606:4700::1111"),
        ("http://1.1.1.1/", "1.1.1.1"),
    ],
)
def test_a_public_callback_is_kept_exactly_as_it_was_given(url: str, host: str) -> None:
    assert parse_callback(url, private=False) == Callback(url, host)


@given(st.text(max_size=60) | st.from_regex(r"https?://[a-z0-9.\[\]:@%#-]{1,30}/[!-~]{0,9}", fullmatch=True), st.booleans())
def test_whatever_is_given_as_a_callback_is_judged_and_never_fails(url: str, private: bool) -> None:
    found = parse_callback(url, private=private)
    if isinstance(found, Callback):
        assert found.url == url and found.host
        assert isinstance(parse_callback(url, private=True), Callback)
    else:
        assert found.startswith("hub.callback")


# -- what a name stands for ------------------------------------------------------

Names = dict[str, list[list[str]]]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Names, list[str]]]:
    """(name -> the addresses of each look-up in turn, the names looked up so far)."""
    answers: Names = {}
    asked: list[str] = []
    real = socket.getaddrinfo

    def look_up(host: Any, port: Any, *arguments: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        asked.append(name)
        if name not in answers:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        addresses = answers[name].pop(0) if len(answers[name]) > 1 else answers[name][0]
        return [found for address in addresses for found in real(address, port, type=socket.SOCK_STREAM)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    yield answers, asked


def send(url: str, *, private: bool, seconds: float = 5, method: str = "GET", body: bytes | None = None) -> Response:
    async def once() -> Response:
        async with HttpClient(lambda address: is_allowed(address, private=private)) as client:
            return await client.send(method, url, {}, body, seconds=seconds)

    return asyncio.run(once())


def test_a_name_that_stands_for_an_inner_address_is_not_called(names: tuple[Names, list[str]], reader: Subscriber) -> None:
    names[0]["inner.example"] = [["127.0.0.1"]]
    answer = send(f"http://inner.example:{reader.port}/", private=False)
    assert answer.status == 0 and "not allowed" in answer.problem
    assert reader.seen == []


def test_a_name_with_one_inner_address_among_public_ones_is_not_called(
    names: tuple[Names, list[str]], reader: Subscriber
) -> None:
    names[0]["both.example"] = [["1.1.1.1", "127.0.0.1"]]
    assert "not allowed" in send(f"http://both.example:{reader.port}/", private=False).problem
    assert reader.seen == []


def test_a_name_is_looked_up_once_and_the_connection_goes_to_that_address(
    names: tuple[Names, list[str]], reader: Subscriber
) -> None:
    """The second look-up would lead elsewhere (DNS rebinding)."""
    names[0]["turning.example"] = [["127.0.0.1"], ["192.168.255.254"]]
    answer = send(f"http://turning.example:{reader.port}/x", private=True)
    assert answer.status == 404 and names[1] == ["turning.example"]
    assert reader.seen[0].headers["Host"] == f"turning.example:{reader.port}"


def test_a_metadata_service_behind_a_name_is_not_called_even_where_private_addresses_are(
    names: tuple[Names, list[str]],
) -> None:
    names[0]["meta.example"] = [["169.254.169.254"]]
    assert "not allowed" in send("http://meta.example/latest/meta-data/", private=True).problem


def test_a_name_that_is_not_known_is_no_answer(names: tuple[Names, list[str]]) -> None:
    assert send("http://nowhere.example/", private=True) == Response(0, problem="its name is not known")


def test_an_address_that_was_never_parsed_is_judged_at_the_socket(reader: Subscriber) -> None:
    """The last hand before the connection trusts nobody before it."""
    assert "not allowed" in send(reader.url, private=False).problem
    assert reader.seen == []


def test_a_redirect_to_an_inner_address_is_not_followed(reader: Subscriber) -> None:
    with subscriber() as inner:
        reader.agrees = lambda _seen: (302, b"", {"Location": inner.url})
        assert send(reader.url, private=True).status == 302
        assert inner.seen == []


def test_no_proxy_of_the_environment_is_used(reader: Subscriber, monkeypatch: pytest.MonkeyPatch) -> None:
    with subscriber() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert send(reader.url, private=True).status == 404
        assert proxy.seen == [] and len(reader.seen) == 1


# -- limits of time and size -----------------------------------------------------


@pytest.fixture
def raw() -> Iterator[Callable[[Callable[[socket.socket], None]], str]]:
    """A server that does with each connection what it is told: `raw(what)` is its address."""
    servers: list[socket.socket] = []

    def serve(what: Callable[[socket.socket], None]) -> str:
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)

        def accept() -> None:
            try:
                while True:
                    connection, _address = server.accept()
                    threading.Thread(target=handle, args=(connection,), daemon=True).start()
            except OSError:
                return

        def handle(connection: socket.socket) -> None:
            with connection:
                try:
                    connection.recv(65536)
                    what(connection)
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        return f"http://127.0.0.1:{server.getsockname()[1]}/"

    yield serve
    for server in servers:
        server.close()


def drip(connection: socket.socket) -> None:
    """A byte now and then, for ever."""
    for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + b"x" * 500:
        connection.sendall(bytes([byte]))
        time.sleep(0.05)


def test_an_answer_that_drips_in_is_cut_off_when_its_time_is_over(raw: Any) -> None:
    started = time.monotonic()
    answer = send(raw(drip), private=True, seconds=0.5)
    assert answer == Response(0, problem="no answer within 0.5 s")
    assert time.monotonic() - started < 15


def test_an_answer_without_end_is_read_no_further_than_a_challenge_is_long(raw: Any) -> None:
    sent = [0]

    def flood(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        while True:
            sent[0] += connection.send(b"x" * 65536)

    answer = send(raw(flood), private=True)
    assert answer.status == 200 and len(answer.body) == MAX_RESPONSE + 1


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"220 smtp ready\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"x" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 999999 x\r\n\r\n",
        b"\0" * 99,
    ],
    ids=["nothing", "another protocol", "a huge header", "a bad status", "zeros"],
)
def test_what_is_no_http_is_no_answer(raw: Any, text: bytes) -> None:
    answer = send(raw(lambda connection: connection.sendall(text)), private=True)
    assert answer.status == 0 and answer.problem


def test_a_large_body_is_sent_whole_and_with_its_length(reader: Subscriber) -> None:
    body = bytes(range(256)) * 20_000
    assert send(f"{reader.url}/cb", private=True, method="POST", body=body).status == 200
    [seen] = reader.deliveries()
    assert seen.body == body and seen.headers["Content-Length"] == str(len(body)) and "Transfer-Encoding" not in seen.headers


def test_compressed_answers_are_not_asked_for_and_not_unpacked(reader: Subscriber) -> None:
    reader.agrees = lambda _seen: (200, b"\x1f\x8b not gzip", {"Content-Encoding": "gzip"})
    answer = send(reader.url, private=True)
    assert answer.body == b"\x1f\x8b not gzip" and reader.seen[0].headers["Accept-Encoding"] == "identity"


# -- TLS ---------------------------------------------------------------------------


def certificate(name: str, folder: Path) -> Path:
    """Signed by itself: file of key and certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    plain = serialization.NoEncryption()
    text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    path.write_bytes(text + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.mark.parametrize(("name", "holds"), [("reader.example", True), ("other.example", False)])
def test_a_certificate_must_be_that_of_the_name_though_the_connection_goes_to_an_address(
    names: tuple[Names, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, holds: bool
) -> None:
    path = certificate(name, tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    names[0]["reader.example"] = [["127.0.0.1"]]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    shown: list[str | None] = []
    context.sni_callback = lambda _socket, server_name, _context: shown.append(server_name)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            try:
                connection, _address = server.accept()
                with context.wrap_socket(connection, server_side=True) as secure:
                    secure.recv(65536)
                    secure.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
            except OSError:
                return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        answer = send(f"https://reader.example:{server.getsockname()[1]}/", private=True)
        thread.join(10)
    assert shown == ["reader.example"]
    assert (answer.status == 204) == holds
    assert holds or answer.problem == "its certificate is not valid"


# -- the whole hub -----------------------------------------------------------------


def test_a_hub_as_it_comes_calls_nobody_on_this_machine(hub: Hub, reader: Subscriber, names: tuple[Names, list[str]]) -> None:
    hub.set_limits(allow_private_callbacks=False)
    refused = hub.ask(f"{reader.url}/cb")
    assert refused.status_code == 400 and "does not call" in refused.text and refused.mimetype == "text/plain"
    names[0]["inner.example"] = [["127.0.0.1"]]
    assert hub.ask(f"http://inner.example:{reader.port}/cb").status_code == 202, "names are looked up later"
    hub.until(lambda: [row for row in hub.requests if "not allowed" in row.problem])
    assert reader.seen == [] and hub.subscriptions == []


def test_a_subscriber_who_moves_inside_afterwards_is_not_pushed_to(
    hub: Hub, reader: Subscriber, names: tuple[Names, list[str]]
) -> None:
    names[0]["reader.example"] = [["127.0.0.1"], ["169.254.169.254"]]
    hub.subscribe(f"http://reader.example:{reader.port}/cb")
    hub.change("The second title")
    hub.until(lambda: hub.subscriptions[0].failures)
    assert reader.deliveries() == [] and "not allowed" in hub.subscriptions[0].problem
