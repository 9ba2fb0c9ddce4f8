"""Clients: of the application in this process, and of a real `feeds serve`."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from werkzeug.test import Client

from feeds.web.app import create_app
from tests.conftest import Site, settle_database

FEEDS_YAML = """\
facets:
  tag: {limit: 20}
  translator: {limit: 20}
  category: {enabled: true}
moved: {tags/旧名: tags/Linux, tags/TCP: tags/TCP/IP}
gone: [tags/retired, feeds/old]
aliases: {tag: {K8s: Kubernetes}}
feeds:
  - name: kernel
    title: 内核
    select: {tag: [内核, Linux]}
  - name: none
    title: Nothing
    select: {tag: [NoSuch]}
"""


def fill(site: Any) -> Any:
    """A few articles of awkward terms."""
    site.set("feeds.yaml", FEEDS_YAML)
    site.settle("site.yaml", base_url="http://localhost", article_url="")
    tags = ["Linux", "C++", "C#", ".NET", "TCP/IP", "内核", "a b", "50%", "..", "Node.js", "what?", "Kubernetes", "x.atom"]
    for number in range(1, 31):
        some = [tags[number % len(tags)], "Linux"]
        site.write(
            f"{number}.md", tags=some, translator="geekpi" if number % 2 else "wxy、甲乙", date=f"2020-01-{number:02} 00:00:00"
        )
    site.rescan()
    return site


@pytest.fixture(scope="session")
def filled(prepared: Callable[..., Site]) -> Site:
    """That site once for all. Do not write to it."""
    return prepared(fill)


@pytest.fixture
def web_site(new_site: Callable[..., Site], filled: Site) -> Site:
    """A copy of one's own."""
    return new_site(filled)


@pytest.fixture(scope="session")
def filled_client(filled: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """An application for all tests that only ask, over a copy of its own: what is asked for is counted."""
    site = Site(tmp_path_factory.mktemp("asked") / "site", filled)
    yield new_client(site)
    site.remove()


@pytest.fixture
def client(web_site: Any) -> Iterator[Client]:
    """A fresh application over a site of one's own."""
    yield new_client(web_site)


def new_client(site: Any) -> Client:
    return Client(create_app(site.environment))


@pytest.fixture
def make_client() -> Callable[[Any], Client]:
    """Another worker over the same site."""
    return new_client


@pytest.fixture(scope="session")
def demo_client(demo: Any) -> Client:
    """An application over the demo store; links of its pages begin with the default base_url."""
    return new_client(demo)


@pytest.fixture(scope="session")
def server(demo: Any, running: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A real `feeds serve`, two workers and no clock, over a copy of the demo site."""
    root = tmp_path_factory.mktemp("served")
    for name in ("config", "articles"):
        shutil.copytree(demo.root / name, root / name)
    settle_database(root, template=demo)
    return running(root / "config", "--workers", "2", "--no-clock").ready()
