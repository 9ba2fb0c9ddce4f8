"""The package under examples/ is installed and adds a format, a kind of front matter, a transport and a source of bounces."""

from __future__ import annotations

import base64
import hmac
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from . import forking
from .conftest import CHECKOUT
from .serving import served

pytestmark = pytest.mark.interop
EXAMPLE = CHECKOUT / "examples" / "feeds-extras"
NOTE = "@ 2026-11-29 09:30 +08:00 #Linux #内核 by demo-lin\nThe new kernel boots in two seconds. It took five before.\n"
KEY = "an example"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the package is installed in, by its own build file."""
    source = shutil.copytree(EXAMPLE, tmp_path_factory.mktemp("source") / "extras")
    target = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return target


class Extended:
    """The demo's site with one note in its store, and the program with the package beside it."""

    def __init__(self, root: Path, installed: Path) -> None:
        self.root, self.config = root, root / "config"
        shutil.copytree(CHECKOUT / "config", self.config)
        shutil.copytree(CHECKOUT / "demo", root / "demo")
        (root / "demo" / "articles" / "note.md").write_text(NOTE, "utf-8")
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("FEEDS_")},
            "PYTHONPATH": os.pathsep.join([str(installed), str(CHECKOUT)]),
            "FEEDS_SECRET_KEY": "only for this test",
        }

    def feeds(self, *words: str, fails: bool = False, **variables: str) -> str:
        command = [sys.executable, "-m", "feeds", *words, "--config", str(self.config)]
        done = forking.run(
            command, env={**self.environment, **variables}, cwd=self.root, capture_output=True, text=True, timeout=120
        )
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stdout + done.stderr

    def set(self, file: str, pattern: str, text: str) -> None:
        path = self.config / file
        path.write_text(re.sub(pattern, text, path.read_text("utf-8"), flags=re.MULTILINE), "utf-8")


@pytest.fixture
def extended(installed: Path, tmp_path: Path) -> Extended:
    made = Extended(tmp_path, installed)
    made.feeds("rescan")
    return made


def test_a_note_of_the_new_kind_is_an_article_with_tags_and_an_author(extended: Extended) -> None:
    entry = json.loads(extended.feeds("show", "all.json"))["items"][0]
    assert entry["title"] == "The new kernel boots in two seconds" and set(entry["tags"]) == {"Linux", "内核"}
    assert entry["date_published"] == "2026-11-29T01:30:00+00:00" and "It took five before" in entry["content_html"]
    assert json.loads(extended.feeds("status", "--json"))["quarantined"] == 0
    (extended.root / "demo" / "articles" / "bad.md").write_text("@ 2026-03-01\nA note with no time.\n")
    extended.feeds("rescan")
    assert "bad.md:1:1: expected a line like" in extended.feeds("check", fails=True)


def test_the_new_format_is_served_exported_linked_and_typed_right(extended: Extended) -> None:
    page = extended.feeds("show", "tags/Linux.mf2.html")
    assert 'class="h-feed"' in page and page.count('class="h-entry"') >= 4
    extended.feeds("export", "out", "--no-compress")
    assert (extended.root / "out" / "tags" / "Linux.mf2.html").read_text("utf-8") == page
    assert not list((extended.root / "out").rglob("*.mf2.html.html"))
    home = (extended.root / "out" / "index.html").read_text("utf-8")
    assert re.search(r'<link rel="alternate" type="text/html"[^>]* href="[^"]*/all\.mf2\.html"', home)
    with (
        served(extended.root, extended.environment) as base,
        urllib.request.urlopen(f"{base}/tags/Linux.mf2.html", timeout=10) as answer,
    ):
        assert answer.read().decode() == page and answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert answer.headers["ETag"]


class Api(http.server.BaseHTTPRequestHandler):
    """An HTTP API for mail: refuses one recipient, keeps what it takes."""

    def do_GET(self) -> None:
        self._answer(200 if self.headers["Authorization"] == f"Bearer {KEY}" else 401)

    def do_POST(self) -> None:
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.taken.append(sent)  # type: ignore[attr-defined]
        self._answer(422 if sent["to"] == "reader@example.com" else 202)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_arguments: Any) -> None:
        pass


@pytest.fixture
def api() -> Iterator[http.server.ThreadingHTTPServer]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
    server.taken = []  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_the_new_transport_sends_a_digest_and_a_webhook_books_its_bounce(extended: Extended, api: Any) -> None:
    extended.set("newsletter.yaml", r"^transport: \w+", "transport: extras")
    extended.feeds("rescan")
    extended.feeds("subscribers", "import", str(CHECKOUT / "demo" / "readers.csv"))
    extended.feeds("digest", "plan", "--now", "2025-01-01T08:00:00+08:00")
    send = ("digest", "send", "--now", "2026-11-02T00:00:00+08:00")
    assert "needs EXTRAS_MAIL_URL" in extended.feeds(*send, fails=True)
    mail = {"EXTRAS_MAIL_URL": f"http://127.0.0.1:{api.server_port}/messages", "EXTRAS_MAIL_KEY": KEY}
    extended.feeds(*send, **mail)
    found = json.loads(extended.feeds("digest", "status", "--json"))
    messages = {one["to"]: one for one in api.taken}
    assert found["sent"] == len(api.taken) - 1 > 0 and found["failed"] == 1, found
    message = messages["reader@example.org"]
    assert b"\r\nSubject: " in base64.b64decode(message["mime"]) and message["from"]

    token = message["from"].partition("+")[2].partition("@")[0]
    event = {"id": "e1", "event": "bounced", "code": "5.1.1", "text": "no such user", "envelope_id": token}
    body = json.dumps([event]).encode()
    signature = hmac.digest(KEY.encode(), body, "sha256").hex()
    with served(extended.root, extended.environment | {"EXTRAS_WEBHOOK_KEY": KEY}) as base:
        assert post(f"{base}/bounces/extras", body, "wrong") == 403 and post(f"{base}/bounces/nobody", body, signature) == 404
        assert [post(f"{base}/bounces/extras", body, signature) for _ in range(2)] == [200, 200], "twice is once"
    issues = json.loads(extended.feeds("bounces", "--json", EXTRAS_WEBHOOK_KEY=KEY))["issues"]
    counted = {kind: sum(row.get(kind, 0) for row in issues.values()) for kind in ("hard", "soft")}
    assert counted == {"hard": 2, "soft": 0}, "this event, once, and the API's refusal"


def post(url: str, body: bytes, signature: str) -> int:
    request = urllib.request.Request(url, body, {"X-Extras-Signature": signature, "Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status) // 100 * 100
    except urllib.error.HTTPError as error:
        return error.code
