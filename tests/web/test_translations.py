"""Languages of articles: a feed for each, and translations of one article that lead to each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import sqlalchemy as sa
from lxml import etree, html
from werkzeug.test import Client

from feeds.catalog.related import Snapshot, translated_articles
from feeds.check import check
from feeds.database import backup, connect, ensure_tables, reading, writing
from feeds.database.tables import articles
from feeds.newsletter.issues import preview
from feeds.static.export import Options
from feeds.static.site_files import Exporter

#: A translation project, with a folder for each language.
FIFTEEN = "ar cs de en es fa fr he it ja ko pt-BR ru zh-CN zh-TW".split()
NAMES = {"en": "English", "zh-CN": "中文 (简体, 中国)", "zh-TW": "中文 (繁體, 台灣)", "ja": "日本語", "ar": "العربية"}
HERE = "http://localhost"


def text(title: str, **fields: str) -> str:
    return "".join(["---\n", *(f"{key}: {value}\n" for key, value in {"title": title, **fields}.items()), "---\n\nText.\n"])


def as_store(site: Any, kind: str) -> Any:
    site.settle("site.yaml", base_url=HERE, article_url="", image_url="", store={"path": "articles", "kind": kind})
    site.settle("feeds.yaml", facets={"tag": {}, "language": {}})
    return site


def fill_project(site: Any) -> None:
    as_store(site, "plain")
    for number in range(1, 4):
        for at, language in enumerate(FIFTEEN):
            if number < 3 or language in ("en", "zh-CN"):
                body = text(f"{number} {language}", date=f"2024-0{number}-{at + 1:02}", tags="[Linux]")
                site.write(f"{language}/part/{number}.md", body)
    site.write("en/alone.md", text("Alone", date="2024-05-01"))
    site.rescan()


@pytest.fixture
def project(prepared: Callable[..., Any], new_site: Callable[..., Any]) -> Any:
    """Two articles in fifteen languages, one in two of them, one in English alone."""
    return new_site(prepared(fill_project))


def page_of(client: Client, id: str) -> Any:
    answered = client.get(f"/articles/{id}", headers={"Accept-Language": "en"})
    assert answered.status_code == 200, id
    return html.fromstring(answered.data)


def id_of(site: Any, title: str) -> str:
    with site.runtime.reading() as connection:
        (url,) = connection.execute(sa.select(articles.c.url).where(articles.c.title == title)).scalars()
    return str(unquote(url).removeprefix("/articles/"))


def also_in(page: Any) -> list[tuple[str, str]]:
    """(language, address) of the links to translations that readers see."""
    return [(link.get("hreflang"), link.get("href")) for link in page.xpath("//dl[@class='credits']//a[@rel='alternate']")]


def groups(site: Any) -> dict[str, set[str]]:
    """Title of each article with the titles of its translations; the same for one article and for all at once."""
    snapshot, found = Snapshot(), {}
    with site.runtime.reading() as connection:
        titles = dict(connection.execute(sa.select(articles.c.key, articles.c.title)).all())
        snapshot.refresh(connection, [])
        for key, title in titles.items():
            others = translated_articles(connection, key)
            assert others == snapshot.translations().get(key, ())
            found[title] = {titles[other] for other in others}
    return found


# -- pages -------------------------------------------------------------------


def test_an_article_in_fifteen_languages_names_the_fourteen_others(project: Any, make_client: Callable[[Any], Client]) -> None:
    client = make_client(project)
    for language in FIFTEEN:
        page = page_of(client, id_of(project, f"1 {language}"))
        others = [one for one in FIFTEEN if one != language]
        assert also_in(page) == [(one, f"{HERE}/articles/{id_of(project, f'1 {one}')}") for one in others]
        for link in page.xpath("//dl[@class='credits']//a[@rel='alternate']"):
            assert link.get("lang") == link.get("hreflang")
            assert link.text == NAMES.get(link.get("lang"), link.text) != link.get("lang")


def test_search_engines_find_all_languages_of_an_article_its_own_among_them(
    project: Any, make_client: Callable[[Any], Client]
) -> None:
    client = make_client(project)
    for language in ("en", "zh-CN"):
        page = page_of(client, id_of(project, f"3 {language}"))
        found = {link.get("hreflang"): link.get("href") for link in page.xpath("//head/link[@rel='alternate'][@hreflang]")}
        assert found == {one: f"{HERE}/articles/{id_of(project, f'3 {one}')}" for one in ("en", "zh-CN")}


def test_an_article_without_translations_names_none(project: Any, make_client: Callable[[Any], Client]) -> None:
    page = page_of(make_client(project), id_of(project, "Alone"))
    assert also_in(page) == page.xpath("//link[@hreflang]") == []
    assert "Also in" not in page.text_content()


def test_an_article_is_marked_with_its_own_language_and_direction(project: Any, make_client: Callable[[Any], Client]) -> None:
    client = make_client(project)
    said = {}
    for language in ("en", "ja", "fa"):
        (body,) = page_of(client, id_of(project, f"1 {language}")).xpath("//div[contains(@class, 'e-content')]")
        said[language] = body.get("lang"), body.get("dir")
    assert said == {"en": (None, None), "ja": ("ja", None), "fa": ("fa", "rtl")}  # the page itself is in English


def test_an_article_of_unknown_language_is_in_that_of_the_site(site: Any, make_client: Callable[[Any], Client]) -> None:
    as_store(site, "archive")
    site.write("1.md", title="One")
    site.rescan()
    page = page_of(make_client(site), "1")
    assert page.xpath("//div[contains(@class, 'e-content')]/@lang") == ["zh-CN"] and also_in(page) == []


# -- what belongs together ---------------------------------------------------

HUGO = """\
title: x
defaultContentLanguage: en
languages: {en: {weight: 1}, fr: {weight: 2}, cn: {weight: 3, languageCode: zh-CN}}
"""


def test_names_that_differ_in_the_language_alone_belong_together(site: Any) -> None:
    as_store(site, "hugo")
    (site.store / "hugo.yaml").write_text(HUGO)
    for name, title in (("lake.en", "Lake"), ("lake.fr", "Lac"), ("lake.cn", "湖"), ("sea", "Sea"), ("sea.fr", "Mer")):
        site.write(f"content/posts/{name}.md", text(title, date="2024-01-01"))
    site.rescan()
    assert groups(site) == {
        "Lake": {"Lac", "湖"}, "Lac": {"Lake", "湖"}, "湖": {"Lake", "Lac"}, "Sea": {"Mer"}, "Mer": {"Sea"}
    }  # fmt: skip
    with site.runtime.reading() as connection:
        found = connection.execute(sa.select(articles.c.title, articles.c.language)).all()
    assert dict(map(tuple, found))["湖"] == "zh-CN"  # the folder is called `cn`, the language is not


def test_a_key_of_the_header_joins_what_names_do_not(site: Any) -> None:
    as_store(site, "hugo")
    (site.store / "hugo.yaml").write_text(HUGO)
    site.write("content/posts/about-us.en.md", text("About", date="2024-01-01", translationKey="about"))
    site.write("content/posts/a-propos.fr.md", text("À propos", date="2024-01-01", translationKey="About"))
    site.write("content/posts/about-us.cn.md", text("关于", date="2024-01-01"))
    site.rescan()
    assert groups(site) == {"About": {"À propos"}, "À propos": {"About"}, "关于": set()}


def test_pelicans_translations_share_a_slug(site: Any) -> None:
    as_store(site, "pelican")
    (site.store / "pelicanconf.py").write_text("DEFAULT_LANG = 'en'\nPATH = 'content'\n")
    for name, title, head in (
        ("one", "Hello", "Slug: hello\n"),
        ("two", "Bonjour", "Slug: hello\nLang: fr\n"),
        ("three", "Hello!", "Lang: de\n"),  # the slug that its title makes
        ("four", "Other", "Lang: fr\n"),
    ):
        site.write(f"content/{name}.md", f"Title: {title}\nDate: 2024-01-02\nTags: x\n{head}\nText.\n")
    site.rescan()
    assert groups(site) == {
        "Hello": {"Bonjour", "Hello!"}, "Bonjour": {"Hello", "Hello!"}, "Hello!": {"Hello", "Bonjour"}, "Other": set()
    }  # fmt: skip


def test_two_files_of_one_language_are_no_translations_of_each_other(site: Any) -> None:
    as_store(site, "hugo")
    (site.store / "hugo.yaml").write_text(HUGO)
    for name in ("a", "b"):
        site.write(f"content/posts/{name}.en.md", text(name, date="2024-01-01", translationKey="same"))
    site.write("content/posts/c.fr.md", text("c", date="2024-01-01", translationKey="same"))
    site.rescan()
    assert groups(site) == {"a": {"c"}, "b": {"c"}, "c": {"a"}}


def test_what_belongs_together_follows_each_edit_and_a_copy_of_the_database(project: Any, tmp_path: Path) -> None:
    project.write("fr/part/3.md", text("3 fr", date="2024-03-03"))
    (project.store / "zh-CN/part/3.md").unlink()
    project.rescan()
    assert groups(project)["3 en"] == {"3 fr"}
    project.write("en/part/3.md", text("3 en", date="2024-03-04", translationKey="other"))
    project.rescan()
    assert groups(project)["3 en"] == set()
    other = connect(f"sqlite:///{tmp_path / 'copy.db'}", create=True)
    ensure_tables(other)
    columns = sa.select(articles.c.id, articles.c.language, articles.c.translation).order_by(articles.c.id)
    with reading(project.runtime.engine) as rows, writing(other) as written:
        backup.copy(rows, written)
        assert written.execute(columns).all() == rows.execute(columns).all()
    other.dispose()


# -- selections, feeds and digests ---------------------------------------------


def titles_of(document: bytes) -> list[str]:
    found = etree.fromstring(document).iterfind("atom:entry/atom:title", {"atom": "http://www.w3.org/2005/Atom"})
    return [str(title.text) for title in found]


def test_each_language_has_a_feed_where_the_facet_is_on(project: Any, make_client: Callable[[Any], Client]) -> None:
    client = make_client(project)
    assert titles_of(client.get("/languages/zh-CN.atom").data) == ["3 zh-CN", "2 zh-CN", "1 zh-CN"]
    assert titles_of(client.get("/languages/ja.atom").data) == ["2 ja", "1 ja"]
    directory = html.fromstring(client.get("/languages/").data)
    assert {f"/languages/{one}" for one in FIFTEEN} <= {link.get("href") for link in directory.iterfind(".//main//a")}
    project.settle("feeds.yaml", facets={"tag": {}})
    project.rescan()
    assert make_client(project).get("/languages/zh-CN.atom").status_code == 404


def test_a_selection_by_language_is_a_feed_and_a_digest(project: Any, make_client: Callable[[Any], Client]) -> None:
    client = make_client(project)
    wanted = ["3 zh-CN", "2 zh-CN", "1 zh-CN"]
    assert titles_of(client.get("/select.atom?tag=Linux&language=zh-CN").data) == wanted
    assert titles_of(client.get("/select.atom?language=en&language=zh-CN&not-tag=Linux").data) == ["Alone"]
    with project.runtime.reading() as connection:
        config = project.runtime.edition().config
        request = preview.PreviewRequest("weekly", "UTC", ("language=zh-CN",))
        content = preview.newest_content(connection, config, request, project.now, after=0)
    (ranks,) = content.sections.values()
    assert [content.articles[rank].title for rank in ranks] == wanted


# -- the export ----------------------------------------------------------------


@pytest.fixture
def exported(project: Any, tmp_path: Path) -> Iterator[Callable[[], dict[str, bytes]]]:
    """Export once more; returns the pages of articles that were written or are gone."""
    out, exporter = tmp_path / "out", Exporter(project.runtime)
    before: dict[str, bytes] = {}

    def export() -> dict[str, bytes]:
        project.rescan()
        exporter.export(str(out), Options(compressed=False))
        now = {str(path.relative_to(out)).removesuffix(".html"): path.read_bytes() for path in out.rglob("articles/**/*.html")}
        changed = {name: text for name, text in now.items() if before.get(name) != text}
        before.clear()
        before.update(now)
        return changed

    export()
    yield export


def test_the_pages_that_name_a_translation_are_written_when_it_comes_and_when_it_goes(
    project: Any, exported: Callable[[], dict[str, bytes]], make_client: Callable[[Any], Client]
) -> None:
    assert exported() == {}
    new = project.write("fr/part/3.md", text("3 fr", date="2020-03-03"))
    pages = exported()
    client = make_client(project)
    for title in ("3 en", "3 zh-CN", "3 fr"):
        address = f"articles/{id_of(project, title)}"
        others = {one for one in ("3 en", "3 zh-CN", "3 fr") if one != title}
        written = html.fromstring(pages[address])
        assert {link for _, link in also_in(written)} == {f"{HERE}/articles/{id_of(project, one)}" for one in others}
        assert also_in(written) == also_in(page_of(client, address.removeprefix("articles/")))
    new.unlink()
    pages = exported()
    for title in ("3 en", "3 zh-CN"):
        assert len(also_in(html.fromstring(pages[f"articles/{id_of(project, title)}"]))) == 1


# -- feeds check -----------------------------------------------------------------


def test_check_counts_the_articles_of_each_language(project: Any) -> None:
    found = check(project.environment)
    assert found.portraits and found.site
    assert found.portraits[0].terms("language") == dict.fromkeys(FIFTEEN, 2) | {"en": 4, "zh-CN": 3}
    rows = found.portraits[0].as_json(found.site)["files"].values()
    assert {row["language"] for row in rows if row["state"] == "published"} == set(FIFTEEN)


def test_the_feed_of_a_language_has_this_language_and_others_that_of_the_site(site: Any, make_client: Any) -> None:
    as_store(site, "plain")
    for path, language in (("1.md", "de"), ("2.md", "zh-CN")):
        site.write(path, text(path, date="2024-01-01", lang=language))
    site.rescan()
    client: Client = make_client(site)
    lang = "{http://www.w3.org/XML/1998/namespace}lang"
    assert etree.fromstring(client.get("/languages/de.atom").data).get(lang) == "de"
    assert etree.fromstring(client.get("/languages/de.rss").data).findtext("channel/language") == "de"
    assert (client.get("/languages/de.json").json or {})["language"] == "de"
    assert etree.fromstring(client.get("/all.atom").data).get(lang) == "zh-CN"
