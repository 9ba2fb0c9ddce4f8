"""The exported demo tree behind real web servers, with exactly the configurations that docs/static.md shows."""

from __future__ import annotations

import gzip
import http.client
import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.parse import quote

import brotli
import pytest

from feeds.feed_formats import content_type, load_formats
from feeds.static.files import OWN
from feeds.static.site_files import Exporter

pytestmark = pytest.mark.interop
DOCS = Path(__file__).resolve().parents[2] / "docs" / "static.md"
#: Tags that are awkward in addresses, in file names, or in configurations of servers.
TAGS = ["C++", "C#", ".NET", "TCP/IP", "内核", "a b", "50%", 'q"u\\o', "{path}", "$uri", "index", "Node.js", "~x", "semi;colon"]
MOVED = {"tags/旧名": "tags/内核", "tags/C": "tags/C++", "tags/UDP/IP": "tags/TCP/IP", "tags/DOTNET": "tags/.NET"}
MOVED |= {'tags/o"ld': 'tags/q"u\\o', "tags/{old}": "tags/{path}", "tags/$old": "tags/$uri", "feeds/old": "feeds/kernel"}
GONE = ["tags/retired", "tags/退役", "tags/F#", "tags/.OLD", "feeds/gone", 'tags/"', "tags/{x}", "tags/Gone Away"]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A site of awkward tags and its tree."""
    from tests.conftest import Site

    site = Site(tmp_path_factory.mktemp("static") / "site")
    site.settle("site.yaml", article_url="", base_url="http://localhost")
    site.settle("feeds.yaml", moved=MOVED, gone=GONE, feeds=[{"name": "kernel", "title": "内核", "select": {"tag": ["内核"]}}])
    site.set("newsletter.yaml", "enabled: true\n")
    for number, tag in enumerate([*TAGS, *TAGS], start=1):
        site.write(f"{number}.md", tags=[tag, "Linux"], body="正文 " * 200, permalink=f"/article-{number}-1.html")
    site.rescan()
    out = tmp_path_factory.mktemp("tree")
    assert not Exporter(site.runtime).export(str(out)).faults
    site.close()
    return site, out


def configuration(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    def __init__(self, name: str, port: int) -> None:
        self.name, self.port = name, port

    def get(self, address: str, **headers: str) -> tuple[int, Message, bytes]:
        """`address` as it goes over the wire."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            wanted = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request("GET", address, headers={"Host": "feeds.example.org", **wanted})
            answered = connection.getresponse()
            return answered.status, answered.headers, answered.read()
        finally:
            connection.close()


def nginx(out: Path, folder: Path, tool: Callable[[str], str], port: int) -> list[str]:
    config = configuration("nginx").replace("/srv/www/feeds", str(out)).replace("listen 80;", f"listen 127.0.0.1:{port};")
    temporary = "".join(
        f"  {kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;\n" if os.geteuid() == 0 else ""
    main = f"{user}daemon off;\npid {folder}/pid;\nevents {{}}\nhttp {{\n  access_log off;\n{temporary}{config}}}\n"
    (folder / "nginx.conf").write_text(main, "utf-8")
    return [tool("nginx"), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]


def caddy(out: Path, folder: Path, tool: Callable[[str], str], port: int) -> list[str]:
    site = configuration("caddyfile").replace("/srv/www/feeds", str(out))
    site = site.replace("feeds.example.org {", f"http://feeds.example.org:{port} {{\n\tbind 127.0.0.1", 1)
    (folder / "Caddyfile").write_text(f"{{\n\tadmin off\n\tpersist_config off\n}}\n{site}", "utf-8")
    return [tool("caddy"), "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


@pytest.fixture(scope="module", params=[nginx, caddy])
def server(
    request: pytest.FixtureRequest,
    exported: tuple[Any, Path],
    tool: Callable[[str], str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Server]:
    folder, port = tmp_path_factory.mktemp("server"), free_port()
    command = request.param(exported[1], folder, tool, port)
    log = folder / "log"
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
        yield Server(request.param.__name__, port)
    finally:
        process.terminate()
        process.wait(15)


def slug(tag: str) -> str:
    from feeds import urls

    return urls.encode(urls.slug(tag))


@pytest.mark.parametrize(
    ("address", "media_type"),
    [(f"/all{format.extension}", content_type(format)) for format in load_formats().values()]
    + [
        ("/feeds.opml", "text/x-opml; charset=utf-8"),
        ("/", "text/html; charset=utf-8"),
        ("/tags/", "text/html; charset=utf-8"),
        ("/tags/Linux", "text/html; charset=utf-8"),
        ("/articles/1", "text/html; charset=utf-8"),
        ("/about/feeds", "text/html; charset=utf-8"),
        ("/digests/", "text/html; charset=utf-8"),
        ("/static/style.css", "text/css; charset=utf-8"),
        ("/static/page.js", "text/javascript; charset=utf-8"),
        ("/static/icon.svg", "image/svg+xml"),
        ("/static/icon.png", "image/png"),
    ],
)
def test_every_kind_of_file_has_its_media_type(server: Server, address: str, media_type: str) -> None:
    status, headers, body = server.get(address)
    assert status == 200 and body
    assert headers["Content-Type"].partition(";")[0] == media_type.partition(";")[0]
    if media_type.endswith("utf-8"):
        assert headers["Content-Type"] == media_type
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert "max-age" in headers["Cache-Control"]


def test_feeds_are_the_bytes_that_were_exported_in_each_coding(server: Server, exported: tuple[Any, Path]) -> None:
    plain = (exported[1] / "all.atom").read_bytes()
    status, headers, body = server.get("/all.atom", Accept_Encoding="gzip")
    assert (status, headers["Content-Encoding"]) == (200, "gzip")
    assert body == (exported[1] / "all.atom.gz").read_bytes() and gzip.decompress(body) == plain
    assert "Accept-Encoding" in headers["Vary"]
    tag = headers["ETag"]
    assert not tag.startswith("W/")
    status, headers, body = server.get("/all.atom")
    assert (headers["Content-Encoding"], body) == (None, plain)
    assert headers["ETag"] != tag, "each coding has a validator of its own"
    if server.name == "caddy":
        status, headers, body = server.get("/all.atom", Accept_Encoding="br, gzip")
        assert headers["Content-Encoding"] == "br" and brotli.decompress(body) == plain
        assert headers["Content-Type"] == "application/atom+xml; charset=utf-8"


@pytest.mark.parametrize("address", ["/all.atom", "/tags/Linux", "/feeds.opml"])
def test_validators_sent_back_are_answered_304(server: Server, address: str) -> None:
    for coding in ("gzip", "identity"):
        _status, headers, _body = server.get(address, Accept_Encoding=coding)
        status, again, body = server.get(address, Accept_Encoding=coding, If_None_Match=headers["ETag"])
        assert (status, body, again["ETag"]) == (304, b"", headers["ETag"])
        assert server.get(address, Accept_Encoding=coding, If_Modified_Since=headers["Last-Modified"])[0] == 304
        assert server.get(address, Accept_Encoding=coding, If_None_Match='"another"')[0] == 200


@pytest.mark.parametrize("tag", TAGS)
def test_awkward_tags_have_their_page_and_their_feeds(server: Server, tag: str) -> None:
    for extension in ("", ".atom", ".rss", ".json"):
        status, headers, _body = server.get(f"/tags/{slug(tag)}{extension}")
        assert status == 200, extension
        assert headers["Content-Type"].startswith("text/html") == (extension == "")
    assert f'/tags/{slug(tag)}.atom"'.encode() in server.get("/tags/")[2]


@pytest.mark.parametrize(("old", "new"), MOVED.items())
def test_what_was_moved_is_301(server: Server, old: str, new: str) -> None:
    from feeds import urls
    from feeds.config.models import feed_path

    for extension in ("", ".atom", ".rss", ".json"):
        for written in dict.fromkeys((urls.encode(feed_path(old)), quote(old))):
            status, headers, _body = server.get(f"/{written}{extension}")
            assert status == 301, written
            assert headers["Location"].replace("$", "%24") == f"/{urls.encode(feed_path(new))}{extension}".replace("$", "%24")
            assert server.get(headers["Location"])[0] == 200


@pytest.mark.parametrize("path", GONE)
def test_what_is_gone_is_410_with_a_page(server: Server, path: str) -> None:
    from feeds import urls
    from feeds.config.models import feed_path

    for extension in ("", ".atom"):
        status, headers, body = server.get(f"/{urls.encode(feed_path(path))}{extension}")
        assert status == 410
        assert headers["Content-Type"] == "text/html; charset=utf-8"
        assert "这个订阅源已经停用".encode() in body or b"410" in body
        assert headers["Access-Control-Allow-Origin"] == "*"


def test_permalinks_lead_to_their_pages(server: Server) -> None:
    assert server.get("/article-3-1.html")[1]["Location"] == "/articles/3"
    assert server.get("/tags")[2] == server.get("/tags/")[2]
    assert server.get("/article-9999-1.html")[0] == 404


@pytest.mark.parametrize(
    "address", ["/nothing", "/tags/nothing.atom", f"/{OWN}/manifest.db", f"/{OWN}/nginx.conf", "/%2e%2e/x"]
)
def test_what_is_not_there_is_404_with_a_page(server: Server, address: str) -> None:
    status, headers, body = server.get(address)
    if address == "/%2e%2e/x" and status == 400:
        return  # nginx does not even look
    assert status == 404
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert b"404" in body and b"/static/style.css" in body


def test_nginx_finds_nothing_to_complain_about(exported: tuple[Any, Path], tool: Callable[[str], str], tmp_path: Path) -> None:
    said = subprocess.run([*nginx(exported[1], tmp_path, tool, free_port()), "-t"], capture_output=True, text=True, timeout=30)
    assert said.returncode == 0, said.stderr
    assert "warn" not in said.stderr


def test_the_tree_is_what_is_documented(exported: tuple[Any, Path]) -> None:
    for name in ("index.html", "tags/index.html", "about/feeds.html", "tags/Linux.html", "tags/Linux.atom", "feeds.opml"):
        assert (exported[1] / name).is_file()
        assert (exported[1] / f"{name}.gz").is_file() and (exported[1] / f"{name}.br").is_file()
