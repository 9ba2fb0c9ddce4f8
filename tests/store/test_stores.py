"""Several stores in one site: each keeps its kind, addresses and files apart, and a site with one gets others without harm."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from feeds.catalog import queries
from feeds.check import check
from feeds.cli import main
from feeds.config.load import load_config
from feeds.database import reading
from feeds.database.tables import articles
from feeds.errors import ConfigError, StoreError
from feeds.rescan import KIND, known_kinds
from feeds.store import git, git_dates
from feeds.store.git import NO_WORK_TREE, PullResult
from feeds.store.git_dates import DateChanges
from feeds.syndication import editions
from tests.conftest import NOW, Site

NewSite = Callable[..., Site]
HUGO = 'baseURL = "https://blog.example.org/x/"\n[permalinks]\nposts = "/:year/:slug/"\n'
POST = "---\ntitle: {0}\ndate: 2024-01-02\nslug: {0}\n---\n{1}\n"


def put(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return folder


def rows(site: Site) -> dict[str, Any]:
    with reading(site.runtime.engine) as connection:
        return {row.path: row for row in connection.execute(sa.select(articles))}


@pytest.fixture
def several(new_site: NewSite, tmp_path: Path) -> Site:
    """The archive without a prefix, as it was alone; a Hugo site and notes beside it."""
    put(
        tmp_path / "blog",
        {"hugo.toml": HUGO, "content/posts/lake/index.md": POST.format("lake", "[Sea](../sea.md) ![](a.png)")},
    )
    put(tmp_path / "blog", {"content/posts/lake/a.png": "", "content/posts/lake/more.md": "Part of it\n"})
    put(
        tmp_path / "blog",
        {"content/posts/sea.md": POST.format("sea", "Text"), "content/posts/no.md": "---\ndraft: true\n---\n"},
    )
    put(tmp_path / "notes", {"a.md": POST.format("A", "See [B](b.md)"), "b.md": POST.format("B", "Text")})
    site = new_site(article_url="")
    site.write(
        "2020/1.md",
        "---\ntitle: One\ndate: 2020-01-01\ncomments_data: []\ncount: {likes: 1}\npermalink: /a-1.html\n---\nText\n",
    )
    return site


def add_stores(site: Site, tmp_path: Path, *, archive: bool = True) -> None:
    stores: list[object] = [{"path": "articles", "kind": "archive", "future": "publish"}] if archive else []
    stores += [{"path": str(tmp_path / "blog"), "prefix": "blog"}, {"path": str(tmp_path / "notes"), "prefix": "notes"}]
    site.settle("site.yaml", store=stores)


def test_each_store_is_read_by_its_own_kind_and_has_its_own_addresses(several: Site, tmp_path: Path) -> None:
    several.rescan()
    before = rows(several)
    add_stores(several, tmp_path)
    assert several.rescan().added == 4
    found = rows(several)
    assert {path: (row.id, row.permalink) for path, row in found.items()} == {
        "2020/1.md": ("1", "/a-1.html"),
        "blog/content/posts/lake/index.md": ("blog/posts/lake", "https://blog.example.org/x/2024/lake/"),
        "blog/content/posts/sea.md": ("blog/posts/sea", "https://blog.example.org/x/2024/sea/"),
        "notes/a.md": ("notes/a", ""),
        "notes/b.md": ("notes/b", ""),
    }
    assert found["2020/1.md"] == before["2020/1.md"], "what was alone does not change"
    feed = CliRunner().invoke(main, ["show", "all.json", "--config", str(several.config_dir)])
    items = {item["id"].rpartition("/")[2]: item for item in json.loads(feed.stdout)["items"]}
    links = {id: item["url"] for id, item in items.items()}
    assert links == {
        "1": "https://feeds.example/articles/1",
        "lake": "https://blog.example.org/x/2024/lake/",
        "sea": "https://blog.example.org/x/2024/sea/",
        "a": "https://feeds.example/articles/notes~2Fa",
        "b": "https://feeds.example/articles/notes~2Fb",
    }
    assert 'href="https://blog.example.org/x/2024/sea/"' in items["lake"]["content_html"]
    assert 'src="https://blog.example.org/x/2024/lake/a.png"' in items["lake"]["content_html"]
    assert 'href="https://feeds.example/articles/notes~2Fb"' in items["a"]["content_html"]


def test_a_store_alone_may_have_a_prefix(several: Site, tmp_path: Path) -> None:
    several.settle("site.yaml", store={"path": str(tmp_path / "blog"), "prefix": "blog"})
    several.rescan()
    assert [(row.id, row.permalink) for row in rows(several).values()] == [
        ("blog/posts/lake", "https://blog.example.org/x/2024/lake/"),
        ("blog/posts/sea", "https://blog.example.org/x/2024/sea/"),
    ]


def test_one_change_is_found_in_its_store_and_a_second_rescan_is_idle(several: Site, tmp_path: Path) -> None:
    add_stores(several, tmp_path)
    several.rescan()
    later = several.now + 600
    assert several.rescan(later).feeds_changed == 0
    put(tmp_path / "notes", {"b.md": POST.format("B2", "Text")})
    report = several.rescan(later + 60)
    assert (report.changed, report.added, report.removed) == (1, 0, 0)
    assert rows(several)["notes/b.md"].id == "notes/b"


def test_a_store_that_is_listed_no_more_is_held_back_like_any_lost_files(several: Site, tmp_path: Path) -> None:
    add_stores(several, tmp_path)
    several.settle("site.yaml", removal={"percent": 10, "articles": 1})
    several.rescan()
    several.settle(
        "site.yaml", store=[{"path": "articles", "kind": "archive"}, {"path": str(tmp_path / "notes"), "prefix": "notes"}]
    )
    assert several.rescan().held == 2
    assert len(rows(several)) == 5
    assert several.rescan(accept_removals=True).removed == 2


def test_without_one_of_the_folders_nothing_is_removed(several: Site, tmp_path: Path) -> None:
    add_stores(several, tmp_path)
    several.rescan()
    (tmp_path / "notes").rename(tmp_path / "away")
    with pytest.raises(StoreError, match="notes: no such folder"):
        several.rescan()
    assert len(rows(several)) == 5


def test_what_waits_in_one_of_several_stores_comes_out_at_its_second(several: Site, tmp_path: Path) -> None:
    put(tmp_path / "notes", {"later.md": POST.format("Later", "Text").replace("2024-01-02", "2026-01-02T00:00:00Z")})
    add_stores(several, tmp_path)
    several.rescan(NOW + 86399)
    assert "notes/later.md" not in rows(several)
    several.rescan(NOW + 86400)
    assert rows(several)["notes/later.md"].id == "notes/later"


def test_a_folder_that_is_called_like_another_stores_prefix_is_a_problem_by_name(several: Site, tmp_path: Path) -> None:
    several.write("notes/hidden.md", "---\ntitle: Hidden\n---\n")
    add_stores(several, tmp_path)
    several.rescan()
    [problem] = several.runtime.read(queries.list_problems)
    assert (problem.path, problem.kind) == ("notes", "store")
    assert "prefix of another store" in problem.reason
    assert str(several.store / "notes") in [found.path for found in check(several.environment).problems]


def test_faults_are_named_with_the_folder_in_which_their_file_lies(several: Site, tmp_path: Path) -> None:
    put(tmp_path / "blog", {"content/posts/bad.md": "---\ntitle: [\n---\n"})
    add_stores(several, tmp_path)
    found = check(several.environment)
    assert str(tmp_path / "blog/content/posts/bad.md") in [problem.path for problem in found.problems]
    assert [portrait.settings.site.kind for portrait in found.portraits] == ["archive", "hugo", "plain"]
    said = CliRunner().invoke(main, ["check", "--json", "--config", str(several.config_dir)])
    stores = json.loads(said.stdout)["stores"]
    assert [store.get("prefix") for store in stores] == [None, "blog", "notes"]
    assert stores[1]["files"]["blog/content/posts/no.md"]["state"] == "withheld"
    assert [store["counts"]["published"] for store in stores] == [1, 2, 2]
    shown = CliRunner().invoke(main, ["check", "--config", str(several.config_dir)]).stdout
    assert "store blog: hugo (hugo.toml is in the folder)" in shown


def test_the_line_that_would_mend_a_store_is_one_of_the_list(several: Site, tmp_path: Path) -> None:
    put(tmp_path / "blog", {"hugo.toml": ""})
    add_stores(several, tmp_path)
    found = check(several.environment)
    assert found.site
    [(line, _why)] = found.portraits[1].mend(found.site)
    assert line.startswith("  - {path: ") and 'prefix: "blog", site: "https://example.org"' in line


@pytest.mark.parametrize(
    ("stores", "place", "words"),
    [
        ([{"path": "a"}, {"path": "b"}], (1, 8), "two stores have no prefix"),
        ([{"path": "a", "prefix": "x"}, {"path": "b", "prefix": "X"}], (1, 8), "two stores have the prefix x"),
        ([{"path": "a"}, {"path": "a/", "prefix": "x"}], (1, 8), "the same folder"),
        ([], (1, 8), "expected at least one store"),
        ([{"path": "a", "prefix": "../x"}], (1, 33), "store.0.prefix: '../x' cannot begin the paths and ids"),
        ([{"path": "a"}, {"path": "b", "prefix": "b", "kindd": "hugo"}], (1, 53), "store.1.kindd: unknown setting"),
        ({"path": "a", "kind": "hugoo"}, (1, 30), "store.kind: no kind of store is called 'hugoo'; did you mean hugo?"),
    ],
)
def test_a_fault_of_the_list_is_named_at_its_place(
    new_site: NewSite, stores: object, place: tuple[int, int], words: str
) -> None:
    site = new_site()
    site.set("site.yaml", f"store: {json.dumps(stores)}\n")
    with pytest.raises(ConfigError) as caught:
        load_config(site.environment)
    [fault] = caught.value.faults
    assert words in fault.reason
    assert (fault.line, fault.column) == place


def test_the_variable_for_the_store_does_not_choose_between_several(several: Site, tmp_path: Path) -> None:
    add_stores(several, tmp_path)
    environment = type(several.environment).read(several.config_dir, {"FEEDS_STORE": str(tmp_path)})
    with pytest.raises(ConfigError, match=r"FEEDS_STORE.*3 stores"):
        load_config(environment)


def test_what_kinds_the_stores_were_is_remembered_also_from_an_older_program(several: Site, tmp_path: Path) -> None:
    assert known_kinds({KIND: '{"path": "/srv/a", "kind": "hugo"}'}) == {"/srv/a": "hugo"}
    add_stores(several, tmp_path)
    several.rescan()
    with reading(several.runtime.engine) as connection:
        kinds = known_kinds(editions.load_state(connection))
    assert kinds == {str(several.store): "archive", str(tmp_path / "blog"): "hugo", str(tmp_path / "notes"): "plain"}


def commit(folder: Path, when: int, *, begin: bool = True) -> None:
    names = {f"GIT_{role}_{what}": "a@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    dates = {f"GIT_{role}_DATE": f"{when} +0000" for role in ("AUTHOR", "COMMITTER")}
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "A change"])[not begin :]:
        subprocess.run(["git", *words], cwd=folder, env={**names, **dates, "PATH": "/usr/bin:/bin"}, check=True)


def test_each_store_has_the_dates_of_its_own_repository_and_one_without_is_left_alone(several: Site, tmp_path: Path) -> None:
    for name in ("a", "b"):
        put(tmp_path / "texts", {f"{name}.md": f"---\ntitle: {name}\n---\nText {name}\n"})
        put(tmp_path / "notes", {f"{name}.md": f"---\ntitle: {name}\n---\nText {name}\n"})
    commit(tmp_path / "texts", 1_600_000_000)
    commit(tmp_path / "notes", 1_650_000_000)
    stores = [{"path": str(tmp_path / name), "prefix": name} for name in ("texts", "notes")]
    several.settle("site.yaml", store=["articles", *stores], store_git={"dates": True})
    several.rescan()
    published = {path: row.published for path, row in rows(several).items()}
    assert (published["texts/a.md"], published["notes/a.md"]) == (1_600_000_000, 1_650_000_000)
    assert not [found for found in check(several.environment).problems if "store_git" in found.reason]
    put(tmp_path / "notes", {"c.md": "---\ntitle: c\n---\nText c\n"})
    commit(tmp_path / "notes", 1_660_000_000, begin=False)
    assert several.rescan().added == 1
    assert rows(several)["notes/c.md"].published == 1_660_000_000
    assert rows(several)["texts/a.md"].published == 1_600_000_000


def test_pulls_and_dates_of_several_stores_are_told_as_one() -> None:
    found = git.join_pulls({"": PullResult(fault=NO_WORK_TREE), "a": PullResult("abc", moved=True), "b": PullResult("def")})
    assert found == PullResult("abc", moved=True)
    assert git.join_pulls({"": PullResult(fault=NO_WORK_TREE)}).fault == NO_WORK_TREE
    marks = git_dates.join_changes({"": DateChanges('{"store": "x"}'), "a/": DateChanges(fault="broken")})
    assert (marks.fault, git_dates.split_mark(marks.mark)) == ("a: broken", {"": '{"store": "x"}', "a/": "{}"})
    git_dates.check_mark(marks.mark)
    with pytest.raises(ValueError, match="dated"):
        git_dates.check_mark(json.dumps({"stores": {"": {"head": "--upload-pack=x"}}}))


def test_a_link_to_an_article_that_moved_within_its_store_leads_to_the_id_that_it_has(several: Site, tmp_path: Path) -> None:
    add_stores(several, tmp_path)
    several.rescan()
    (tmp_path / "notes/in").mkdir()
    (tmp_path / "notes/b.md").rename(tmp_path / "notes/in/b.md")
    put(tmp_path / "notes", {"a.md": POST.format("A", "See [B](in/b.md)")})
    several.rescan()
    assert rows(several)["notes/in/b.md"].id == "notes/b"
    feed = CliRunner().invoke(main, ["show", "all.json", "--config", str(several.config_dir)])
    assert 'href=\\"https://feeds.example/articles/notes~2Fb\\"' in feed.stdout
