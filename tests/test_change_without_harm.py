"""What readers are promised when names, addresses and articles change: nobody loses a feed, nothing comes back unread."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import feedparser
import pytest
from lxml import etree
from werkzeug.test import Client

from feeds import check, urls
from feeds.config.models import Config
from feeds.monitoring import health
from feeds.newsletter.issues.sections import resolve_selection
from feeds.syndication import lookup
from feeds.web.app import create_app

FORMATS = (".atom", ".rss", ".json")
EXTENSIONS = ("", *FORMATS)


class Readers:
    """What those who follow the site see; each request finds what the last rescan left."""

    def __init__(self, site: Any) -> None:
        self.site = site
        site.settle("site.yaml", base_url="http://localhost", article_url="")
        self._app = create_app(site.environment)

    def get(self, path: str) -> Any:
        self._app.editions.expire()
        path, mark, query = path.partition("?")
        return Client(self._app).get(path if path.isascii() else urls.encode(path), query_string=query if mark else None)

    def feed(self, path: str) -> Any:
        """The Atom feed at an address that answers by itself."""
        answered = self.get(path + ".atom")
        assert answered.status_code == 200, f"{path} gives {answered.status_code}"
        return feedparser.parse(answered.data)

    def id(self, path: str) -> str:
        return str(self.feed(path).feed.id)

    def entries(self, path: str) -> set[str]:
        return {entry.id.rpartition("/")[2] for entry in self.feed(path).entries}

    def led(self, path: str) -> list[str]:
        """Where an address leads, redirect by redirect, in any format: the last one answers, or is gone."""
        ways = {extension: self._way(path, extension) for extension in EXTENSIONS}
        assert len(set(map(tuple, ways.values()))) == 1, ways
        return ways[""]

    def _way(self, path: str, extension: str) -> list[str]:
        way, address = [], f"/{urls.encode(path)}{extension}"
        while (answered := self.get(address)).status_code == 301 and len(way) < 9:
            address = answered.headers["Location"]
            way.append(address.removesuffix(extension).lstrip("/"))
        return [*way, *([] if answered.status_code == 200 else [str(answered.status_code)])]

    def opml(self, path: str) -> set[str]:
        root = etree.fromstring(self.get(path).data)
        return {
            outline.get("xmlUrl").removeprefix("http://localhost/") for outline in root.iter("outline") if outline.get("xmlUrl")
        }


@pytest.fixture
def readers(site: Any) -> Readers:
    return Readers(site)


def settle(site: Any, **settings: Any) -> None:
    site.settle("feeds.yaml", **settings)
    site.rescan()


def rename(site: Any, old: str, new: str, facet: str = "translator") -> None:
    settle(site, aliases={facet: {old: new}})


# -- a translator takes another name -------------------------------------------


@pytest.fixture
def old_name(site: Any, readers: Readers) -> Readers:
    """Two articles by 老名字, published."""
    for number in (1, 2):
        site.write(f"{number}.md", translator="老名字", date=f"2015-0{number}-01 00:00:00")
    site.rescan()
    return readers


def test_a_renamed_translator_keeps_the_feeds_id_and_all_history(site: Any, old_name: Readers) -> None:
    before = old_name.id("translators/老名字")
    rename(site, "老名字", "NewName")
    assert old_name.id("translators/NewName") == before
    assert old_name.entries("translators/NewName") == {"1", "2"}
    site.write("3.md", translator="NewName", date="2016-01-01 00:00:00")
    site.rescan()
    assert old_name.id("translators/NewName") == before
    assert old_name.entries("translators/NewName") == {"1", "2", "3"}
    assert "NewName" in old_name.feed("translators/NewName").feed.title


def test_the_old_address_of_a_renamed_translator_leads_to_the_new_one_in_every_format(site: Any, old_name: Readers) -> None:
    assert old_name.led("translators/老名字") == []
    rename(site, "老名字", "NewName")
    assert old_name.led("translators/老名字") == ["translators/NewName"]
    assert old_name.get("/translators/老名字.atom?page=1").headers["Location"] == "/translators/NewName.atom?page=1"


def test_entries_of_a_renamed_translator_keep_their_ids_and_show_the_new_name(site: Any, old_name: Readers) -> None:
    before = [(entry.id, entry.updated) for entry in old_name.feed("translators/老名字").entries]
    rename(site, "老名字", "NewName")
    after = old_name.feed("translators/NewName")
    assert [(entry.id, entry.updated) for entry in after.entries] == before
    assert [entry.contributors[0].name for entry in after.entries] == ["NewName"] * 2
    assert "老名字" not in old_name.get("/translators/NewName.atom").text


def test_a_renamed_translator_is_in_lists_and_directories_once_and_by_the_new_name(site: Any, old_name: Readers) -> None:
    rename(site, "老名字", "NewName")
    for path in ("/feeds.opml", "/translators.opml"):
        assert [each for each in old_name.opml(path) if each.startswith("translators/")] == ["translators/NewName.atom"]
    page = old_name.get("/translators/").text
    assert "NewName" in page and "老名字" not in page
    assert [row.path for row, _ in site.runtime.read(lookup.list_feeds) if row.path.startswith("translators/")] == [
        "translators/NewName"
    ]


def test_a_combination_keeps_its_id_and_leads_to_the_new_name(site: Any, old_name: Readers) -> None:
    site.write("4.md", translator="geekpi", date="2015-04-01 00:00:00")
    site.rescan()
    old = f"/select.atom?translator=geekpi&translator={urls.encode('老名字')}"
    before = feedparser.parse(old_name.get(old).data)
    rename(site, "老名字", "NewName")
    moved = old_name.get(old)
    assert (moved.status_code, moved.headers["Location"]) == (301, "/select.atom?translator=geekpi&translator=NewName")
    after = feedparser.parse(old_name.get(moved.headers["Location"]).data)
    assert after.feed.id == before.feed.id and "NewName" in after.feed.title
    assert [entry.id for entry in after.entries] == [entry.id for entry in before.entries]


@pytest.mark.parametrize(("own", "survives"), [("2020-01-01 00:00:00", "老名字"), ("2010-01-01 00:00:00", "NewName")])
def test_of_two_names_the_id_of_the_one_that_was_published_first_survives(
    site: Any, old_name: Readers, own: str, survives: str
) -> None:
    site.write("3.md", translator="NewName", date=own)
    site.rescan()
    ids = {name: old_name.id(f"translators/{name}") for name in ("老名字", "NewName")}
    assert len(set(ids.values())) == 2
    rename(site, "老名字", "NewName")
    assert old_name.id("translators/NewName") == ids[survives]
    assert old_name.entries("translators/NewName") == {"1", "2", "3"}


def test_an_article_of_both_names_at_once_leaves_the_new_names_id(site: Any, readers: Readers) -> None:
    site.write("1.md", translator="Old、NewName")
    site.rescan()
    before = readers.id("translators/NewName")
    rename(site, "Old", "NewName")
    assert readers.id("translators/NewName") == before


def test_what_is_published_after_a_renaming_never_changes_the_id(site: Any, old_name: Readers) -> None:
    rename(site, "老名字", "NewName")
    before = old_name.id("translators/NewName")
    site.write("3.md", translator="NewName", date="2001-01-01 00:00:00")
    site.rescan()
    for number in (1, 2):
        (site.store / f"{number}.md").unlink()
    site.rescan()
    settle(site, aliases={"translator": {"老名字": "NewName"}, "tag": {"K8s": "Kubernetes"}})
    assert old_name.id("translators/NewName") == before


def test_a_catalog_made_anew_gives_a_renamed_translator_the_same_id(site: Any, old_name: Readers) -> None:
    site.write("3.md", translator="NewName", date="2020-01-01 00:00:00")
    site.rescan()
    rename(site, "老名字", "NewName")
    before = {path: old_name.get(path).data for path in ("/translators/NewName.atom", "/all.json")}
    site.forget()
    site.reopen()
    site.rescan()
    again = Readers(site)
    site.rescan()
    assert {path: again.get(path).data for path in before} == before


def test_a_translator_renamed_twice_keeps_the_first_id_and_both_old_addresses(site: Any, old_name: Readers) -> None:
    before = old_name.id("translators/老名字")
    rename(site, "老名字", "Second")
    site.write("3.md", translator="Second", date="2016-01-01 00:00:00")
    site.rescan()
    settle(site, aliases={"translator": {"老名字": "Second", "Second": "Third"}})
    assert old_name.id("translators/Third") == before
    assert old_name.entries("translators/Third") == {"1", "2", "3"}
    for old in ("老名字", "Second", "second"):
        assert old_name.led(f"translators/{old}") == ["translators/Third"]


def test_a_renaming_taken_back_gives_each_name_its_own_id_again(site: Any, old_name: Readers) -> None:
    site.write("3.md", translator="NewName", date="2020-01-01 00:00:00")
    site.rescan()
    paths = ("translators/老名字", "translators/NewName")
    before = [(old_name.id(path), old_name.entries(path)) for path in paths]
    rename(site, "老名字", "NewName")
    settle(site, aliases={})
    assert [(old_name.id(path), old_name.entries(path)) for path in paths] == before


def test_no_two_feeds_ever_have_one_id(site: Any, old_name: Readers) -> None:
    site.write("3.md", translator="NewName", tags=["老名字"])
    for aliases in ({"老名字": "NewName"}, {"NewName": "老名字"}, {"老名字": "X", "NewName": "X"}, {}):
        settle(site, aliases={"translator": aliases})
        ids = [old_name.id(row.path) for row, _selection in site.runtime.read(lookup.list_feeds)]
        assert len(set(ids)) == len(ids), aliases


def test_named_feeds_and_digests_that_name_the_old_name_go_on(site: Any, old_name: Readers) -> None:
    named = {"name": "mine", "title": "Mine", "select": {"translator": ["老名字"]}}
    settle(site, feeds=[named])
    assert old_name.entries("feeds/mine") == {"1", "2"}
    settle(site, feeds=[named], aliases={"translator": {"老名字": "NewName"}})
    assert old_name.entries("feeds/mine") == {"1", "2"}


def test_renamings_that_go_round_in_a_circle_are_refused(site: Any) -> None:
    site.write("1.md")
    site.rescan()
    settle(site, aliases={"tag": {"a": "B", "b": "A"}})
    assert "renamed in a circle" in site.runtime.read(health.catalog_status)["config_fault"]


# -- tags ----------------------------------------------------------------------


def test_two_tags_are_merged_with_all_their_articles_and_the_older_id(site: Any, readers: Readers) -> None:
    site.write("1.md", tags=["K8s"], date="2015-01-01 00:00:00")
    site.write("2.md", tags=["Kubernetes"], date="2016-01-01 00:00:00")
    site.write("3.md", tags=["k8s", "Kubernetes"], date="2017-01-01 00:00:00")
    site.rescan()
    before = readers.id("tags/K8s")
    rename(site, "K8s", "Kubernetes", "tag")
    assert readers.id("tags/Kubernetes") == before
    assert readers.entries("tags/Kubernetes") == {"1", "2", "3"}
    assert readers.led("tags/k8S") == ["tags/Kubernetes"]


@pytest.mark.parametrize("asked", ["tags/ubuntu", "tags/UBUNTU", "TAGS/uBuntu", "tags/Ubuntu/"])
def test_any_spelling_of_a_tag_leads_to_the_commonest(site: Any, readers: Readers, asked: str) -> None:
    for number, tag in enumerate(["UBUNTU", "Ubuntu", "Ubuntu"]):
        site.write(f"{number}.md", tags=[tag])
    site.rescan()
    extensions = ("",) if asked.endswith("/") else EXTENSIONS
    for extension in extensions:
        assert readers.get(f"/{asked}{extension}").headers["Location"] == f"/tags/Ubuntu{extension}"


def test_a_tag_keeps_its_id_and_its_addresses_when_another_spelling_becomes_commonest(site: Any, readers: Readers) -> None:
    site.write("1.md", tags=["GNOME"])
    site.rescan()
    before = readers.id("tags/GNOME")
    for number in (2, 3):
        site.write(f"{number}.md", tags=["Gnome"])
    site.rescan()
    assert readers.id("tags/Gnome") == before
    assert readers.led("tags/GNOME") == ["tags/Gnome"]
    assert readers.entries("tags/Gnome") == {"1", "2", "3"}


# -- moved and gone --------------------------------------------------------------


@pytest.fixture
def three(site: Any, readers: Readers) -> Readers:
    """Tags 旧名, 新名 and Linux, translator geekpi, feed kernel."""
    settle(site, feeds=[{"name": "kernel", "title": "内核", "select": {"tag": ["Linux"]}}])
    for number, tag in enumerate(["旧名", "新名", "Linux"], 1):
        site.write(f"{number}.md", tags=[tag], translator="geekpi")
    site.rescan()
    return readers


def test_a_moved_feed_leads_to_the_new_one_in_every_format_and_is_in_no_list(site: Any, three: Readers) -> None:
    settle(site, moved={"tags/旧名": "tags/新名"})
    assert three.led("tags/旧名") == [urls.encode("tags/新名")]
    shown = urls.encode("tags/旧名")
    for path in ("/feeds.opml", "/tags.opml"):
        assert f"{shown}.atom" not in three.opml(path)
        assert f"{urls.encode('tags/新名')}.atom" in three.opml(path)
    assert shown not in three.get("/tags/").text


def test_a_retired_feed_is_gone_in_every_format_and_from_every_list_and_page(site: Any, three: Readers) -> None:
    settle(site, gone=["tags/旧名", "translators/geekpi", "feeds/kernel"])
    for path in ("tags/旧名", "translators/geekpi", "Translators/GeekPi", "feeds/kernel"):
        assert three.led(path)[-1] == "410"
    links = [urls.encode(path) for path in ("tags/旧名", "translators/geekpi", "feeds/kernel")]
    for page in ("/", "/tags/", "/translators/", "/all", "/articles/1", "/feeds.opml", "/tags.opml", "/tags/旧", "/all.atom"):
        text = three.get(page).text
        assert [link for link in links if f"/{link}" in text] == [], page
    assert three.entries("all") == {"1", "2", "3"}, "the articles stay"


def test_a_person_who_is_retired_moves_the_feeds_that_linked_the_name(site: Any, three: Readers) -> None:
    before = three.get("/all.atom").headers["ETag"]
    assert "/translators/geekpi" in three.get("/all.atom").text
    settle(site, gone=["translators/geekpi"])
    assert three.get("/all.atom").headers["ETag"] != before
    settle(site, gone=["translators/geekpi", "tags/旧名"])
    after = three.get("/all.atom").headers["ETag"]
    settle(site, gone=["translators/geekpi"])
    assert three.get("/all.atom").headers["ETag"] == after, "a tag's page is linked in no feed"


def test_a_chain_of_moves_is_one_redirect_to_its_end(site: Any, three: Readers) -> None:
    settle(site, moved={"tags/a": "tags/b", "Tags/B": "/tags/旧名", "tags/旧名": "tags/linux"})
    for old in ("tags/a", "tags/A", "tags/b", "tags/旧名"):
        assert three.led(old) == ["tags/Linux"], old


def test_a_chain_that_ends_in_a_retired_feed_is_gone_at_once(site: Any, three: Readers) -> None:
    settle(site, moved={"tags/a": "tags/旧名"}, gone=["tags/旧名"])
    assert three.led("tags/a") == ["410"]


@pytest.mark.parametrize("moved", [{"tags/a": "tags/b", "tags/b": "tags/a"}, {"tags/a": "tags/A"}, {"tags/C#": "/tags/c#"}])
def test_moves_that_lead_nowhere_are_refused_with_their_place(site: Any, three: Readers, moved: dict[str, str]) -> None:
    settle(site, moved=moved)
    fault = site.runtime.read(health.catalog_status)["config_fault"]
    assert "moved: " in fault and ("circle" in fault or "moved to itself" in fault)
    assert three.led("tags/Linux") == [], "the last good configuration is in force"


def test_check_names_a_move_to_a_feed_that_does_not_exist(site: Any, three: Readers) -> None:
    site.set("feeds.yaml", "moved:\n  tags/a: tags/Linux\n  tags/b: tags/Nothing\n  feeds/x: feeds/kernel\n  tags/c: tags/a\n")
    found = [(problem.line, problem.column, problem.reason) for problem in check.check(site.runtime.environment).problems]
    assert found == [
        (3, 11, "moved: 'tags/b' goes to 'tags/Nothing', and no feed is there"),
        (4, 12, "moved: 'feeds/x' goes to 'feeds/kernel', and no feed is there"),
    ]


def test_a_feed_that_is_moved_by_mistake_can_be_brought_back(site: Any, three: Readers) -> None:
    before = three.get("/tags/旧名.atom").data
    settle(site, moved={"tags/旧名": "tags/新名"})
    settle(site, moved={})
    assert three.get("/tags/旧名.atom").data == before


def test_a_feed_of_ones_own_is_renamed_with_its_id_its_old_address_and_its_digests(site: Any, three: Readers) -> None:
    before = three.id("feeds/kernel")
    renamed = {"name": "linux-kernel", "id": "kernel", "title": "内核", "select": {"tag": ["Linux"]}}
    settle(site, feeds=[renamed], moved={"feeds/kernel": "feeds/linux-kernel"})
    assert three.id("feeds/linux-kernel") == before
    assert three.led("feeds/kernel") == ["feeds/linux-kernel"]
    config: Config = site.runtime.edition().config
    found = resolve_selection(config, "feed=kernel")
    assert found is not None and found.any == {"tag": ("Linux",)}


def test_two_feeds_cannot_share_an_id(site: Any, three: Readers) -> None:
    pair = [{"name": "kernel", "title": "A"}, {"name": "other", "id": "kernel", "title": "B"}]
    settle(site, feeds=pair)
    assert "two feeds have the same id" in site.runtime.read(health.catalog_status)["config_fault"]


# -- articles --------------------------------------------------------------------


def _entry(readers: Readers, path: str = "all") -> Any:
    [entry] = readers.feed(path).entries
    return entry


def _move_the_file(site: Any) -> None:
    (site.store / "2021").mkdir()
    (site.store / "2020" / "7.md").rename(site.store / "2021" / "seven.md")


def _move_the_permalink(site: Any) -> None:
    site.write("2020/7.md", id=7, permalink="/elsewhere.html")


def _retitle(site: Any) -> None:
    site.write("2020/7.md", id=7, title="A better title")


def _redate(site: Any) -> None:
    site.write("2020/7.md", id=7, date="2019-01-01 00:00:00")


def _move_the_site(site: Any) -> None:
    site.settle("site.yaml", base_url="http://other.example", article_url="https://other.example{permalink}", title="Other")


@pytest.mark.parametrize("change", [_move_the_file, _move_the_permalink, _retitle, _redate, _move_the_site])
def test_an_article_keeps_its_id_whatever_else_changes(site: Any, readers: Readers, change: Callable[[Any], None]) -> None:
    site.write("2020/7.md", id=7)
    site.rescan()
    before = [_entry(readers).id, _entry(readers, "tags/Linux").id, readers.id("tags/Linux")]
    change(site)
    site.rescan()
    assert [_entry(readers).id, _entry(readers, "tags/Linux").id, readers.id("tags/Linux")] == before


def test_a_deleted_article_leaves_every_feed_in_every_format(site: Any, three: Readers) -> None:
    site.write("4.md", title="For a while", tags=["Linux"], translator="geekpi")
    site.rescan()
    paths = [
        f"/{path}{extension}"
        for path in ("all", "tags/Linux", "translators/geekpi", "feeds/kernel")
        for extension in EXTENSIONS
    ]
    assert all("For a while" in three.get(path).text for path in paths)
    dates = {path: three.get(path).headers["ETag"] for path in paths}
    (site.store / "4.md").unlink()
    site.rescan()
    for path in paths:
        answered = three.get(path)
        assert answered.status_code == 200 and "For a while" not in answered.text
        assert answered.headers["ETag"] != dates[path], "readers are told"
    assert three.get("/articles/4").status_code == 404


def test_a_tag_whose_last_article_goes_is_404_and_comes_back_with_its_id(site: Any, three: Readers) -> None:
    before = three.id("tags/旧名")
    text = (site.store / "1.md").read_text("utf-8")
    (site.store / "1.md").unlink()
    site.rescan()
    assert three.led("tags/旧名") == ["404"]
    site.write("1.md", text)
    site.rescan()
    assert three.id("tags/旧名") == before


def test_every_feed_has_one_id_in_all_formats_that_have_one(site: Any, three: Readers) -> None:
    for row, _selection in site.runtime.read(lookup.list_feeds):
        found = json.loads(three.get(f"/{urls.encode(row.path)}.json").data)
        assert found["feed_url"].endswith(f"{urls.encode(row.path)}.json")
        entries = {entry.id for entry in three.feed(row.path).entries}
        assert {item["id"] for item in found["items"]} == entries
        assert {entry.id for entry in feedparser.parse(three.get(f"/{urls.encode(row.path)}.rss").data).entries} == entries


# -- the whole history -------------------------------------------------------------


@pytest.fixture
def years(site: Any, readers: Readers) -> Readers:
    """Three articles a year of 老名字's, of which a feed shows the newest two."""
    settle(site, facets={"tag": {"limit": 2}, "translator": {"limit": 2}})
    for year in (2013, 2014):
        for month in (1, 2, 3):
            site.write(f"{year}{month}.md", translator="老名字", date=f"{year}-0{month}-01 00:00:00")
    site.rescan()
    return readers


def test_archives_of_a_renamed_translator_go_along_with_their_feed(site: Any, years: Readers) -> None:
    old, new = "translators/老名字/archive/2013", "translators/NewName/archive/2013"
    before, entries = years.id(old), years.entries(old)
    assert entries == {"20131", "20132", "20133"}
    rename(site, "老名字", "NewName")
    assert years.get(f"/{old}.atom").headers["Location"] == f"/{new}.atom"
    assert (years.id(new), years.entries(new)) == (before, entries)


def test_archives_of_moved_and_retired_feeds_lead_where_the_feeds_do(site: Any, years: Readers) -> None:
    settle(site, moved={"translators/老名字": "tags/Linux"})
    assert years.get("/translators/老名字/archive/2013.atom").headers["Location"] == "/tags/Linux/archive/2013.atom"
    settle(site, moved={}, gone=["translators/老名字"])
    assert years.get("/translators/老名字/archive/2013.atom").status_code == 410


def test_a_deleted_article_leaves_the_archives(site: Any, years: Readers) -> None:
    (site.store / "20132.md").unlink()
    site.rescan()
    for path in ("translators/老名字", "tags/Linux"):
        assert years.entries(f"{path}/archive/2013") == {"20131", "20133"}
