"""A site with a token, and an operator before it: a client that is signed in and fills in forms as a browser would."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from werkzeug.test import Client, TestResponse

from feeds.config.environment import Environment
from feeds.runtime import Runtime
from feeds.web.app import create_app
from tests.conftest import CHECKOUT

TOKEN = "open-sesame-0123456789"
FIELD = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)">')


class Operator:
    """A browser of its own; `page` is the last one it got."""

    def __init__(self, site: Any, language: str = "en") -> None:
        self.site = site
        self.client = Client(create_app(site.environment))
        self.headers = {"Accept-Language": language, "Sec-Fetch-Site": "same-origin"}
        self.page: TestResponse | None = None

    def get(self, path: str, **options: Any) -> TestResponse:
        self.page = self.client.get(f"/operator{path}", headers=self.headers, **options)
        return self.page

    def post(self, path: str, headers: dict[str, str] | None = None, **fields: str) -> TestResponse:
        """With what the last page's forms hold in hidden fields of the same names as `fields`, and their key."""
        hidden = self.hidden(path)
        self.page = self.client.post(f"/operator{path}", data={**hidden, **fields}, headers={**self.headers, **(headers or {})})
        return self.page

    def hidden(self, path: str) -> dict[str, str]:
        """Of the form on the last page that leads to `path`."""
        found = re.search(rf'<form[^>]*action="/operator{re.escape(path)}(?:#[^"]*)?"[^>]*>(.*?)</form>', self.text, re.DOTALL)
        return {name: html.unescape(value) for name, value in FIELD.findall(found[1] if found else "")}

    def follow(self) -> TestResponse:
        assert self.page.status_code == 303, self.text
        return self.get(self.page.headers["Location"].removeprefix("/operator"))

    @property
    def text(self) -> str:
        return self.page.get_data(as_text=True) if self.page is not None else ""

    def sign_in(self, token: str = TOKEN) -> TestResponse:
        self.get("/sign-in")
        return self.post("/sign-in", token=token)

    def save(self, query: str, **fields: str) -> TestResponse:
        self.get(f"/feeds/new?{query}")
        return self.post("/feeds/save", **fields)

    @property
    def yaml(self) -> Path:
        return Path(self.site.config_dir, "feeds.yaml")


@pytest.fixture
def console_site(new_site: Callable[..., Any], prepared: Callable[..., Any]) -> Any:
    """A few articles, and the default feeds.yaml with all its comments."""
    site = new_site(prepared(fill))
    site.environment = Environment.read(site.config_dir, {"FEEDS_OPERATOR_TOKEN": TOKEN})
    site.runtime.close()
    site.runtime = Runtime(site.environment)
    site.runtime.prepare()
    return site


def fill(site: Any) -> None:
    site.set("feeds.yaml", (CHECKOUT / "config" / "feeds.yaml").read_text("utf-8"))
    site.settle("site.yaml", base_url="http://localhost", article_url="")
    for number in range(1, 6):
        site.write(f"{number}.md", tags=["Linux", "内核"] if number % 2 else ["Ubuntu"], translator="geekpi")
    site.rescan()


@pytest.fixture
def newcomer(console_site: Any) -> Operator:
    return Operator(console_site)


@pytest.fixture
def operator(newcomer: Operator) -> Iterator[Operator]:
    newcomer.sign_in()
    assert newcomer.page.status_code == 303
    yield newcomer


@pytest.fixture
def chinese(console_site: Any) -> Operator:
    made = Operator(console_site, "zh-CN")
    made.sign_in()
    return made


@pytest.fixture
def term() -> Callable[[str], str]:
    """A tag as in an address."""
    return lambda name: f"tag={quote(name)}"
