"""What another site's page sends changes nothing, at whatever address; what servers send is taken, and forms of our own."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import Client

from feeds.config.environment import SecretStr
from feeds.web.app import make_app
from feeds.web.origin import is_own, origin_of

BASE = "https://feeds.example"
SERVICE = "https://forms.example:8443"
#: Views that servers send to, by endpoint: a new one has to be argued for here, too.
FROM_ANYWHERE = {"hub.ask", "subscriptions.receive_bounces"}
#: Its page's form is refused, the one click of a mail program is not.
ONE_CLICK = "subscriptions.submit_unsubscribe"

OTHERS: list[dict[str, str]] = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "CROSS-SITE"},
    {"Sec-Fetch-Site": "unheard-of"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "null"},
    {"Sec-Fetch-Site": "same-site", "Origin": "https://evil.feeds.example"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
    {"Origin": "https://evil.example"},
    {"Origin": "https://feeds.example.evil.example"},
    {"Origin": "https://evil.example/https://feeds.example"},
    {"Origin": "https://feeds.example:444"},
    {"Origin": "http://feeds.example"},
    {"Origin": "https://localhost.evil.example"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
    {"Sec-Fetch-Site": "none", "Origin": "https://evil.example"},
    {"Origin": ""},
    {"Origin": "//localhost"},
    {"Origin": "http://["},
    {"Origin": "https://feeds.example https://evil.example"},
]
OWN: list[dict[str, str]] = [
    {},
    {"Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "null"},
    {"Sec-Fetch-Site": "same-origin", "Origin": BASE},
    {"Sec-Fetch-Site": "none"},
    {"Origin": "http://localhost"},
    {"Origin": "https://localhost"},
]
STATIC: list[dict[str, str]] = [
    {"Origin": BASE},
    {"Origin": f"{BASE}:443"},
    {"Origin": SERVICE, "Sec-Fetch-Site": "cross-site"},
    {"Origin": BASE, "Sec-Fetch-Site": "cross-site"},
    {"Origin": BASE, "Sec-Fetch-Site": "same-site"},
]


@pytest.fixture
def app(site: Any) -> Flask:
    site.set("newsletter.yaml", "enabled: true\n")
    site.settle("site.yaml", base_url=BASE, service_url=SERVICE)
    site.write("1.md", tags=["Linux"])
    site.environment = dataclasses.replace(site.environment, operator_token=SecretStr("Zk3-wbTq9_xLr2Vd"))
    site.rescan()
    return make_app(site.environment)


def changing(app: Flask) -> list[tuple[str, str, str]]:
    """Endpoint, method and an address of every view that is not for reading alone."""
    found = []
    for rule in app.url_map.iter_rules():
        for method in sorted((rule.methods or set()) - {"GET", "HEAD", "OPTIONS"}):
            found.append((rule.endpoint, method, re.sub(r"<[^>]*>", "x", str(rule))))
    assert len(found) >= 16
    return found


@pytest.mark.parametrize("headers", OTHERS, ids=str)
def test_no_view_takes_what_another_site_sends(app: Flask, headers: dict[str, str]) -> None:
    client = Client(app)
    for endpoint, method, address in changing(app):
        answered = client.open(address, method=method, headers={**headers, "Accept-Language": "en"}, data={"a": "b"})
        if endpoint in FROM_ANYWHERE:
            assert answered.status_code != 403, address
        else:
            assert answered.status_code == 403, address
            assert "another site" in answered.text and "Set-Cookie" not in answered.headers


@pytest.mark.parametrize("headers", OWN, ids=str)
def test_every_view_takes_forms_of_its_own_pages_and_of_clients_that_are_no_browsers(
    app: Flask, headers: dict[str, str]
) -> None:
    client = Client(app)
    for _endpoint, method, address in changing(app):
        answered = client.open(address, method=method, headers={**headers, "Accept-Language": "en"}, data={"a": "b"})
        assert "another site" not in answered.text, address


@pytest.mark.parametrize("headers", STATIC, ids=str)
def test_pages_of_the_static_site_send_to_everything_but_the_console(app: Flask, headers: dict[str, str]) -> None:
    client = Client(app)
    for endpoint, method, address in changing(app):
        answered = client.open(address, method=method, headers={**headers, "Accept-Language": "en"}, data={"a": "b"})
        refused = "another site" in answered.text
        assert refused == (endpoint.startswith("operator.") and "Sec-Fetch-Site" in headers), address


@pytest.mark.parametrize("headers", [*OTHERS, *OWN], ids=str)
def test_one_click_needs_no_page(app: Flask, headers: dict[str, str]) -> None:
    for body in (
        {"data": {"List-Unsubscribe": "One-Click"}},
        {"data": b"List-Unsubscribe=One-Click", "content_type": "text/plain"},
    ):
        assert Client(app).post("/unsubscribe/x", headers=headers, **body).status_code == 404  # type: ignore[arg-type]


def test_looking_is_for_everyone(app: Flask) -> None:
    for headers in OTHERS:
        for address in ("/", "/subscribe", "/all.atom", "/operator/sign-in"):
            assert Client(app).get(address, headers=headers).status_code == 200


@given(origin=st.text(), site=st.text(), host=st.text())
def test_any_text_in_the_headers_is_borne_and_is_not_our_own(origin: str, site: str, host: str) -> None:
    assert origin_of(origin) == origin_of(origin_of(origin))
    if site.lower() not in ("same-origin", "none"):
        assert not is_own(origin, site, host, {BASE} - {origin_of(origin)}, across=True)
