"""An article keeps its id and its date: whatever becomes of its file, of its neighbours, of the store and of this program."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from feeds import database
from feeds.catalog import queries
from feeds.database.tables import articles, files

from ..conftest import NOW, WRITTEN, Site

DAY = 86_400


@pytest.fixture
def blog(new_site: Callable[..., Site]) -> Site:
    """A store of kind `plain`, whose articles are told apart by their paths."""
    return new_site(store={"path": "articles", "kind": "plain"}, article_url="")


def post(title: str, body: str = "Once upon a time.", **fields: str) -> str:
    header = "".join(f"{name}: {value}\n" for name, value in fields.items())
    return f"---\ntitle: {title}\n{header}---\n{body}\n"


def ids(site: Site) -> dict[str, str]:
    """Path -> id of all articles."""
    with database.reading(site.runtime.engine) as connection:
        return dict(connection.execute(sa.select(articles.c.path, articles.c.id)).all())


def dates(site: Site) -> dict[str, int]:
    """Path -> UTC seconds of publication."""
    with database.reading(site.runtime.engine) as connection:
        return dict(connection.execute(sa.select(articles.c.path, articles.c.published)).all())


def problems(site: Site) -> dict[str, str]:
    return {problem.path: problem.reason for problem in site.runtime.read(queries.list_problems)}


def move(site: Site, path: str, other: str) -> None:
    (site.store / other).parent.mkdir(parents=True, exist_ok=True)
    (site.store / path).rename(site.store / other)


DATE = "2024-01-02T03:04:05Z"

# -- ids ---------------------------------------------------------------------------------


def test_files_that_share_a_name_are_told_apart_by_their_paths_and_languages(new_site: Callable[..., Site]) -> None:
    site = new_site(store={"path": "articles", "kind": "hugo", "languages": {"fr": "", "en": ""}}, article_url="")
    site.write("hugo.yaml", "baseURL: https://blog.example\ndefaultContentLanguage: en\nlanguages: {en: {}, fr: {}}\n")
    for path in ("content/posts/hello.md", "content/posts/hello.fr.md", "content/notes/hello.md", "content/posts/x/index.md"):
        site.write(path, post("Hello", date=DATE))
    site.settle("site.yaml", store={"path": "articles", "kind": "auto"})
    site.rescan()
    found = ids(site)
    assert found["content/posts/hello.md"] == "posts/hello" and found["content/posts/hello.fr.md"] == "posts/hello@fr"
    assert found["content/posts/x/index.md"] == "posts/x"


def test_an_article_that_moves_keeps_its_id_and_the_place_that_it_left_gets_another(blog: Site) -> None:
    blog.write("a/lake.md", post("The lake", "![](lake.jpg) [far](../b/far.md)", date=DATE))
    blog.write("notes/untitled.md", "Only words.")
    blog.rescan()
    assert ids(blog) == {"a/lake.md": "a/lake", "notes/untitled.md": "notes/untitled"}
    before = dates(blog)
    move(blog, "a/lake.md", "deep/er/water.md")
    move(blog, "notes/untitled.md", "notes/words.md")
    report = blog.rescan()
    assert ids(blog) == {"deep/er/water.md": "a/lake", "notes/words.md": "notes/untitled"}
    assert set(dates(blog).values()) == set(before.values())
    assert (report.added, report.removed) == (0, 0)
    blog.write("a/lake.md", post("Another lake", date=DATE))
    blog.rescan()
    assert ids(blog)["deep/er/water.md"] == "a/lake"
    assert ids(blog)["a/lake.md"].startswith("a/lake~")
    blog.rescan(full=True)
    assert ids(blog)["deep/er/water.md"] == "a/lake" and ids(blog)["a/lake.md"].startswith("a/lake~")


def test_a_copy_is_another_article_and_so_is_what_moves_and_is_rewritten_at_once(blog: Site) -> None:
    blog.write("a.md", post("One", date=DATE))
    blog.write("b.md", post("Two", date=DATE))
    blog.rescan()
    shutil.copy(blog.store / "a.md", blog.store / "copy.md")
    (blog.store / "b.md").unlink()
    blog.write("c.md", post("Two", "Something else by far.", date=DATE))
    blog.rescan()
    assert ids(blog) == {"a.md": "a", "copy.md": "copy", "c.md": "c"}


def test_swapped_files_keep_the_ids_of_their_paths(blog: Site) -> None:
    blog.write("a.md", post("One", date=DATE))
    blog.write("b.md", post("Two", date="2024-02-02T03:04:05Z"))
    blog.rescan()
    move(blog, "a.md", "x.md")
    move(blog, "b.md", "a.md")
    move(blog, "x.md", "b.md")
    blog.rescan()
    assert ids(blog) == {"a.md": "a", "b.md": "b"}


def test_of_two_files_that_name_one_id_both_are_told_and_the_older_keeps_it(blog: Site) -> None:
    blog.write("z.md", post("Older", date=DATE, guid="the-one"))
    blog.rescan()
    blog.write("a.md", post("Younger", date=DATE, guid="the-one"))
    for full in (False, True):
        blog.rescan(full=full)
        assert ids(blog) == {"z.md": "the-one"}
        assert "z.md" in problems(blog)["a.md"] and "the-one" in problems(blog)["a.md"]
    (blog.store / "z.md").unlink()
    blog.rescan()
    assert ids(blog) == {"a.md": "the-one"}, "it is free now"


def test_a_file_that_is_withheld_for_a_while_is_the_same_article_again_and_nobody_else_was_it(blog: Site) -> None:
    blog.write("a.md", post("One", date=DATE))
    blog.rescan()
    move(blog, "a.md", "b.md")
    blog.rescan()
    assert ids(blog) == {"b.md": "a"}
    blog.write("b.md", post("One", date=DATE, draft="true"))
    blog.write("a.md", post("Something else", date=DATE))
    blog.rescan()
    other = ids(blog)["a.md"]
    assert list(ids(blog)) == ["a.md"] and other.startswith("a~")
    blog.rescan(full=True)
    blog.write("b.md", post("One", date=DATE))
    blog.rescan()
    assert ids(blog) == {"b.md": "a", "a.md": other}


def test_a_withheld_file_that_goes_takes_nothing_with_it(blog: Site) -> None:
    blog.write("a.md", post("One", date=DATE))
    blog.rescan()
    blog.write("a.md", post("One", date=DATE, draft="true"))
    blog.write("b.md", post("Two", date=DATE, guid="a"))
    blog.rescan()
    assert ids(blog) == {"b.md": "a"}
    (blog.store / "a.md").unlink()
    blog.rescan()
    assert ids(blog) == {"b.md": "a"}
    (blog.store / "b.md").unlink()
    blog.write("c.md", post("Three", date=DATE))
    blog.rescan(accept_removals=True)
    assert ids(blog) == {"c.md": "c"}


@pytest.mark.parametrize("second", [False, True])
def test_a_database_of_before_keeps_every_id_that_it_has_given(blog: Site, second: bool) -> None:
    """Files were called by their names alone; the second of a name was in quarantine."""
    for folder in ("a", "b", "c"):
        blog.write(f"{folder}/only-{folder}.md", post(f"Only {folder}", date=DATE))
    blog.write("a/hello.md", post("Hello", date=DATE))
    blog.rescan()
    older = {path: path.rpartition("/")[2].removesuffix(".md") for path in ids(blog)}
    with database.writing(blog.runtime.engine) as connection:
        for path, id in older.items():
            connection.execute(sa.update(articles).where(articles.c.path == path).values(id=id))
            connection.execute(sa.update(files).where(files.c.path == path).values(article=id, seen=None, due=None))
    if second:
        blog.write("b/hello.md", post("Hello again", date=DATE))
        blog.write("hello.md", post("Hello, all", date=DATE))
    blog.rescan(full=True)
    blog.rescan(full=True)
    found = ids(blog)
    assert {path: found[path] for path in older} == older
    if second:
        assert found["b/hello.md"] == "b/hello" and found["hello.md"].startswith("hello~")
    assert not problems(blog)


def test_a_change_of_kind_pattern_or_address_changes_no_id(blog: Site) -> None:
    blog.write("2024/a.md", post("One", date=DATE, guid="x"))
    blog.write("2024/b.md", post("Two", date=DATE))
    blog.rescan()
    before = ids(blog)
    assert before == {"2024/a.md": "x", "2024/b.md": "2024/b"}
    for changed in (
        {"permalink": "/:year/:slug/"},
        {"site": "https://blog.example"},
        {"kind": "hugo"},
        {"kind": "vuepress"},
        {"kind": "lctt"},
        {"kind": "plain", "fields": {"id": ["uid"]}},
    ):
        blog.settle("site.yaml", store={"path": "articles", "kind": "plain", **changed})
        blog.rescan()
        assert ids(blog) == before, changed


# -- dates -------------------------------------------------------------------------------


def test_an_undated_article_never_moves(blog: Site) -> None:
    for name in ("a", "b", "c"):
        blog.write(f"{name}.md", post(name.upper(), f"What {name} says."))
    blog.rescan()
    before = dates(blog)
    assert set(before.values()) == {WRITTEN + 1, WRITTEN + 2, WRITTEN + 3}

    os.utime(blog.store / "a.md", (NOW, NOW))
    blog.write("b.md", post("B", "Rewritten."))
    blog.rescan()
    assert dates(blog) == before
    for path in list(blog.store.iterdir()):  # as a fresh clone, or a copy of the folder, does
        text = path.read_bytes()
        path.unlink()
        path.write_bytes(text)
    blog.rescan()
    assert dates(blog) == before
    move(blog, "c.md", "d.md")
    os.utime(blog.store / "d.md", (NOW, NOW))
    blog.rescan()
    assert dates(blog) == {"a.md": before["a.md"], "b.md": before["b.md"], "d.md": before["c.md"]}
    blog.write("a.md", "---\ntitle: [unreadable\n---\n")
    blog.rescan()
    blog.write("a.md", post("A", "What a says.", draft="yes"))
    blog.rescan()
    assert "a.md" not in dates(blog)
    blog.write("a.md", post("A", "What a says."))
    blog.rescan()
    blog.rescan(full=True)
    assert dates(blog)["a.md"] == before["a.md"]


def test_git_checkout_moves_no_undated_article(blog: Site) -> None:
    def git(*words: str) -> None:
        names = ["-c", "user.name=a", "-c", "user.email=a@b.example", "-c", "init.defaultBranch=main"]
        subprocess.run(["git", "-C", str(blog.store), *names, *words], check=True, capture_output=True)

    blog.write("a.md", post("A"))
    blog.write("b.md", post("B", "Other words."))
    blog.rescan()
    before = dates(blog)
    git("init")
    git("add", "-A")
    git("commit", "-m", "one")
    git("checkout", "-b", "other")
    blog.write("a.md", post("A", "Changed."))
    git("commit", "-am", "two")
    git("checkout", "main")
    blog.rescan()
    git("checkout", "other")
    blog.rescan()
    assert dates(blog) == before


def test_a_database_without_first_sights_moves_nothing(blog: Site) -> None:
    blog.write("a.md", post("A"))
    blog.rescan()
    before = dates(blog)
    with database.writing(blog.runtime.engine) as connection:
        connection.execute(sa.update(files).values(seen=None))
    os.utime(blog.store / "a.md", (NOW, NOW))  # between the last rescan of the older program and the first of this one
    blog.rescan(full=True)
    assert dates(blog) == before


def test_a_date_that_is_added_later_counts_and_one_that_is_taken_away_stays(blog: Site) -> None:
    blog.write("a.md", post("A"))
    blog.rescan()
    blog.write("a.md", post("A", date=DATE))
    blog.rescan()
    added = dates(blog)["a.md"]
    assert added == 1_704_164_645
    blog.write("a.md", post("A"))
    blog.rescan()
    assert dates(blog)["a.md"] == added


def test_no_file_is_dated_later_than_it_was_seen(blog: Site) -> None:
    path = blog.write("a.md", post("A"))
    os.utime(path, (NOW + 900 * DAY, NOW + 900 * DAY))
    blog.rescan()
    assert dates(blog) == {"a.md": blog.now}
