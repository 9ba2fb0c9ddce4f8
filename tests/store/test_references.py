"""What links and pictures lead to, by the rules of each generator."""

from __future__ import annotations

import posixpath
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feeds.store.kinds import KINDS, ContentRoot, GeneratorSite
from feeds.store.links.references import Reference, resolve_reference
from feeds.store.places import bundle_folders, place_of
from tests.examples import some

SITES: dict[str, dict[str, Any]] = {
    "hugo": {"roots": (ContentRoot("content"),), "base_url": "https://example.org/notes"},
    "jekyll": {"base_url": "https://example.org/press"},
    "hexo": {"roots": (ContentRoot("source/_posts"),), "options": (("post_asset_folder", "true"),)},
    "docusaurus": {"roots": (ContentRoot("blog", prefix="blog"),), "base_url": "https://example.org/site"},
    "astro": {"roots": (ContentRoot("src/content/blog", prefix="blog"),), "base_url": "https://example.org"},
    "vuepress": {"roots": (ContentRoot("docs"),), "base_url": "https://example.org/v"},
    "pelican": {"roots": (ContentRoot("content"),), "base_url": "https://example.org"},
}


def resolved(kind: str, path: str, address: str, reference: str, **site: Any) -> Reference:
    generator = GeneratorSite(kind, **SITES.get(kind, {}) | site)
    place = place_of(generator, path, bundle_folders(generator, [path]))
    picture = reference.startswith("!")
    return resolve_reference(generator, KINDS[kind], place, address, reference.removeprefix("!"), picture)


@pytest.mark.parametrize(
    ("kind", "path", "address", "reference", "expected"),
    [
        # In Hugo, Hexo and Jekyll browsers resolve against the address; "/" is the root of the host.
        ("hugo", "content/posts/lake/index.md", "/en/posts/lake/", "!bridge.png", ("site", "/notes/en/posts/lake/bridge.png")),
        ("hugo", "content/posts/x.md", "/posts/x/", "!../pics/a b.png", ("site", "/notes/posts/pics/a%20b.png")),
        ("hugo", "content/posts/x.md", "/posts/x/", "!/img/pot.png", ("site", "/img/pot.png")),
        ("hugo", "content/posts/x.md", "/posts/x/", "../y/#part", ("site", "/notes/posts/y/#part")),
        ("hugo", "content/posts/lake/index.md", "/posts/lake/", "note.md", ("article", "content/posts/lake/note.md")),
        ("hugo", "content/posts/x.md", "/posts/x/", "/posts/y.md#a", ("article", "content/posts/y.md", "#a")),
        (
            "hexo",
            "source/_posts/deep/asset.md",
            "/2023/08/02/deep/asset/",
            "!moon.png",
            ("site", "/2023/08/02/deep/asset/moon.png"),
        ),
        ("hexo", "source/_posts/deep/asset.md", "/2023/deep/asset/", "!asset/moon.png", ("site", "/2023/deep/asset/moon.png")),
        ("jekyll", "_posts/2024-01-02-x.md", "/2024/x.html", "y.html", ("site", "/press/2024/y.html")),
        ("jekyll", "_posts/2024-01-02-x.md", "/2024/x.html", "!/assets/p.png", ("site", "/press/assets/p.png")),
        ("jekyll", "_posts/2024-01-02-x.md", "/2024/x.html", "!/press/assets/p.png", ("site", "/press/assets/p.png")),
        ("jekyll", "_posts/2024-01-02-x.md", "/2024/x.html", "/about/", ("site", "/about/")),
        # Docusaurus, Astro and Vue build what lies beside the file; "/" is the root of the site.
        ("docusaurus", "blog/b/index.mdx", "/blog/b", "!./cover.png", ("file", "blog/b/cover.png")),
        ("docusaurus", "blog/b/index.mdx", "/blog/b", "./paper.pdf", ("file", "blog/b/paper.pdf")),
        ("docusaurus", "blog/b/index.mdx", "/blog/b", "!/img/x.png", ("site", "/site/img/x.png")),
        ("docusaurus", "blog/b/index.mdx", "/blog/b", "!@site/static/img/x.png", ("site", "/site/img/x.png")),
        ("docusaurus", "blog/b/index.mdx", "/blog/b", "@site/docs/a.md", ("article", "docs/a.md")),
        ("docusaurus", "blog/b/index.mdx", "/blog/b", "../c.md?x#y", ("article", "blog/c.md", "?x#y")),
        ("docusaurus", "blog/b/index.mdx", "/blog/b", "/docs/intro", ("site", "/site/docs/intro")),
        ("astro", "src/content/blog/x.md", "/blog/x/", "!../../assets/dawn.png", ("file", "src/assets/dawn.png")),
        ("astro", "src/content/blog/x.md", "/blog/x/", "!~/assets/dawn.png", ("file", "src/assets/dawn.png")),
        ("astro", "src/content/blog/x.md", "/blog/x/", "!/dawn.png", ("site", "/dawn.png")),
        ("vuepress", "docs/posts/snow.md", "/posts/snow.html", "!/img/snow.png", ("site", "/v/img/snow.png")),
        ("vuepress", "docs/posts/snow.md", "/posts/snow.html", "./rain.html", ("site", "/v/posts/rain.html")),
        ("vuepress", "docs/posts/snow.md", "/posts/snow.html", "!./s.png", ("file", "docs/posts/s.png")),
        ("pelican", "content/tools/h.md", "/blog/h/", "{static}/images/h.png", ("site", "/images/h.png")),
        ("pelican", "content/tools/h.md", "/blog/h/", "%7Bstatic%7Dh.png", ("site", "/tools/h.png")),
        ("pelican", "content/tools/h.md", "/blog/h/", "|filename|../other.md#x", ("article", "content/other.md", "#x")),
        ("pelican", "content/tools/h.md", "/blog/h/", "!{attach}pic/h.png", ("site", "/blog/h/h.png")),
        ("pelican", "content/tools/h.md", "/blog/h/", "{tag}Big Steel", ("site", "/tag/big-steel.html")),
        # Without addresses of a generator, all is relative to the file.
        ("obsidian", "Garden/Seeds.md", "", "Compost.md#Warmth", ("article", "Garden/Compost.md", "#Warmth")),
        ("obsidian", "Garden/Seeds.md", "/seeds", "!plan%20b.png", ("file", "Garden/plan b.png")),
        ("plain", "2024/one.md", "", "!img/a.png", ("file", "2024/img/a.png")),
        ("hugo", "content/posts/x.md", "", "!a.png", ("file", "content/posts/a.png")),
        # What leads above the root of a host stays at the root.
        ("hugo", "content/x.md", "/x/", "../../../a", ("site", "/a")),
        ("hugo", "content/x.md", "https://example.org/x/", "../../../a", ("site", "/a")),
        ("jekyll", "_posts/2024-01-01-x.md", "/x/", "!../../../../a.png", ("site", "/a.png")),
        ("docusaurus", "blog/b/index.mdx", "/blog/b", "/../../a", ("site", "/a")),
        ("hugo", "content/x.md", "/x/", "/%2Fcdn.example/a.png", ("site", "/cdn.example/a.png")),
        ("hugo", "content/x.md", "/x/", "%2F%2Fcdn.example/a.png", ("site", "/cdn.example/a.png")),
        # What names a host or a part of the page stays.
        ("hugo", "content/x.md", "/x/", "https://example.com/a.md", ("absolute", "https://example.com/a.md")),
        ("hugo", "content/x.md", "/x/", "//cdn.example/a.png", ("absolute", "//cdn.example/a.png")),
        ("hugo", "content/x.md", "/x/", "mailto:a@example.org", ("absolute", "mailto:a@example.org")),
        ("hugo", "content/x.md", "/x/", "#part", ("relative", "#part")),
        ("plain", "one.md", "", "../../etc/passwd", ("relative", "../../etc/passwd")),
        ("plain", "one.md", "", "!../secret.png", ("relative", "../secret.png")),
    ],
)
def test_a_reference_means_what_its_generator_makes_of_it(
    kind: str, path: str, address: str, reference: str, expected: tuple[str, ...]
) -> None:
    assert resolved(kind, path, address, reference) == Reference(*expected)


def test_files_beside_a_store_inside_its_generator_are_reached_by_their_way() -> None:
    site = {"below": "content", "roots": (ContentRoot("content"),)}
    assert resolved("hugo", "posts/x.md", "", "!../../assets/a.png", **site) == Reference("file", "../assets/a.png")
    assert resolved("hugo", "posts/x.md", "", "/posts/y.md", **site) == Reference("article", "posts/y.md")
    assert resolved("hugo", "posts/x.md", "", "../../../a.md", **site) == Reference("relative", "../../../a.md")


_PARTS = st.sampled_from(
    [
        "..",
        "../../../..",
        "%2f",
        "a",
        "b.md",
        "x.png",
        "{static}",
        "@site/",
        "~/",
        "%2e%2e",
        "",
        "#",
        "?",
        "://",
        "\0",
        "中",
        "\ud800",
    ]
)


@settings(max_examples=some(400), deadline=None)
@given(
    kind=st.sampled_from(sorted(KINDS)),
    reference=st.lists(_PARTS | st.text(max_size=4), max_size=8).map("/".join),
    address=st.sampled_from(["", "/x/y/", "/x.html", "https://example.org/x/"]),
    picture=st.booleans(),
)
def test_no_file_outside_the_generators_folder_is_ever_named(kind: str, reference: str, address: str, picture: bool) -> None:
    site = GeneratorSite(kind, below="store", base_url="https://example.org/base")
    place = place_of(site, "posts/x.md")
    found = resolve_reference(site, KINDS[kind], place, address, reference, picture)
    if found.kind in ("article", "file"):
        assert not posixpath.normpath(posixpath.join("store", found.path)).startswith(("..", "/"))
    if found.kind == "site":
        assert found.path.startswith("/") and not found.path.startswith("//")
