"""The running service behind real proxies, with exactly the configurations that docs/reverse-proxy.md shows."""

from __future__ import annotations

import contextlib
import datetime
import http.client
import os
import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from .served import Request, Served, serving
from .test_static_servers import free_port

pytestmark = pytest.mark.interop
DOCS = Path(__file__).resolve().parents[2] / "docs" / "reverse-proxy.md"
HOST = "feeds.example.org"
Maker = Callable[[Path, Path, str, int, Callable[[str], str]], list[str]]


def configuration(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("proxied") / "site", FEEDS_OPERATOR_TOKEN="open-sesame-0123456789") as found:
        yield found


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with fullchain.pem and privkey.pem, as certbot leaves them."""
    folder = tmp_path_factory.mktemp("certificate")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
    pem = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    (folder / "fullchain.pem").write_bytes(pem)
    formats = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "privkey.pem").write_bytes(key.private_bytes(*formats))
    return folder


class Proxy:
    def __init__(self, name: str, port: int, served: Served) -> None:
        self.name, self.port, self.served = name, port, served

    def connect(self) -> ssl.SSLSocket:
        """Over TLS, as to the host of the configuration."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=15)
        return context.wrap_socket(plain, server_hostname=HOST)

    def ask(self, address: str, method: str = "GET", body: str = "", **headers: str) -> tuple[int, Message, bytes]:
        connection = http.client.HTTPSConnection(HOST, timeout=15)
        connection.sock = self.connect()
        try:
            form = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
            wanted = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, address, body=body or None, headers={**form, **wanted})
            answered = connection.getresponse()
            return answered.status, answered.headers, answered.read()
        finally:
            connection.close()

    def arrived(self, path: str) -> list[Request]:
        """What reached the service of an address."""
        return [request for request in self.served.requests if request.path == path]


def nginx(folder: Path, certificate: Path, backend: str, port: int, tool: Callable[[str], str]) -> list[str]:
    config = (
        configuration("nginx")
        .replace("127.0.0.1:8000", backend)
        .replace("/etc/letsencrypt/live/feeds.example.org", str(certificate))
    )
    config = config.replace("/var/cache/nginx/feeds", str(folder / "cache")).replace("listen 443", f"listen 127.0.0.1:{port}")
    config = config.replace("listen 80;", f"listen 127.0.0.1:{free_port()};")
    temporary = "".join(
        f"  {kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;\n" if os.geteuid() == 0 else ""
    main = f"{user}daemon off;\npid {folder}/pid;\nevents {{}}\nhttp {{\n  access_log off;\n{temporary}{config}}}\n"
    (folder / "nginx.conf").write_text(main, "utf-8")
    return [tool("nginx"), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]


def caddy(folder: Path, certificate: Path, backend: str, port: int, tool: Callable[[str], str]) -> list[str]:
    given = f"tls {certificate}/fullchain.pem {certificate}/privkey.pem"
    site = configuration("caddyfile").replace("127.0.0.1:8000", backend)
    site = site.replace("feeds.example.org {", f"https://{HOST}:{port} {{\n\tbind 127.0.0.1\n\t{given}", 1)
    options = "{\n\tadmin off\n\tpersist_config off\n\tauto_https disable_redirects\n}\n"
    (folder / "Caddyfile").write_text(options + site, "utf-8")
    return [tool("caddy"), "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


@contextlib.contextmanager
def started(make: Maker, folder: Path, certificate: Path, served: Served, tool: Callable[[str], str]) -> Iterator[Proxy]:
    port, log = free_port(), folder / "log"
    command = make(folder, certificate, served.base.removeprefix("http://"), port, tool)
    with log.open("wb") as file:
        environment = {**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
        process = subprocess.Popen(command, stdout=file, stderr=file, env=environment)
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            assert process.poll() is None, log.read_text() + (folder / "error.log").read_text()
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield Proxy(make.__name__, port, served)
    finally:
        process.terminate()
        process.wait(15)


@pytest.fixture(scope="module", params=[nginx, caddy])
def proxy(
    request: pytest.FixtureRequest,
    served: Served,
    certificate: Path,
    tool: Callable[[str], str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Proxy]:
    with started(request.param, tmp_path_factory.mktemp("proxy"), certificate, served, tool) as found:
        yield found


def test_feeds_and_pages_arrive_as_the_service_made_them(proxy: Proxy) -> None:
    for address in ("/all.atom", "/tags/C++.rss", "/translators/demo-lin.json", "/feeds.opml", "/", "/tags/"):
        status, headers, body = proxy.ask(address)
        assert (status, body) == (200, proxy.served.get(address)), address
        assert headers["Strict-Transport-Security"]


def test_compressed_bodies_and_their_validators_come_through(proxy: Proxy) -> None:
    _status, headers, packed = proxy.ask("/all.rss", Accept_Encoding="gzip")
    assert headers["Content-Encoding"] == "gzip" and len(packed) < len(proxy.served.get("/all.rss"))
    status, again, body = proxy.ask("/all.rss", Accept_Encoding="gzip", If_None_Match=headers["ETag"])
    assert (status, body, again["ETag"]) == (304, b"", headers["ETag"])


def test_readers_are_named_to_the_service(proxy: Proxy) -> None:
    assert proxy.ask("/tags/Ubuntu.atom?reader", X_Forwarded_For="203.0.113.9")[0] == 200
    found = proxy.arrived("/tags/Ubuntu.atom?reader")[-1]
    # What a client claims stands before what the proxy knows, or not at all.
    assert found.headers["x-forwarded-for"].split(", ")[-1] == "127.0.0.1"
    assert found.headers["host"] == HOST


def test_nobody_can_name_himself_by_a_header_that_only_looks_like_the_proxys(proxy: Proxy) -> None:
    with proxy.connect() as plain:
        forged = "".join(f"{name}: 127.0.0.1\r\n" for name in ("X_Forwarded_For", "x_forwarded-for", "X-Forwarded_For"))
        plain.sendall(f"GET /tags/Ubuntu.atom?forged HTTP/1.1\r\nHost: {HOST}\r\n{forged}\r\n".encode())
        assert b" 200 " in plain.recv(100)
    found = proxy.arrived("/tags/Ubuntu.atom?forged")[-1]
    assert not [name for name in found.headers if "_" in name]


def test_people_can_sign_up_and_nothing_of_theirs_is_kept(proxy: Proxy) -> None:
    assert proxy.ask("/subscribe")[0] == 200
    status, headers, _body = proxy.ask("/subscribe", "POST", "email=nobody%40example.org")
    assert status == 200 and "no-store" in headers["Cache-Control"]
    assert [request.status for request in proxy.arrived("/subscribe")][-2:] == [200, 200]


def test_the_operator_can_sign_in_and_other_sites_cannot_do_it_for_him(proxy: Proxy) -> None:
    form = "token=open-sesame-0123456789"
    status, headers, _body = proxy.ask("/operator/sign-in", "POST", form, Origin=f"https://{HOST}")
    assert status == 303 and "HttpOnly" in headers["Set-Cookie"]
    cookie = headers["Set-Cookie"].partition(";")[0]
    assert proxy.ask("/operator/", Cookie=cookie)[0] == 200
    assert proxy.ask("/operator/")[0] == 303, "nothing of it was kept for others"
    assert proxy.ask("/operator/sign-in", "POST", form, Origin="https://other.example")[0] == 403


def test_figures_are_not_for_everybody(proxy: Proxy) -> None:
    assert proxy.ask("/metrics")[0] == 403
    assert not proxy.arrived("/metrics")


def test_large_bodies_end_at_the_door(proxy: Proxy) -> None:
    assert proxy.ask("/hub", "POST", "x" * 300_000)[0] == 413


def test_nginx_answers_what_it_holds_by_itself(proxy: Proxy) -> None:
    if proxy.name != "nginx":
        return  # Caddy keeps nothing
    for _time in range(3):
        assert proxy.ask("/tags/Python.atom?held")[0] == 200
    assert len(proxy.arrived("/tags/Python.atom?held")) == 1
    page = proxy.ask("/tags/Python.atom?held", Sec_Fetch_Dest="document")
    assert page[1]["Content-Type"].startswith("text/html"), "a browser is still shown the page"
    assert proxy.ask("/tags/Python.atom?held")[1]["Content-Type"].startswith("application/atom+xml")


class _Passing(BaseHTTPRequestHandler):
    """A feed that may be kept for a second."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Cache-Control", "public, max-age=1, stale-while-revalidate=600, stale-if-error=86400")
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"feed")

    def log_message(self, format: str, *arguments: object) -> None:
        pass


def test_feeds_stay_up_while_the_service_is_down(certificate: Path, tool: Callable[[str], str], tmp_path: Path) -> None:
    backend = ThreadingHTTPServer(("127.0.0.1", 0), _Passing)
    threading.Thread(target=backend.serve_forever, daemon=True).start()
    with started(nginx, tmp_path, certificate, Served(f"http://127.0.0.1:{backend.server_address[1]}"), tool) as proxy:
        assert proxy.ask("/all.atom")[2] == b"feed"
        backend.shutdown()
        backend.server_close()
        time.sleep(1.2)  # until it may be kept no longer
        assert proxy.ask("/all.atom")[2] == b"feed"
        assert proxy.ask("/")[0] == 502


@pytest.mark.parametrize("make", [nginx, caddy])
def test_forms_are_passed_on_when_they_are_whole(
    make: Maker, certificate: Path, tool: Callable[[str], str], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as backend:
        backend.settimeout(0.5)
        served = Served(f"http://127.0.0.1:{backend.getsockname()[1]}")
        with started(make, tmp_path, certificate, served, tool) as proxy, proxy.connect() as reader:
            reader.sendall(f"POST /subscribe HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 100\r\n\r\nemail=".encode())
            with pytest.raises(TimeoutError):
                backend.accept()
            reader.sendall(b"x" * 94)
            backend.settimeout(15)
            backend.accept()[0].close()
