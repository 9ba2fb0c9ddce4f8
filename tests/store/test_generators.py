"""What kind of store a folder is, and what its generator's configuration says: folders as generators make them."""

from __future__ import annotations

import json
import os
import pickle
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feeds.store.generators.find import find_site
from feeds.store.kinds import KINDS, ContentRoot, Defaults, GeneratorSite, Place, StoreOptions
from feeds.store.links.references import resolve_reference
from feeds.store.places import place_of
from tests.examples import some

Tree = Callable[[dict[str, str]], str]
ARCHIVE = "---\ntitle: A\ncomments_data: []\ncount:\n  likes: 1\n---\nText\n"
LCTT = '[#]: subject: "A"\n[#]: via: "https://example.org/a"\n\nA\n======\n'
CREDITS = "> * 原文地址：[A](https://example.org/a)\n> * 译者：[甲](https://example.org/j)\n\n# 甲\n"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Make files below a folder that is a git checkout of its own, and return the folder."""

    def make(files: dict[str, str]) -> str:
        (tmp_path / "store" / ".git").mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            path = tmp_path / "store" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        return str(tmp_path / "store")

    return make


KINDS_BY_FILES = [
    ("hugo", {"hugo.toml": "", "content/a.md": ""}, "hugo.toml is in the folder"),
    ("hugo", {"config.yaml": "baseURL: https://example.org/"}, "config.yaml with baseURL is in the folder"),
    ("hugo", {"config/_default/params.toml": ""}, "config/_default is in the folder"),
    ("plain", {"config.yaml": "debug: true", "a.md": "# A"}, "no generator's files are in the folder or above it"),
    ("jekyll", {"_config.yml": "title: A", "source/a.md": ""}, "_config.yml is in the folder"),
    ("jekyll", {"_posts/2024-01-02-a.md": ""}, "_posts is in the folder"),
    ("jekyll", {"Gemfile": "gem 'github-pages'"}, "a Gemfile with jekyll is in the folder"),
    ("eleventy", {"_posts/2024-01-02-a.md": "", "eleventy.config.js": ""}, "eleventy.config.js is in the folder"),
    # The site of a repository, beside a few texts about the repository itself.
    ("vuepress", {"docs/.vuepress/config.ts": "", "docs/a.md": "", "Notes for helpers.md": ""}, ".vuepress is in docs"),
    ("plain", {"docs/.vuepress/config.ts": "", **{f"walk {number}.md": "# A" for number in range(6)}}, ""),
    ("plain", {"Gemfile": "gem 'rails'", "a.md": "# A"}, ""),
    ("hexo", {"_config.yml": "", "source/_posts/a.md": ""}, "_config.yml beside source/_posts is in the folder"),
    ("hexo", {"_config.yml": "", "package.json": '{"dependencies": {"hexo": "7"}}'}, ""),
    ("obsidian", {".obsidian/app.json": "{}", "a.md": ""}, ".obsidian is in the folder"),
    ("obsidian", {"quartz.config.ts": "", "content/a.md": ""}, "quartz.config.ts is in the folder"),
    # Notes that are written in Obsidian, and published by a generator.
    ("vitepress", {".obsidian/app.json": "{}", "docs/.vitepress/config.ts": "", "docs/a.md": ""}, ".vitepress is in docs"),
    ("archive", {"2020/a.md": ARCHIVE, "2020/b.md": ARCHIVE, "lctt/c.md": LCTT}, ""),
    ("lctt", {"published/a.md": LCTT, "published/b.md": LCTT}, ""),
    ("lctt", {"TODO/a.md": CREDITS, "integrals.md": "# B", "README.md": "# C"}, ""),
    ("plain", {"a.md": "---\ntitle: A\n---\n"}, ""),
    ("plain", {}, ""),
]


@pytest.mark.parametrize(("kind", "files", "why"), KINDS_BY_FILES)
def test_the_files_of_a_folder_tell_its_kind(tree: Tree, kind: str, files: dict[str, str], why: str) -> None:
    site = find_site(tree(files))
    assert site.kind == kind and (site.why == why if why else site.why)


def test_a_content_folder_has_the_generator_above_it(tree: Tree) -> None:
    folder = tree({"hugo.yaml": "baseURL: https://example.org/", "content/posts/a.md": "# A"})
    site = find_site(f"{folder}/content/posts")
    assert (site.kind, site.root, site.below) == ("hugo", folder, "content/posts")
    assert place_of(site, "a.md").stem == "posts/a"


def test_a_folder_that_is_no_content_of_the_generator_above_it_is_a_store_of_its_own(tree: Tree) -> None:
    folder = tree({"hugo.yaml": "baseURL: https://example.org/", "content/a.md": "", "notes/a.md": "# A"})
    assert find_site(f"{folder}/notes").kind == "plain"


def test_a_generator_above_the_checkout_is_not_looked_for(tree: Tree) -> None:
    folder = tree({"hugo.yaml": "", "content/inner/.git/HEAD": "", "content/inner/a.md": "# A"})
    assert find_site(f"{folder}/content/inner").kind == "plain"


def test_an_archive_is_one_wherever_it_lies(tree: Tree) -> None:
    folder = tree(
        {"_config.yml": "", "_posts/2020-01-02-a.md": "", "demo/articles/2020/a.md": ARCHIVE, "demo/articles/l/b.md": LCTT}
    )
    site = find_site(f"{folder}/demo/articles")
    assert (site.kind, site.roots, site.below) == ("archive", (ContentRoot(""),), "")
    assert find_site(f"{folder}/demo/articles/l").kind == "archive"


def test_the_site_of_a_repository_may_be_in_a_folder_of_it(tree: Tree) -> None:
    site = find_site(tree({"README.md": "", "site/hugo.toml": "contentDir = 'text'", "site/text/posts/a.md": ""}))
    assert (site.kind, site.why) == ("hugo", "hugo.toml is in site")
    assert site.roots == (ContentRoot("site/text"),) and site.static == ("site/static",) and site.sources == ("site/hugo.toml",)


def test_the_kind_that_is_named_counts(tree: Tree) -> None:
    folder = tree({"hugo.toml": "", "content/a.md": "", "_config.yml": "url: https://example.org"})
    assert find_site(folder).kind == "jekyll"
    assert find_site(folder, StoreOptions(kind="hugo")).kind == "hugo"
    assert find_site(folder, StoreOptions(kind="plain")).kind == "plain"


def test_what_has_not_been_published_in_a_translation_project_is_withheld(tree: Tree) -> None:
    folder = tree({"published/a.md": LCTT, "published/b.md": LCTT, "translated/c.md": LCTT})
    site = find_site(folder)
    assert place_of(site, "translated/c.md").state == "withheld"
    assert place_of(find_site(folder, StoreOptions(include=("translated/**",))), "translated/c.md").state == "article"


def test_articles_of_a_translation_project_are_told_apart_by_their_paths_but_for_those_of_lctt(tree: Tree) -> None:
    folder = tree({"a/x.md": CREDITS, "b/x.md": CREDITS, "lctt/c.md": LCTT})
    assert find_site(folder).option("identity") == "path"
    assert find_site(f"{folder}/lctt").option("identity") == ""


# -- Hugo --------------------------------------------------------------------------


def test_hugo_says_addresses_zones_and_dates(tree: Tree) -> None:
    site = find_site(
        tree(
            {
                "hugo.toml": """
                    BaseURL = "https://example.org/notes/"
                    timeZone = "Asia/Shanghai"
                    languageCode = "zh-cn"
                    buildFuture = true
                    disablePathToLower = true
                    ignoreFiles = ["\\\\.draft\\\\.md$", "private/", "a(b"]
                    mainSections = ["posts"]
                    [uglyURLs]
                    log = true
                    [permalinks.page]
                    posts = "/:year/:slug/"
                    [permalinks.section]
                    posts = "/all/"
                    [frontmatter]
                    date = [":filename", "created"]
                    lastmod = ["changed", ":git"]
                    [taxonomies]
                    tag = "themes"
                    [params.author]
                    name = "Ann"
                """,
                "content/posts/a.md": "",
            }
        )
    )
    assert (site.base_url, site.timezone, site.language) == ("https://example.org/notes", "Asia/Shanghai", "zh-CN")
    assert site.permalinks == (("posts", "/:year/:slug/"),)
    assert (site.future, site.drafts, site.ugly, site.ugly_sections, site.keep_case) == (True, False, False, ("log",), True)
    assert site.date_fields == (":filename", "created") and site.fields == (
        ("tag", ("themes", "tag")),
        ("updated", ("changed",)),
    )
    assert site.option("main_sections") == "posts" and site.defaults == (Defaults("", "", (("author", "Ann"),)),)
    states = {
        path: place_of(site, f"content/posts/{path}").reason for path in ("x.draft.md", "private/a.md", "2024-01-02-a.md")
    }
    assert states == {"x.draft.md": "excluded", "private/a.md": "excluded", "2024-01-02-a.md": ""}
    assert place_of(site, "content/posts/2024-01-02-a.md").date == (2024, 1, 2)
    assert not site.faults and not site.missing


def test_hugo_says_addresses_for_languages_and_in_a_list(tree: Tree) -> None:
    own = "languages: {de: {permalinks: {page: {posts: '/b/:slug/'}}}, en: {}}\npermalinks: {posts: '/p/:slug/'}"
    assert find_site(tree({"hugo.yaml": own})).permalinks == (("posts", "/p/:slug/"), ("de:posts", "/b/:slug/"))
    listed = """permalinks:
      - {pattern: /posts/, target: {path: "{/posts}"}}
      - {pattern: "/b/:slug/", target: {kind: page, path: "{/posts/**}", sites: {matrix: {languages: [de]}}}}
      - {pattern: "/p/:slug/", target: {path: "/posts/**"}}
      - {pattern: /section/, target: {kind: section}}
      - {pattern: "/:section/:slug/"}"""
    assert find_site(tree({"hugo.yaml": listed})).permalinks == (
        ("de:posts", "/b/:slug/"),
        ("posts", "/p/:slug/"),
        ("", "/:section/:slug/"),
    )


def test_hexo_may_say_a_part_of_the_date_twice_in_names(tree: Tree) -> None:
    names = "new_post_name: :year/:year-:month-:day-:i_month-:title.md"
    site = find_site(tree({"_config.yml": names, "source/_posts/2024/2024-03-01-3-oars.md": ""}))
    place = place_of(site, "source/_posts/2024/2024-03-01-3-oars.md")
    assert (place.date, place.name) == ((2024, 3, 1), "oars")


def test_hugo_has_its_configuration_in_a_folder_of_files_for_each_key(tree: Tree) -> None:
    site = find_site(
        tree(
            {
                "config/_default/hugo.yaml": "baseURL: http://localhost:1313/\ndefaultContentLanguage: zh",
                "config/_default/languages.toml": '[zh]\nweight = 1\ncontentDir = "content/zh"\n[en]\nweight = 2\n',
                "config/_default/languages.en.yaml": "timeZone: America/New_York\ncontentDir: content/en",
                "config/_default/permalinks.json": '{"posts": "/:slug/"}',
                "config/production/hugo.toml": 'baseURL = "https://example.org"',
                "content/zh/posts/a.md": "",
                "content/en/posts/a.md": "",
            }
        )
    )
    assert site.base_url == "https://example.org" and site.permalinks == (("posts", "/:slug/"),)
    assert [(one.code, one.folder, one.prefix) for one in site.languages] == [
        ("zh", "content/zh", ""),
        ("en", "content/en", "en"),
    ]
    assert [place_of(site, f"content/{code}/posts/a.md").language for code in ("zh", "en")] == ["zh", "en"]
    assert place_of(site, "content/en/posts/a.md").stem == "posts/a"


def test_hugo_mounts_other_folders_as_content(tree: Tree) -> None:
    mounts = "[{source: texts, target: content}, {source: docs/log, target: content/log}]"
    site = find_site(tree({"hugo.yaml": f"module: {{mounts: {mounts}}}"}))
    assert [(one.path, one.prefix) for one in site.roots] == [("texts", ""), ("docs/log", "log")]


def test_a_section_of_hugo_hands_down_fields(tree: Tree) -> None:
    site = find_site(
        tree(
            {
                "hugo.toml": 'baseURL = "https://example.org"',
                "content/posts/_index.md": "---\ncascade:\n- target: {path: /old/**}\n  draft: 1\n- author: Ann\n---\n",
                "content/notes/_index.md": "+++\n[cascade.build]\nlist = 'never'\n+++\n",
            }
        )
    )
    assert set(site.defaults) == {
        Defaults("content/posts/old/**", "", (("draft", "1"),)),
        Defaults("content/posts", "", (("author", "Ann"),)),
        Defaults("content/notes", "", (("build.list", "never"),)),
    }


def test_zola_is_a_cousin_of_hugo(tree: Tree) -> None:
    site = find_site(tree({"config.toml": 'base_url = "https://example.org"', "content/2024-01-02-a.md": ""}))
    place = place_of(site, "content/2024-01-02-a.md")
    assert (site.base_url, place.state, place.date, place.name) == ("https://example.org", "article", (2024, 1, 2), "a")


# -- Jekyll ------------------------------------------------------------------------


def test_jekyll_says_addresses_collections_and_defaults(tree: Tree) -> None:
    site = find_site(
        tree(
            {
                "_config.yml": """
url: https://example.org
baseurl: /press/
source: src
collections_dir: all
permalink: pretty
timezone: Europe/Berlin
future: true
exclude: [old, "*.tmp.md"]
collections:
  posts: {permalink: "/:year/:title/"}
  recipes: {output: true, permalink: "/r/:name"}
  secret: {output: false}
author: {name: Ann}
defaults:
  - {scope: {path: "", type: posts}, values: {author: Bo}}
  - {scope: {path: "x"}, values: {published: false, tags: [a, b]}}
""",
                "src/_data/authors.yml": "bo: {name: Bo Chen}\neve: Eve Fox\n",
            }
        )
    )
    assert (site.base_url, site.timezone, site.future) == ("https://example.org/press", "Europe/Berlin", True)
    assert site.permalinks == (("", "/:year/:title/"), ("recipes", "/r/:name"))
    assert [(one.path, one.role, one.collection) for one in site.roots] == [
        ("src", "article", ""),
        ("src/all", "article", ""),
        ("src/all/_recipes", "page", "recipes"),
    ]
    assert site.authors == (("bo", "Bo Chen"), ("eve", "Eve Fox"))
    assert site.defaults == (
        Defaults("", "", (("author", "Ann"),)),
        Defaults("src", "posts", (("author", "Bo"),)),
        Defaults("src/x", "", (("published", "false"), ("tags", "a\nb"))),
    )
    said = {
        path: place_of(site, path).state
        for path in (
            "src/all/_posts/2024-01-02-a.md",
            "src/old/_posts/2024-01-02-a.md",
            "src/all/_recipes/a.md",
            "_posts/2024-01-02-a.md",
        )
    }
    assert list(said.values()) == ["article", "ignored", "page", "ignored"]


def test_jekyll_has_its_address_from_the_domain_of_its_pages(tree: Tree) -> None:
    assert find_site(tree({"_config.yml": "url: http://localhost:4000", "CNAME": "blog.example.org\n"})).base_url == (
        "https://blog.example.org"
    )


def test_folders_that_are_called_by_languages_are_languages(tree: Tree) -> None:
    site = find_site(
        tree({f"{name}/news/_posts/2024-01-02-a.md": "" for name in ("en", "zh_cn", "pt-br")} | {"_config.yml": "a: b"})
    )
    assert [one.code for one in site.languages] == ["en", "pt-BR", "zh-CN"]
    places = [place_of(site, f"{name}/news/_posts/2024-01-02-a.md") for name in ("en", "zh_cn")]
    assert [(one.language, one.stem) for one in places] == [("en", "news/2024-01-02-a"), ("zh-CN", "news/2024-01-02-a")]


# -- Hexo ---------------------------------------------------------------------------


def test_hexo_says_addresses_names_and_languages(tree: Tree) -> None:
    site = find_site(
        tree(
            {
                "_config.yml": """
url: https://example.org
root: /log/
permalink: ":category/:title.html"
source_dir: source
new_post_name: ":year-:month-:day-:title.md"
post_asset_folder: true
future: false
timezone: Asia/Shanghai
language: [zh-CN, en]
author: Fen
skip_render: ["raw/**"]
pretty_urls: {trailing_index: false}
category_map: {生活: life}
""",
                "source/_posts/2024-01-02-a.md": "",
            }
        )
    )
    assert (site.base_url, site.timezone, site.future, site.language) == (
        "https://example.org/log",
        "Asia/Shanghai",
        False,
        "zh-CN",
    )
    assert site.permalinks == (("", "/:category/:title.html"),) and [one.code for one in site.languages] == ["zh-CN", "en"]
    assert (site.option("post_asset_folder"), site.option("trailing_index"), site.option("category_map")) == (
        "true",
        "false",
        "生活=life",
    )
    place = place_of(site, "source/_posts/2024-01-02-a.md")
    assert (place.date, place.name) == ((2024, 1, 2), "a")
    assert place_of(site, "source/raw/a.md").reason == "excluded"


# -- what site.yaml says, and what nobody can read ---------------------------------------


def test_what_the_operator_says_stands_over_the_configuration(tree: Tree) -> None:
    folder = tree({"hugo.yaml": "baseURL: https://old.example.org\npermalinks: {posts: /old/}", "content/posts/a.md": ""})
    options = StoreOptions(
        include=("posts/**",),
        exclude=("**/old/**",),
        fields=(("translator", ("by",)),),
        permalink="/:slug/",
        site="https://new.example.org/",
        timezone="Asia/Tokyo",
        future="publish",
        languages=(("ja", "posts/ja"),),
    )
    site = find_site(f"{folder}/content", options)
    assert (site.base_url, site.timezone, site.future) == ("https://new.example.org", "Asia/Tokyo", True)
    assert site.permalinks == (("", "/:slug/"),) and site.fields[0] == ("translator", ("by",))
    assert [place_of(site, path).state for path in ("posts/a.md", "posts/old/a.md", "notes/a.md")] == [
        "article",
        "ignored",
        "ignored",
    ]
    assert place_of(site, "posts/ja/a.md").language == "ja"


#: What says the folder of a site on its host, and the host where it says one.
FOLDERS = [
    ("vuepress", ".vuepress/config.js", "module.exports = { base: '/v/' }"),
    ("vitepress", ".vitepress/config.ts", "export default { base: '/v/', sitemap: { hostname: 'https://old.example.org' } }"),
    ("vitepress", ".vitepress/config.ts", "export default { base: 'v' }"),
    ("docusaurus", "docusaurus.config.js", "module.exports = { url: 'https://old.example.org', baseUrl: '/v/' }"),
    ("docusaurus", "docusaurus.config.js", "module.exports = { url: process.env.URL, baseUrl: '/v/' }"),
    ("astro", "astro.config.mjs", "export default { site: 'https://old.example.org', base: '/v' }"),
    ("astro", "astro.config.mjs", "export default { base: '/v' }"),
    ("eleventy", ".eleventy.js", "module.exports = () => ({ pathPrefix: '/v/' })"),
    ("jekyll", "_config.yml", "url: https://old.example.org\nbaseurl: /v"),
    ("jekyll", "_config.yml", "baseurl: /v/"),
    ("hexo", "_config.yml", "url: https://old.example.org\nroot: /v/"),
    ("hexo", "_config.yml", "url: http://example.com/v"),
    ("hugo", "hugo.toml", 'baseURL = "/v/"'),
    ("hugo", "hugo.toml", 'baseURL = "http://localhost:1313/v/"'),
    ("pelican", "pelicanconf.py", "SITEURL = '/v'"),
]


@pytest.mark.parametrize(("kind", "name", "text"), FOLDERS)
def test_the_folder_of_a_site_is_kept_where_the_operator_names_a_host_alone(
    tree: Tree, kind: str, name: str, text: str
) -> None:
    folder = tree({name: text})
    site = find_site(folder, StoreOptions(kind=kind, site="https://example.org"))
    assert site.base_url == "https://example.org/v"
    reference = resolve_reference(site, KINDS[kind], Place("a.md", "article"), "/a/", "b/")
    assert reference.path == "/v/a/b/", "links have it once, as the article has"
    said = resolve_reference(site, KINDS[kind], Place("a.md", "article"), "/a/", "/v/b/")
    assert said.path == "/v/b/", "a link that has it keeps it"
    assert find_site(folder, StoreOptions(kind=kind, site="https://example.org/own")).base_url == "https://example.org/own"


@pytest.mark.parametrize(
    ("kind", "name", "text"),
    [
        ("hugo", "hugo.toml", 'baseURL = "https://old.example.org/v/"'),
        ("pelican", "pelicanconf.py", "SITEURL = 'https://old.example.org/v'"),
        ("hexo", "_config.yml", "url: https://old.example.org/v"),
        ("vitepress", ".vitepress/config.ts", "export default { base: './' }"),
        ("jekyll", "_config.yml", "baseurl: /"),
    ],
)
def test_an_address_of_the_operator_replaces_one_that_is_whole(tree: Tree, kind: str, name: str, text: str) -> None:
    assert find_site(tree({name: text}), StoreOptions(kind=kind, site="https://example.org")).base_url == "https://example.org"


@pytest.mark.parametrize(
    ("name", "text"), [("", ""), ("config.toml", 'base_url = "https://example.org"'), ("pelicanconf.py", "")]
)
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_what_is_dated_in_the_future_waits_where_nobody_says_otherwise(tree: Tree, kind: str, name: str, text: str) -> None:
    site = find_site(tree({"a.md": "", **({name: text} if name else {})}), StoreOptions(kind=kind))
    assert site.future is None


def test_the_address_that_nobody_says_is_missing(tree: Tree) -> None:
    folder = tree({"_config.yml": "url: http://yoursite.com", "source/_posts/a.md": ""})
    assert find_site(folder).missing == ("store.site",)
    assert find_site(folder, StoreOptions(site="https://example.org")).missing == ()


UNREADABLE = [
    ("hugo.toml", "baseURL = ", "hugo.toml: not TOML"),
    ("hugo.json", "[" * 100_000, "hugo.json: nested deeper"),
    ("_config.yml", "a: [", "_config.yml: not YAML"),
    ("_config.yml", "- a\n- b", "_config.yml: not YAML"),
    ("hugo.toml", "a = '" + "x" * 600_000 + "'", "hugo.toml: larger than"),
    ("hugo.yaml", "timeZone: Nowhere/Here", "a time zone of the configuration is not known"),
]


@pytest.mark.parametrize(("name", "text", "fault"), UNREADABLE)
def test_a_configuration_that_cannot_be_read_is_a_fault_in_words(tree: Tree, name: str, text: str, fault: str) -> None:
    site = find_site(tree({name: text}))
    assert len(site.faults) == 1 and site.faults[0].startswith(fault) and len(site.faults[0]) < 200


def test_a_configuration_that_is_no_file_is_not_waited_for(tree: Tree) -> None:
    folder = tree({"a.md": "# A"})
    os.mkfifo(f"{folder}/_config.yml")
    os.mkfifo(f"{folder}/b.md")
    assert find_site(folder).kind == "jekyll"


def test_a_folder_that_is_not_there_is_a_plain_one(tmp_path: Path) -> None:
    assert find_site(str(tmp_path / "gone")).kind == "plain"


_VALUES = st.recursive(
    st.text(max_size=20) | st.booleans() | st.integers() | st.none() | st.sampled_from(["../..", "/", ":year", "a/b", "zh"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
_KEYS = st.sampled_from(
    "baseURL url root languages contentDir permalinks uglyURLs taxonomies frontmatter params module cascade".split()
    + "ignoreFiles collections defaults exclude include author language new_post_name source_dir skip_render".split()
)


@settings(max_examples=some(200), deadline=None)
@given(st.sampled_from(["hugo.json", "config/_default/hugo.json", "_config.json"]), st.dictionaries(_KEYS, _VALUES, max_size=8))
def test_no_configuration_makes_the_reader_fail(name: str, values: dict[str, object]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for path in (f"{folder}/source/_posts", f"{folder}/content/posts", f"{folder}/config/_default"):
            Path(path).mkdir(parents=True)
        Path(folder, name).write_text(json.dumps(values), "utf-8", "surrogatepass")
        site = find_site(folder)
        assert isinstance(site, GeneratorSite) and hash(site) and pickle.loads(pickle.dumps(site)) == site
        assert all(".." not in one.path.split("/") for one in site.roots)
        for path in ("content/posts/a.en.md", "source/_posts/2024-01-02-a.md"):
            assert place_of(site, path).path == path


def test_a_theme_that_dates_texts_by_their_commits_makes_articles_of_all_of_them(tree: Tree) -> None:
    theme = 'import { hopeTheme } from "vuepress-theme-hope";\nexport default hopeTheme({});\n'
    site = find_site(tree({".vuepress/config.ts": "export default {};", ".vuepress/theme.ts": theme, "guide/oars.md": ""}))
    assert (place_of(site, "guide/oars.md").state, place_of(site, "guide/oars.md").undated) == ("article", "")
    other = replace(site, options=())  # another theme
    assert place_of(other, "guide/oars.md").undated == "undated page"


QUARTZ = """
import * as Plugin from "./quartz/plugins"
const config: QuartzConfig = {
  configuration: {
    baseUrl: "garden.example.org/notes",
    locale: "en-GB",
    ignorePatterns: ["private", "Sheds/**/tools.md", ".obsidian"],
    defaultDateType: "published",
  },
  plugins: { filters: [Plugin.RemoveDrafts(), Plugin.ExplicitPublish()] },
}
export default config
"""


def test_quartz_makes_a_site_of_the_notes_in_its_folder_of_content(tree: Tree) -> None:
    vault = {"content/.obsidian/templates.json": '{"folder": "Forms"}', "content/Beds/Peas & beans.md": "# A"}
    folder = tree({"quartz.config.ts": QUARTZ, **vault})
    site = find_site(folder)
    assert (site.base_url, site.language, site.timezone) == ("https://garden.example.org/notes", "en-GB", "UTC")
    assert site.roots == (ContentRoot("content"),) and site.static == ("content",) and not site.missing
    states = {
        path: (place.state, place.reason)
        for path in ("content/a.md", "content/private/b.md", "content/Sheds/x/tools.md", "content/Forms/day.md", "docs/c.md")
        if (place := place_of(site, path))
    }
    assert states == {
        "content/a.md": ("article", ""),
        "content/private/b.md": ("ignored", "excluded"),
        "content/Sheds/x/tools.md": ("ignored", "excluded"),
        "content/Forms/day.md": ("ignored", "template"),
        "docs/c.md": ("ignored", "outside content"),
    }
    assert site.defaults == (Defaults("", "", (("publish", "false"),)),)  # nothing that does not ask for it
    assert dict(site.fields)["date"][0] == "published"
    assert find_site(f"{folder}/content").root == folder


def test_quartz_says_the_same_in_yaml(tree: Tree) -> None:
    text = "configuration: {baseUrl: garden.example.org}\nplugins:\n- {source: 'github:q/explicit-publish', enabled: %s}\n"
    site = find_site(tree({"quartz.config.yaml": text % "true", "content/a.md": ""}))
    assert site.base_url == "https://garden.example.org" and site.defaults
    assert not find_site(tree({"quartz.config.yaml": text % "false"})).defaults


def test_what_a_filter_of_quartz_in_code_holds_back_is_withheld_until_somebody_says_it(tree: Tree) -> None:
    text = """import * as Plugin from "./quartz/plugins"
    const config = {configuration: {baseUrl: "quartz.jzhao.xyz"}, plugins: {filters: [OnlyRipe(), Plugin.RemoveDrafts()]}}
    export default config"""
    folder = tree({"quartz.config.ts": text, "content/a.md": "", "content/Private/b.md": ""})
    site = find_site(folder)
    assert (site.faults, site.base_url) == ((), ""), "the address is the one of Quartz itself"
    assert site.missing == ("store.site", "store.exclude")
    place = place_of(site, "content/a.md")
    assert (place.state, place.reason) == ("withheld", "a filter in code (OnlyRipe)")
    hidden = ("content/Private/**",)
    for options in (StoreOptions(exclude=hidden), StoreOptions(include=("content/a.md",), exclude=hidden)):
        told = find_site(folder, options)
        assert told.missing == ("store.site",)
        assert place_of(told, "content/a.md").state == "article"
        assert place_of(told, "content/Private/b.md").state == "ignored"
    assert find_site(folder, StoreOptions(include=("content/a.md",))).missing == ("store.site",)


def test_a_vault_of_a_digital_garden_publishes_what_asks_for_it(tree: Tree) -> None:
    site = find_site(tree({".obsidian/plugins/digitalgarden/main.js": "", "a.md": ""}))
    assert site.defaults == (Defaults("", "", (("dg-publish", "false"),)),)


def test_what_the_operator_says_of_addresses_stands_over_what_folders_say(tree: Tree) -> None:
    data = '{"tags": ["posts"], "permalink": "/{{ page.date | ownFilter }}/"}'
    folder = tree({".eleventy.js": "module.exports = {}", "posts/posts.json": data, "posts/a.md": ""})
    assert ("permalink", "/{{ page.date | ownFilter }}/") in find_site(folder).defaults[0].values
    site = find_site(folder, StoreOptions(permalink="/:year/:slug/"))
    assert site.defaults[0].values == (("tags", "posts"),) and site.permalinks == (("", "/:year/:slug/"),)


def test_folders_of_eleventy_that_begin_with_an_underscore_are_content_and_have_data(tree: Tree) -> None:
    site = find_site(
        tree(
            {
                "eleventy.config.js": "export default function (config) {}",
                "_posts/2024-05-06-oars.md": "",
                "_posts/_posts.11tydata.js": "export default { permalink: (data) => `/x/${data.page.fileSlug}/` };",
                "_includes/card.md": "",
            }
        )
    )
    assert place_of(site, "_posts/2024-05-06-oars.md").state == "article"
    assert place_of(site, "_includes/card.md").state == "ignored"
    assert "store.permalink" in site.missing, "its addresses are made by code"
