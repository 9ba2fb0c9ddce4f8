"""The switch between languages: a visible form, one cookie, and nobody led astray."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import html
from werkzeug.test import Client, TestResponse

from feeds.web.app import create_app
from feeds.web.views.language import local_address


@pytest.fixture
def reader(demo: object) -> Client:
    """A browser with cookies of its own."""
    return Client(create_app(demo.environment))  # type: ignore[attr-defined]


def press(reader: Client, address: str, accepted: str = "zh-CN") -> TestResponse:
    """Press the switch of a page, as a browser does."""
    page = html.fromstring(reader.get(address, headers={"Accept-Language": accepted}).data)
    (form,) = page.xpath("//form[@class='switch']")
    (button,) = form.xpath(".//button")
    to = form.xpath("./input[@name='to']")[0].get("value")
    assert form.get("method") == "post"
    return reader.post(form.get("action"), data={"to": to, button.get("name"): button.get("value")})


@pytest.mark.parametrize("address", ["/", "/tags/", "/tags/Linux", "/select?tag=AI&tag=Linux", "/digests/", "/about/feeds"])
def test_the_switch_leads_back_to_the_page_in_the_other_language(reader: Client, address: str) -> None:
    answered = press(reader, address)
    assert (answered.status_code, answered.headers["Location"]) == (303, address)
    page = reader.get(address, headers={"Accept-Language": "zh-CN"})
    assert page.headers["Content-Language"] == "en"
    press(reader, address)
    assert reader.get(address, headers={"Accept-Language": "en"}).headers["Content-Language"] == "zh-CN"


def test_the_other_language_is_named_in_its_own_words(reader: Client) -> None:
    page = html.fromstring(reader.get("/", headers={"Accept-Language": "en"}).data)
    assert [(each.text, each.get("lang")) for each in page.xpath("//form[@class='switch']//button")] == [("中文", "zh-CN")]


def test_the_choice_is_a_cookie_that_scripts_and_other_sites_do_not_get(reader: Client) -> None:
    cookie = press(reader, "/").headers["Set-Cookie"]
    assert cookie.startswith("language=en;")
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and "Path=/" in cookie


def test_behind_tls_the_cookie_is_sent_over_tls_only(site: object) -> None:
    site.settle("site.yaml", base_url="https://feeds.example.org", article_url="")  # type: ignore[attr-defined]
    site.write("1.md", tags=["Linux"])  # type: ignore[attr-defined]
    site.rescan()  # type: ignore[attr-defined]
    assert "Secure" in press(Client(create_app(site.environment)), "/").headers["Set-Cookie"]  # type: ignore[attr-defined]


def test_the_switch_says_the_same_on_every_page(reader: Client) -> None:
    for address in ("/", "/tags/", "/subscribe", "/nothing"):
        page = html.fromstring(reader.get(address, headers={"Accept-Language": "en"}).data)
        assert page.xpath("//form[@class='switch']//button/text()") == ["中文"], address


def test_without_the_cookie_no_page_sets_one(reader: Client) -> None:
    assert "Set-Cookie" not in reader.get("/").headers


def test_caches_are_told_that_the_choice_matters(reader: Client) -> None:
    assert "Cookie" in reader.get("/").headers["Vary"]


def test_a_language_that_is_not_spoken_is_refused_and_looking_changes_nothing(reader: Client) -> None:
    assert reader.post("/language", data={"language": "tlh", "to": "/"}).status_code == 400
    assert reader.get("/language?language=en").status_code in (404, 405)


def test_a_cookie_of_nonsense_is_as_none(reader: Client) -> None:
    reader.set_cookie("language", "../../etc")
    assert reader.get("/", headers={"Accept-Language": "en"}).headers["Content-Language"] == "en"


@pytest.mark.parametrize(
    "evil",
    [
        "https://evil.example.org/",
        "//evil.example.org",
        "/\\evil.example.org",
        "\\\\evil",
        "javascript:alert(1)",
        "",
        "x",
        "/a\nb: c",
        "/\t/evil.example.org",
        "///evil",
        "/ok\\..\\evil",
        "/é",
    ],
)
def test_nobody_is_led_to_another_site(reader: Client, evil: str) -> None:
    answered = reader.post("/language", data={"language": "en", "to": evil})
    assert (answered.status_code, answered.headers["Location"]) == (303, "/")


@given(st.text())
def test_whatever_is_asked_for_is_a_path_of_this_service(address: str) -> None:
    found = local_address(address)
    assert found.startswith("/") and not found.startswith(("//", "/\\"))
    assert found.isprintable()
