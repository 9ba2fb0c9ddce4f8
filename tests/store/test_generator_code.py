"""Configuration that is code -> what it says of the site: real forms of each generator, in folders made for each test."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feeds.store.generators.code import READERS
from feeds.store.generators.code_files import MAX_BYTES
from feeds.store.kinds import KINDS, ContentRoot, Defaults, GeneratorSite, SiteLanguage

from ..examples import some

Read = Callable[[str, Mapping[str, str]], GeneratorSite]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Write files, and return what the reader of a kind makes of their folder."""

    def write_and_read(kind: str, files: Mapping[str, str]) -> GeneratorSite:
        for path, text in files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text, "utf-8")
        return READERS[kind](str(tmp_path))

    return write_and_read


def places(site: GeneratorSite) -> dict[str, tuple[str, str, str]]:
    """Content roots: folder -> role, language, prefix."""
    return {root.path: (root.role, root.language, root.prefix) for root in site.roots}


def test_every_kind_whose_configuration_is_code_has_a_reader() -> None:
    assert READERS.keys() < KINDS.keys() and len(READERS) == 6


@pytest.mark.parametrize("kind", READERS)
def test_an_empty_folder_has_a_site_without_an_address(read: Read, kind: str) -> None:
    site = read(kind, {})
    assert site.kind == kind and site.roots and "store.site" in site.missing and site.faults == ()


# -- Docusaurus -------------------------------------------------------------------


def test_docusaurus_has_blogs_by_plugin_and_language(read: Read) -> None:
    site = read(
        "docusaurus",
        {
            "docusaurus.config.ts": """
                import type {Config} from '@docusaurus/types';
                import {site} from './data/site';
                const config: Config = {
                  url: site.url, baseUrl: '/base/', trailingSlash: true, staticDirectories: ['public', 'static'],
                  i18n: {defaultLocale: 'en', locales: ['en', 'zh-CN', 'fr'],
                         localeConfigs: {fr: {htmlLang: 'fr-FR', path: 'french'}, 'zh-CN': {baseUrl: '/base/zh/'}}},
                  presets: [['@docusaurus/preset-classic',
                    /** @type {Options} */ ({docs: false, blog: {routeBasePath: '/'}})]],
                  plugins: [
                    require.resolve('some-plugin'), function () { return {name: 'x'} },
                    ['@docusaurus/plugin-content-blog', {
                      id: 'notes', path: './notes', routeBasePath: 'n', exclude: ['**/old/**'],
                      authorsMapPath: 'people.yml', readingTime: ({content}) => content.length}],
                  ],
                } satisfies Config;
                export default config;""",
            "data/site.ts": "export const site = {url: 'https://example.org'}",
            "blog/authors.yml": "ann:\n  name: Ann Oe\n",
            "notes/people.yml": "bo: {name: Bo Ek, title: x}\n",
            "i18n/zh-CN/docusaurus-plugin-content-blog/a.md": "",
            "i18n/french/docusaurus-plugin-content-blog-notes/a.md": "",
        },
    )
    assert site.base_url == "https://example.org/base" and site.trailing_slash is True and site.static == ("public", "static")
    assert site.language == "en" and site.languages == (
        SiteLanguage("en"),
        SiteLanguage("zh-CN", "", "zh"),
        SiteLanguage("fr", "", "fr", tag="fr-FR"),
    )
    assert places(site) == {
        "blog": ("article", "", ""),
        "i18n/zh-CN/docusaurus-plugin-content-blog": ("article", "zh-CN", "zh"),
        "notes": ("article", "", "n"),
        "i18n/french/docusaurus-plugin-content-blog-notes": ("article", "fr", "fr/n"),
        "src/pages": ("page", "", ""),
    }
    assert dict(site.authors) == {"ann": "Ann Oe", "bo": "Bo Ek"} and site.exclude == ("/notes/**/old/**",)
    assert site.missing == () and site.sources[0] == "docusaurus.config.ts" and "data/site.ts" in site.sources


def test_docusaurus_has_the_labels_of_tags_in_a_file(read: Read) -> None:
    site = read(
        "docusaurus",
        {
            "docusaurus.config.js": "module.exports = {presets: [['classic', {blog: {}}]]}",
            "blog/tags.yml": "rain:\n  label: Days of rain\nsnow: {permalink: /white}\n",
        },
    )
    assert site.tags == (("rain", "Days of rain"),)


def test_docusaurus_without_a_blog_has_none_and_one_rewritten_plugin_counts_as_it_ends(read: Read) -> None:
    config = "module.exports = {presets: [['classic', {blog: false}]], plugins: [['./src/plugin-content-blog', {path: 'b'}]]}"
    assert places(read("docusaurus", {"docusaurus.config.js": config})) == {
        "docs": ("page", "", "docs"),
        "b": ("article", "", "blog"),
        "src/pages": ("page", "", ""),
    }


# -- Astro ----------------------------------------------------------------------------


def test_astro_has_collections_with_the_routes_that_ask_for_them(read: Read) -> None:
    site = read(
        "astro",
        {
            "astro.config.mjs": """
                import {defineConfig} from 'astro/config'; import {SITE} from './src/consts';
                export default defineConfig({site: SITE.website, base: '/b', trailingSlash: 'never', build: {format: 'file'},
                  integrations: [mdx(), sitemap({filter: (page) => !page.includes('x')})]});""",
            "src/consts.ts": "export const SITE = {website: 'https://example.org/', author: 'Ann Oe', lang: 'fr'} as const;",
            "src/content.config.ts": """
                const essays = defineCollection({schema,
                  loader: glob({pattern: ['**/*.md', '!**/wip/**'], base: './content/essays'})});
                const notes = defineCollection({loader: glob({pattern: 'src/data/notes/**/[^_]*.{md,mdx}'})});
                export const collections = {essays, notes};""",
            "src/pages/writing/[...slug].astro": "---\nawait getCollection('essays', ({data}) => !data.draft)\n---\n",
            "src/pages/[slug]/index.astro": '---\ngetCollection("notes")\n---\n',
            "src/pages/tags/[tag].astro": "---\ngetCollection('essays')\n---\n",
            "src/pages/about.md": "# About",
        },
    )
    assert site.base_url == "https://example.org/b" and site.trailing_slash is False and site.ugly
    assert site.language == "fr" and site.defaults == (Defaults("", "", (("author", "Ann Oe"),)),)
    assert site.roots == (
        ContentRoot("content/essays", prefix="writing", collection="essays", pattern="**/*.md"),
        ContentRoot("src/data/notes", prefix="", collection="notes", pattern="**/[^_]*.{md,mdx}"),
        ContentRoot("src/pages", "page"),
    )
    assert site.exclude == ("/content/essays/**/wip/**",) and site.missing == () and site.sources[0] == "astro.config.mjs"


def test_astro_of_old_has_folders_of_content_and_articles_among_its_pages(read: Read) -> None:
    site = read(
        "astro",
        {
            "astro.config.ts": "export default defineConfig({})",
            "src/content/config.ts": "const posts = defineCollection({schema})\nexport const collections = { posts }",
            "src/content/posts/a.md": "",
            "src/content/other/a.md": "",
            "src/pages/posts/[...slug].astro": "---\nimport {getSortedPosts} from '@utils'\n---",
            "src/pages/blog/b.md": "",
        },
    )
    assert places(site) == {
        "src/content/posts": ("article", "", "posts"),
        "src/pages": ("page", "", ""),
        "src/pages/blog": ("article", "", "blog"),
    }
    assert site.missing == ("store.site",) and "/src/content/posts/**/_*" in site.exclude


def test_a_page_of_astro_may_take_addresses_from_headers_and_its_site_from_options_of_a_theme(read: Read) -> None:
    files = {
        "astro.config.mjs": "const {url: address} = theme.site; export default defineConfig({site: address})",
        "src/config.ts": "export const theme = {site: {title: 'Oars', url: 'https://example.org'}}",
        "src/content/blog/oars.md": "",
        "src/pages/[...slug].astro": "---\nconst all = await getCollection('blog')\nall.map((a) => a.data.permalink)\n---\n",
    }
    site = read("astro", files)
    assert site.base_url == "https://example.org" and site.fields == (("address", ("permalink",)),)
    assert read("astro", {"src/pages/[...slug].astro": "---\nawait getCollection('blog')\n---\n"}).fields == ()


def test_ids_that_code_of_astro_makes_are_named_as_missing(read: Read) -> None:
    site = read(
        "astro",
        {
            "astro.config.mjs": "export default defineConfig({site: 'https://example.org'})",
            "src/content.config.ts": """const blog = defineCollection({loader: glob({pattern: '**/*.md', base: './entries',
                generateId: ({entry}) => entry.slice(11)})}); export const collections = {blog}""",
            "src/pages/[...slug].astro": "---\ngetCollection('blog')\n---\n",
        },
    )
    assert site.missing == ("store.permalink",) and ContentRoot("entries", collection="blog", pattern="**/*.md") in site.roots


def test_the_texts_of_starlight_stand_at_the_root_of_the_site(read: Read) -> None:
    site = read(
        "astro",
        {
            "astro.config.mjs": """import starlight from '@astrojs/starlight';
                export default defineConfig({site: 'https://example.org', integrations: [starlight({title: 'A'})]})""",
            "src/content.config.ts": "export const collections = { docs: defineCollection({ loader: docsLoader() }) };",
            "src/content/docs/blog/oars.md": "",
        },
    )
    assert [(root.path, root.prefix) for root in site.roots if root.role == "article"] == [("src/content/docs", "")]
    assert site.missing == ()


def test_the_sources_of_astro_may_be_the_root_itself(read: Read) -> None:
    site = read("astro", {"astro.config.mjs": "export default defineConfig({srcDir: '.'})", "content/blog/oars.md": ""})
    assert [(root.path, root.role) for root in site.roots] == [("content/blog", "article"), ("pages", "page")]


def test_astro_in_languages_has_their_folders(read: Read) -> None:
    site = read(
        "astro",
        {
            "astro.config.mjs": """export default defineConfig({site: 'https://example.org', i18n: {defaultLocale: 'en',
                locales: ['en', {path: 'es', codes: ['es-419', 'es']}], routing: {prefixDefaultLocale: true}}})""",
            "src/content/blog/en/a.md": "",
            "src/content/blog/es/a.md": "",
            "src/pages/[lang]/blog/[...slug].astro": "---\ngetCollection('blog')\n---",
        },
    )
    assert site.languages == (SiteLanguage("en", "", "en"), SiteLanguage("es-419", "", "es"))
    assert places(site) == {
        "src/content/blog": ("article", "", "blog"),
        "src/content/blog/en": ("article", "en", "en/blog"),
        "src/content/blog/es": ("article", "es-419", "es/blog"),
        "src/pages": ("page", "", ""),
    }


# -- Eleventy -------------------------------------------------------------------------


def test_eleventy_has_collections_and_inherits_by_folder(read: Read) -> None:
    site = read(
        "eleventy",
        {
            "eleventy.config.js": """
                export default async function (eleventyConfig) {
                  eleventyConfig.addPassthroughCopy({"./public/": "/"}).addPassthroughCopy("img");
                  eleventyConfig.ignores.add("content/old");
                  eleventyConfig.addCollection("articles",
                    (api) => api.getFilteredByGlob(["content/essays/**/*.md"]).reverse());
                };
                export const config = {pathPrefix: "/p/",
                  dir: {input: "content", includes: "../_includes", data: "../_data"}};""",
            "content/blog/blog.11tydata.js": "module.exports = {tags: ['posts'], author: {name: 'Ann Oe'}, permalink: d => d}",
            "content/links/links.json": '{"tags": "links", "permalink": false}',
            "content/blog/one.11tydata.json": '{"draft": true}',
            "_data/metadata.js": "export default {url: 'https://example.org/', language: 'fr', author: {name: 'Bo Ek'}}",
            ".eleventyignore": "# no\n\\_wip/\ncontent/tmp\n!keep\n",
            ".gitignore": "node_modules\n",
        },
    )
    assert site.base_url == "https://example.org/p" and site.language == "fr" and site.static == ("public", "", "content")
    assert {(root.path, root.prefix, root.collection) for root in site.roots} == {
        ("content", "", ""),
        ("content/blog", "blog", "posts"),
        ("content/essays", "essays", "articles"),
    }
    assert set(site.defaults) == {
        Defaults("", "", (("author", "Bo Ek"),)),
        Defaults("content/blog", "", (("tags", "posts"), ("author", "Ann Oe"))),
        Defaults("content/blog/one.*", "", (("draft", "true"),)),
        Defaults("content/links", "", (("tags", "links"), ("permalink", "false"))),
    }
    assert site.exclude == ("/_data/**", "/_site/**", "/_includes/**", "_wip", "/content/tmp", "node_modules", "/content/old")
    assert site.missing == ("store.permalink",)


def test_what_the_layout_of_a_folder_of_eleventy_says_counts_for_its_files(read: Read) -> None:
    site = read(
        "eleventy",
        {
            ".eleventy.js": """module.exports = (config) => {
                config.addLayoutAlias('entry', 'layouts/entry.njk'); return {dir: {input: 'src'}} }""",
            "src/_includes/layouts/entry.njk": "---\nlayout: layouts/base\ntags: posts\npermalink: /{{ title }}/\n---\n",
            "src/_includes/layouts/base.njk": "---\nlang: en\n---\n{{ content }}",
            "src/walks/walks.json": '{"layout": "entry", "author": "Ann"}',
            "src/walks/rain.md": "",
            "src/_includes/layouts/broken.njk": "---\na: [\n---\n",
            "src/rest/rest.json": '{"layout": "layouts/broken.njk"}',
        },
    )
    of_walks = next(dict(one.values) for one in site.defaults if one.scope == "src/walks")
    assert of_walks == {"layout": "entry", "lang": "en", "tags": "posts", "permalink": "/{{ title }}/", "author": "Ann"}
    assert ContentRoot("src/walks", prefix="walks", collection="posts") in site.roots and not site.faults


def test_eleventy_of_old_returns_its_configuration(read: Read) -> None:
    config = "module.exports = c => { c.setUseGitIgnore(false); return {dir: {input: './src/', output: 'www'}} }"
    files = {".eleventy.js": config, ".gitignore": "src", "src/_data/site.json": '{"url": "http://localhost:8080"}'}
    site = read("eleventy", files)
    assert site.roots == (ContentRoot("src"),) and site.exclude == ("/src/_data/**", "/www/**", "/src/_includes/**")
    assert site.missing == ("store.site",)


# -- VuePress, VitePress -----------------------------------------------------------------


def test_vuepress_has_languages_and_the_address_of_its_plugins(read: Read) -> None:
    site = read(
        "vuepress",
        {
            ".vuepress/config.ts": """
                import theme from "./theme.js"; import { defineUserConfig } from "vuepress";
                export default defineUserConfig({base: "/v/", locales: {"/": {lang: "zh-CN"}, "/en/": {lang: "en-US"}}, theme,
                  dest: "./out", pagePatterns: ["**/*.md", "!**/*.snippet.md"], permalinkPattern: "/:year/:slug.html"});""",
            ".vuepress/theme.ts": """export default hopeTheme({hostname: "https://example.org", author: {name: "Ann Oe"},
                encrypt: {config: {"/secret/": ["1"], "/posts/one.html": "2"}}}, { custom: true })""",
        },
    )
    assert site.base_url == "https://example.org/v" and site.language == "zh-CN" and site.missing == ()
    assert site.languages == (SiteLanguage("zh-CN"), SiteLanguage("en-US", "en", "en"))
    assert places(site) == {"": ("article", "zh-CN", ""), "en": ("article", "en-US", "en")}
    assert site.permalinks == (("", "/:year/:slug.html"),) and site.exclude == ("/out/**", "**/*.snippet.md")
    assert site.defaults == (Defaults("", "", (("author", "Ann Oe"),)),) and site.static == (".vuepress/public",)
    assert [(rule.state, rule.folders, rule.files) for rule in site.rules] == [
        ("withheld", ("secret",), ()),
        ("withheld", ("posts",), ("one.*",)),
    ]


def test_a_type_may_stand_before_a_configuration(read: Read) -> None:
    config = "export default <UserConfig<Map<string, Theme>>>defineUserConfig({base: '/b/', theme: t({hostname: 'https://example.org'})})"
    site = read("vuepress", {".vuepress/config.ts": config})
    assert site.base_url == "https://example.org/b" and site.option("slugs") == "vuepress"


def test_vuepress_of_old_has_blogs_of_a_plugin(read: Read) -> None:
    config = """module.exports = {plugins: [['@vuepress/blog', {sitemap: {hostname: 'example.org'}, directories: [
        {id: 'post', dirname: '_posts', path: '/', itemPermalink: '/p/:slug'}, {id: 'x', dirname: '_x'}]}]]}"""
    site = read("vuepress", {".vuepress/config.js": config})
    assert site.base_url == "https://example.org"
    assert [(root.path, root.collection) for root in site.roots] == [("", ""), ("_posts", "post"), ("_x", "x")]
    assert site.permalinks == (("post", "/p/:slug"), ("x", "/:year/:month/:day/:slug"))


def test_vitepress_has_its_source_folder_and_rewritten_addresses(read: Read) -> None:
    site = read(
        "vitepress",
        {
            ".vitepress/config/index.mts": """
                export default defineConfig({lang: 'en-US', srcDir: './src', srcExclude: ['**/README.md'], cleanUrls: true,
                  base: '/b/', sitemap: {hostname: 'https://example.org'}, rewrites: {'pkg/:name/a.md': ':name/a.md'},
                  locales: {root: {label: 'English', lang: 'en'}, de: {label: 'Deutsch', lang: 'de-DE'}}})"""
        },
    )
    assert site.base_url == "https://example.org/b" and site.option("cleanUrls") == "true"
    assert site.option("rewrites") == "pkg/:name/a.md :name/a.md" and site.exclude == ("/src/**/README.md",)
    assert places(site) == {"src": ("article", "en", ""), "src/de": ("article", "de-DE", "de")}
    assert site.static == ("src/public",) and site.missing == ()


def test_vitepress_names_addresses_that_code_rewrites(read: Read) -> None:
    site = read("vitepress", {".vitepress/config.ts": "export default {rewrites: (id) => id.slice(1)}"})
    assert site.missing == ("store.site", "store.permalink") and site.option("cleanUrls") == "false"


# -- Pelican ----------------------------------------------------------------------------


def test_pelican_is_read_as_it_is_published(read: Read) -> None:
    site = read(
        "pelican",
        {
            "pelicanconf.py": """
AUTHOR = u'Ann Oe'
SITEURL = ''
PATH = 'content'
TIMEZONE = 'Europe/Paris'
DEFAULT_LANG = 'fr'
ARTICLE_PATHS = ['posts', 'news']
ARTICLE_EXCLUDES = ['posts/old']
PAGE_PATHS = ['info']
ARTICLE_URL = '{date:%Y}/{slug}/'
ARTICLE_LANG_URL = '{lang}/{slug}/'
SLUGIFY_SOURCE = 'basename'
USE_FOLDER_AS_CATEGORY = False
WITH_FUTURE_DATES = False
DEFAULT_DATE = (2012, 3, 2, 14)
DEFAULT_METADATA = {'status': 'draft'}
EXTRA_PATH_METADATA = {'posts/guest': {'author': 'Bo Ek'}, 'extra/a.ico': {'path': 'a.ico'}}
FILENAME_METADATA = r'(?P<date>\\d{4}-\\d{2}-\\d{2})_(?P<slug>.*)'
""",
            "publishconf.py": "import os\nfrom pelicanconf import *\nSITEURL = 'https://example.org'\n",
        },
    )
    assert (site.base_url, site.timezone, site.language, site.future) == ("https://example.org", "Europe/Paris", "fr", False)
    assert places(site) == {
        "content/posts": ("article", "", ""),
        "content/news": ("article", "", ""),
        "content/info": ("page", "", "pages"),
    }
    assert site.permalinks == (("", "{date:%Y}/{slug}/"),) and site.option("ARTICLE_LANG_URL") == "{lang}/{slug}/"
    assert site.option("SLUGIFY_SOURCE") == "basename" and site.option("USE_FOLDER_AS_CATEGORY") == "false"
    assert site.defaults == (
        Defaults("", "", (("author", "Ann Oe"), ("status", "draft"), ("date", "2012-03-02 14:00"))),
        Defaults("content/posts/guest", "", (("author", "Bo Ek"),)),
    )
    assert site.exclude == ("/content/posts/old/**", "/output/**") and len(site.name_dates) == 1 and site.missing == ()
    assert site.sources == ("pelicanconf.py", "publishconf.py")


def test_pelican_takes_the_folder_of_an_article_as_its_category(read: Read) -> None:
    site = read("pelican", {"pelicanconf.py": "ARTICLE_PATHS = ['blog']\nTIMEZONE = zone()", "content/blog/a.md": ""})
    assert Defaults("content/blog/*.md", "", (("category", "blog"),)) in site.defaults
    assert site.missing == ("store.site", "store.timezone")


# -- what is wrong, and what is meant to harm ------------------------------------------------


def test_what_cannot_be_read_is_a_fault_in_words(read: Read, tmp_path: Path) -> None:
    assert read("pelican", {"pelicanconf.py": "print 'two'"}).faults == ("pelicanconf.py: it is not Python 3",)
    assert read("astro", {"astro.config.mjs": "/" * (MAX_BYTES + 1)}).faults == ("astro.config.mjs: is larger than 256 KB",)
    (tmp_path / "docusaurus.config.js").write_bytes(b"\xff\xfe")
    assert read("docusaurus", {}).faults == ("docusaurus.config.js: is not UTF-8",)
    faults = read("docusaurus", {"docusaurus.config.js": "", "blog/authors.yml": "a: [b"}).faults
    assert len(faults) == 1 and faults[0].startswith("blog/authors.yml: line ")
    assert read("eleventy", {"blog/blog.json": "tags: a"}).faults == ("blog/blog.json: it is not JSON",)


def test_nothing_outside_of_the_folder_is_read(read: Read, tmp_path: Path) -> None:
    site = tmp_path / "site"
    (tmp_path / "secret.js").write_text("module.exports = {url: 'https://secret.example'}", "utf-8")
    site.mkdir()
    (site / "link.js").symlink_to(tmp_path / "secret.js")
    (site / "docusaurus.config.js").write_text("module.exports = {...require('../secret'), ...require('./link.js')}", "utf-8")
    found = READERS["docusaurus"](str(site))
    assert found.base_url == "" and found.sources == ("docusaurus.config.js",)
    (site / "pelicanconf.py").symlink_to(tmp_path / "secret.js")
    assert READERS["pelican"](str(site)).sources == ()


def test_a_configuration_is_never_run(read: Read, tmp_path: Path) -> None:
    proof = tmp_path / "run"
    read("pelican", {"pelicanconf.py": f"open({str(proof)!r}, 'w').close()"})
    read("eleventy", {".eleventy.js": f"require('fs').writeFileSync({str(proof)!r}, ''); module.exports = {{}}"})
    assert not proof.exists()


def test_a_pipe_in_place_of_a_configuration_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pelicanconf.py")
    assert READERS["pelican"](str(tmp_path)).sources == ()


NAMES = {
    "docusaurus": ("docusaurus.config.js", "blog/authors.yml"),
    "astro": ("astro.config.mjs", "src/content.config.ts", "src/consts.ts", "src/pages/blog/[...slug].astro"),
    "eleventy": (".eleventy.js", "blog/blog.json", "_data/site.js", ".eleventyignore"),
    "vuepress": (".vuepress/config.js", ".vuepress/theme.js"),
    "vitepress": (".vitepress/config.mts", "x.md"),
    "pelican": ("pelicanconf.py", "publishconf.py"),
}
KEYS = st.sampled_from(
    "url site base baseUrl i18n locales defaultLocale localeConfigs presets plugins blog path routeBasePath id dir input "
    "output "
    "data collections loader theme encrypt config rewrites srcDir srcExclude cleanUrls sitemap hostname directories dirname "
    "dest tags author pathPrefix trailingSlash build format PATH ARTICLE_PATHS PAGE_PATHS TIMEZONE EXTRA_PATH_METADATA "
    "DEFAULT_METADATA SITEURL".split()
)
VALUES = st.recursive(
    st.sampled_from(
        ("null", "true", "1", "'a/b'", "'..'", "'/'", "''", "'https://example.org'", "'\\0'", "f()", "x", "'[*'", "'classic'")
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda found: f"[{', '.join(found)}]"),
        st.lists(st.tuples(KEYS, inner), max_size=4).map(lambda found: "{" + ", ".join(f"'{a}': {b}" for a, b in found) + "}"),
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("kind", READERS)
@settings(max_examples=some(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_configuration_is_an_error(tmp_path: Path, kind: str, data: st.DataObject) -> None:
    for name in NAMES[kind]:
        if kind == "pelican":
            pairs = data.draw(st.lists(st.tuples(KEYS, VALUES), max_size=4))
            text = "\n".join(f"{key} = {value}" for key, value in pairs)
        elif name.endswith("content.config.ts"):
            text = f"export const collections = {{a: f({data.draw(VALUES)}), b: glob({data.draw(VALUES)})}}"
        else:
            value = data.draw(VALUES)
            text = value if name.endswith((".json", ".yml", "ignore")) else f"module.exports = {value}"
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    site = READERS[kind](str(tmp_path))
    assert site.kind == kind and all(not root.path.startswith(("/", "..")) for root in site.roots)
    hash(site)
