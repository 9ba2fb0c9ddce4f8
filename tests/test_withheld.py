"""What is withheld is in no output: feeds, pages, lists, search, digests, exports, reports, the articles beside it.

Stores of every kind are made of published articles and of files that something withholds, in any spelling. Each of these says a
secret word in its title, its body and every field; nothing that leaves the site may hold one.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.test import Client

from feeds.catalog import queries
from feeds.cli import main
from feeds.newsletter import NewsletterContext, digests
from feeds.newsletter.issues.preview import PreviewRequest
from feeds.web.app import create_app

from .conftest import NOW, Site
from .examples import some
from .newsletter.conftest import MONDAY, Mailing
from .test_privacy import everything_published

#: Where each kind has its articles.
FOLDERS: Mapping[str, str] = {
    "archive": "",
    "lctt": "published/",
    "hugo": "content/posts/",
    "jekyll": "_posts/2024-01-02-",
    "hexo": "source/_posts/",
    "docusaurus": "blog/",
    "astro": "src/content/blog/",
    "eleventy": "posts/",
    "vuepress": "posts/",
    "vitepress": "posts/",
    "pelican": "content/",
    "obsidian": "",
    "plain": "",
}
YES = st.sampled_from(["true", "True", "TRUE", "yes", "Yes", "on", "1", '"true"', "'yes'", "y", "'1'", "maybe"])
NAY = st.sampled_from(["false", "False", "FALSE", "no", "off", "0", '"false"', "'no'", "n"])
PAST = st.sampled_from(["2019-01-01", "2019-01-01T00:00:00Z", '"2019-01-01 10:00:00"', "2019-01-01 10:00:00 +0800"])
FUTURE = st.sampled_from(["2031-01-01", "2031-01-01T00:00:00Z", '"2031-01-01 10:00:00"', "2031-01-01T10:00:00+08:00"])
#: Field -> what withholds by it.
FIELDS: Mapping[str, st.SearchStrategy[str]] = {
    **dict.fromkeys(("draft", "isDraft", "unlisted", "hidden", "private", "encrypt", "encrypted", "headless"), YES),
    **dict.fromkeys(("eleventyExcludeFromCollections", "草稿", "hide"), st.sampled_from(["true", "yes", "'true'", "1"])),
    **dict.fromkeys(("published", "publish", "isPublished", "public", "listed", "dg-publish"), NAY),
    "permalink": st.sampled_from(["false", "False", "'false'"]),
    "password": st.sampled_from(["abc", "123", "'0000'"]),
    "status": st.sampled_from(["draft", "Draft", "hidden", "skip", "private", "'DRAFT'", "unlisted", "pending"]),
    "visibility": st.sampled_from(["private", "unlisted", "hidden"]),
    "_build": st.sampled_from(["{list: never, render: never}", "{list: never}", "{render: false}"]),
    "expiryDate": PAST,
    "unpublishDate": PAST,
    "date": FUTURE,
    "publishDate": FUTURE,
}
QUOTES = "\"'"
#: What a kind has no word for: the archive's files are flat and its folders say nothing, Pelican's headers are plain text.
UNKNOWN: Mapping[str, tuple[str, ...]] = {"archive": ("_build",), "pelican": ("_build", "草稿")}
DRAFTS = st.sampled_from(["drafts/", "_drafts/", "draft/"])


def spell(field: str, how: int) -> str:
    """A field in one of the ways in which people write it."""
    return (field, field.upper(), field.title() if field.isascii() else field, field.lower())[how]


@st.composite
def stores(draw: st.DrawFn) -> tuple[str, dict[str, str], list[str]]:
    """A kind, path -> text of all files, and what withholds each secret."""
    kind = draw(st.sampled_from(sorted(FOLDERS)))
    files, ways = {}, []
    names = draw(st.lists(st.sampled_from(sorted(FIELDS.keys() - UNKNOWN.get(kind, ()))), min_size=4, max_size=8, unique=True))
    for number, field in enumerate(names):
        name = field if kind == "eleventy" else spell(field, draw(st.integers(0, 3)))
        value = draw(FIELDS[field])
        line = f"{name}: {value.strip(QUOTES) if kind == 'pelican' else value}"
        path = f"{FOLDERS[kind]}held-{number}.md"
        files[path] = article(kind, f"zqsecret{number}", line)
        ways.append(line)
    number = len(names)
    above, _, name = FOLDERS[kind].rpartition("/")
    if kind != "archive":
        folder = draw(DRAFTS)
        files[f"{above}/{folder}{name}held-{number}.md".lstrip("/")] = article(kind, f"zqsecret{number}")
        ways.append(folder)
    beside = "".join(f'[see](./held-{n}.md) [[held-{n}]] {{{{< ref "held-{n}.md" >}}}}\n\n' for n in range(number + 1))
    for n in range(3):
        files[f"{FOLDERS[kind]}open-{n}.md"] = article(kind, f"open word {n}", body=beside if n == 1 else "")
    return kind, files, ways


def article(kind: str, word: str, line: str = "", body: str = "") -> str:
    """An article that says a word wherever it can, with one more line in its header."""
    tag = word.replace(" ", "-")
    fields = {
        "title": f"{word} title",
        "date": "2024-01-02 03:04:05",
        "tags": f"[common, {tag}]",
        "category": tag,
        "author": word,
        "translator": word,
        "description": f"{word} summary",
        "series": tag,
        "slug": f"{tag}-slug",
        "cover": f"/{tag}.png",
        "aliases": f"[/{tag}-old/]",
    }
    if kind == "pelican":
        fields |= {"tags": f"common, {tag}", "aliases": f"/{tag}-old/"}
    name, _, _value = line.partition(":")
    header = "".join(f"{key}: {text}\n" for key, text in fields.items() if key != name.lower())
    return f"---\n{header}{line + chr(10) if line else ''}---\n\nCommon words, {word}.\n\n{body}"


def all_outputs(site: Site, *, kept: bool = True) -> bytes:
    """`everything_published`, and what else a reader can ask for or gets by mail."""
    parts = [everything_published(site, kept=kept)]
    client = Client(create_app(site.environment))
    pages = [f"/{facet}/" for facet in ("authors", "categories", "series", "languages")]
    pages += [
        "/search?q=common",
        "/search?q=words",
        "/search?q=title",
        "/select",
        "/select?tag=common",
        "/feeds.opml",
        "/tags.opml",
    ]
    pages += [f"/select.{extension}?tag=common" for extension in ("atom", "rss", "json", "html")]
    pages += [f"/select/terms?facet={facet}&q=zq" for facet in ("tag", "author", "translator", "category")]
    pages += ["/sitemap.xml", "/robots.txt", "/digests/", "/digests.atom", "/feeds.opml", "/tags.opml"]
    for page in pages:
        answered = client.get(page, headers={"Accept": "text/html"})
        parts += [answered.get_data(), repr(answered.headers).encode()]
    context = NewsletterContext.of(site.runtime, site.runtime.edition().config)  # type: ignore[arg-type]
    seen, message, _is_true = digests.preview(context, PreviewRequest("weekly", "UTC"), site.now)
    parts += [repr(seen).encode(), repr(message).encode()]
    for command in (["show", "all.atom"], ["show", "tags/common.json"], ["list"], ["opml"], ["digest", "plan", "--json"]):
        result = CliRunner().invoke(main, [*command, "--config", str(site.config_dir)])
        parts += [result.stdout_bytes, result.stderr_bytes]
    return b"\n".join(parts)


def secrets(said: bytes) -> set[int]:
    """The numbers of the secret words."""
    return {int(number) for number in re.findall(rb"zqsecret-?(\d+)", said, re.IGNORECASE)}


NEWSLETTER = "enabled: true\nfrom: Digest <digest@example.org>\npostal_address: Example Road 1\n"


def make_store(folder: Path, kind: str, files: Mapping[str, str]) -> Site:
    """A site in a folder of its own, over a store of a kind."""
    site = Site(folder / "own", article_url="", store={"path": "articles", "kind": kind})
    site.set("newsletter.yaml", NEWSLETTER)
    for path, text in files.items():
        site.write(path, text)
    return site


@given(stores())
@settings(max_examples=some(26))
def test_nothing_that_is_withheld_leaves_a_site(made: tuple[str, dict[str, str], list[str]]) -> None:
    kind, files, ways = made
    folder = Path(tempfile.mkdtemp(prefix="feeds-test-"))
    site = make_store(folder, kind, files)
    try:
        report = site.rescan()
        assert not report.quarantined and report.articles == 3, (kind, site.runtime.read(queries.list_problems))
        said = all_outputs(site)
    finally:
        site.remove()
        shutil.rmtree(folder)
    assert b"open word 1" in said, "what is published is looked at"
    assert not (found := secrets(said)), (kind, [ways[number] for number in found])


def test_what_is_withheld_later_leaves_everything_also_an_issue_that_was_planned(tmp_path: Path) -> None:
    """Many at once, which the guard against lost files does not take for a loss."""
    lines = ["draft: yes", "published: 0", "date: 2031-01-01", "expiryDate: 2025-01-01", "password: x", "status: private"]
    files = {f"held-{number}.md": article("plain", f"zqsecret{number}") for number in range(len(lines) + 2)}
    files["open.md"] = article("plain", "open word")
    site = make_store(tmp_path, "plain", {path: text.replace("2024-01-02", "2026-01-04") for path, text in files.items()})
    mailing = Mailing(site)
    site.set("newsletter.yaml", NEWSLETTER)
    site.settle("site.yaml", removal={"percent": 1, "articles": 1})
    site.rescan(MONDAY - 3600)
    assert secrets(all_outputs(site, kept=False)) == set(range(8)), "what is looked at would show them"
    mailing.subscribe("")
    [issue] = mailing.plan(MONDAY)
    assert secrets(issue_page(site, issue.id)) == set(range(8))
    for number, line in enumerate(lines):
        site.write(f"held-{number}.md", article("plain", f"zqsecret{number}", line))
    for number, folder in ((6, "drafts"), (7, "_drafts")):
        (site.store / folder).mkdir()
        (site.store / f"held-{number}.md").rename(site.store / folder / f"held-{number}.md")
    report = site.rescan()
    assert (report.articles, report.removed, report.held) == (1, 8, 0)
    said = all_outputs(site, kept=False) + issue_page(site, issue.id)
    assert b"open word" in said and not secrets(said)
    assert mailing.got(1) == [["open"]]
    site.remove()


def issue_page(site: Site, id: str) -> bytes:
    answered = Client(create_app(site.environment)).get(f"/digests/{id}")
    assert answered.status_code == 200
    return answered.get_data()


def test_a_store_that_vanishes_is_held_however_much_is_withheld(tmp_path: Path) -> None:
    site = make_store(tmp_path, "plain", {f"{name}.md": article("plain", name) for name in "abcdefgh"})
    site.settle("site.yaml", removal={"percent": 1, "articles": 1})
    site.rescan()
    for name in "abc":
        site.write(f"{name}.md", article("plain", name, "draft: true"))
    for name in "defg":
        (site.store / f"{name}.md").unlink()
    report = site.rescan()
    assert (report.articles, report.held) == (5, 4)
    site.remove()


def dated(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def test_what_expires_leaves_also_where_its_file_cannot_be_read_or_is_gone(tmp_path: Path) -> None:
    line = f"expiryDate: {dated(NOW + 600)}"
    files = {f"{name}.md": article("plain", f"zqsecret{number}", line) for number, name in enumerate("abc")}
    site = make_store(tmp_path, "plain", files | {"open.md": article("plain", "open word")})
    site.settle("site.yaml", removal={"percent": 1, "articles": 1})
    assert site.rescan(NOW).articles == 4
    site.write("a.md", "---\ntitle: [\n---\n")
    (site.store / "b.md").unlink()
    (site.store / "c.md").unlink()
    assert site.rescan(NOW + 60).articles == 4, "their last good versions stay"
    assert site.rescan(NOW + 599).articles == 4
    assert site.rescan(NOW + 600).articles == 1
    assert not secrets(all_outputs(site, kept=False))
    assert site.rescan(NOW + 601).removed == 0
    site.remove()
