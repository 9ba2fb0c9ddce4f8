"""Every answer has a name that the log knows, too; what goes wrong is an answer that says when to come again."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs
from werkzeug.test import Client

from feeds.config.environment import Environment
from feeds.web import access_log
from feeds.web.app import create_app
from feeds.web.fast_path import RECHECK_SECONDS

from ..newsletter.servers import wait_for

HEADER = "X-Request-ID"
PATHS = (
    "/all.atom",
    "/all.atom",
    "/",
    "/tags/",
    "/none",
    "/health",
    "/ready",
    "/metrics",
    "/tags/linux.atom",
    "/static/style.css",
)


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def said(logged: Any) -> list[Any]:
    """Of requests: what threads of other tests may still say is left out."""
    return [event for event in logged if "request" in event]


def test_each_answer_has_a_name_of_its_own(client: Client) -> None:
    answers = [client.get(path) for path in PATHS]
    answers.append(client.get("/all.atom", headers={"If-None-Match": answers[0].headers["ETag"]}))
    assert answers[-1].status_code == 304
    names = [answered.headers.get_all(HEADER) for answered in answers]
    assert all(len(found) == 1 and re.fullmatch(r"[0-9a-f]{12}-\d+", found[0]) for found in names), names
    assert len({found[0] for found in names}) == len(names)


def test_two_workers_never_use_the_same_names(web_site: Any, make_client: Callable[[Any], Client]) -> None:
    prefixes = {make_client(web_site).get("/health").headers[HEADER].partition("-")[0] for _ in range(5)}
    assert len(prefixes) == 5


@pytest.mark.parametrize("path", ["/all.atom", "/"])
@pytest.mark.parametrize("given", ["f00d2d9c1f7b4d5e9a3c8b7a6d5e4f30", "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "Root=1-67-ab"])
def test_a_trusted_proxy_names_its_requests_itself(client: Client, path: str, given: str) -> None:
    for _ in range(2):
        assert client.get(path, headers={HEADER: given}, environ_base={"REMOTE_ADDR": "127.0.0.1"}).headers[HEADER] == given


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "<script>", "é", 'a"b', "a;b"])
def test_what_is_no_name_is_not_taken_from_anybody(client: Client, given: str) -> None:
    for path in ("/all.atom", "/all.atom", "/"):
        answered = client.get(path, headers={HEADER: given}, environ_base={"REMOTE_ADDR": "127.0.0.1"})
        assert answered.headers[HEADER] != given


def test_a_stranger_cannot_choose_names(client: Client) -> None:
    for path in ("/all.atom", "/all.atom", "/"):
        answered = client.get(path, headers={HEADER: "chosen"}, environ_base={"REMOTE_ADDR": "192.0.2.7"})
        assert answered.headers[HEADER] != "chosen"


# -- faults ----------------------------------------------------------------------


@pytest.fixture
def failing(web_site: Any) -> Client:
    """A home page whose template, changed by the operator, is wrong."""
    folder = web_site.root / "templates" / "web"
    folder.mkdir(parents=True)
    (folder / "home.html").write_text('{% extends "base.html" %}{% block content %}{{ nothing.there }}{% endblock %}')
    return Client(create_app(web_site.environment))


def test_a_fault_is_logged_under_the_name_that_its_page_shows(failing: Client) -> None:
    with capture_logs() as logged:
        answered = failing.get("/", headers={"Accept-Language": "en"})
    name = answered.headers[HEADER]
    assert answered.status_code == 500 and answered.headers["Cache-Control"] == "no-store"
    assert f"<code>{name}</code>" in answered.text and "UndefinedError" not in answered.text
    [event] = said(logged)
    assert (event["event"], event["request"], event["path"], event["error"]) == ("request_failed", name, "/", "UndefinedError")
    assert event["exc_info"]


def test_where_even_the_page_of_errors_is_wrong_words_say_so(failing: Client, web_site: Any) -> None:
    (web_site.root / "templates" / "web" / "error.html").write_text("{{ nothing.there }}")
    with capture_logs() as logged:
        answered = failing.get("/")
    assert answered.status_code == 500 and answered.content_type.startswith("text/plain")
    assert answered.headers[HEADER] in answered.text
    assert [event["event"] for event in said(logged)] == ["request_failed", "error_page_failed"]


def test_answers_that_take_long_are_logged(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    with capture_logs() as logged:
        client.get("/tags/")
        monkeypatch.setattr(access_log, "SLOW_SECONDS", 0.0)
        name = client.get("/tags/").headers[HEADER]
    assert [(event["event"], event["request"], event["path"]) for event in said(logged)] == [("slow_response", name, "/tags/")]


def test_the_access_log_holds_every_request_and_no_whole_address(web_site: Any) -> None:
    environment = Environment.read(web_site.config_dir, {"FEEDS_ACCESS_LOG": "1"})
    client = Client(create_app(environment))
    with capture_logs() as logged:
        for path in ("/all.atom?x=1", "/all.atom", "/tags/%E5%86%85%E6%A0%B8"):
            client.get(path, headers={"X-Forwarded-For": "203.0.113.77"}, environ_base={"REMOTE_ADDR": "127.0.0.1"})
        client.head("/all.atom", environ_base={"REMOTE_ADDR": "2001:db8:1:2::3"})
    assert [(event["method"], event["path"], event["status"], event["network"]) for event in said(logged)] == [
        ("GET", "/all.atom", 200, "203.0.113.0/24"),
        ("GET", "/all.atom", 200, "203.0.113.0/24"),
        ("GET", "/tags/内核", 200, "203.0.113.0/24"),
        ("HEAD", "/all.atom", 200, "2001:db8:1::/48"),
    ]
    sizes = [event["bytes"] for event in said(logged)]
    assert sizes[0] == sizes[1] > 1000 and sizes[3] == 0


def test_nothing_is_logged_of_usual_requests(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    with capture_logs() as logged, caplog.at_level(logging.INFO):
        for path in PATHS:
            client.get(path)
    assert said(logged) == [] and caplog.records == []


# -- the database is away --------------------------------------------------------


class Away:
    """Takes the database away and brings it back, under a worker that has no connection to it yet or has let it go."""

    def __init__(self, site: Any) -> None:
        self.site, self.folder, self.kept = site, site.root / "var", site.root / "kept"
        self.kept.mkdir()

    def take(self) -> None:
        self.site.runtime.close()
        for path in self.folder.glob("away.db*"):
            path.rename(self.kept / path.name)
        (self.folder / "away.db").mkdir()  # what cannot be opened

    def bring_back(self) -> None:
        (self.folder / "away.db").rmdir()
        for path in self.kept.iterdir():
            path.rename(self.folder / path.name)


@pytest.fixture
def in_a_file(web_site: Any) -> Any:
    """A site whose database is a file, whatever this run's sites keep."""
    web_site.environment = Environment.read(web_site.config_dir, {"FEEDS_DATABASE_URL": "sqlite:///var/away.db"})
    web_site.reopen()
    web_site.rescan()
    return web_site


def test_a_worker_that_never_reached_its_database_says_when_to_come_again_and_recovers(in_a_file: Any) -> None:
    away = Away(in_a_file)
    away.take()
    client = Client(create_app(in_a_file.environment))
    with capture_logs() as logged:
        for path in ("/", "/all.atom", "/tags/Linux", "/metrics", "/search?q=x", "/none"):
            answered = client.get(path)
            assert (answered.status_code, answered.headers["Retry-After"]) == (503, "5"), path
            assert answered.headers["Cache-Control"] == "no-store"
            assert answered.headers[HEADER] in answered.text and str(in_a_file.root) not in answered.text
    assert [event["event"] for event in logged if event["event"].startswith("database")] == ["database_fault"], "said once"
    assert client.get("/health").status_code == 200
    away.bring_back()
    for path in ("/", "/all.atom", "/tags/Linux", "/metrics"):
        assert client.get(path, environ_base={"REMOTE_ADDR": "127.0.0.1"}).status_code == 200, path


def test_a_worker_that_loses_its_database_serves_what_it_has_and_recovers(in_a_file: Any) -> None:
    app = create_app(in_a_file.environment)
    client = Client(app)
    before = client.get("/all.atom")
    away = Away(in_a_file)
    app.limiter.stats.flush()
    web_service = app.app.__self__.extensions["feeds"].runtime  # type: ignore[attr-defined]
    web_service.close()  # as a server that was stopped closes its connections
    away.take()
    app.editions.expire()
    assert (client.get("/all.atom").status_code, client.get("/all.atom").data) == (200, before.data)
    for path in ("/", "/tags/Linux.atom", "/all.rss"):
        answered = client.get(path, headers={"Accept-Language": "en"})
        assert (answered.status_code, answered.headers["Retry-After"]) == (503, "5")
        assert "Feeds that you follow go on" in answered.text and answered.headers[HEADER] in answered.text
    ready = client.get("/ready")
    assert ready.status_code == 503 and "in the place of the database file" in ready.text
    away.bring_back()
    app.editions.expire()
    wait_for(lambda: client.get("/ready").status_code == 200)
    assert client.get("/").status_code == client.get("/tags/Linux.atom").status_code == 200
    assert RECHECK_SECONDS < 5
