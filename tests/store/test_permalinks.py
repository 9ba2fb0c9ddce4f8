"""Addresses as each generator makes them: tables of its documentation, or of what it did when it was run."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feeds.store.kinds import KINDS, ContentRoot, GeneratorSite, Place, SiteLanguage
from feeds.store.links.permalinks import MAX_ADDRESS, Address, address_of, encode_path, find_address
from feeds.store.places import bundle_folders, place_of
from tests.examples import some

WHEN = datetime(2024, 3, 1, 17, 5, 9, tzinfo=UTC)  # a Friday; a Saturday in Shanghai
SHANGHAI = ZoneInfo("Asia/Shanghai")


def described(**values: Any) -> Any:
    """The fields of a header, as far as addresses use them."""
    usual = {"title": "A Title", "date": WHEN, "slug": "", "address": "", "language": "", "names": {}, "id": ""}
    return SimpleNamespace(**usual | values)


def found(
    kind: str,
    path: str,
    site: dict[str, Any] | None = None,
    *,
    root: ContentRoot | None = None,
    header: dict[str, object] | None = None,
    zone: Any = UTC,
    **fields: Any,
) -> Address:
    generator = GeneratorSite(kind, **({"roots": (root,)} if root else {}) | (site or {}))
    place = place_of(generator, path, bundle_folders(generator, [path]))
    return find_address(generator, KINDS[kind], place, described(**fields), zone=zone, header=header or {})


HUGO = {"root": ContentRoot("content")}


@pytest.mark.parametrize(
    ("pattern", "fields", "address"),
    [
        # Without a pattern: the path, its last part replaced by the slug.
        ("", {}, "/posts/2020/a-b-c++-d/"),
        ("", {"slug": "Short Name"}, "/posts/2020/short-name/"),
        ("", {"slug": "sl.v2.html"}, "/posts/2020/sl.v2.html/"),
        ("/:sections/:filename/", {"slug": "s"}, "/posts/a-b-c-d/"),
        ("/:section/:slug/", {}, "/posts/a-title/"),
        ("/:year/:month/:slug/", {"slug": "Short Name"}, "/2024/03/short-name/"),
        ("/:year/:month/:day/:title", {}, "/2024/03/01/a-title/"),
        ("/:yearday/:monthname/:weekdayname/:weekday/:title/", {}, "/61/march/friday/5/a-title/"),
        ("/:slugorfilename/", {}, "/a-b-c-d/"),
        ("/:slugorcontentbasename/", {"slug": "x"}, "/x/"),
        ("/:contentbasename/", {"slug": "x"}, "/a-b-c-d/"),
        ("/:2006-:01-:02/:filename/", {}, "/2024-03-01/a-b-c-d/"),
        ("/:20060102/:Jan_2/:filename/", {}, "/20240301/mar_1/a-b-c-d/"),
        ("/:title.html", {}, "/a-title.html/"),
        (r"/c\:d/:slug/", {}, "/cd/a-title/"),
        ("", {"address": r"/a\:b/:slug/"}, "/a:b/a-title/"),
        (
            "/:title/",
            {"title": "你好 World, (X) a--b - c: “q” 100% é@x_y~z"},
            "/%E4%BD%A0%E5%A5%BD-world-x-a--b-c-q-100-%C3%A9@x_y~z/",
        ),
        ("/:slug/", {"slug": "a/b c"}, "/a/b-c/"),
        ("/:slug/", {"slug": "-edges-"}, "/edges/"),
        ("/:name/", {"slug": "own"}, "/own/"),
        ("/:title/", {"title": "Learn C#"}, "/learn-c/"),
        ("", {"slug": "open ]"}, "/posts/2020/open-/"),
        # The address that the header gives is taken as it is.
        ("/:slug/", {"address": "/old/Kettle.html"}, "/old/Kettle.html"),
        ("/:slug/", {"address": "/abs/c"}, "/abs/c/"),
        ("/:slug/", {"address": "rel/d/"}, "/rel/d/"),
        ("/:slug/", {"address": "/:year/x/"}, "/2024/x/"),
        ("/:slug/", {"address": "https://elsewhere.example/x"}, "https://elsewhere.example/x"),
    ],
)
def test_hugo(pattern: str, fields: dict[str, Any], address: str) -> None:
    site = {"permalinks": (("posts", pattern),)} if pattern else {}
    assert found("hugo", "content/posts/2020/a b, C++ & D!.md", site, **HUGO, **fields) == Address(address)


def test_hugo_knows_sections_bundles_languages_and_ugly_addresses() -> None:
    def hugo(path: str, site: dict[str, Any] | None = None, **other: Any) -> str:
        return found("hugo", path, site, **HUGO, **other).path

    languages = {"language": "zh", "languages": (SiteLanguage("zh"), SiteLanguage("en", prefix="en"))}
    assert hugo("content/posts/lake/index.md") == "/posts/lake/"
    assert hugo("content/posts/lake/index.md", slug="Bridge X") == "/posts/bridge-x/"
    assert hugo("content/posts/lake/index.en.md", languages) == "/en/posts/lake/"
    assert hugo("content/posts/x.md", languages) == "/posts/x/"
    assert hugo("content/posts/x.en.md", languages, address="rel/E.html") == "/en/rel/E.html"
    assert hugo("content/posts/x.en.md", languages, address="/abs/") == "/abs/"
    assert hugo("content/about.md") == "/about/"
    assert hugo("content/posts/X y.md", {"ugly": True}) == "/posts/x-y.html"
    assert hugo("content/posts/X y.md", {"ugly_sections": ("posts",)}) == "/posts/x-y.html"
    assert hugo("content/posts/X y.md", {"keep_case": True}) == "/posts/X-y/"
    patterns = {"permalinks": (("posts", "/p/:filename/"), ("/", "/top/:filename/"))}
    assert hugo("content/notes/x.md", patterns) == "/notes/x/", "a pattern for another section does nothing"
    assert hugo("content/x.md", patterns) == "/top/x/"
    nested = {"permalinks": (("docs", "/:sections/:filename/"),)}
    assert hugo("content/docs/sub/x.md", nested) == "/docs/x/", "a folder without _index is no section"
    assert hugo("content/docs/sub/x.md", nested | {"options": (("sections", "docs\ndocs/sub"),)}) == "/docs/sub/x/"
    sliced = {"permalinks": (("docs", "/:sections[1:]/:filename/"),), "options": (("sections", "docs\ndocs/sub"),)}
    assert hugo("content/docs/sub/x.md", sliced) == "/sub/x/"
    spoken = languages | {"permalinks": (("posts", "/p/:filename/"), ("en:posts", "/e/:filename/"))}
    assert hugo("content/posts/x.en.md", spoken) == "/en/e/x/", "a language may have patterns of its own"
    assert hugo("content/posts/x.md", spoken) == "/p/x/"


def test_the_day_is_that_of_the_zone_in_which_hugo_and_pelican_read_a_date() -> None:
    site = {"permalinks": (("posts", "/:day/:hour/:filename/"),)}
    path = "content/posts/x.md"
    assert found("hugo", path, site, **HUGO, zone=SHANGHAI).path == "/02/01/x/"
    assert found("hugo", path, site, **HUGO, zone=SHANGHAI, header={"Date": "2024-03-01T17:05:09Z"}).path == "/01/17/x/"
    assert found("hugo", path, site, **HUGO, header={"date": "2024-03-02 02:05:09 +09:00"}).path == "/02/02/x/"
    assert found("hugo", path, site, **HUGO, header={"date": "2024-03-01T10:05:09-0700"}).path == "/01/10/x/"
    pelican = {"permalinks": (("", "{date:%d-%H}/{slug}.html"),)}
    assert found("pelican", "x.md", pelican, header={"date": "2024-03-02 02:05:09+09:00"}).path == "/02-02/a-title.html"


JEKYLL_PATH = "travel/_posts/2024-03-01-Nested Cats.md"


@pytest.mark.parametrize(
    ("style", "address"),
    [
        ("", "/travel/print/hand%20work/2024/03/02/Nested-Cats.html"),
        ("date", "/travel/print/hand%20work/2024/03/02/Nested-Cats.html"),
        ("pretty", "/travel/print/hand%20work/2024/03/02/Nested-Cats/"),
        ("ordinal", "/travel/print/hand%20work/2024/062/Nested-Cats.html"),
        ("weekdate", "/travel/print/hand%20work/2024/W09/Sat/Nested-Cats.html"),
        ("none", "/travel/print/hand%20work/Nested-Cats.html"),
        ("/:year/:i_month/:i_day/:short_year/:short_month/:long_month/:slug", "/2024/3/2/24/Mar/March/nested-cats"),
        ("/:slugified_categories/:name:output_ext", "/travel/print/hand-work/2024-03-01-nested-cats.html"),
        ("/:hour-:minute-:second/:collection/:title", "/01-05-09/posts/Nested-Cats"),
        ("/:title_/./a/..//b/", "/Nested-Cats_/a/b/"),
    ],
)
def test_jekyll(style: str, address: str) -> None:
    site = {"permalinks": (("posts", style),)} if style else {}
    names = {"category": ("Print", "Hand Work")}
    root = ContentRoot("", collection="posts")
    one = found("jekyll", JEKYLL_PATH, site, zone=SHANGHAI, names=names, root=root)
    assert one == Address(address)


def test_jekyll_knows_slugs_own_addresses_collections_and_pages() -> None:
    assert found("jekyll", "_posts/2024-03-01-a.md", slug="My Slug").path == "/2024/03/01/My-Slug.html"
    assert found("jekyll", "_posts/2024-03-01-a.md", address="/kept/:year/:title/").path == "/kept/2024/a/"
    assert found("jekyll", "_posts/2024-03-01-c++.md", site={"permalinks": (("", "/:title/"),)}).path == "/c++/"
    assert found("jekyll", "about.md").path == "/about.html"
    assert found("jekyll", "about.md", {"permalinks": (("", "pretty"),)}).path == "/about/"
    docs = ContentRoot("_docs", collection="docs")
    assert found("jekyll", "_docs/in/x.md", root=docs).path == "/docs/in/x.html"
    assert found("jekyll", "_docs/in/index.md", root=docs).path == "/docs/in/index.html"
    assert found("jekyll", "_posts/2024/2024-03-01-a.md").path == "/2024/03/01/a.html", (
        "the year of a folder is none of its own"
    )
    assert found("jekyll", "_docs/in/x.md", {"permalinks": (("docs", "/d/:path/"),)}, root=docs).path == "/d/in/x/"


HEXO = {"root": ContentRoot("source/_posts")}


@pytest.mark.parametrize(
    ("pattern", "fields", "address"),
    [
        (":year/:month/:day/:title/", {}, "/2024/03/02/deep/My%20Asset/"),
        (":i_month/:i_day/:hour/:minute/:second/:name.html", {}, "/3/2/01/05/09/My%20Asset.html"),
        (":post_title/", {"title": "Größe & Maß"}, "/grose-mas/"),
        (":slug/", {"slug": "other"}, "/deep/My%20Asset/"),
        (":category/:name/", {"names": {"category": ("技术 A", "B")}}, "/%E6%8A%80%E6%9C%AF-A/B/My%20Asset/"),
        (":category/:name/", {"header": {"categories": [["A", "B"], ["C"]]}}, "/C/My%20Asset/"),
        (":category/:name/", {"header": {"category": "技术"}}, "/tech/My%20Asset/"),
        (":category/:name/", {}, "/uncategorized/My%20Asset/"),
        ("posts/:abbrlink.html", {"header": {"abbrlink": "4a17b156"}}, "/posts/4a17b156.html"),
        (":year/:title/", {"address": "kept/here.html"}, "/kept/here.html"),
        (":year/:title/", {"address": "/kept"}, "/kept"),
        (":year/:title/", {"address": "kept\\by\\windows"}, "/kept/by/windows"),
    ],
)
def test_hexo(pattern: str, fields: dict[str, Any], address: str) -> None:
    site = {"permalinks": (("", pattern),), "options": (("category_map", "技术=tech"),)}
    assert found("hexo", "source/_posts/deep/My Asset.md", site, **HEXO, zone=SHANGHAI, **fields) == Address(address)


def test_hexo_knows_names_of_new_posts_asset_folders_and_pretty_addresses() -> None:
    def hexo(pattern: str, path: str = "source/_posts/2024-03-01-x.md", **options: str) -> str:
        return found("hexo", path, {"permalinks": (("", pattern),), "options": tuple(options.items())}, **HEXO).path

    assert hexo(":title/") == "/2024-03-01-x/"
    assert hexo(":title/", new_post_name=":year-:month-:day-:title.md") == "/x/"
    assert hexo(":title/", "source/_posts/other.md", new_post_name=":year-:month-:day-:title.md") == "/other/"
    assert hexo("p/:title", post_asset_folder="true") == "/p/2024-03-01-x/"
    assert hexo("p/:title.html", post_asset_folder="true") == "/p/2024-03-01-x.html"
    assert hexo("p/:title.html", trailing_html="false") == "/p/2024-03-01-x"
    assert hexo("p/index.html", trailing_index="false") == "/p/"
    assert hexo(":lang/:title", permalink_defaults="lang=en\nx=y") == "/en/2024-03-01-x"
    assert hexo(":category/x", default_category="misc") == "/misc/x"
    assert hexo(":hash/") == "/a9492caf3d56/"


@pytest.mark.parametrize(
    ("path", "site", "fields", "address"),
    [
        ("blog/2024-01-02-welcome.md", {}, {}, "/blog/2024/01/02/welcome"),
        ("blog/2024-1-2-welcome.md", {}, {}, "/blog/2024/1/2/welcome"),
        ("blog/2024/01/02/welcome.md", {}, {}, "/blog/2024/01/02/welcome"),
        ("blog/folder/2024-01-02-welcome.md", {}, {}, "/blog/2024/01/02/folder/welcome"),
        ("blog/2024-02-03-bundle/index.mdx", {}, {}, "/blog/2024/02/03/bundle"),
        ("blog/2024-02-03-bundle/index.mdx", {}, {"slug": "the-bundle"}, "/blog/the-bundle"),
        ("blog/2024-02-03-bundle/index.mdx", {}, {"slug": "/the/bundle"}, "/blog/the/bundle"),
        ("blog/undated.md", {}, {}, "/blog/undated"),
        ("blog/undated.md", {"trailing_slash": True}, {}, "/blog/undated/"),
        ("blog/undated.md", {"trailing_slash": False}, {"slug": "x/"}, "/blog/x"),
        ("blog/undated.md", {"permalinks": (("", "/:year/:slug"),)}, {}, "/2024/undated"),
        ("blog/undated.md", {}, {"slug": "./x"}, "/blog/x"),
        ("blog/undated.md", {}, {"slug": "/"}, "/blog/"),
        ("blog/01-intro.md", {}, {}, "/blog/01-intro"),
    ],
)
def test_docusaurus(path: str, site: dict[str, Any], fields: dict[str, Any], address: str) -> None:
    assert found("docusaurus", path, site, root=ContentRoot("blog", prefix="blog"), **fields) == Address(address)


@pytest.mark.parametrize(
    ("path", "slug", "address"),
    [
        ("01-intro.md", "", "/docs/intro"),
        ("02-guide/03 - first.md", "", "/docs/guide/first"),
        ("guide/2024-01-02-x.md", "", "/docs/guide/2024-01-02-x"),
        ("guide/7.0-notes.md", "", "/docs/guide/7.0-notes"),
        ("guide/guide.md", "", "/docs/guide"),
        ("guide/README.md", "", "/docs/guide"),
        ("02-guide/x.md", "./own", "/docs/guide/own"),
        ("02-guide/x.md", "../own", "/docs/own"),
        ("02-guide/x.md", "own", "/docs/guide/own"),
        ("02-guide/x.md", "/own", "/docs/own"),
        ("02-guide/x.md", "/", "/docs/"),
    ],
)
def test_docusaurus_leaves_out_the_numbers_in_names_of_documentation(path: str, slug: str, address: str) -> None:
    root = ContentRoot("docs", "page", prefix="docs", collection="docs")
    assert found("docusaurus", f"docs/{path}", root=root, slug=slug) == Address(address)


def test_docusaurus_puts_translations_below_their_language() -> None:
    root = ContentRoot("i18n/zh-CN/docusaurus-plugin-content-blog", language="zh-CN", prefix="zh-CN/blog")
    assert found("docusaurus", f"{root.path}/2024-01-02-welcome.md", root=root).path == "/zh-CN/blog/2024/01/02/welcome"


@pytest.mark.parametrize(
    ("path", "site", "fields", "address"),
    [
        ("first-light.md", {}, {}, "/blog/first-light/"),
        ("Third Note/index.md", {}, {}, "/blog/third-note/"),
        ("2024/Über C++, v1.2.mdx", {}, {}, "/blog/2024/%C3%BCber-c-v12/"),
        ("a.md", {"trailing_slash": False}, {}, "/blog/a"),
        ("a.md", {"ugly": True}, {}, "/blog/a.html"),
        ("a.md", {}, {"slug": "own/Slug"}, "/blog/own/Slug/"),
        ("a.md", {"permalinks": (("", "/notes/:year/:id/"),)}, {}, "/notes/2024/a/"),
    ],
)
def test_astro(path: str, site: dict[str, Any], fields: dict[str, Any], address: str) -> None:
    root = ContentRoot("src/content/blog", prefix="blog", collection="blog")
    assert found("astro", f"{root.path}/{path}", site, root=root, **fields) == Address(address)


@pytest.mark.parametrize(
    ("path", "fields", "address"),
    [
        ("content/blog/2024-02-03-Named.md", {}, "/blog/2024-02-03-Named/"),
        ("content/blog/folded/folded.md", {}, "/blog/folded/"),
        ("content/index.md", {}, "/"),
        ("content/blog/x.md", {"address": "/kept/{{ page.fileSlug }}/"}, "/kept/x/"),
        ("content/blog/2024-02-03-x.md", {"address": "/{{ page.fileSlug }}/index.html"}, "/x/"),
        ("content/blog/x.md", {"address": "{{ page.filePathStem }}.html"}, "/blog/x.html"),
        ("content/blog/x.md", {"address": "/{{ page.date | date: '%Y/%m/%-d' }}/x/"}, "/2024/03/1/x/"),
        ("content/blog/x.md", {"address": "/{{ title | slugify }}/"}, "/a-title/"),
        ("content/blog/x.md", {"address": "/{{ slug or page.fileSlug | slug }}/", "slug": "My Slug"}, "/my-slug/"),
        ("content/blog/x.md", {"address": "/{{ series }}/", "header": {"series": "one"}}, "/one/"),
        ("content/blog/x.md", {"address": "plain/path/"}, "/plain/path/"),
        ("content/blog/x.md", {"address": "/{{ page.fileSlug }}.{{ page.outputFileExtension }}"}, "/x.html"),
        ("content/blog/x.md", {"address": "{{ page.filePathStem | replace('/blog/', '/') }}/"}, "/x/"),
        ("content/blog/x.md", {"address": '{{ page.filePathStem | remove: "/blog" }}/'}, "/x/"),
    ],
)
def test_eleventy(path: str, fields: dict[str, Any], address: str) -> None:
    assert found("eleventy", path, root=ContentRoot("content"), **fields) == Address(address)


def test_notes_of_quartz_have_hyphens_in_their_addresses() -> None:
    site = {"permalinks": (("", "/:path"),), "options": (("slugs", "quartz"),)}
    root = ContentRoot("content")
    assert found("obsidian", "content/Beds/Peas & beans?.md", site, root=root) == Address("/Beds/Peas--and--beans")
    assert found("obsidian", "content/A b.md", site | {"options": ()}, root=root) == Address("/A%20b")


def test_eleventy_code_in_a_permalink_is_named_and_not_run() -> None:
    one = found("eleventy", "content/x.md", root=ContentRoot("content"), address="/{{ title | mine }}/")
    assert one == Address("", ("the filter mine",))


@pytest.mark.parametrize(
    ("kind", "path", "options", "fields", "address"),
    [
        ("vuepress", "docs/posts/2024-01-05-snow.md", {}, {}, "/posts/2024-01-05-snow.html"),
        ("vuepress", "docs/en/posts/README.md", {}, {}, "/en/posts/"),
        ("vuepress", "docs/README.md", {}, {}, "/"),
        ("vuepress", "docs/posts/C++.md", {}, {}, "/posts/C++.html"),
        ("vuepress", "docs/posts/C++.md", {"slugs": "vuepress"}, {}, "/posts/C__.html"),
        ("vuepress", "docs/posts/rain.md", {}, {"address": "/kept/rain.html"}, "/kept/rain.html"),
        ("vuepress", "docs/posts/rain.md", {}, {"address": "/:year/:month/:day/:slug.html"}, "/2024/03/01/rain.html"),
        ("vitepress", "docs/posts/a.md", {}, {}, "/posts/a.html"),
        ("vitepress", "docs/posts/a.md", {"cleanUrls": "true"}, {}, "/posts/a"),
        ("vitepress", "docs/posts/index.md", {"cleanUrls": "true"}, {}, "/posts/"),
        ("vitepress", "docs/posts/README.md", {}, {}, "/posts/README.html"),
        ("vitepress", "docs/a/b/x.md", {"rewrites": "a/:rest+ :rest+"}, {}, "/b/x.html"),
        ("vitepress", "docs/packages/a/src/x.md", {"rewrites": "packages/:pkg/src/:slug* :pkg/:slug*"}, {}, "/a/x.html"),
    ],
)
def test_vuepress_and_vitepress(kind: str, path: str, options: dict[str, str], fields: dict[str, Any], address: str) -> None:
    assert found(kind, path, {"options": tuple(options.items())}, root=ContentRoot("docs"), **fields) == Address(address)


@pytest.mark.parametrize(
    ("pattern", "fields", "address"),
    [
        ("", {"title": "Date in the name"}, "/date-in-the-name.html"),
        ("", {"title": "你好, <i>Größe</i> & C++"}, "/ni-hao-grosse-c.html"),
        ("", {"title": "サーバーの話"}, "/sa-ba-nohua.html"),
        ("", {"slug": "Given Slug"}, "/Given%20Slug.html"),
        ("blog/{date:%Y}/{date:%m}/{slug}/", {"slug": "hammers"}, "/blog/2024/03/hammers/"),
        (
            "{category}/{author}/{slug}",
            {"names": {"category": ("My Tools",), "author": ("Ola P.",)}},
            "/my-tools/ola-p/a-title",
        ),
        ("{date:%b-%-d}/{slug}.html", {}, "/Mar-1/a-title.html"),
        ("{date:%y-%U}/{slug}.html", {}, "/24-08/a-title.html"),
        ("{date.year}/{date.month}/{slug}/", {}, "/2024/3/a-title/"),
        ("{category.slug}/{slug}", {"names": {"category": ("My Tools",)}}, "/my-tools/a-title"),
        ("", {"language": "fr", "slug": "hammers"}, "/hammers-fr.html"),
        ("", {"language": "en", "slug": "hammers"}, "/hammers.html"),
        ("{slug}", {"address": "own/place/"}, "/own/place/"),
    ],
)
def test_pelican(pattern: str, fields: dict[str, Any], address: str) -> None:
    site = {"language": "en", "permalinks": (("", pattern),) if pattern else ()}
    assert found("pelican", "content/tools/h.md", site, root=ContentRoot("content"), **fields) == Address(address)


def test_a_pattern_of_the_operator_serves_any_kind() -> None:
    def plain(pattern: str, **other: Any) -> Address:
        return found("plain", "2024/My walk.md", {"permalinks": (("", pattern),)}, **other)

    assert plain("/:year/:month/:slug/").path == "/2024/03/my-walk/"
    assert plain("/:path.html").path == "/2024/My%20walk.html"
    assert plain("/x/{number}/", header={"Number": "17"}).path == "/x/17/"
    assert plain("/x/{date:%Y}/:filename", zone=SHANGHAI).path == "/x/2024/My%20walk"
    assert plain("/:nothing/") == Address("", (":nothing",))
    assert plain("/{nothing}/") == Address("", ("{nothing}",))
    assert plain("/:year/", date=None) == Address("", (":year",)), "a link with a hole in it leads nowhere"
    assert found("plain", "2024/one.md") == Address(), "no pattern: a page of this service"


def test_addresses_are_encoded_once() -> None:
    assert encode_path("/a b/#x?y/中") == "/a%20b/%23x%3Fy/%E4%B8%AD"
    assert encode_path(encode_path("/a b/100%/中")) == encode_path("/a b/100%/中")
    assert encode_path("//evil.example/x") == "/evil.example/x"
    assert encode_path("/" + "x" * MAX_ADDRESS) == ""


_TEXTS = st.text(max_size=60) | st.sampled_from(
    [":title", "{slug}", "/:year/:x/", "{{ title | slug }}", "..", "\ud800", "%", ""]
)


@settings(max_examples=some(400), deadline=None)
@given(kind=st.sampled_from(sorted(KINDS)), texts=st.lists(_TEXTS, min_size=7, max_size=7), date=st.none() | st.datetimes())
def test_any_header_and_pattern_gives_an_address_or_none(kind: str, texts: list[str], date: datetime | None) -> None:
    pattern, title, slug, address, stem, name, option = texts
    site = GeneratorSite(
        kind, permalinks=(("", pattern),), options=(("new_post_name", option), ("rewrites", option)), language="en"
    )
    place = Place(stem, "article", "", name, stem, "", None, (), name)
    fields = described(title=title, slug=slug, address=address, date=date and date.replace(tzinfo=UTC), language=name)
    path = address_of(site, KINDS[kind], place, fields, zone=SHANGHAI, header={"date": title, "x": [name]})
    if path and path != address:
        assert path.startswith("/") and not path.startswith("//") and len(path) <= MAX_ADDRESS
        assert path.isascii() and not re.search(r"[\s<>\"#?]", path)


def test_the_path_of_a_zola_article_is_a_folder_even_where_it_has_a_point() -> None:
    zola = {"fields": (("address", ("path",)),), "roots": (ContentRoot("content"),)}
    assert found("hugo", "content/oars.md", zola, address="2024/03/01/oars-1.0").path == "/2024/03/01/oars-1.0/"
    assert found("hugo", "content/oars.md", **HUGO, address="2024/03/01/oars-1.0").path == "/2024/03/01/oars-1.0"
