"""What a path alone says about a file: tables by kind, and properties that hold for every path."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feeds.store.generators.find import find_site
from feeds.store.kinds import COMMON_RULES, KINDS, ContentRoot, Defaults, GeneratorSite, PathRule, SiteLanguage
from feeds.store.places import bundle_folders, matches, place_of
from tests.examples import some

#: Imitations of stores with what is expected of each file.
CASES = Path(__file__).resolve().parent / "cases"
#: Reasons that a path cannot give: they stand in headers, or are a matter of time.
BY_HEADER = {
    *("draft", "future", "expired", "unlisted", "published: false", "publish: false", "permalink: false", "hidden"),
    *("eleventyExcludeFromCollections", "build: list never", "no date", "header never closed", "header is a script"),
    *("unlisted", "article: false", "not translated: 译者 is empty", "no credits"),
}


#: Files whose language their header says.
OF_HEADER = {"content/tools/hammer-fr.md"}


@pytest.mark.parametrize("case", sorted(path.name for path in CASES.iterdir()))
def test_the_paths_of_an_imitation_have_the_state_and_the_reason_that_are_expected(case: str) -> None:
    expected = json.loads((CASES / case / "expected.json").read_text("utf-8"))
    site = find_site(str(CASES / case))
    assert expected["kind"] in (site.kind, "auto") and not site.faults
    assert site.base_url in ("", expected["base_url"].rstrip("/"))
    bundles = bundle_folders(site, expected["files"])
    for path, wanted in expected["files"].items():
        place = place_of(site, path, bundles)
        said = (place.state, place.reason)
        if wanted["state"] == "published":
            assert said == ("article", ""), path
            assert path in OF_HEADER or wanted["language"] in (None, place.language), path
        elif place.state == "article":
            assert wanted["reason"] in {*BY_HEADER, place.undated}, path
        else:
            assert place.state == wanted["state"], path
            assert wanted["reason"] in (place.reason, place.undated) or (place.state, wanted["reason"]) == (
                "page",
                "article: false",
            ), path


HUGO = GeneratorSite(
    "hugo",
    roots=(ContentRoot("content"), ContentRoot("content/fr", language="fr")),
    language="zh",
    languages=(SiteLanguage("zh"), SiteLanguage("en", prefix="en"), SiteLanguage("fr", "content/fr", "fr")),
)
HEXO = GeneratorSite(
    "hexo",
    roots=(ContentRoot("source/_posts"), ContentRoot("source", role="page")),
    name_dates=(r"^(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})-(?P<rest>.+)$",),
)
ASTRO = GeneratorSite(
    "astro",
    roots=(
        ContentRoot("src/content/blog", collection="blog", pattern="**/[^_]*.{md,mdx}"),
        ContentRoot("src/content/work", collection="work"),
        ContentRoot("src/pages", role="page"),
    ),
)
STATES = [
    # Hugo: what begins with an underscore is content; only `_index` is a section.
    (HUGO, "content/posts/_x.md", "article", ""),
    (HUGO, "content/_dir/a.md", "article", ""),
    (HUGO, "content/posts/_index.fr.md", "page", "section"),
    (HUGO, "content/about/index.md", "page", "top-level page"),
    (HUGO, "content/posts/a.org", "ignored", ".org is not read"),
    (HUGO, "content/posts/a.png", "ignored", "no article"),
    (HUGO, "content/posts/README.md", "ignored", "readme"),
    (HUGO, "content/posts/readme-driven-development.md", "article", ""),
    (HUGO, "content/posts/security.md", "article", ""),
    (HUGO, "content/posts/SECURITY.md", "ignored", "readme"),
    (HUGO, "content/posts/django-templates.md", "article", ""),
    (HUGO, "content/posts/drafts/a.md", "withheld", "draft"),
    (HUGO, "content/404.md", "ignored", "error page"),
    (HUGO, "public/posts/a.html", "ignored", "built"),
    (HUGO, "themes/x/content/a.md", "ignored", "theme"),
    # Jekyll: the name has a date; folders with an underscore are none of it.
    (GeneratorSite("jekyll"), "a/b/_posts/c/2024-1-2-x.markdown", "article", ""),
    (GeneratorSite("jekyll"), "_posts/24-01-02-x.md", "article", ""),
    (GeneratorSite("jekyll"), "_posts/_old/2024-01-02-x.md", "ignored", "underscore"),
    (GeneratorSite("jekyll"), "_posts/2024-13-02-x.md", "ignored", "no date in the name"),
    (GeneratorSite("jekyll"), "_layouts/post.html", "ignored", "underscore"),
    (GeneratorSite("jekyll"), "index.html", "ignored", "a template"),
    (GeneratorSite("jekyll"), "vendor/x/_posts/2024-01-02-x.md", "ignored", "dependency"),
    (GeneratorSite("jekyll", exclude=("/old",)), "old/_posts/2024-01-02-x.md", "ignored", "excluded"),
    # Hexo
    (HEXO, "source/_posts/_hidden/a.md", "ignored", "underscore"),
    (HEXO, "source/_posts/a.MD", "article", ""),
    (HEXO, "source/_drafts/a.md", "withheld", "draft"),
    (HEXO, "source/about/index.md", "page", "page"),
    (HEXO, "notes.md", "ignored", "outside the source folder"),
    # Astro: a collection of articles makes pages of the others.
    (ASTRO, "src/content/blog/a.mdx", "article", ""),
    (ASTRO, "src/content/blog/_a.md", "ignored", "pattern of the collection leaves out underscores"),
    (ASTRO, "src/content/work/a.md", "page", "another collection"),
    (ASTRO, "src/pages/a.md", "page", "page"),
    # VuePress: folders of articles; a README is its folder.
    (GeneratorSite("vuepress"), "posts/a.md", "article", ""),
    (GeneratorSite("vuepress"), "posts/README.md", "page", "folder"),
    (GeneratorSite("vuepress"), "README.md", "page", "home"),
    # Pelican reads what begins with an underscore.
    (GeneratorSite("pelican"), "_x.md", "article", ""),
    (GeneratorSite("pelican"), "pages/x.md", "page", "page"),
    # a folder of notes
    (GeneratorSite("plain"), "LICENSE.zh-CN.md", "ignored", "readme"),
    (GeneratorSite("plain"), "notes/license.md", "article", ""),
    (GeneratorSite("plain"), "templates/a.md", "ignored", "template"),
    (GeneratorSite("plain"), ".obsidian/a.md", "ignored", "hidden folder"),
    (GeneratorSite("plain"), ".a.md", "ignored", "hidden file"),
    (GeneratorSite("plain", include=("garden/**",)), "garden/a.md", "article", ""),
    (GeneratorSite("plain", include=("garden/**",)), "private/a.md", "ignored", "not included"),
    (GeneratorSite("hugo", roots=(ContentRoot("content"),), include=("notes/**",)), "notes/x/a.md", "article", ""),
    # the archive keeps its way
    (GeneratorSite("archive"), "README.md", "article", ""),
    (GeneratorSite("archive"), "2020/drafts/template.markdown", "article", ""),
]


@pytest.mark.parametrize(("site", "path", "state", "reason"), STATES, ids=lambda value: value if isinstance(value, str) else "")
def test_a_path_has_the_state_that_its_generator_gives_it(site: GeneratorSite, path: str, state: str, reason: str) -> None:
    place = place_of(site, path)
    assert (place.state, place.reason) == (state, reason)


NAMES = [
    (HUGO, "content/posts/lake/index.en.md", "posts/lake", "en", "posts", "lake", ()),
    (HUGO, "content/posts/a.b.md", "posts/a.b", "zh", "posts", "a.b", ()),
    (HUGO, "content/fr/posts/a.md", "posts/a", "fr", "posts", "a", ()),
    (GeneratorSite("jekyll"), "_posts/2024-1-2-A b.md", "2024-1-2-A b", "", "", "A b", (2024, 1, 2)),
    (GeneratorSite("jekyll"), "a/b/_posts/c/2024-01-02-x.md", "a/b/c/2024-01-02-x", "", "a/b", "x", (2024, 1, 2)),
    (HEXO, "source/_posts/2024-01-02-x.md", "2024-01-02-x", "", "", "x", (2024, 1, 2)),
    (HEXO, "source/_posts/deep/x.md", "deep/x", "", "deep", "x", ()),
    (
        GeneratorSite("docusaurus", roots=(ContentRoot("blog"),)),
        "blog/2024/1/2/x.md",
        "2024/1/2/x",
        "",
        "2024",
        "x",
        (2024, 1, 2),
    ),
    (GeneratorSite("docusaurus"), "2024-01-02-x/index.mdx", "2024-01-02-x", "", "", "x", (2024, 1, 2)),
    (GeneratorSite("vuepress"), "posts/2024-03-x.md", "posts/2024-03-x", "", "posts", "x", (2024, 3, 1)),
    (GeneratorSite("plain"), "20240304 walk.md", "20240304 walk", "", "", "walk", (2024, 3, 4)),
    (GeneratorSite("plain"), "2015-03-00-x.md", "2015-03-00-x", "", "", "x", (2015, 3, 1)),
    (GeneratorSite("plain"), "2015/07/x.md", "2015/07/x", "", "2015", "x", (2015, 7, 1)),
    (GeneratorSite("plain"), "2015/x.md", "2015/x", "", "2015", "x", ()),
    (GeneratorSite("plain"), "2024-13-44.md", "2024-13-44", "", "", "2024-13-44", ()),
    (GeneratorSite("archive"), "2014/03/447025.md", "2014/03/447025", "", "2014", "447025", (2014, 3, 1)),
    (
        GeneratorSite("plain", languages=(SiteLanguage("zh-CN", "zh_cn"), SiteLanguage("en", "en"))),
        *("zh_cn/a/x.md", "a/x", "zh-CN", "a", "x", ()),
    ),
]


@pytest.mark.parametrize(
    ("site", "path", "stem", "language", "section", "name", "day"), NAMES, ids=lambda value: str(value)[:30]
)
def test_a_path_has_a_stem_a_language_a_section_and_a_date(
    site: GeneratorSite, path: str, stem: str, language: str, section: str, name: str, day: tuple[int, ...]
) -> None:
    place = place_of(site, path)
    assert (place.stem, place.language, place.section, place.name, place.date) == (stem, language, section, name, day)


def test_a_store_inside_the_content_has_the_places_of_the_whole_site() -> None:
    whole = GeneratorSite("hugo", roots=(ContentRoot("content"),))
    part = GeneratorSite("hugo", roots=(ContentRoot("content"),), below="content/posts")
    inside, outside = place_of(part, "lake.md"), place_of(whole, "content/posts/lake.md")
    assert (inside.stem, inside.section, inside.root) == (outside.stem, outside.section, outside.root)
    assert inside.path == "lake.md"


def test_what_lies_beside_the_index_of_a_hugo_bundle_belongs_to_it() -> None:
    paths = ["content/a/lake/index.en.md", "content/a/lake/note.md", "content/a/lake/deep/more.md", "content/a/pond.md"]
    bundles = bundle_folders(HUGO, paths)
    reasons = [place_of(HUGO, path, bundles).reason for path in paths]
    assert reasons == ["", "resource of a bundle", "resource of a bundle", ""]


def test_an_index_file_is_an_article_where_it_is_the_only_text_of_its_folder() -> None:
    site = GeneratorSite("plain")
    paths = [
        "hello/index.md",
        "hello/picture.png",
        "2024/index.md",
        "2024/a.md",
        "all/index.md",
        "all/one/index.md",
        "index.md",
    ]
    bundles = bundle_folders(site, paths)
    assert bundles == {"hello", "all/one"}
    places = {path: place_of(site, path, bundles) for path in paths}
    assert [path for path in paths if places[path].state == "article"] == ["hello/index.md", "2024/a.md", "all/one/index.md"]
    assert places["hello/index.md"].stem == "hello" and places["index.md"].reason == "index"


def test_a_file_is_of_the_collection_that_is_written_in_its_folder_data() -> None:
    site = GeneratorSite("eleventy", defaults=(Defaults("blog", "", (("tags", "posts"),)),))
    assert place_of(site, "blog/a.md").undated == ""
    assert place_of(site, "about.md").undated == "page"


def test_what_is_in_no_collection_is_a_page_even_with_a_date() -> None:
    roots = (ContentRoot("src"), ContentRoot("src/posts", prefix="posts", collection="posts"))
    defaults = (Defaults("src/posts", "", (("tags", "posts"),)), Defaults("src/links", "", (("tags", "links"),)))
    site = GeneratorSite("eleventy", roots=roots, defaults=defaults)
    paths = ("posts/a.md", "links/2024-01-02-b.md", "about/2024-01-02-c.md")
    assert [place_of(site, f"src/{path}").state for path in paths] == ["article", "article", "page"]


def test_sections_besides_the_main_ones_are_pages() -> None:
    site = GeneratorSite("hugo", options=(("main_sections", "posts,notes"),))
    assert [place_of(site, path).state for path in ("posts/a.md", "notes/a.md", "docs/a.md")] == ["article", "article", "page"]


def test_top_level_pages_are_articles_where_the_site_has_no_sections() -> None:
    assert place_of(GeneratorSite("hugo", options=(("top_level", "true"),)), "a.md").state == "article"


def test_rules_of_the_site_come_before_those_of_the_kind() -> None:
    site = GeneratorSite("plain", rules=(PathRule("withheld", "not yet", folders=("translated",), within="site", top=True),))
    assert place_of(site, "translated/README.md").reason == "not yet"
    assert place_of(site, "x/translated/a.md").state == "article"


GLOBS = [
    ("posts/**", "posts/2019/a.md", True),
    ("posts/*.md", "posts/a.md", True),
    ("posts/*.md", "posts/2019/a.md", False),
    ("**/old/**", "a/old/b.md", True),
    ("**/old/**", "old/b.md", True),
    ("**/old/**", "a/older/b.md", False),
    ("drafts/", "a/drafts/b.md", True),
    ("/drafts", "a/drafts/b.md", False),
    ("*.{md,mdx}", "a/b.mdx", True),
    ("**/[^_]*.md", "a/_b.md", False),
    ("a/**/b/**/c.md", "a/x/y/b/c.md", True),
    ("", "a.md", False),
]


@pytest.mark.parametrize(("glob", "path", "fits"), GLOBS)
def test_globs_are_those_of_files_that_say_what_to_ignore(glob: str, path: str, fits: bool) -> None:
    assert matches(path, glob) is fits


_PATHS = st.lists(
    st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1, max_size=30), min_size=1, max_size=6
)


@settings(max_examples=some(400), deadline=None)
@given(st.sampled_from(sorted(KINDS)), _PATHS, st.sampled_from(["", ".md", ".MD", ".html", ".en.md"]))
def test_every_path_has_a_place(kind: str, parts: list[str], suffix: str) -> None:
    site = GeneratorSite(kind, languages=(SiteLanguage("en"), SiteLanguage("zh")))
    path = "/".join(parts) + suffix
    place = place_of(site, path, bundle_folders(site, [path]))
    assert place.state in ("article", "page", "withheld", "ignored") and bool(place.reason) == (place.state != "article")
    assert place.path == path and len(place.date) in (0, 3)
    assert pickle.loads(pickle.dumps(place)) == place


@settings(max_examples=some(200), deadline=None)
@given(st.text("ab*?[]{},/.!^-", max_size=60), _PATHS)
def test_every_glob_can_be_tried_with_every_path(glob: str, parts: list[str]) -> None:
    assert matches("/".join(parts), glob) in (True, False)


def test_the_table_has_a_row_for_every_kind_and_names_what_there_is() -> None:
    named = "archive lctt hugo jekyll hexo docusaurus astro eleventy vuepress vitepress pelican obsidian plain"
    assert list(KINDS) == named.split()
    wanted = set(KINDS["hugo"].fields)
    for kind in KINDS.values():
        assert set(kind.fields) <= wanted and {"title", "date", "tag"} <= set(kind.fields)
        assert kind.otherwise in ("article", "page", "dated") and kind.undated in ("article", "page", "quarantined")
        assert all(rule.state in ("page", "withheld", "ignored") and rule.within in ("root", "site") for rule in kind.rules)
        assert all(glob == glob.lower() for rule in (*COMMON_RULES, *kind.rules) for glob in (*rule.folders, *rule.files))
        assert kind.headers and kind.suffixes
