"""A digest is forwarded: what a stranger can do with every link, header and form that can be reached from it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
import sqlalchemy as sa
from werkzeug.test import Client

from feeds import database
from feeds.database import tables
from feeds.newsletter import digests
from feeds.newsletter.issues import planning
from feeds.newsletter.subscribers import unsubscribe

from ..newsletter.club import DAY, Club, link
from ..newsletter.composing import Read, read

READER, BASE = "reader@example.org", "http://localhost"
DOORS = ("/preferences/", "/unsubscribe/", "/undo/", "/confirm/")
#: What pages of this version and of those before call what they do, and what a stranger might guess.
ACTIONS = ("save", "restore", "link", "revoke", "erase", "address", "delete", "export", "data", "owner", "")


@pytest.fixture
def club(site: Any) -> Club:
    return Club(site)


@pytest.fixture
def browser(club: Club, make_client: Callable[[Any], Client]) -> Client:
    return make_client(club.site)


def digest(club: Club, now: int, id: str = "9", days: int = 1) -> Read:
    """A digest that the one subscriber gets in so many days, as it is sent."""
    date = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(now - 60))
    club.site.write(f"{id}.md", date=f"{date}+00:00", title=f"News {id}", tags=["Linux", "Ubuntu", "AI"], translator="geekpi")
    club.site.rescan(now - 30)
    issue = digests.plan(club.context, now + days * DAY)[0]
    with database.reading(club.context.engine) as connection:
        content = planning.load_content(connection, issue.key)
        (recipient,) = planning.load_recipients(connection, issue.key)
    return read(digests._composer(club.context, content).message(recipient, now).data)


@dataclass
class Form:
    action: str
    method: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    buttons: list[tuple[str, str]] = field(default_factory=list)


class Page(HTMLParser):
    """Links and forms of a page; each choice of a form with a value that it offers."""

    def __init__(self, url: str, text: str) -> None:
        super().__init__()
        self.url, self.links, self.forms = url, set[str](), list[Form]()
        self._select, self._open = "", False
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attributes}
        if "href" in found:
            self.links.add(urljoin(self.url, found["href"]))
        if tag == "form":
            self.forms.append(Form(urljoin(self.url, found.get("action", "")), found.get("method", "get").lower()))
            self._open = True
        form = self.forms[-1] if self._open else None
        if form is None:
            return
        name, value = found.get("name", ""), found.get("value", "on")
        if tag == "button":
            form.buttons.append((name, value))
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select:
            form.fields.append((self._select, found.get("value", "")))
            self._select = ""
        elif tag in ("input", "textarea") and name:
            typed = "stranger@example.com" if found.get("type") == "email" else found.get("value", "")
            form.fields.append((name, value if found.get("type") in ("checkbox", "radio", "hidden") else typed))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = False


def links_of(mail: Read) -> set[str]:
    """All addresses in a message: both parts, and its header."""
    head = " ".join(str(value) for value in mail.message.values())
    found = re.findall(r"https?://[^\s\"<>]+", head + " " + mail.text) + re.findall(r'href="([^"]+)"', mail.html)
    return {url.replace("&amp;", "&") for url in found if url.startswith(BASE)}


@dataclass
class Stranger:
    """Follow every link and send every form; `seen`: address -> what was answered."""

    browser: Client
    club: Club
    seen: dict[tuple[str, str], str] = field(default_factory=dict)

    def ask(self, url: str, method: str = "GET", data: Any = None) -> str:
        parts = urlsplit(url)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        answered = self.browser.open(path, method=method, data=data, headers={"Origin": BASE, "Sec-Fetch-Site": "same-origin"})
        text = answered.get_data(as_text=True)
        self.seen[method, f"{path} {data or ''}"] = text
        if "Location" in answered.headers and method == "POST":
            return self.ask(urljoin(url, answered.headers["Location"]))
        return text

    def crawl(self, start: set[str], *, leaving: bool) -> None:
        """Go on from these addresses; forms that end a subscription, or undo that, only with `leaving`."""
        waiting, known = sorted(start), set(start)
        while waiting:
            url = waiting.pop()
            found = Page(url, self.ask(url))
            new = set(found.links)
            for form in found.forms:
                if not urlsplit(form.action).path.startswith(DOORS) or form.method != "post":
                    continue
                if not leaving and re.search("/(unsubscribe|undo)/", form.action):
                    continue
                for button in form.buttons or [("", "")]:
                    data = [*form.fields, button]
                    page = Page(form.action, self.ask(form.action, "POST", _several(data)))
                    new |= page.links
            fresh = {one for one in new if urlsplit(one).path.startswith(DOORS)} - known
            known |= fresh
            waiting += sorted(fresh)

    def guess(self, tokens: set[str]) -> None:
        """Use each token at each door, with each action, and what else there could be behind it."""
        for token in sorted(tokens):
            for door in DOORS:
                for rest in ("", "/data.json", "/next", "/next/daily", "/erase", "/address", "?action=erase&sure=yes"):
                    self.ask(f"{BASE}{door}{token}{rest}")
                for action in ACTIONS:
                    if door in ("/unsubscribe/", "/undo/") and action in ("", "save"):
                        continue
                    form = {"action": action, "sure": "yes", "erase": "yes", "email": "stranger@example.com", "until": "1"}
                    if not (door == "/undo/" or (door == "/unsubscribe/" and self.club.status() != "active")):
                        self.ask(f"{BASE}{door}{token}", "POST", form)


def _several(pairs: list[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        if name:
            found.setdefault(name, []).append(value)
    return found


def tokens_in(pages: Iterator[str] | list[str]) -> set[str]:
    return {found for text in pages for found in re.findall(r"/(?:preferences|unsubscribe|undo|confirm)/([\w.-]+)", text)}


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_a_forwarded_digest_changes_topics_at_worst_and_the_next_one_undoes_it(
    browser: Client, club: Club, language: str
) -> None:
    now = int(time.time())
    club.join(READER, "tag=Linux", "translator=geekpi", frequency="daily", language=language, now=now - 3 * DAY)
    before = (club.wanted(), club.rows(sa.select(tables.subscribers.c.language, tables.subscribers.c.timezone)))
    subscriber = club.rows(sa.select(tables.subscribers.c.address, tables.subscribers.c.mailbox, tables.subscribers.c.key))
    forwarded = digest(club, now)
    assert READER in forwarded.text, "the mail says whom it was sent to; its pages do not"
    mails = len(club.letters())

    stranger = Stranger(browser, club)
    stranger.crawl(links_of(forwarded), leaving=False)
    stranger.guess(tokens_in([*stranger.seen.values(), *links_of(forwarded)]))
    page = next(url for url in links_of(forwarded) if "/preferences/" in url)
    spite = {"select": "tag=AI", "frequency": "monthly", "language": "en" if language != "en" else "zh-CN", "timezone": "UTC"}
    stranger.ask(page, "POST", spite)
    assert club.wanted() == {READER: {"monthly": ["tag=AI"]}}, "topics were changed"
    stranger.crawl(links_of(forwarded), leaving=True)
    stranger.guess(tokens_in(list(stranger.seen.values())))

    assert len(stranger.seen) > 100
    for asked, text in stranger.seen.items():
        assert READER not in text and READER.partition("@")[0] + "%40" not in text, asked
        assert '"deliveries"' not in text and '"mailbox"' not in text, asked
        assert "stranger@example.com" not in text or "/subscribe" in asked[1], asked
    assert (
        club.rows(sa.select(tables.subscribers.c.address, tables.subscribers.c.mailbox, tables.subscribers.c.key)) == subscriber
    )
    sent = club.letters()[mails:]
    assert {letter["To"] for letter in sent} == {READER}, "mail goes to the owner alone"
    owners = {token for letter in sent for token in tokens_in([letter.as_string()])}
    assert not owners & tokens_in(list(stranger.seen.values())) - tokens_in(list(links_of(forwarded)) + _fresh(club, now))

    if club.status() != "active":
        found = unsubscribe.find_unsubscribe_link(club.context, club.leaving(), now + 60)
        assert found is not None and unsubscribe.undo_unsubscribing(club.context, found.undo, now + 60) is not None
    own = tokens_in([digest(club, now, "10", days=40).text])
    mine = next(token for token in own if re.fullmatch(r"\d+-\d+-\d+-\w+", token))
    page = browser.get(f"/preferences/{mine}").text
    offered = [one.split("</form>")[0] for one in page.split('name="until" value="')[1:]]
    until = next(one.split('"')[0] for one in offered if "Linux" in one and "geekpi" in one and "AI" not in one)
    assert browser.post(f"/preferences/{mine}", data={"action": "restore", "until": until}).status_code == 303
    after = (club.wanted(), club.rows(sa.select(tables.subscribers.c.language, tables.subscribers.c.timezone)))
    assert after == before


def _fresh(club: Club, now: int) -> list[str]:
    """The links that a mail of today has as well: they open no more than those of the digest."""
    tokens = club.site.runtime.tokens()
    return [f"/preferences/{tokens.preferences(1, 1, now)}", f"/unsubscribe/{tokens.unsubscribe(1)}"]


def test_a_confirmation_that_was_used_gives_no_more_away_than_a_digest(browser: Client, club: Club) -> None:
    now = int(time.time())
    club.sign_up(READER, "tag=Linux", now=now - 100)
    token = club.token()
    browser.post(f"/confirm/{token}")
    stranger = Stranger(browser, club)
    stranger.crawl({f"{BASE}/confirm/{token}", f"{BASE}/unsubscribe/{token}"}, leaving=True)
    stranger.guess(tokens_in(list(stranger.seen.values())))
    assert not [asked for asked, text in stranger.seen.items() if READER in text] and club.count(tables.subscribers) == 1


def test_by_the_owners_link_all_of_it_is_reached(browser: Client, club: Club) -> None:
    """The other side: what nobody reaches from a digest is there."""
    club.join(READER, "tag=Linux", now=int(time.time()) - 100)
    own = link(club.letters()[-1], "preferences")
    browser.post(f"/preferences/{own}", data={"action": "link"})
    mine = link(club.letters()[-1], "preferences")
    page = Page(f"{BASE}/preferences/{mine}", browser.get(f"/preferences/{mine}").text)
    assert f"{BASE}/preferences/{mine}/data.json" in page.links
    assert {value for form in page.forms for name, value in form.buttons if name == "action"} == {"address", "revoke", "erase"}
    assert READER in browser.get(f"/preferences/{mine}/data.json").text


def test_links_of_mails_of_versions_before_unsubscribe_and_change_topics_and_no_more(browser: Client, club: Club) -> None:
    club.join(READER, "tag=Linux", now=int(time.time()) - 100)
    tokens = club.site.runtime.tokens()
    old = f"1-1-{tokens._mac('preferences', '1-1', 32)}"
    page = browser.get(f"/preferences/{old}")
    assert page.status_code == 200 and "r***@example.org" in page.text and READER not in page.text
    assert browser.get(f"/preferences/{old}/next").status_code == 200
    assert browser.get(f"/preferences/{old}/data.json").status_code == 404
    before = club.everything()
    for action in ("revoke", "erase"):
        answered = browser.post(f"/preferences/{old}", data={"action": action, "sure": "yes"})
        assert answered.status_code == 403 and 'value="link"' in answered.text, "the page says how"
    browser.post(f"/unsubscribe/{old}", data={"erase": "yes"})
    assert club.everything() == before
    assert browser.post(f"/preferences/{old}", data={"select": "tag=AI", "frequency": "daily"}).status_code == 303
    assert club.wanted() == {READER: {"daily": ["tag=AI"]}}
    with club.site.runtime.engine.begin() as connection:
        connection.execute(sa.update(tables.subscribers).values(version=2))
    assert browser.get(f"/preferences/{old}").status_code == 404, "new links were asked for"
    assert "r***@example.org" in browser.get(f"/unsubscribe/{old}").text
    assert browser.post(f"/unsubscribe/{old}", data="List-Unsubscribe=One-Click").status_code == 200
    assert club.status() == "unsubscribed"
