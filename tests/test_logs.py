"""One event a line in each shape, libraries' lines alike, and nothing in it that must not be."""

from __future__ import annotations

import dataclasses
import json
import logging
import re
import string
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from feeds import logs
from feeds.config.environment import SecretStr
from feeds.logs import Scrub, secrets_of
from feeds.tokens import Tokens

from .newsletter.club import Club

TOKEN = st.text(string.ascii_letters + string.digits + "-_.", min_size=8, max_size=60).map(lambda text: f"zq{text}")
AROUND = st.text(max_size=30)


@pytest.fixture
def restored() -> Iterator[None]:
    """Logging as it was."""
    root = logging.getLogger()
    before = root.level, list(root.handlers)
    yield
    root.level, root.handlers = before
    structlog.reset_defaults()


def spoken(capsys: pytest.CaptureFixture[str], format: str) -> list[str]:
    """What a program, a fault of it and a library say, line by line."""
    logs.configure(format)
    log: Any = structlog.get_logger()
    log.info("serving", workers=2, path="/标签 一")
    try:
        raise ValueError("two\nlines")
    except ValueError:
        log.exception("request_failed", error="ValueError")
        logging.getLogger("_granian").exception("Application callable\nraised")
    logging.getLogger("alembic.runtime").info("not worth a line")
    return capsys.readouterr().err.splitlines()


@pytest.mark.usefixtures("restored")
def test_in_json_each_line_is_an_event(capsys: pytest.CaptureFixture[str]) -> None:
    events = [json.loads(line) for line in spoken(capsys, "json")]
    assert [(event["event"], event["level"]) for event in events] == [
        ("serving", "info"),
        ("request_failed", "error"),
        ("Application callable raised", "error"),
    ]
    assert events[0]["path"] == "/标签 一" and events[0]["workers"] == 2
    assert all(event["exception"].endswith("ValueError: two\nlines") for event in events[1:])
    assert events[2]["library"] == "granian"
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", event["timestamp"]) for event in events)


@pytest.mark.usefixtures("restored")
def test_in_logfmt_each_line_is_an_event_and_in_a_pipe_that_is_the_usual_shape(capsys: pytest.CaptureFixture[str]) -> None:
    for format in ("logfmt", "auto"):
        lines = spoken(capsys, format)
        assert len(lines) == 3
        assert all(re.match(r"timestamp=\S+ level=(info|error) event=", line) for line in lines)
        assert 'path="/标签 一"' in lines[0] and r"ValueError: two\nlines" in lines[1]


@pytest.mark.usefixtures("restored")
def test_for_eyes_there_are_colours_and_tracebacks_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    lines = spoken(capsys, "console")
    assert "\x1b[" in lines[0] and "serving" in lines[0]
    assert "ValueError: two" in lines


# -- what must not be in a log ----------------------------------------------------


def scrubbed(secrets: tuple[str, ...] = (), **event: Any) -> str:
    return repr(Scrub(secrets)(None, "info", {"event": "said", **event}))


@given(
    TOKEN, AROUND, st.sampled_from(["confirm", "preferences", "unsubscribe"]), st.sampled_from(["", "/next", "?a=b", '"', " x"])
)
def test_a_link_of_a_subscriber_is_cut_whatever_is_around_it(token: str, around: str, door: str, after: str) -> None:
    for said in (
        f"{around}/{door}/{token}{after}",
        [f"GET https://x.example/{door}/{token}{after}"],
        {"path": f"/{door}/{token}"},
    ):
        assert token not in scrubbed(reason=said)


@given(TOKEN, AROUND)
def test_passwords_addresses_and_known_secrets_are_cut(token: str, around: str) -> None:
    assert token not in scrubbed(reason=f"{around} smtp://mailer:{token}@mail.example:587 {around}")
    assert token not in scrubbed(reason=f"{around} postgresql://{token}@db/feeds")
    assert token not in scrubbed(reason=f"550 5.1.1 <{token}@example.org>: unknown")
    assert token not in scrubbed(reason=f"Authorization: Bearer {token}", Cookie=token, headers={"Set-Cookie": token})
    assert token not in scrubbed((token,), exception=f"{around}{token}{around}")


def test_what_is_no_secret_stays() -> None:
    said = scrubbed(
        ("s3cr3t-token",), address="http://127.0.0.1:8000", file="/srv/a@b/1.md:3:1", number=5, reason="451 4.7.1 busy"
    )
    assert all(word in said for word in ("http://127.0.0.1:8000", "/srv/a@b/1.md:3:1", "5", "451 4.7.1 busy"))


def test_secrets_of_settings_are_tokens_and_passwords() -> None:
    found = secrets_of(
        "smtp://a:one-pass@h smtps://b:two-pass@h", "postgresql://u:three-pass@h/d", "a-token", "sqlite:///x", ""
    )
    assert found - {""} == {"one-pass", "two-pass", "three-pass", "a-token"}


# -- a real service ------------------------------------------------------------------

OPERATOR, SIGNING, PASSWORD = "operator-token-4711-wbTq9x", "signing-key-0815-0815", "pa55word-of-mailer"
READER = "reader.zq@example.org"


@pytest.fixture
def club(site: Any) -> Club:
    made = Club(site)
    made.settle(transport="smtp")
    return made


def test_no_door_that_bears_a_token_leaves_it_in_the_log(club: Club, running: Callable[..., Any]) -> None:
    """Every such address, right and wrong, with the access log on, mail that cannot go out, and wrong questions."""
    environment = {
        "FEEDS_OPERATOR_TOKEN": OPERATOR,
        "FEEDS_SECRET_KEY": SIGNING,
        "FEEDS_SMTP_URL": f"smtp://mailer:{PASSWORD}@127.0.0.1:9/?starttls=0",
    }
    club.site.environment = dataclasses.replace(club.site.environment, secret_key=SecretStr(SIGNING))
    club.site.reopen()
    preferences = club.join(READER, now=int(time.time()) - 60)
    club.sign_up("other.zq@example.org", now=int(time.time()))
    confirm, bounce = club.token(), Tokens(SIGNING).bounce(1, 1)
    options = ("--workers", "1", "--log-format", "json", "--access-log")
    service = running(club.site.config_dir, *options, environment=environment).ready()
    leave, undo = Tokens(SIGNING).unsubscribe(1), Tokens(SIGNING).undo(1, 1)
    doors = [f"/confirm/{confirm}", f"/unsubscribe/{leave}", f"/undo/{undo}", f"/digests/none?to={bounce}"]
    doors += [f"/preferences/{preferences}{rest}" for rest in ("", "/data.json", "/next", "/next/weekly", "/nothing", "?x=1")]
    cookie = {"Cookie": f"feeds_operator={preferences}; language=en", "Authorization": f"Bearer {OPERATOR}"}
    for door in doors:
        for method in ("GET", "HEAD", "POST", "DELETE"):
            service.request(door, cookie, method)
            service.request(door + "~", cookie, method)
    assert service.request("/metrics", {"Authorization": f"Bearer {OPERATOR}"})[0] == 200
    for token in (OPERATOR, "wrong-token-4711"):
        service.send("/operator/sign-in", {"token": token})
    service.send("/subscribe", {"email": READER, "select": "tag=Linux", "frequency": "weekly"})
    service.wait(lambda: '"event": "mail_waiting"' in service.log(), 90)  # the mail server that is not there
    service.stop()
    assert service.process.returncode == 0, service.log()
    events = [json.loads(line) for line in service.log().splitlines()]
    asked = [event for event in events if event["event"] == "request"]
    assert {"/confirm/…", "/unsubscribe/…", "/preferences/…/next/weekly"} <= {event["path"] for event in asked}
    assert len(asked) >= len(doors) * 8 and all(event["request"] and "seconds" in event for event in asked)
    for secret in (
        OPERATOR,
        "wrong-token-4711",
        SIGNING,
        PASSWORD,
        preferences,
        leave,
        undo,
        confirm,
        bounce,
        "zq@",
        urlencode({"": READER}),
    ):
        assert secret not in service.log(), secret
