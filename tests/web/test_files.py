"""Files beside articles: which are published, at what address, and how they are served."""

from __future__ import annotations

import base64
import html
import os
import re
import struct
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import feedparser
import pytest
import sqlalchemy as sa
from werkzeug.test import Client

from feeds.database import reading
from feeds.database.tables import articles, assets
from feeds.static.site_files import Exporter
from tests.web.conftest import new_client

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 80, 60) + bytes(64)
OTHER = PNG + b"other"
DOCUSAURUS = {"docusaurus.config.js": "module.exports = {presets: [['classic', {blog: {}}]]}"}
SETTINGS: dict[str, Any] = {"base_url": "http://localhost", "article_url": "", "image_url": ""}


@pytest.fixture
def notes(new_site: Callable[..., Any]) -> Any:
    """A plain folder of notes, which has no site of its own."""
    return new_site(**SETTINGS, store={"path": "articles", "kind": "plain"})


def note(site: Any, path: str, body: str, **fields: str) -> None:
    head = "".join(f"{name}: {value}\n" for name, value in {"title": path, "date": "2024-05-06", **fields}.items())
    site.write(path, f"---\n{head}---\n\n{body}\n")


def addresses(site: Any) -> list[str]:
    """The paths of all addresses of files that bodies and pictures of articles have here."""
    client = new_client(site)
    found: list[str] = []
    with reading(site.runtime.engine) as connection:
        ids = connection.scalars(sa.select(articles.c.url).order_by(articles.c.key)).all()
    for url in ids:
        found += re.findall(r'(?:src|href)="http://localhost(/files/[^"]+)"', client.get(url).text)
    return list(dict.fromkeys(found))


def get(site: Any, address: str, **headers: str) -> Any:
    return new_client(site).get(address, headers={name.replace("_", "-"): value for name, value in headers.items()})


# -- what is published ---------------------------------------------------------


def test_pictures_and_files_beside_an_article_are_absolute_in_feeds_and_on_pages_and_are_served(notes: Any) -> None:
    notes.write("posts/a b%20'\"名.png", PNG)
    notes.write("posts/data.zip", b"PK\x03\x04zip")
    notes.write("sound.mp3", b"ID3sound")
    link = "a%20b%2520'%22%E5%90%8D.png"
    note(notes, "posts/a.md", f'![x]({link}) [zip](data.zip) <a href="../sound.mp3">sound</a> [gone](none.zip)')
    notes.rescan()
    found = addresses(notes)
    assert [unquote(one.rpartition("/")[2]) for one in found] == ["a b%20'\"名.png", "data.zip", "sound.mp3"]
    assert [get(notes, one).data for one in found] == [PNG, b"PK\x03\x04zip", b"ID3sound"]
    feed = new_client(notes).get("/all.atom").text
    assert all(f"http://localhost{one}" in feed for one in found)


def test_the_store_s_other_files_drafts_and_sources_have_no_address(notes: Any) -> None:
    for path in ("unused.png", ".hidden/a.png", ".b.png", "drafts/c.png", "d.html", "e.js", "held.png"):
        notes.write(path, PNG)
    notes.write("f.txt", "<!doctype html><script>alert(1)</script>")
    notes.write("g.png", b"<html><script>alert(1)</script></html>")
    names = [".hidden/a.png", ".b.png", "drafts/c.png", "d.html", "e.js", "f.txt", "g.png", "a.md", "../../config/site.yaml"]
    note(notes, "a.md", " ".join(f"![x]({one}) [y]({one})" for one in names))
    note(notes, "b.md", "![x](held.png)", draft="true")
    notes.rescan()
    assert addresses(notes) == []
    with reading(notes.runtime.engine) as connection:
        assert connection.scalars(sa.select(assets.c.path).where(assets.c.hash != "")).all() == []


def test_what_a_draft_refers_to_goes_with_it(notes: Any) -> None:
    notes.write("a.png", PNG)
    note(notes, "a.md", "![x](a.png)")
    notes.rescan()
    [address] = addresses(notes)
    assert get(notes, address).status_code == 200
    note(notes, "a.md", "![x](a.png)", draft="true")
    notes.rescan()
    assert get(notes, address).status_code == 404


def test_links_pipes_folders_and_files_that_are_too_large_are_no_files_of_an_article(notes: Any, tmp_path: Path) -> None:
    notes.settle("site.yaml", files={"max_bytes": 2000})
    (tmp_path / "secret.png").write_bytes(PNG)
    notes.write("real/inside.png", PNG)
    store = notes.store
    (store / "out.png").symlink_to(tmp_path / "secret.png")
    (store / "in.png").symlink_to(store / "real/inside.png")
    (store / "elsewhere").symlink_to(tmp_path)
    (store / "folder.png").mkdir()
    os.mkfifo(store / "pipe.png")
    with open(store / "sparse.png", "wb") as file:
        file.truncate(10 * 1024**3)
    names = ["out.png", "in.png", "elsewhere/secret.png", "folder.png", "pipe.png", "sparse.png", "%00.png", "a/../../x.png"]
    note(notes, "a.md", " ".join(f"![x]({one})" for one in names))
    assert notes.rescan().quarantined == 0
    assert addresses(notes) == []
    assert notes.rescan().changed == 0


def test_a_picture_that_an_article_contains_is_served_and_goes_into_a_backup(notes: Any) -> None:
    encoded = base64.b64encode(PNG).decode()
    html = base64.b64encode(b"<html>").decode()
    note(notes, "a.md", f'![x](data:image/png;base64,{encoded})\n\n<img src="data:image/gif;base64,{html}">')
    notes.rescan()
    [address] = addresses(notes)
    response = get(notes, address)
    assert response.data == PNG and response.mimetype == "image/png"
    assert "data:" not in new_client(notes).get("/all.atom").text


def test_what_a_body_plays_is_an_enclosure_with_its_length_and_type(notes: Any) -> None:
    """Of files of the store; a player of somebody else's file is a link in the body."""
    sound, film = b"ID3\x04" + bytes(996), bytes(4) + b"ftypisom" + bytes(2000)
    notes.write("talks/one.mp3", sound)
    notes.write("talks/one.mp4", film)
    body = '<video poster="p.png"><source src="one.mp4" type="video/mp4"></video>\n\n<audio src="one.mp3" controls></audio>'
    note(notes, "talks/a.md", body)
    note(notes, "talks/b.md", '<audio src="https://elsewhere.example/two.mp3"></audio>')
    note(notes, "talks/c.md", body, audio="one.mp3")
    notes.rescan()
    client = new_client(notes)
    entries = {entry.title: entry for entry in feedparser.parse(client.get("/all.rss").data).entries}
    (first,) = entries["talks/a.md"].enclosures  # RSS has one
    assert (first.type, first.length) == ("video/mp4", str(len(film)))
    assert client.get(urlsplit(first.href).path).data == film
    assert entries["talks/b.md"].enclosures == []
    assert [one.type for one in entries["talks/c.md"].enclosures] == ["audio/mpeg"], "as the header says"
    items = {item["title"]: item for item in client.get("/all.json").json["items"]}
    attached = [(one["mime_type"], one["size_in_bytes"]) for one in items["talks/a.md"]["attachments"]]
    assert attached == [("video/mp4", len(film)), ("audio/mpeg", len(sound))]


def test_an_article_of_the_archive_may_contain_a_picture(new_site: Callable[..., Any]) -> None:
    site = new_site(base_url="http://localhost", article_url="")
    site.write("1.md", body=f"![x](data:image/png;base64,{base64.b64encode(PNG).decode()}) ![y](/data/y.png)")
    site.rescan()
    [address] = addresses(site)
    assert get(site, address).data == PNG
    assert "https://img.linux.net.cn/data/y.png" in new_client(site).get("/all.atom").text


@pytest.mark.parametrize("article_url", ["", "https://elsewhere.example{permalink}"])
def test_files_beside_articles_of_the_archive_are_served(new_site: Callable[..., Any], article_url: str) -> None:
    """What is named from the root of its host is that host's; a file beside the article is nowhere but here."""
    site = new_site(base_url="http://localhost", article_url=article_url)
    (site.store / "2020/img").mkdir(parents=True)
    (site.store / "2020/img/x.png").write_bytes(PNG)
    body = "![x](img/x.png) ![y](/2020/img/x.png) ![z](img/none.png) [n](other.md)"
    site.write("2020/1.md", body=body, largepic="img/x.png", permalink="/article-1-1.html")
    site.rescan()
    item = new_client(site).get("/all.json").json["items"][0]
    shown = re.findall('src="([^"]*)"', item["content_html"])
    assert shown[0] == item["image"] and get(site, urlsplit(shown[0]).path).data == PNG
    assert shown[1] == "https://img.linux.net.cn/2020/img/x.png"


def test_a_picture_that_is_not_there_leaves_its_words_where_the_article_is_read(notes: Any) -> None:
    notes.write("drafts/d.png", PNG)
    beside = '![a "lake" & <b>](none.png) ![](none.png) ![d](drafts/d.png "t") <img src=up/x.svg>'
    note(notes, "a.md", f"Before {beside} ![r](/r.png) ![n](//h.example/n.png) after.")
    notes.rescan()
    client = new_client(notes)
    feed = html.unescape(client.get("/all.atom").text)
    found = re.findall(' src="([^"]*)"', feed)
    assert found == ["http://localhost/r.png", "https://h.example/n.png"] and feed.count("<img") == 2
    assert "Before a &quot;lake&quot; &amp; " in client.get("/articles/a").text
    notes.write("none.png", PNG)
    notes.rescan()
    assert "/none.png" in new_client(notes).get("/all.atom").text


@pytest.mark.parametrize(
    ("kind", "files", "article", "body", "served"),
    [
        ("hugo", {"hugo.toml": "title='x'"}, "content/posts/lake/index.md", "bridge.png", "content/posts/lake/bridge.png"),
        ("hugo", {"hugo.toml": "title='x'"}, "content/posts/lake.md", "/images/b.png", "static/images/b.png"),
        ("jekyll", {"_config.yml": "title: x"}, "_posts/2024-05-06-a.md", "/assets/b.png", "assets/b.png"),
        ("hexo", {"_config.yml": "post_asset_folder: true"}, "source/_posts/deep.md", "b.png", "source/_posts/deep/b.png"),
        ("obsidian", {".obsidian/app.json": "{}"}, "notes/a.md", "![[b.png]]", "attachments/deep/b.png"),
        ("obsidian", {".obsidian/app.json": "{}"}, "notes/a.md", "![[B.PNG|300]]", "attachments/b.png"),
        ("vuepress", {".vuepress/config.js": "module.exports = {}"}, "posts/a.md", "/b.png", ".vuepress/public/b.png"),
        ("pelican", {"pelicanconf.py": "PATH = 'content'"}, "content/a.md", "{static}/images/b.png", "content/images/b.png"),
        ("docusaurus", DOCUSAURUS, "blog/2024-05-06-a.md", "./b.png", "blog/b.png"),
    ],
)
def test_files_are_found_where_each_generator_has_them(
    new_site: Callable[..., Any], kind: str, files: dict[str, str], article: str, body: str, served: str
) -> None:
    site = new_site(**SETTINGS, store={"path": "articles", "kind": kind})
    for path, text in files.items():
        site.write(path, text)
    site.write(served, PNG)
    note(site, article, body if body.startswith("!") else f"![x]({body})")
    site.rescan()
    [address] = addresses(site)
    assert get(site, address).data == PNG


def test_a_store_whose_site_is_known_keeps_the_addresses_of_its_site(notes: Any) -> None:
    notes.write("a.png", PNG)
    note(notes, "a.md", "![x](a.png)")
    notes.settle(
        "site.yaml", store={"path": "articles", "kind": "plain", "site": "https://blog.example", "permalink": "/:slug/"}
    )
    notes.rescan()
    assert "https://blog.example/a/a.png" in new_client(notes).get("/all.atom").text


def test_nothing_is_published_where_the_setting_says_so(notes: Any) -> None:
    notes.write("a.png", PNG)
    note(notes, "a.md", "![x](a.png)")
    notes.rescan()
    [address] = addresses(notes)
    notes.settle("site.yaml", files={"publish": False})
    notes.rescan()
    assert addresses(notes) == [] and get(notes, address).status_code == 404


# -- what changes --------------------------------------------------------------


def test_another_picture_changes_article_and_feed_although_the_article_s_file_is_as_before(notes: Any) -> None:
    notes.write("a.png", PNG)
    note(notes, "a.md", "![x](a.png)")
    note(notes, "b.md", "![x](later.png)")
    notes.rescan()
    [before], etag = addresses(notes), new_client(notes).get("/all.atom").headers["ETag"]
    notes.write("a.png", OTHER)
    notes.write("later.png", PNG)
    assert notes.rescan().changed == 2
    after = addresses(notes)
    assert before not in after and [get(notes, one).data for one in after] == [OTHER, PNG]
    assert get(notes, before).status_code == 404
    assert new_client(notes).get("/all.atom").headers["ETag"] != etag
    (notes.store / "a.png").unlink()
    assert notes.rescan().changed == 1 and len(addresses(notes)) == 1


def test_a_file_that_changes_after_the_rescan_is_not_served_as_what_it_was(notes: Any) -> None:
    notes.write("a.png", PNG)
    notes.write("b.mp4", b"0000ftyp" + bytes(2_000_000))
    note(notes, "a.md", "![x](a.png) [b](b.mp4)")
    notes.rescan()
    small, large = addresses(notes)
    os.utime(notes.store / "a.png")
    os.utime(notes.store / "b.mp4")
    assert get(notes, small).status_code == get(notes, large).status_code == 200
    (notes.store / "a.png").write_bytes(PNG[:-1] + b"x")
    (notes.store / "b.mp4").write_bytes(b"0000ftyp" + bytes(1_999_999) + b"x")
    assert get(notes, small).status_code == get(notes, large).status_code == 404
    (notes.store / "a.png").unlink()
    (notes.store / "a.png").symlink_to("/etc/passwd")
    assert get(notes, small).status_code == 404


def test_an_article_in_quarantine_keeps_its_pictures(notes: Any) -> None:
    notes.write("a.png", PNG)
    note(notes, "a.md", "![x](a.png)")
    notes.rescan()
    [address] = addresses(notes)
    notes.write("a.md", b"---\ntitle: [\n---\n\xff")
    notes.rescan()
    assert get(notes, address).status_code == 200
    notes.write("a.png", OTHER)
    notes.rescan()
    assert notes.rescan().changed == 0


# -- how it is served ----------------------------------------------------------


@pytest.fixture
def video(notes: Any) -> tuple[Client, str, bytes]:
    data = b"0000ftyp" + bytes(range(256)) * 6000
    notes.write("v.mp4", data)
    note(notes, "a.md", "[v](v.mp4)")
    notes.rescan()
    [address] = addresses(notes)
    return new_client(notes), address, data


@pytest.mark.parametrize(
    ("wanted", "status", "part"),
    [
        ("bytes=0-9", 206, slice(0, 10)),
        ("bytes=1000000-", 206, slice(1_000_000, None)),
        ("bytes=-5", 206, slice(-5, None)),
        ("bytes=0-99999999", 206, slice(0, None)),
        ("bytes=99999999-", 416, slice(0, 0)),
        ("bytes=0-1,4-5", 200, slice(0, None)),
        ("lines=0-1", 200, slice(0, None)),
        ("bytes=x", 200, slice(0, None)),
    ],
)
def test_a_range_of_a_video_is_served(video: tuple[Client, str, bytes], wanted: str, status: int, part: slice) -> None:
    client, address, data = video
    response = client.get(address, headers={"Range": wanted})
    assert response.status_code == status and response.data == data[part]
    if status == 206:
        start = range(len(data))[part].start
        assert response.headers["Content-Range"] == f"bytes {start}-{start + len(data[part]) - 1}/{len(data)}"
    elif status == 416:
        assert response.headers["Content-Range"] == f"bytes */{len(data)}"


def test_a_range_counts_for_the_version_that_a_client_has_begun(video: tuple[Client, str, bytes]) -> None:
    client, address, data = video
    whole = client.head(address)
    assert whole.headers["Content-Length"] == str(len(data)) and whole.headers["Accept-Ranges"] == "bytes" and not whole.data
    etag = whole.headers["ETag"]
    assert client.get(address, headers={"Range": "bytes=0-1", "If-Range": etag}).status_code == 206
    assert client.get(address, headers={"Range": "bytes=0-1", "If-Range": '"other"'}).data == data
    assert client.get(address, headers={"If-None-Match": etag}).status_code == 304
    assert client.head(address, headers={"Range": "bytes=0-1"}).status_code == 200


def test_no_file_is_a_document_of_the_site(notes: Any) -> None:
    drawing = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><path d="M0 0h9"/></svg>'
    notes.write("a.svg", drawing)
    notes.write("b.txt", "text")
    notes.write("c.pdf", b"%PDF-1.7")
    notes.write("d.svg", drawing.replace("<path", "<script>alert(1)</script><path"))
    note(notes, "a.md", "![a](a.svg) [b](b.txt) [c](c.pdf) ![d](d.svg)")
    notes.rescan()
    found = {unquote(one).rpartition("/")[2]: get(notes, one).headers for one in addresses(notes)}
    assert set(found) == {"a.svg", "b.txt", "c.pdf"}
    for headers in found.values():
        assert headers["X-Content-Type-Options"] == "nosniff" and "default-src 'none'" in headers["Content-Security-Policy"]
        assert headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert found["a.svg"]["Content-Disposition"] == "attachment" and "sandbox" in found["a.svg"]["Content-Security-Policy"]
    assert found["b.txt"]["Content-Type"] == "text/plain; charset=utf-8"


def test_another_name_or_hash_is_no_address(notes: Any) -> None:
    notes.write("a.png", PNG)
    note(notes, "a.md", "![x](a.png)")
    notes.rescan()
    [address] = addresses(notes)
    hash = address.split("/")[2]
    for other in (f"/files/{hash}/a.html", f"/files/{hash}/b.png", f"/files/{'0' * 32}/a.png", f"/files/{hash}"):
        assert get(notes, other).status_code == 404
    assert get(notes, f"/files/{hash}/..%2Fa.png").status_code == 404


def test_pictures_on_a_page_have_their_size_and_all_but_the_first_come_late(notes: Any) -> None:
    for name in ("a.png", "b.png"):
        notes.write(name, PNG + name.encode())
    note(notes, "a.md", '![x](a.png) ![y](b.png) <img src="a.png" width="40">')
    notes.rescan()
    page = new_client(notes).get("/articles/a").text
    pictures = re.findall(r"<img [^>]*/files/[^>]*>", page)
    assert ['width="80" height="60"' in one for one in pictures] == [True, True, False]
    assert 'width="40" height="30"' in pictures[2]
    assert ['loading="lazy"' in one for one in pictures] == [False, True, True]
    feed = new_client(notes).get("/all.atom").text
    assert "loading" not in feed and 'width="80"' in feed.replace("&quot;", '"')


def test_an_export_has_the_files_and_loses_them_with_their_article(notes: Any, tmp_path: Path) -> None:
    notes.write("a b.png", PNG)
    note(notes, "a.md", f"![x](<a b.png>) ![y](data:image/png;base64,{base64.b64encode(OTHER).decode()})")
    notes.rescan()
    place, exporter = tmp_path / "tree", Exporter(notes.runtime)
    exporter.export(str(place))
    files = {path.name: path.read_bytes() for path in (place / "files").rglob("*.*")}
    assert files == {"a b.png": PNG, "picture.png": OTHER}
    assert all((place / unquote(one[1:])).is_file() for one in addresses(notes))
    note(notes, "a.md", "![x](<a b.png>)", draft="true")
    notes.rescan(accept_removals=True)
    exporter.export(str(place))
    assert not (place / "files").exists()


def test_each_of_several_stores_publishes_its_own_files(notes: Any) -> None:
    other = notes.root / "other"
    (other / "deep").mkdir(parents=True)
    (other / "deep" / "b.png").write_bytes(OTHER)
    (other / "deep" / "b.md").write_text("---\ntitle: B\ndate: 2024-05-07\n---\n\n![x](b.png) ![y](../../articles/a.png)\n")
    notes.write("a.png", PNG)
    note(notes, "a.md", "![x](a.png)")
    notes.settle(
        "site.yaml", store=[{"path": "articles", "kind": "plain"}, {"path": "other", "kind": "plain", "prefix": "more"}]
    )
    notes.rescan()
    assert sorted(get(notes, one).data for one in addresses(notes)) == [PNG, OTHER]
    (other / "deep" / "b.png").write_bytes(OTHER + b"again")
    assert notes.rescan().changed == 1
    assert sorted(get(notes, one).data for one in addresses(notes)) == [PNG, OTHER + b"again"]


def test_a_path_may_be_written_as_another_system_writes_it(notes: Any) -> None:
    notes.write("images/a.png", PNG)
    notes.write(unicodedata.normalize("NFD", "é.png"), OTHER)
    note(
        notes, "a.md", f"![x](images\\a.png) ![y]({unicodedata.normalize('NFC', 'é.png')}?raw=true) ![z](..\\..\\config\\a.png)"
    )
    notes.rescan()
    assert [get(notes, one).data for one in addresses(notes)] == [PNG, OTHER]
