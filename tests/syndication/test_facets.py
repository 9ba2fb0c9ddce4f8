"""Facets are declared in one table: a new row shows in feeds, on pages and in the export by itself."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import feedparser
import pytest
from werkzeug.test import Client

from feeds.model import FACETS, PLURALS, Facet, Selection
from feeds.static.site_files import Exporter
from feeds.web.app import create_app

SERIES = Facet("project", "projects", "项目", "Project", ("project",), "commas")


@pytest.fixture(scope="module")
def customs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What tells programs of the facet: files are parsed by some of their own."""
    folder = tmp_path_factory.mktemp("python")
    (folder / "sitecustomize.py").write_text(f"from feeds.model import *\nFACETS['project'] = {SERIES!r}\n")
    return folder


@pytest.fixture
def series(site: Any, customs: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A site whose program has one facet more."""
    monkeypatch.setitem(FACETS, "project", SERIES)
    monkeypatch.setitem(PLURALS, "projects", SERIES)
    monkeypatch.setenv("PYTHONPATH", str(customs))
    site.settle("site.yaml", article_url="")
    site.settle("feeds.yaml", facets={"tag": {}, "project": {"enabled": True}})
    site.write("1.md", title="One", tags=["Linux"], project=["Kernels", "explained"])
    site.rescan(parsers=None)
    return site


def test_a_new_facet_shows_in_feeds(series: Any, body: Callable[..., bytes]) -> None:
    (entry,) = feedparser.parse(body(series.runtime, "all", "atom")).entries
    schemes = {tag.term: tag.scheme for tag in entry.tags}
    assert schemes["Kernels"] == schemes["explained"] == schemes["Linux"].replace("/tags/", "/projects/")
    assert {"Linux", "Kernels", "explained"} <= set(json.loads(body(series.runtime, "all", "json"))["items"][0]["tags"])
    (entry,) = feedparser.parse(body(series.runtime, "projects/Kernels", "rss")).entries
    assert entry.title == "One"


def test_a_new_facet_shows_on_pages_and_in_the_export(series: Any, tmp_path: Path) -> None:
    client = Client(create_app(series.environment))
    article = client.get("/articles/1").text
    assert "<dt>项目</dt>" in article and 'href="/projects/Kernels"' in article
    assert 'href="/projects/Kernels"' in client.get("/projects/").text and client.get("/projects.opml").status_code == 200
    assert not Exporter(series.runtime).export(str(tmp_path)).faults
    assert {"projects/Kernels.html", "projects/Kernels.atom", "projects/index.html", "projects.opml"} <= {
        str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")
    }


_NAMED_FEED = """
from feeds import model
model.FACETS["project"] = model.Facet("project", "projects", "项目", "Project", ("project",))
from feeds.config.models import FeedSettings
select = {"project": ["Kernels"], "tag": ["Linux"], "not": {"project": ["explained"]}}
settings = FeedSettings.model_validate({"feeds": [{"name": "kernels", "title": "Kernels", "select": select}]})
print(settings.feeds[0].select.selection())
print(settings.feeds[0].select.model_dump_json(by_alias=True))
"""


def test_a_new_facet_is_accepted_in_the_selection_of_a_named_feed() -> None:
    # in a process of its own: the fields of `select:` are made of the table when the settings are imported
    done = subprocess.run([sys.executable, "-c", _NAMED_FEED], capture_output=True, text=True, check=True)
    selection, stored = done.stdout.splitlines()
    assert selection == str(Selection({"tag": ("Linux",), "project": ("Kernels",)}, none={"project": ("explained",)}))
    assert list(json.loads(stored)) == [*FACETS, "project", "all", "not"]
