"""Who is let into the console, for how long, and what forms and pages must say."""

from __future__ import annotations

import re
from typing import Any

import pytest
import sqlalchemy as sa
from werkzeug.test import Client

from feeds import audit_log, database
from feeds.admin import sessions
from feeds.admin.sessions import SessionKeys
from feeds.config.environment import Environment
from feeds.database import tables
from feeds.runtime import Runtime
from feeds.web.app import create_app
from tests.admin.conftest import TOKEN, Operator

PAGES = ("/", "/quarantine", "/feeds", "/feeds/own", "/feeds/new", "/subscribers", "/issues", "/configuration", "/log")
PLOTS = ("/plots/requests.svg?path=all", "/plots/readers.svg?path=all", "/plots/subscribers.svg", "/plots/movement.svg")


def test_without_a_token_in_the_environment_there_is_no_console(site: Any) -> None:
    site.rescan()
    client = Client(create_app(site.environment))
    answered = client.get("/operator/", headers={"Accept-Language": "en"})
    assert answered.status_code == 404
    assert "FEEDS_OPERATOR_TOKEN" in answered.get_data(as_text=True)
    assert client.post("/operator/sign-in", data={"token": ""}).status_code == 404


def test_nothing_is_shown_to_who_is_not_signed_in(newcomer: Operator) -> None:
    for path in (*PAGES, *PLOTS, "/nothing"):
        answered = newcomer.get(path)
        assert answered.status_code == 303, path
        assert answered.headers["Location"].startswith("/operator/sign-in")


def test_nothing_is_done_for_who_is_not_signed_in(newcomer: Operator) -> None:
    before = newcomer.yaml.read_bytes()
    for path in ("/feeds/save", "/feeds/remove", "/feeds/undo", "/issues/pause", "/issues/test", "/subscribers", "/sign-out"):
        assert newcomer.post(path, name="x").status_code == 303, path
    assert newcomer.yaml.read_bytes() == before


def test_every_page_opens_for_the_operator_and_is_kept_nowhere(operator: Operator) -> None:
    for path in (*PAGES, "/feeds/show?path=all", *PLOTS):
        answered = operator.get(path)
        assert answered.status_code == 200, path
        assert answered.headers["Cache-Control"] == "no-store"
        assert "noindex" in answered.headers["X-Robots-Tag"]
        assert answered.headers["X-Frame-Options"] == "DENY"
        policy = answered.headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in policy and "default-src 'none'" in policy
        assert "Access-Control-Allow-Origin" not in answered.headers and "Content-Encoding" not in answered.headers


def test_no_other_site_is_told_that_it_may_ask(operator: Operator) -> None:
    for path in ("/", "/sign-in", "/feeds/save"):
        answered = operator.client.options(f"/operator{path}", headers={**operator.headers, "Origin": "https://evil.example"})
        assert not [name for name in dict(answered.headers) if name.startswith("Access-Control-")], path


def test_a_page_has_no_style_and_no_script_of_its_own(operator: Operator) -> None:
    for path in PAGES:
        text = operator.get(path).get_data(as_text=True)
        assert "<style" not in text and " style=" not in text and "onclick" not in text
        assert len(re.findall(r"<script\b", text)) == len(
            re.findall(r'<script (?:type="module" )?src="/static/[a-z]+\.js"', text)
        )


def test_who_came_for_a_page_gets_it_after_signing_in(newcomer: Operator) -> None:
    newcomer.get("/feeds?sort=readers")
    newcomer.follow()
    newcomer.post("/sign-in", token=TOKEN)
    assert newcomer.page.headers["Location"] == "/operator/feeds?sort=readers"


def test_nobody_is_sent_elsewhere_after_signing_in(newcomer: Operator) -> None:
    for to in ("//evil.example/operator/", "https://evil.example/operator/", "/\\evil.example", "/tags/", "/operatorx"):
        newcomer.get("/sign-in")
        assert newcomer.post("/sign-in", token=TOKEN, to=to).headers["Location"] == "/operator/", to


def test_the_cookie_is_for_the_console_alone_and_out_of_reach_of_scripts(newcomer: Operator) -> None:
    cookie = newcomer.sign_in().headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and "Path=/operator" in cookie and "Secure" not in cookie


def test_behind_tls_the_cookie_is_secure(console_site: Any) -> None:
    console_site.settle("site.yaml", base_url="https://feeds.example")
    console_site.rescan()
    assert "Secure" in Operator(console_site).sign_in().headers["Set-Cookie"]


def test_a_session_that_somebody_else_has_chosen_is_not_taken_over(newcomer: Operator) -> None:
    newcomer.client.set_cookie("operator", "chosen-by-another", path="/operator")
    newcomer.sign_in()
    assert newcomer.client.get_cookie("operator", path="/operator").value != "chosen-by-another"
    stranger = Client(create_app(newcomer.site.environment))
    stranger.set_cookie("operator", "chosen-by-another", path="/operator")
    assert stranger.get("/operator/").status_code == 303


def test_signing_in_anew_gives_another_session(operator: Operator) -> None:
    first = operator.client.get_cookie("operator", path="/operator").value
    other = Operator(operator.site)
    other.sign_in()
    assert other.client.get_cookie("operator", path="/operator").value != first


def test_signing_out_ends_the_session_wherever_its_cookie_has_got_to(operator: Operator) -> None:
    stolen = operator.client.get_cookie("operator", path="/operator").value
    operator.get("/")
    operator.post("/sign-out")
    thief = Client(create_app(operator.site.environment))
    thief.set_cookie("operator", stolen, path="/operator")
    assert thief.get("/operator/").status_code == 303


@pytest.mark.parametrize("change", [{"FEEDS_OPERATOR_TOKEN": "another-sesame-9274-opens"}, {"FEEDS_SECRET_KEY": "another"}])
def test_another_token_or_secret_ends_every_session(operator: Operator, change: dict[str, str]) -> None:
    value = operator.client.get_cookie("operator", path="/operator").value
    changed = Environment.read(operator.site.config_dir, {"FEEDS_OPERATOR_TOKEN": TOKEN, **change})
    client = Client(create_app(changed))
    client.set_cookie("operator", value, path="/operator")
    assert client.get("/operator/").status_code == 303


def test_the_table_of_sessions_holds_no_key_that_opens(operator: Operator) -> None:
    value = operator.client.get_cookie("operator", path="/operator").value
    with operator.site.runtime.reading() as connection:
        rows = connection.execute(sa.select(tables.operator_sessions.c.id)).scalars().all()
    assert len(rows) == 1 and value not in rows
    thief = Client(create_app(operator.site.environment))
    thief.set_cookie("operator", rows[0], path="/operator")
    assert thief.get("/operator/").status_code == 303


# -- forms -------------------------------------------------------------------


def test_a_form_of_another_site_is_refused(operator: Operator) -> None:
    for name, value in (
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
        ("Origin", "https://evil.example"),
        ("Origin", "https://localhost.evil.example"),
    ):
        operator.get("/")
        assert operator.post("/sign-out", headers={name: value}).status_code == 403, value
    assert operator.get("/").status_code == 200


def test_a_form_of_ones_own_site_passes_with_and_without_origin(operator: Operator) -> None:
    operator.get("/subscribers")
    assert operator.post("/subscribers", headers={"Origin": "http://localhost"}, email="a@example.org").status_code == 200
    assert operator.post("/subscribers", email="a@example.org").status_code == 200


@pytest.mark.parametrize("key", ["", "0" * 40])
def test_a_form_without_the_sessions_key_is_refused(operator: Operator, key: str) -> None:
    operator.get("/feeds/own")
    before = operator.yaml.read_bytes()
    assert operator.post("/feeds/remove", key=key, name="kernel").status_code == 403
    assert "Nothing was changed" in operator.text
    assert operator.yaml.read_bytes() == before


def test_the_key_of_one_session_is_none_for_another(operator: Operator) -> None:
    other = Operator(operator.site)
    other.sign_in()
    other.get("/")
    key = other.hidden("/sign-out")["key"]
    operator.get("/")
    assert operator.hidden("/sign-out")["key"] != key
    assert operator.post("/sign-out", key=key).status_code == 403


def test_a_huge_form_is_refused(newcomer: Operator) -> None:
    newcomer.get("/sign-in")
    assert newcomer.post("/sign-in", token="x" * 100_000).status_code == 413


# -- wrong tokens --------------------------------------------------------------


def test_a_wrong_token_is_refused_and_noted_without_itself(newcomer: Operator) -> None:
    assert newcomer.sign_in("wrong-guess").status_code == 403
    assert "not the token" in newcomer.text
    newcomer.sign_in()
    newcomer.get("/log")
    assert "Wrong token" in newcomer.text and "wrong-guess" not in newcomer.text and TOKEN not in newcomer.text


def test_after_some_wrong_tokens_even_the_right_one_has_to_wait(newcomer: Operator) -> None:
    for _try in range(sessions.FREE_TRIES):
        assert newcomer.sign_in("wrong").status_code == 403
    assert newcomer.sign_in(TOKEN).status_code == 429
    assert 0 < int(newcomer.page.headers["Retry-After"]) <= 60
    assert newcomer.get("/").status_code == 303


def test_another_worker_knows_of_the_tries(newcomer: Operator) -> None:
    for _try in range(sessions.FREE_TRIES):
        newcomer.sign_in("wrong")
    assert Operator(newcomer.site).sign_in(TOKEN).status_code == 429


@pytest.fixture
def keys(console_site: Any) -> SessionKeys:
    return SessionKeys(TOKEN, console_site.runtime.tokens())


def attempt(runtime: Runtime, keys: SessionKeys, given: str, ip: str, now: int) -> Any:
    with database.writing(runtime.engine) as connection:
        return sessions.sign_in(connection, keys, given, ip, now)


def test_each_further_wrong_token_doubles_the_wait(console_site: Any, keys: SessionKeys) -> None:
    runtime, now, waits = console_site.runtime, 1_000_000, []
    for _try in range(sessions.FREE_TRIES + 4):
        while (found := attempt(runtime, keys, "wrong", "192.0.2.1", now)).wait:
            waits.append(found.wait)
            now += found.wait
    assert waits == [60, 120, 240, 480]


def test_one_network_does_not_lock_out_another(console_site: Any, keys: SessionKeys) -> None:
    for _try in range(sessions.FREE_TRIES):
        attempt(console_site.runtime, keys, "wrong", "192.0.2.1", 1_000_000)
    assert attempt(console_site.runtime, keys, TOKEN, "192.0.2.200", 1_000_000).wait > 0, "the same /24"
    assert attempt(console_site.runtime, keys, TOKEN, "198.51.100.1", 1_000_000).cookie


def test_the_right_token_enters_from_a_fresh_network_while_a_hundred_others_guess(console_site: Any, keys: SessionKeys) -> None:
    for _try in range(2 * sessions.FREE_TRIES):
        for number in range(50):
            attempt(console_site.runtime, keys, "wrong", f"10.{number}.0.1", 1_000_000)
            attempt(console_site.runtime, keys, "wrong", f"2001:db8:{number}::1", 1_000_000)
    for fresh in ("198.51.100.1", "2001:db8:ffff::1", ""):
        assert attempt(console_site.runtime, keys, TOKEN, fresh, 1_000_000).cookie, fresh


def test_guesses_from_its_own_network_do_not_keep_out_a_browser_that_signed_in_before(operator: Operator) -> None:
    guesser = Operator(operator.site)
    while guesser.sign_in("wrong").status_code != 429:
        pass
    assert guesser.sign_in(TOKEN).status_code == 429
    operator.get("/")
    operator.post("/sign-out")
    assert operator.sign_in(TOKEN).status_code == 303


@pytest.mark.parametrize("forged", ["", "x", "x.y", "0123456789abcdef.", "0123456789abcdef." + "0" * 40])
def test_a_browser_that_never_signed_in_is_not_known(operator: Operator, forged: str) -> None:
    for _try in range(sessions.FREE_TRIES):
        Operator(operator.site).sign_in("wrong")
    stranger = Operator(operator.site)
    stranger.client.set_cookie("operator-browser", forged, path="/operator")
    assert stranger.sign_in(TOKEN).status_code == 429


def test_a_known_browser_has_no_more_tries_than_a_network(operator: Operator) -> None:
    for _try in range(sessions.FREE_TRIES):
        assert operator.sign_in("wrong").status_code == 403
    assert operator.sign_in(TOKEN).status_code == 429


def test_the_right_token_forgets_the_wrong_ones_before_it(console_site: Any, keys: SessionKeys) -> None:
    for now in (1, 2):
        for _try in range(sessions.FREE_TRIES - 1):
            assert not attempt(console_site.runtime, keys, "wrong", "192.0.2.1", now * 1000).wait
        assert attempt(console_site.runtime, keys, TOKEN, "192.0.2.1", now * 1000).cookie


def test_a_session_ends_when_it_is_not_used_and_at_the_latest_after_a_week(console_site: Any, keys: SessionKeys) -> None:
    runtime = console_site.runtime
    cookie = attempt(runtime, keys, TOKEN, "192.0.2.1", 0).cookie
    now, step = 0, sessions.IDLE - 1

    def seen() -> int:
        with database.reading(runtime.engine) as connection:
            return int(connection.execute(sa.select(tables.operator_sessions.c.seen)).scalar_one())

    while now + step < sessions.LONGEST:
        now += step
        assert sessions.is_signed_in(runtime, keys, cookie, now) and seen() == now
    assert sessions.is_signed_in(runtime, keys, cookie, now + 10) and seen() == now, "not every request is worth a write"
    assert not sessions.is_signed_in(runtime, keys, cookie, sessions.LONGEST + 1)
    idle = attempt(runtime, keys, TOKEN, "192.0.2.1", now).cookie
    assert not sessions.is_signed_in(runtime, keys, idle, now + sessions.IDLE + 1)


def test_the_log_keeps_networks_not_addresses_and_is_bounded(console_site: Any) -> None:
    with database.writing(console_site.runtime.engine) as connection:
        for number in range(audit_log.LOGGED + 100):
            audit_log.note(connection, number, "test", "x" * 1000, "192.0.2.77")
        assert database.count_rows(connection, tables.operator_log) <= audit_log.LOGGED + 50
        newest = audit_log.entries(connection, 1)[0]
    assert newest.network == "192.0.2.0/24" and len(newest.details) == 300


def test_guesses_displace_nothing_that_was_done_from_the_log(console_site: Any) -> None:
    with database.writing(console_site.runtime.engine) as connection:
        audit_log.note(connection, 0, "saved", "a feed", "192.0.2.1")
        for number in range(audit_log.LOGGED + 200):
            audit_log.note(connection, number, "refused", "", f"10.{number % 250}.0.1")
        kept = connection.execute(sa.select(tables.operator_log.c.event)).scalars().all()
    assert "saved" in kept and len(kept) <= audit_log.LOGGED + 51
