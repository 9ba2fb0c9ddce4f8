"""What no page does, whatever articles, addresses and headers say: run foreign words, send people away, drop its headers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import html
from werkzeug.test import Client

from feeds.newsletter.subscribers import signup
from feeds.syndication import lookup
from tests.examples import some

EVIL = [
    '"><script src=//evil.example.org></script>',
    "<img src=x onerror=alert(1)>",
    "'onmouseover='alert(1)",
    "</title><svg/onload=alert(1)>",
    "{{ config }}{% import 'os' %}",
    "javascript:alert(1)//",
    "</textarea></select></template><script>alert(1)</script>",
]
BASE = "http://localhost"


@pytest.fixture(scope="module")
def evil(demo: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A site where everything that can be written is an attack."""
    site = type(demo)(tmp_path_factory.mktemp("evil") / "site")
    facets = {name: {"enabled": True} for name in ("tag", "translator", "author", "selector", "reviewer", "category")}
    named = [{"name": "evil", "title": EVIL[0], "description": EVIL[1], "select": {"tag": [EVIL[0]]}}]
    site.settle("feeds.yaml", facets=facets, feeds=named)
    site.settle("site.yaml", title=EVIL[3], description=EVIL[0], rights=EVIL[6], base_url=BASE, article_url="")
    site.set("newsletter.yaml", 'enabled: true\nfrom: "digest@example.org"\n')
    for number, text in enumerate(EVIL):
        people = {"author": text, "translator": text, "selector": text, "reviewer": text, "category": text}
        body = f"{text}\n\n[link](javascript:alert(1)) <a href='javascript:alert(2)' onclick='x()'>a</a> <script>x()</script>"
        site.write(f"{number}.md", title=f"{text} {number}", tags=[text], excerpt=text, body=body, pic=text, via=text, **people)
    site.rescan()
    yield site
    site.remove()


def pages(site: Any) -> list[str]:
    terms = [row.path for row, _selection in site.runtime.read(lookup.list_feeds)]
    found = ["/", "/tags/", "/translators/", "/all", "/about/feeds", "/select", "/hub", "/digests/", "/subscribe"]
    found += [f"/{quote(path)}" for path in terms]
    found += [f"/articles/{number}" for number in range(len(EVIL))]
    for text in map(quote, EVIL):
        found += [f"/tags/{text}", f"/select?tag={text}", f"/select?{text}={text}", f"/search?q={text}", f"/tags/?q={text}"]
        found += [
            f"/subscribe?select=tag%3D{text}",
            f"/confirm/{text}",
            f"/preferences/{text}",
            f"/{text}",
            f"/articles/{text}",
        ]
    return found


def harmless(text: str) -> None:
    """Nothing in the page runs, but for the site's own scripts."""
    page = html.fromstring(text)
    for element in page.iter():
        assert not [name for name in element.attrib if name.lower().startswith("on") or name == "style"], html.tostring(element)
        assert element.tag not in ("style", "iframe", "object", "embed", "base"), element.tag
        if element.tag == "script":
            data = element.get("type") == "application/ld+json" and dict(element.attrib) == {"type": "application/ld+json"}
            if data:  # browsers only read it; nothing in it may end the element or open another one
                assert isinstance(json.loads(element.text), dict) and not set("<>&") & set(element.text), element.text
            else:
                assert (element.get("src") or "").startswith("/static/") and not element.text, html.tostring(element)
        for name in ("href", "src", "action", "formaction"):
            assert urlsplit((element.get(name) or "").strip()).scheme in ("", "http", "https", "feed", "mailto", "data"), name
        assert not (element.get("href") or "").startswith("data:")


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_words_of_articles_addresses_and_settings_never_run(
    evil: Any, make_client: Callable[[Any], Client], language: str
) -> None:
    client = make_client(evil)
    for address in pages(evil):
        answered = client.get(address, headers={"Accept-Language": language, "User-Agent": EVIL[0], "Referer": EVIL[1]})
        if answered.mimetype == "text/html" and answered.status_code not in (301, 302):
            harmless(answered.text)
            assert "Traceback" not in answered.text and answered.status_code < 500, address


def test_forms_that_come_back_with_faults_do_not_run_what_was_typed(evil: Any, make_client: Callable[[Any], Client]) -> None:
    client = make_client(evil)
    stamp = signup.make_stamp(evil.runtime.tokens(), "", 0)
    for text in EVIL:
        names = ("email", "more", "select", "frequency", "day", "timezone", "language", "proof", "stamp")
        for given_stamp in (stamp, text):
            answered = client.post("/subscribe", data={**dict.fromkeys(names, text), "stamp": given_stamp})
            assert answered.status_code < 500
            harmless(answered.text)


@pytest.mark.parametrize(
    ("method", "address"),
    [
        *(("GET", address) for address in ("/", "/tags/", "/articles/1", "/nothing", "/subscribe", "/confirm/x")),
        *(("GET", address) for address in ("/preferences/x", "/select?x=y", "/hub", "/digests/", "/" + "x" * 3000)),
        *(("POST", address) for address in ("/subscribe", "/unsubscribe/x", "/language", "/confirm/x")),
        ("PUT", "/"),
    ],
)  # fmt: skip
def test_every_page_has_the_headers_that_keep_it_to_itself(
    evil: Any, make_client: Callable[[Any], Client], method: str, address: str
) -> None:
    headers = make_client(evil).open(address, method=method).headers
    policy = dict(part.strip().partition(" ")[::2] for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'" and policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'" and policy["form-action"] == "'self'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] in ("same-origin", "no-referrer")


_PIECES = st.sampled_from(
    [
        "/",
        "//",
        "\\",
        "evil.example.org",
        "https:",
        "@",
        "..",
        "tags",
        "Linux",
        ".atom",
        "%2f",
        "%5c",
        "?",
        "#",
        "all",
        "select",
        "\t",
    ]
)


@settings(max_examples=some(150), deadline=None)
@given(pieces=st.lists(_PIECES, min_size=1, max_size=7))
def test_no_address_leads_to_another_site(demo_client: Client, pieces: list[str]) -> None:
    answered = demo_client.get("/" + "".join(pieces).lstrip("/"))
    target = urljoin("http://127.0.0.1:8000/x", answered.headers.get("Location", ""))
    assert urlsplit(target).netloc in ("127.0.0.1:8000", "localhost"), answered.headers["Location"]


@pytest.mark.parametrize("header", ["Host", "X-Forwarded-Host", "X-Host"])
def test_addresses_in_pages_are_the_sites_own_whatever_host_is_asked_for(
    evil: Any, make_client: Callable[[Any], Client], header: str
) -> None:
    client = make_client(evil)
    for address in ("/", "/all", "/all.atom", "/subscribe", "/feeds.opml", "/tags", "/nothing"):
        answered = client.get(address, headers={header: "attacker.example.net"})
        assert "attacker.example.net" not in answered.text + str(answered.headers)
