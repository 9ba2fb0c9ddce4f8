"""Pages of a store: with `store.pages: publish` they have an address, and stand in nothing that lists articles."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from lxml import html
from werkzeug.test import Client

from feeds.database.tables import metadata, pages
from feeds.static.export import Options
from feeds.static.site_files import Exporter

HERE = "http://localhost"
#: A word that only the pages have.
SECRET = "Zanzibar"


def text(title: str, body: str, **fields: str) -> str:
    return "".join(["---\n", *(f"{key}: {value}\n" for key, value in {"title": title, **fields}.items()), f"---\n\n{body}\n"])


@pytest.fixture
def blog(site: Any) -> Any:
    """A Hugo site of one article, which links to the page, a page, a section page and a README."""
    settle(site, "publish")
    (site.store / "hugo.yaml").write_text("title: x\n")
    site.write("content/posts/first.md", text("First", "See [us](../about.md) and [more](second.md#end).", date="2024-01-01"))
    site.write("content/posts/second.md", text("Second", "Text.", date="2024-01-02"))
    site.write(
        "content/about.md", text(f"About {SECRET}", f"We of {SECRET}. Back to [first](posts/first.md).", tags=f"[{SECRET}]")
    )
    site.write("content/posts/_index.md", text("Section", "A list."))
    site.write("content/README.md", "Read me.")
    site.rescan()
    return site


def settle(site: Any, pages: str) -> None:
    store = {"path": "articles", "kind": "hugo", "pages": pages}
    site.settle("site.yaml", base_url=HERE, article_url="", image_url="", store=store)


def kept(site: Any) -> list[tuple[str, str]]:
    with site.runtime.reading() as connection:
        return [(path, id) for path, id in connection.execute(sa.select(pages.c.path, pages.c.id).order_by(pages.c.path))]


def test_a_page_has_an_address_and_articles_lead_there_and_back(blog: Any, make_client: Callable[[Any], Client]) -> None:
    client = make_client(blog)
    article = html.fromstring(client.get("/articles/posts~2Ffirst").data)
    links = [link.get("href") for link in article.iterfind(".//div[@class='body e-content']//a")]
    assert links == [f"{HERE}/articles/about", f"{HERE}/articles/posts~2Fsecond#end"]
    page = html.fromstring(client.get("/articles/about").data)
    assert page.findtext(".//h1") == f"About {SECRET}"
    assert [link.get("href") for link in page.iterfind(".//div[@class='body e-content']//a")] == [
        f"{HERE}/articles/posts~2Ffirst"
    ]
    assert page.find(".//time") is None  # it has no date
    for address in ("/about/", "/about", "/posts/first/"):  # as its generator has them
        answered = client.get(address, follow_redirects=True)
        assert answered.status_code == 200 and answered.request.path.startswith("/articles/")


def test_section_pages_and_readmes_are_no_pages(blog: Any) -> None:
    assert kept(blog) == [("content/about.md", "about")]


def test_a_page_stands_in_nothing_that_lists_articles(blog: Any, make_client: Callable[[Any], Client]) -> None:
    client = make_client(blog)
    for address in (
        "/",
        "/all",
        "/all.atom",
        "/all.rss",
        "/all.json",
        "/feeds.opml",
        "/tags/",
        "/tags.opml",
        f"/search?q={SECRET}",
    ):
        assert f"About {SECRET}" not in client.get(address).text, address
    assert client.get(f"/tags/{SECRET}").status_code == 404
    with blog.runtime.reading() as connection:
        rows = {table.name for table in metadata.sorted_tables if SECRET in str(connection.execute(sa.select(table)).all())}
    assert rows == {"pages"}


def test_without_the_setting_no_page_is_there_and_links_go_where_they_went(
    blog: Any, make_client: Callable[[Any], Client]
) -> None:
    settle(blog, "ignore")
    blog.rescan()
    assert kept(blog) == []
    assert make_client(blog).get("/articles/about").status_code == 404


def test_a_page_follows_its_file(blog: Any, make_client: Callable[[Any], Client]) -> None:
    def seen() -> str | None:
        answered = make_client(blog).get("/articles/about")
        return html.fromstring(answered.data).findtext(".//h1") if answered.status_code == 200 else None

    before = blog.runtime.edition().generation
    blog.write("content/about.md", text("Changed", "Text."))
    blog.rescan()
    assert seen() == "Changed" and blog.runtime.edition().generation > before
    blog.write("content/about.md", b"---\ntitle: [\n---\n")  # half-written: the last good version stays
    blog.rescan()
    assert seen() == "Changed"
    for held in ({"draft": "true"}, {"expiryDate": "2020-01-01"}, {"publishDate": "2099-01-01"}):
        blog.write("content/about.md", text("Changed", "Text."))
        blog.rescan()
        assert seen() == "Changed"
        blog.write("content/about.md", text("Changed", "Text.", **held))
        blog.rescan()
        assert seen() is None, held
    blog.write("content/about.md", text("Again", "Text."))
    blog.rescan()
    assert seen() == "Again"
    (blog.store / "content/about.md").unlink()
    blog.rescan()
    assert seen() is None


def test_a_page_leaves_at_its_second_also_where_its_file_is_broken_by_then(
    blog: Any, make_client: Callable[[Any], Client]
) -> None:
    blog.write("content/about.md", text("For now", "Text.", expiryDate="2026-06-01T00:00:00Z"))
    blog.rescan()
    blog.write("content/about.md", b"---\ntitle: [\n---\n")
    blog.rescan()
    assert make_client(blog).get("/articles/about").status_code == 200
    blog.rescan(now=1_780_272_000)  # 2026-06-01T00:00:00Z
    assert make_client(blog).get("/articles/about").status_code == 404


def test_of_a_page_and_an_article_with_one_id_both_have_an_address(blog: Any, make_client: Callable[[Any], Client]) -> None:
    blog.write("content/posts/own.md", text("Article", "Text.", date="2024-01-03", guid="about"))
    blog.settle("site.yaml", store={"path": "articles", "kind": "hugo", "pages": "publish", "fields": {"id": ["guid"]}})
    blog.rescan()
    client = make_client(blog)
    assert html.fromstring(client.get("/articles/about").data).findtext(".//h1") == "Article"
    ((_path, id),) = kept(blog)
    assert id.startswith("about~")
    assert html.fromstring(client.get(f"/articles/{id}").data).findtext(".//h1") == f"About {SECRET}"


def test_an_export_writes_pages_and_removes_what_goes(blog: Any, tmp_path: Path, make_client: Callable[[Any], Client]) -> None:
    out, exporter = tmp_path / "out", Exporter(blog.runtime)
    exporter.export(str(out), Options(compressed=False))
    file = out / "articles" / "about.html"
    assert html.fromstring(file.read_bytes()).findtext(".//h1") == f"About {SECRET}"
    assert [
        str(path.relative_to(out))
        for path in out.rglob("*")
        if path.is_file() and f"About {SECRET}" in path.read_text("latin-1")
    ] == ["articles/about.html"]
    blog.write("content/about.md", text("Changed", "Text."))
    blog.rescan()
    exporter.export(str(out), Options(compressed=False))
    assert html.fromstring(file.read_bytes()).findtext(".//h1") == "Changed"
    (blog.store / "content/about.md").unlink()
    blog.rescan()
    exporter.export(str(out), Options(compressed=False))
    assert not file.exists()
