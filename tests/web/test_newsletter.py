"""Pages of the newsletter: what is shown, what acts, what is never told; the whole path in a browser without JavaScript."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa
import yaml
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import Client, TestResponse

from feeds import database, rescan
from feeds.database import tables
from feeds.model import FACETS
from feeds.newsletter import NewsletterContext
from feeds.newsletter.subscribers import preferences, records, signup, unsubscribe
from feeds.web.views.newsletter import FASTEST, parse_lines
from tests.conftest import settle_database
from tests.examples import FULL

from ..newsletter.club import NOW, Club, link

READER = "reader@example.org"
CHECKOUT = Path(__file__).resolve().parents[2]
PATHS = ("subscribe", "confirm", "preferences", "undo", "unsubscribe")


@pytest.fixture
def club(site: Any) -> Club:
    return Club(site)


@pytest.fixture
def browser(club: Club, make_client: Callable[[Any], Client]) -> Client:
    return make_client(club.site)


def stamp_of(club: Club, seconds: int) -> str:
    """The stamp of a form that was shown so many seconds from now; the client of the tests has no address."""
    return signup.make_stamp(club.context.tokens, "0.0.0.0", int(time.time()) + seconds)


def post(browser: Client, club: Club, address: str = READER, *selects: str, **fields: Any) -> TestResponse:
    """The form as a person fills it in: some time after it was shown."""
    stamp = stamp_of(club, -30)
    values = {"email": address, "select": list(selects), "frequency": "weekly", "stamp": stamp, **fields}
    return browser.post("/subscribe", data=values)


def join(browser: Client, club: Club, *selects: str) -> str:
    """The token of a subscriber who came by the pages."""
    assert post(browser, club, READER, *selects).status_code == 200
    assert browser.post(f"/confirm/{club.token()}").status_code == 200
    return link(club.letters()[-1], "preferences")


def owner_link(browser: Client, club: Club, own: str) -> str:
    """The link that its page mails to the owner."""
    assert browser.post(f"/preferences/{own}", data={"action": "link"}).status_code == 200
    return link(club.letters()[-1], "preferences")


# -- looking never acts ----------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
@pytest.mark.parametrize(
    "body", [{}, {"data": "List-Unsubscribe=One-Click", "content_type": "application/x-www-form-urlencoded"}]
)
def test_looking_never_acts(browser: Client, club: Club, method: str, body: dict[str, Any]) -> None:
    own = join(browser, club, "tag=Linux")
    assert post(browser, club, "other@example.org").status_code == 200
    waiting = club.token()
    leave = club.leaving()
    mine = owner_link(browser, club, own)
    before = club.everything()
    pages = ["/subscribe?email=x@example.org&select=tag%3DLinux", f"/confirm/{waiting}", f"/preferences/{own}"]
    pages += [f"/unsubscribe/{leave}", f"/unsubscribe/{waiting}", f"/preferences/{mine}/data.json"]
    pages += [f"/preferences/{mine}?action=erase&sure=yes", f"/preferences/{own}?action=link"]
    pages += [f"/unsubscribe/{leave}?List-Unsubscribe=One-Click&confirm=yes", f"/preferences/{own}?action=erase&sure=yes"]
    for page in pages:
        for headers in ({}, {"Sec-Purpose": "prefetch"}, {"User-Agent": "link scanner"}):
            assert browser.open(page, method=method, headers=headers, **body).status_code == 200, page
    assert club.everything() == before


def test_other_methods_are_refused(browser: Client) -> None:
    for path in ("/subscribe", "/confirm/x", "/preferences/x", "/unsubscribe/x"):
        assert {browser.open(path, method=method).status_code for method in ("PUT", "DELETE", "PATCH")} == {405}


# -- signing up ------------------------------------------------------------


def test_the_whole_path_by_the_pages(browser: Client, club: Club) -> None:
    shown = browser.get("/subscribe?select=tag%3DLinux").text
    assert re.search(r'name="select" value="tag=Linux" checked', shown)
    answered = post(
        browser, club, READER, "tag=Linux", more="译者：geekpi\nAI\ntag=Ubuntu&all-tag=AI", timezone="Europe/Berlin"
    )
    assert answered.status_code == 200 and club.wanted() == {}
    asked = browser.get(f"/confirm/{club.token()}")
    assert "Ubuntu · AI" in asked.text and club.wanted() == {}
    assert browser.post(f"/confirm/{club.token()}").status_code == 200
    assert club.wanted() == {READER: {"weekly": ["tag=Linux", "translator=geekpi", "tag=AI", "tag=Ubuntu&all-tag=AI"]}}
    own = link(club.letters()[-1], "preferences")
    page = browser.get(f"/preferences/{own}").text
    assert "r***@example.org" in page and READER not in page
    saved = browser.post(
        f"/preferences/{own}",
        data={
            "wish": ["tag=Linux", "translator=geekpi"],
            "how": ["daily", ""],
            "timezone": "UTC",
            "language": "en",
            "day": "2",
        },
    )
    assert (saved.status_code, saved.headers["Location"]) == (303, f"/preferences/{own}?saved=1")
    assert club.wanted() == {READER: {"daily": ["tag=Linux"]}}
    page = browser.get(saved.headers["Location"])
    assert "Saved." in page.text and page.headers["Content-Language"] == "en"
    assert browser.post(f"/unsubscribe/{club.leaving()}", data={"confirm": "yes", "reason": "moved"}).status_code == 200
    assert club.status() == "unsubscribed"


def test_choosing_nothing_is_all_articles(browser: Client, club: Club) -> None:
    join(browser, club)
    assert club.wanted() == {READER: {"weekly": [""]}}


def test_the_page_is_the_same_for_known_unknown_limited_and_suppressed_addresses(browser: Client, club: Club) -> None:
    join(browser, club, "tag=Linux")
    leave = club.leaving()
    pages = {post(browser, club, address, "tag=Linux").text for address in (READER, "a@example.org", "a@example.org")}
    browser.post(f"/unsubscribe/{leave}", data="List-Unsubscribe=One-Click")
    with club.site.runtime.engine.begin() as connection:
        connection.execute(sa.update(tables.suppressions).values(reason="complained"))
    pages.add(post(browser, club, READER, "tag=Linux").text)
    assert len(pages) == 1


def test_a_small_form_elsewhere_leads_to_the_whole_one(browser: Client, club: Club) -> None:
    page = browser.get("/tags/Linux").text
    assert 'action="/subscribe"' in page and 'name="select" value="tag=Linux"' in page
    answered = browser.post("/subscribe", data={"email": READER, "select": "tag=Linux"})
    assert answered.status_code == 200 and f'value="{READER}"' in answered.text and 'name="stamp"' in answered.text
    assert re.search(r'value="tag=Linux" checked', answered.text)
    assert club.count(tables.requests) == 0


def test_the_other_pages_stay_cacheable_and_link_to_the_form(browser: Client) -> None:
    first = browser.get("/tags/Linux")
    assert "public" in first.headers["Cache-Control"] and 'href="/subscribe"' in first.text
    assert browser.get("/tags/Linux", headers={"If-None-Match": first.headers["ETag"]}).status_code == 304
    assert 'value="feed=kernel"' in browser.get("/feeds/kernel").text


def test_robots_are_told_nothing_and_cause_nothing(browser: Client, club: Club) -> None:
    trapped = post(browser, club, website="https://example.com/")
    assert trapped.status_code == 200 and club.count(tables.requests) == 0
    early, late = (stamp_of(club, seconds) for seconds in (100, -2 * 86400))
    for stamp in (early, late, "forged"):
        assert post(browser, club, stamp=stamp).status_code == 400
    stamp = stamp_of(club, 0)
    assert post(browser, club, stamp=stamp).status_code == 400, f"under {FASTEST} s"
    assert club.count(tables.requests) == 0


@pytest.mark.parametrize(
    ("fields", "marked"),
    [
        ({"address": "nobody"}, "email"),
        ({"address": "用户@例子.中国"}, "email"),
        ({"address": ""}, "email"),
        ({"address": f"{READER}\r\nBcc: x@example.org"}, "email"),
        ({"select": ["tag=NoSuchThing"]}, "select"),
        ({"more": "no such tag"}, "select"),
        ({"frequency": "hourly"}, "frequency"),
        ({"frequency": ""}, "frequency"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field_and_nothing_typed_is_lost(
    browser: Client, club: Club, fields: dict[str, Any], marked: str
) -> None:
    address = fields.pop("address", READER)
    answered = post(browser, club, address, **fields)
    assert answered.status_code == 400 and f'id="{marked}-fault"' in answered.text and 'role="alert"' in answered.text
    assert f'aria-describedby="{marked}-fault"' in answered.text
    if address == READER:
        assert f'value="{READER}"' in answered.text
    assert club.count(tables.requests) == 0


def test_markup_in_a_form_stays_text(browser: Client, club: Club) -> None:
    evil = '"><script>alert(1)</script>'
    answered = post(browser, club, evil, evil, more=evil, timezone=evil, frequency=evil)
    assert answered.status_code == 400 and "<script>alert" not in answered.text


def test_a_huge_form_is_refused(browser: Client, club: Club) -> None:
    assert post(browser, club, more="x" * 100_000).status_code == 413
    assert post(browser, club, READER, *(["tag=Linux"] * 1500)).status_code in (400, 413)
    assert club.count(tables.requests) == 0


def test_the_network_is_that_of_the_reader_behind_a_proxy_of_our_own(browser: Client, club: Club) -> None:
    def network(headers: dict[str, str], peer: str, reader: str) -> str:
        with club.site.runtime.engine.begin() as connection:
            connection.execute(sa.delete(tables.requests))
        stamp = signup.make_stamp(club.context.tokens, reader, int(time.time()) - 30)
        form = {"email": READER, "frequency": "weekly", "stamp": stamp}
        browser.post("/subscribe", data=form, headers=headers, environ_base={"REMOTE_ADDR": peer})
        return str(club.rows(sa.select(tables.requests.c.network))[0][0])

    salted = club.site.runtime.tokens().salted
    assert network({"X-Forwarded-For": "10.0.0.1, 198.51.100.9"}, "127.0.0.1", "198.51.100.1") == salted(
        "network:198.51.100.0/24"
    )
    assert network({"X-Forwarded-For": "198.51.100.9"}, "8.8.8.8", "8.8.8.8") == salted("network:8.8.8.0/24"), (
        "a stranger's word"
    )


def test_proof_of_work_brings_its_script_and_says_why_without(browser: Client, club: Club) -> None:
    assert "proof.js" not in browser.get("/subscribe").text
    club.settle(signup={"proof_of_work": True})
    time.sleep(0.25)  # a worker looks for a new configuration a few times a second
    page = browser.get("/subscribe")
    assert '<script src="/static/proof.js" defer>' in page.text and "<noscript>" in page.text
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    assert browser.get("/static/proof.js").status_code == 200
    assert post(browser, club).status_code == 400 and club.count(tables.requests) == 0


@given(st.text("ab:=：&;\n 译者tag", max_size=40))
def test_whatever_is_written_by_hand_becomes_selections_or_a_fault(text: str) -> None:
    lines = [line for line in text.splitlines() if line.strip()]
    assert len(parse_lines(text)) == len(lines)


def test_lines_written_by_hand() -> None:
    assert parse_lines("Linux\n\n 译者：geekpi \nTranslator: wxy\nC: 语言\n标签:内核\ntag=A&all-tag=B\nfeed=kernel\nE=mc²") == [
        "tag=Linux",
        "translator=geekpi",
        "translator=wxy",
        f"tag={quote('C: 语言')}",
        f"tag={quote('内核')}",
        "tag=A&all-tag=B",
        "feed=kernel",
        f"tag={quote('E=mc²')}",
    ]


# -- one click -------------------------------------------------------------

BOUNDARY = "xyz"
MULTIPART = (
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--{BOUNDARY}--\r\n'.encode()
)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"List-Unsubscribe=One-Click", "application/x-www-form-urlencoded"),
        (b"List-Unsubscribe=One-Click\r\n", "application/x-www-form-urlencoded; charset=utf-8"),
        (MULTIPART, f"multipart/form-data; boundary={BOUNDARY}"),
        (b"List-Unsubscribe=One-Click", None),
        (b"List-Unsubscribe=One-Click", "text/plain"),
        (b"List-Unsubscribe=One-Click", "application/json"),
    ],
)
def test_one_click_unsubscribes_whatever_the_content_type(browser: Client, club: Club, body: bytes, kind: str | None) -> None:
    join(browser, club, "tag=Linux")
    own = club.leaving()
    headers = {"Referer": "https://elsewhere.example/", "Origin": "https://elsewhere.example"}
    for _ in range(2):
        answered = browser.post(f"/unsubscribe/{own}", data=body, content_type=kind, headers=headers)
        assert answered.status_code == 200 and "Location" not in answered.headers and "Set-Cookie" not in answered.headers
        assert club.status() == "unsubscribed"
    assert club.rows(sa.select(tables.suppressions.c.reason)) == [("unsubscribed",)]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", None),
        (b"", "application/x-www-form-urlencoded"),
        (b"x=y", "application/x-www-form-urlencoded"),
        (b"List-Unsubscribe=No", "application/x-www-form-urlencoded"),
        (b"confirm=no", "application/x-www-form-urlencoded"),
        (b"\xff\xfe\x00", "application/octet-stream"),
        (b"{}", "application/json"),
        (MULTIPART, "multipart/form-data; boundary=other"),
    ],
)
def test_any_other_body_changes_nothing_and_shows_the_button(
    browser: Client, club: Club, body: bytes, kind: str | None
) -> None:
    join(browser, club, "tag=Linux")
    own = club.leaving()
    before = club.everything()
    answered = browser.post(f"/unsubscribe/{own}", data=body, content_type=kind)
    assert answered.status_code == 200 and 'name="confirm" value="yes"' in answered.text
    assert club.everything() == before


def test_one_click_works_after_erasure_and_never_for_a_forged_link(browser: Client, club: Club) -> None:
    join(browser, club, "tag=Linux")
    own = club.leaving()
    forged = own[:-1] + ("0" if own[-1] != "0" else "1")
    assert browser.post(f"/unsubscribe/{forged}", data="List-Unsubscribe=One-Click").status_code == 404
    assert club.status() == "active"
    unsubscribe.erase_address(club.context, READER, NOW)
    answered = browser.post(f"/unsubscribe/{own}", data="List-Unsubscribe=One-Click")
    assert answered.status_code == 200 and browser.get(f"/unsubscribe/{own}").status_code == 200


def test_not_me_by_one_click_on_a_confirmation(browser: Client, club: Club) -> None:
    post(browser, club)
    token = club.token()
    assert browser.post(f"/unsubscribe/{token}", data="List-Unsubscribe=One-Click").status_code == 200
    assert browser.post(f"/confirm/{token}").status_code == 404 and club.wanted() == {}


# -- one's own page --------------------------------------------------------


def test_the_own_page_adds_removes_revokes_exports_and_erases(browser: Client, club: Club) -> None:
    own = join(browser, club, "tag=Linux")
    form = {"timezone": "Asia/Shanghai", "language": "zh-CN", "day": "0"}
    kept = {"wish": ["tag=Linux"], "how": ["weekly"], **form}
    browser.post(f"/preferences/{own}", data={**kept, "select": "tag=AI", "more": "Ubuntu", "frequency": "daily"})
    assert club.wanted() == {READER: {"daily": ["tag=AI", "tag=Ubuntu"], "weekly": ["tag=Linux"]}}
    before = club.everything()
    nothing = browser.post(f"/preferences/{own}", data={"wish": ["tag=Linux"], "how": [""], **form})
    unknown = browser.post(f"/preferences/{own}", data={**kept, "more": "NoSuch", "frequency": "daily"})
    assert [page.status_code for page in (nothing, unknown)] == [400, 400] and club.everything() == before
    mine = owner_link(browser, club, own)
    unsure = browser.post(f"/preferences/{mine}", data={"action": "erase"})
    assert unsure.status_code == 400 and 'id="erase-fault"' in unsure.text
    data = browser.get(f"/preferences/{mine}/data.json")
    assert data.mimetype == "application/json" and json.loads(data.text)["address"] == READER
    assert browser.post(f"/preferences/{mine}", data={"action": "revoke"}).status_code == 200
    assert {browser.get(f"/preferences/{token}").status_code for token in (own, mine)} == {404}
    renewed = link(club.letters()[-1], "preferences")
    mine = owner_link(browser, club, renewed)
    erased = browser.post(f"/preferences/{mine}", data={"action": "erase", "sure": "yes"})
    assert erased.status_code == 200 and club.count(tables.subscribers) == 0
    assert browser.get(f"/preferences/{renewed}").status_code == 404


def test_one_who_has_left_can_have_the_data_deleted_by_a_link_that_is_mailed(browser: Client, club: Club) -> None:
    join(browser, club, "tag=Linux")
    leave = club.leaving()
    assert browser.post(f"/unsubscribe/{leave}", data={"link": "yes"}).status_code == 200
    assert not link(club.letters()[-1], "preferences").startswith("."), "one who has not left uses the other page"
    page = browser.post(f"/unsubscribe/{leave}", data={"confirm": "yes"})
    assert 'name="erase"' not in page.text and 'name="link"' in page.text
    browser.post(f"/unsubscribe/{leave}", data={"link": "yes"})
    mine = link(club.letters()[-1], "preferences")
    assert READER in browser.get(f"/preferences/{mine}").text
    browser.post(f"/preferences/{mine}", data={"action": "erase", "sure": "yes"})
    assert club.count(tables.subscribers) == 0


@pytest.mark.parametrize("form", [{"erase": "yes"}, {"action": "erase", "sure": "yes"}, {"erase": "yes", "sure": "yes"}])
def test_no_link_of_a_digest_erases(browser: Client, club: Club, form: dict[str, str]) -> None:
    own = join(browser, club, "tag=Linux")
    for path in (f"/preferences/{own}", f"/unsubscribe/{club.leaving()}"):
        browser.post(path, data=form)
        assert club.status() == "active"


OLD_TEMPLATES = {
    "preferences.html": '{{ found.subscriber.address }} <a href="/unsubscribe/{{ token }}">leave</a> '
    '<a href="/preferences/{{ token }}/data.json">data</a> {{ forms }}{{ typed|length }} {{ rhythm_of("daily", found.day) }}',
    "unsubscribe.html": "{% if found.state == 'gone' %}gone{% if erased %} erased{% endif %}{% else %}{{ found.address }}"
    "{% if found.preferences %}{{ found.preferences }}{% endif %}{% endif %}",
    "subscribed.html": "{% if renewed %}renewed{% else %}{{ hours|default('') }}{% endif %}",
    "confirm.html": "{{ found.state }} {{ found.token }}",
}


def test_templates_that_an_operator_copied_from_a_version_before_go_on_working(
    club: Club, make_client: Callable[[Any], Client]
) -> None:
    folder = club.site.root / "templates" / "web"
    folder.mkdir(parents=True)
    for name, text in OLD_TEMPLATES.items():
        (folder / name).write_text(text.replace("{{ forms }}", ""), "utf-8")
    browser = make_client(club.site)
    own = join(browser, club, "tag=Linux")
    page = browser.get(f"/preferences/{own}").text
    assert "r***@example.org" in page and READER not in page
    leads = browser.get(re.findall(r'href="(/unsubscribe/[^"]+)"', page)[0])
    assert leads.status_code == 303 and "r***@example.org" in browser.get(leads.headers["Location"]).text
    assert browser.post(f"/unsubscribe/{own}", data="List-Unsubscribe=One-Click").status_code == 404
    assert browser.get(f"/preferences/{own}/data.json").status_code == 404
    mine = owner_link(browser, club, own)
    assert "renewed" in browser.post(f"/preferences/{mine}", data={"action": "revoke"}).text
    assert browser.post(leads.headers["Location"], data={"confirm": "yes"}).text.startswith("gone")


# -- privacy and the rest --------------------------------------------------


def test_token_pages_are_cached_nowhere_send_no_referrer_and_are_not_indexed(browser: Client, club: Club) -> None:
    post(browser, club)
    waiting = club.token()
    browser.post(f"/confirm/{waiting}")
    own, leave = link(club.letters()[-1], "preferences"), club.leaving()
    mine = owner_link(browser, club, own)
    answers = [
        browser.get(page) for page in (f"/confirm/{waiting}", f"/preferences/{own}", f"/unsubscribe/{leave}", "/confirm/x")
    ]
    answers += [browser.get(f"/preferences/{mine}"), browser.get(f"/preferences/{mine}/data.json"), browser.get("/undo/x")]
    answers += [browser.post(f"/unsubscribe/{leave}"), browser.get("/subscribe")]
    for answered in answers:
        assert answered.headers["Cache-Control"] == "no-store"
        assert answered.headers["Referrer-Policy"] == "same-origin"
        assert "noindex" in answered.headers["X-Robots-Tag"] and "Set-Cookie" not in answered.headers
        assert own not in (answered.headers.get("Link") or "") and 'rel="canonical"' not in answered.text
    assert READER not in browser.get(f"/unsubscribe/{leave}").text, "a forwarded link does not tell the address"


def test_pages_under_a_token_speak_the_subscribers_language(browser: Client, club: Club) -> None:
    post(browser, club, language="en")
    headers = {"Accept-Language": "zh-CN"}
    for page in (f"/confirm/{club.token()}", f"/unsubscribe/{club.token()}"):
        assert browser.get(page, headers=headers).headers["Content-Language"] == "en"
    assert browser.get("/subscribe", headers=headers).headers["Content-Language"] == "zh-CN"


@pytest.mark.parametrize("text", ["x", "..", "%00", "1-1-" + "0" * 32, "%E4%BD%A0", "a" * 3000, "a.b.c"])
def test_a_link_that_is_none_is_a_page_that_says_so(browser: Client, text: str) -> None:
    for path in PATHS[1:]:
        for method in ("GET", "POST"):
            data = {"data": "List-Unsubscribe=One-Click"} if method == "POST" else {}
            assert browser.open(f"/{path}/{text}", method=method, **data).status_code == 404, (path, method)


def test_without_a_newsletter_there_are_no_such_pages(browser: Client, club: Club) -> None:
    own = join(browser, club, "tag=Linux")
    club.settle(enabled=False)
    time.sleep(0.25)
    for page in ("/subscribe", f"/confirm/{own}", f"/preferences/{own}", f"/unsubscribe/{own}"):
        assert browser.get(page).status_code == 404 and browser.post(page).status_code == 404
    assert '"/subscribe' not in browser.get("/tags/Linux").text + browser.get("/").text


def test_facets_can_be_written_in_both_languages() -> None:
    for facet in FACETS.values():
        for form in (facet.name, facet.plural, facet.zh, facet.en):
            assert parse_lines(f"{form}: x") == [f"{facet.name}=x"]


# -- in a browser ----------------------------------------------------------

SCREENSHOTS = CHECKOUT / "tests" / "screenshots"


@pytest.fixture(scope="module")
def served(demo: Any, running: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """`feeds serve` over the demo store, with no clock: mail stays in the outbox."""
    import shutil

    root = tmp_path_factory.mktemp("subscribing")
    for name in ("config", "articles"):
        shutil.copytree(demo.root / name, root / name)
    settings = root / "config" / "newsletter.yaml"
    chosen = {**yaml.safe_load(settings.read_text("utf-8")), "signup": {"per_network_an_hour": 1000}}
    settings.write_text(yaml.safe_dump(chosen, allow_unicode=True), "utf-8")
    from feeds.config.environment import Environment
    from feeds.runtime import Runtime

    settle_database(root)
    runtime = Runtime(Environment.read(root / "config", {}))
    runtime.prepare()
    rescan.rescan(runtime.engine, runtime.environment, now=NOW)
    started = running(root / "config", "--workers", "1", "--no-clock").ready()
    started.runtime = runtime
    return started


def newest(runtime: Any, kind: str) -> str:
    """The token in the last letter that has a link of this kind."""
    with database.reading(runtime.engine) as connection:
        texts = connection.execute(sa.select(tables.outbox.c.message).order_by(tables.outbox.c.key.desc())).scalars().all()
    import email
    import email.policy

    letters = (email.message_from_bytes(text.encode(), policy=email.policy.default) for text in texts)
    return next(found for letter in letters if (found := link(letter, kind)))  # type: ignore[arg-type]


def context_of(served: Any) -> Any:
    return NewsletterContext.of(served.runtime, served.runtime.edition().config)


@pytest.mark.interop
@pytest.mark.parametrize(("width", "locale", "scheme"), [(375, "zh-CN", "light"), (1280, "en", "dark")])
def test_the_whole_path_in_a_browser_without_javascript(
    chromium: Any, driven: Any, served: Any, width: int, locale: str, scheme: str
) -> None:
    SCREENSHOTS.mkdir(exist_ok=True)
    address = f"reader-{width}-{scheme}@example.org"

    def look(page: Any, name: str) -> None:
        if FULL:
            page.screenshot(path=SCREENSHOTS / f"subscribe-{name}-{width}-{scheme}.png", full_page=True)
        box = page.locator("main").bounding_box()
        assert box is not None and box["width"] <= width
        for field in page.locator(
            "main input:visible:not(#website), main select:visible, main button:visible, main summary:visible"
        ).all():
            placed = field.bounding_box()
            assert placed is None or 0 <= placed["x"] <= width + 0.5 - placed["width"], name

    kind = {"java_script_enabled": False, "locale": locale}
    with driven.page(width, height=900, scheme=scheme, only=served.base, **kind) as page:
        page.goto(served.base + "/tags/Linux")
        page.locator(".by-mail").scroll_into_view_if_needed()
        look(page, "term")
        page.fill(".by-mail input[type=email]", address)
        page.click(".by-mail button")
        assert page.input_value("#email") == address and page.locator("input[value='tag=Linux']:checked").count() == 1
        page.locator("input[name=frequency][value=daily]").check()
        page.fill("#more", "译者：Demo-Max")
        page.select_option("#timezone", "Europe/Berlin")
        look(page, "form")
        time.sleep(FASTEST + 0.1)
        page.click("button.main")
        look(page, "sent")
        page.goto(f"{served.base}/confirm/{newest(served.runtime, 'confirm')}")
        look(page, "confirm")
        page.click("button.main")
        look(page, "confirmed")
        page.click("a.button:not([href$=next])")
        assert f"{address[0]}***@example.org" in page.inner_text("main")
        page.select_option("#how-1", "monthly")
        page.locator(".adding > summary").click()
        page.fill("#more", "没有这个")
        look(page, "preferences")
        page.click("button.main")
        assert page.locator("#select-fault").is_visible() and page.input_value("#how-1") == "monthly"
        look(page, "fault")
        page.fill("#more", "C++")
        page.click("button.main")
        page.wait_for_url("**/preferences/*?saved=1")
        assert "C++" in page.inner_text(".wishes")
        saved = preferences.find_preferences(context_of(served), page.url.split("/")[-1].partition("?")[0], int(time.time()))
        assert saved is not None and saved.wishes[-1].frequency == "monthly"
        look(page, "saved")
        own = page.url
        page.click("button[value=link]")
        look(page, "link")
        page.goto(f"{served.base}/preferences/{newest(served.runtime, 'preferences')}")
        assert address in page.inner_text("main")
        page.locator("summary").first.click()
        look(page, "owner")
        page.goto(own)
        page.click("a[href^='/unsubscribe/']")
        look(page, "unsubscribe")
        page.click("button.main")
        look(page, "gone")
        everyone = records.list_subscribers(context_of(served).engine)
        assert {row["status"] for row in everyone if row["email"] == address} == {"unsubscribed"}


@pytest.mark.interop
def test_the_proof_of_work_is_done_by_the_browser(chromium: Any, driven: Any, served: Any) -> None:
    """The page's own script against the service's own check."""
    settings = served.runtime.environment.config_dir / "newsletter.yaml"
    before = settings.read_text("utf-8")
    settings.write_text(yaml.safe_dump({**yaml.safe_load(before), "signup": {"proof_of_work": True}}), "utf-8")
    rescan.rescan(served.runtime.engine, served.runtime.environment, now=NOW + 60)
    page = chromium.new_page(locale="en")
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    try:
        time.sleep(0.3)
        page.goto(served.base + "/subscribe")
        page.fill("#email", "worker@example.org")
        time.sleep(FASTEST + 0.1)
        page.click("button.main")
        page.wait_for_selector("h1:has-text('Check your inbox')", timeout=30_000)
        assert faults == []
    finally:
        page.close()
        settings.write_text(before, "utf-8")
        rescan.rescan(served.runtime.engine, served.runtime.environment, now=NOW + 120)
