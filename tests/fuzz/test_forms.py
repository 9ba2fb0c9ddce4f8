"""Everything that takes a form: sign-up, one's own page, leaving, the hub, the console; and files of subscribers.

Whatever is written into them, the answer is meant, no address gets a message that did not ask, and what was stored stays sound.
"""

from __future__ import annotations

import io
import secrets
from typing import Any
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa
from hypothesis import strategies as st
from lxml import html
from werkzeug.test import Client

from feeds import database
from feeds.config.environment import Environment
from feeds.config.load import load_config
from feeds.config.models import WebSub
from feeds.database import tables
from feeds.errors import Fault
from feeds.newsletter.subscribers import importer
from feeds.newsletter.subscribers.email_address import EmailAddressError, parse_address
from feeds.newsletter.subscribers.importer import ImportFaults, Row, read_csv
from feeds.web.app import create_app
from feeds.web.fast_path import FastPath
from feeds.websub import requests
from tests.newsletter.club import NOW, Club

from .asking import Answered, ask, is_sound
from .mutating import damaged, listed, noise, seeds
from .rounds import fuzz

TOKEN = "open-sesame-0123456789"
FORM = "application/x-www-form-urlencoded"
VALUE = st.one_of(noise(3), damaged(seeds("fuzz/seeds/selections")), st.sampled_from(listed("segments")))


def fields(*names: str, **usual: str) -> st.SearchStrategy[dict[str, bytes]]:
    """Fields of these names, some of them as they should be, some missing."""
    return st.fixed_dictionaries(
        {}, optional={name: VALUE | st.just(usual[name].encode()) if name in usual else VALUE for name in names}
    )


def post(lane: FastPath, path: str, form: dict[str, bytes], **headers: str) -> Answered:
    found = ask(lane, path.encode(), method="POST", headers=headers, body=urlencode(form).encode(), content_type=FORM)
    is_sound(found)
    return found


@pytest.fixture(scope="module")
def club(demo: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Readers, a hub and a console in one house."""
    site = type(demo)(tmp_path_factory.mktemp("club") / "site", article_url="")
    site.environment = Environment.read(site.config_dir, {"FEEDS_OPERATOR_TOKEN": TOKEN, "FEEDS_SECRET_KEY": "k" * 40})
    site.reopen()
    club = Club(site)
    site.settle("feeds.yaml", websub={"hub": "builtin"})
    site.rescan()
    yield club
    site.remove()


@pytest.fixture(scope="module")
def lane(club: Club) -> FastPath:
    return create_app(club.site.environment)


# -- readers -------------------------------------------------------------------


SIGN_UP = ("email", "select", "more", "frequency", "day", "timezone", "language", "proof", "website", "stamp")


@fuzz(15, form=fields(*SIGN_UP, email="ada@example.org", frequency="weekly", select="tag=Linux"), stamped=st.booleans())
def test_signing_up(club: Club, lane: FastPath, form: dict[str, bytes], stamped: bool) -> None:
    if stamped:
        form["stamp"] = club.context.tokens.timestamp("signup", NOW - 60).encode()
    found = post(lane, "/subscribe", form)
    assert found.status in (200, 400)
    for letter in club.letters():
        assert letter["To"].count("@") == 1 and not letter.defects, letter["To"]


@pytest.fixture(scope="module")
def reader(club: Club) -> str:
    return club.join("reader@example.org", "tag=Linux")


PREFERENCES = ("how", "wish", "select", "more", "frequency", "day", "timezone", "language", "action", "sure")


@fuzz(12, form=fields(*PREFERENCES, action="save", frequency="daily", select="tag=Ubuntu", language="en"))
def test_ones_own_page(club: Club, lane: FastPath, reader: str, form: dict[str, bytes]) -> None:
    found = post(lane, f"/preferences/{reader}", form)
    assert found.status in (200, 303, 400, 403)
    own = ask(lane, f"/preferences/{reader}".encode())
    is_sound(own)
    assert own.status == 200 and club.status() == "active" and club.wanted()["reader@example.org"]


@fuzz(15, token=VALUE, form=fields("List-Unsubscribe", "confirm", "erase", "reason", confirm="yes", erase="yes"))
def test_links_that_nobody_signed_change_nothing(club: Club, lane: FastPath, token: bytes, form: dict[str, bytes]) -> None:
    before = club.everything()
    for kind in (b"/unsubscribe/", b"/preferences/", b"/undo/", b"/confirm/"):
        if token:
            found = ask(lane, kind + token, method="POST", body=urlencode(form).encode(), content_type=FORM)
            is_sound(found)
            assert found.status >= 400
    assert club.everything() == before


# -- the hub -------------------------------------------------------------------


ASKED = ("hub.mode", "hub.topic", "hub.callback", "hub.lease_seconds", "hub.secret", "hub.url")
HUB = fields(
    *ASKED,
    **{
        "hub.mode": "subscribe",
        "hub.topic": "http://localhost/all.atom",
        "hub.callback": "https://example.org/callback",
        "hub.lease_seconds": "86400",
    },
)


@fuzz(40, form=HUB)
def test_the_hub_takes_in_what_is_sound_and_says_what_is_wrong(lane: FastPath, form: dict[str, bytes]) -> None:
    found = post(lane, "/hub", form)
    assert found.status in (202, 400, 403, 404, 413, 429) and (found.status == 202 or found.body.strip())


HOSTS = [
    "localhost",
    "127.1",
    "0x7f.1",
    "2130706433",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "①②⑦.0.0.1",
    "127。0。0。1",
    "0",
    "10.0.0.1",
]
HOSTS += [
    "169.254.169.254",
    "[fe80::1%25eth0]",
    "[fc00::1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "100.64.0.1",
    "x@127.0.0.1",
]


@fuzz(60, host=st.sampled_from(HOSTS), path=noise(2), port=st.sampled_from(["", ":80", ":22", ":0", ":99999", ":x"]))
def test_no_spelling_of_a_private_address_is_called(host: str, path: bytes, port: str) -> None:
    """Names are looked up, and what they mean refused, when they are called; an address is refused at once."""
    callback = f"http://{host}{port}/{path.decode('latin-1')}"
    form = {"hub.mode": ["subscribe"], "hub.topic": ["http://localhost/all.atom"], "hub.callback": [callback]}
    found = requests.parse_form(form, WebSub())
    assert isinstance(found, str), found


# -- the operator --------------------------------------------------------------


@pytest.fixture(scope="module")
def operator(lane: FastPath) -> dict[str, str]:
    """A cookie that is let in, and the key of its forms."""
    client = Client(lane)
    client.post("/operator/sign-in", data={"token": TOKEN})
    page = html.fromstring(client.get("/operator/feeds/new").text)
    cookie = client.get_cookie("operator", path="/operator")
    return {"cookie": f"operator={cookie.value}", "key": page.xpath("//input[@name='key']/@value")[0]}


ROOMS = ["feeds/save", "feeds/remove", "feeds/undo", "issues/pause", "issues/retry", "issues/test", "issues/x", "subscribers"]
KEPT = ("name", "title", "description", "limit", "content", "former", "select", "mark", "gone", "issue", "email", "frequency")


@fuzz(15, room=st.sampled_from(ROOMS), form=fields(*KEPT, name="new", title="新", select="tag=Linux", limit="20"))
def test_the_operators_forms(club: Club, lane: FastPath, operator: dict[str, str], room: str, form: dict[str, bytes]) -> None:
    """Whatever is typed, feeds.yaml stays a file that can be read."""
    page = html.fromstring(ask(lane, b"/operator/feeds/new", headers={"Cookie": operator["cookie"]}).body)
    mark = page.xpath("//input[@name='mark']/@value")
    filled = {"mark": mark[0].encode() if mark else b"", **form, "key": operator["key"].encode()}
    post(lane, f"/operator/{room}", filled, Cookie=operator["cookie"])
    assert load_config(club.site.environment).feeds.feeds


@fuzz(20, room=st.sampled_from(ROOMS), form=fields("key", *KEPT), cookie=VALUE)
def test_nobody_else_fills_in_the_operators_forms(lane: FastPath, room: str, form: dict[str, bytes], cookie: bytes) -> None:
    found = post(lane, f"/operator/{room}", form, Cookie=f"operator={cookie.decode('latin-1')}")
    assert found.status in (303, 403) and "operator/sign-in" in found.headers.get("Location", "operator/sign-in")


@fuzz(10, token=VALUE)
def test_a_token_that_is_not_the_operators_lets_nobody_in(lane: FastPath, token: bytes) -> None:
    found = post(lane, "/operator/sign-in", {"token": token, "to": b"//evil.example"}, **{"X-Forwarded-For": _somebody()})
    assert found.status in (403, 429) and "Set-Cookie" not in found.headers


def _somebody() -> str:
    return f"198.51.{secrets.randbelow(256)}.7"


# -- files of subscribers ------------------------------------------------------


@fuzz(50, data=damaged(seeds("fuzz/seeds/csv", ending=".csv")))
def test_a_file_of_subscribers_is_rows_and_faults_with_their_place(club: Club, data: bytes) -> None:
    lines = data.count(b"\n") + data.count(b"\r") + 2
    for found in read_csv(io.BytesIO(data), "people.csv", club.config, NOW):
        assert isinstance(found, Row | Fault)
        if isinstance(found, Fault):
            assert 0 < found.line <= lines and found.column >= 0 and found.reason and "\n" not in found.reason
        else:
            assert parse_address(found.address.address) == found.address and found.address.envelope.isascii()


@fuzz(8, data=damaged(seeds("fuzz/seeds/csv", ending=".csv")))
def test_a_faulty_file_changes_nothing(club: Club, data: bytes) -> None:
    before = club.everything()
    try:
        report = importer.import_csv(club.context, io.BytesIO(data), "people.csv", NOW)
    except ImportFaults:
        assert club.everything() == before
    else:
        assert report.faulty == 0
    with database.reading(club.site.runtime.engine) as connection:
        for (address,) in connection.execute(sa.select(tables.subscribers.c.mailbox)):
            assert address.count("@") >= 1 and address.isprintable()


@fuzz(60, text=noise(4).map(lambda raw: raw.decode("utf-8", "replace")))
def test_what_is_taken_for_an_address_can_stand_in_a_header(text: str) -> None:
    for typed in (text, f"{text}@example.org", f"ada@{text}", f"ada@{text}.org"):
        try:
            found = parse_address(typed)
        except EmailAddressError as error:
            assert str(error)
        else:
            assert (
                found.envelope.isascii()
                and found.envelope.isprintable()
                and not {*" <>,;\r\n"} & {*found.envelope.split('"')[0]}
            )
