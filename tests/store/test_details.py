"""What few headers say: licences, parts, comments' addresses, audio and video, and what keeps out of feeds and digests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from feeds.licences import is_commons, read_licence
from feeds.model import Details, MediaFile, ParsedArticle
from feeds.store.headers import details
from feeds.store.headers.lookup import Header, wanted_fields
from feeds.store.kinds import KINDS, GeneratorSite
from feeds.store.parse import parse_article
from feeds.store.parse_settings import ParseSettings

DEED = "https://creativecommons.org/licenses"


def said(header: Mapping[str, Any]) -> Details:
    return details.read_details(Header(header, {}), wanted_fields(KINDS["plain"], ())[0])


def article(kind: str, header: str, folder: Path = Path("/nowhere")) -> ParsedArticle:
    text = f"---\ntitle: T\ndate: 2024-05-06\n{header}\n---\nText.\n"
    site = GeneratorSite(kind, base_url="https://blog.example")
    read = parse_article(ParseSettings(str(folder), "UTC", 10**6, site=site), "posts/a.md", text.encode(), 0, now=2**31)
    assert isinstance(read.result, ParsedArticle), read
    return read.result


@pytest.mark.parametrize(
    ("text", "name", "url"),
    [
        ("CC BY-SA 4.0", "CC BY-SA 4.0", f"{DEED}/by-sa/4.0/"),
        ("cc-by-nc-sa", "CC BY-NC-SA 4.0", f"{DEED}/by-nc-sa/4.0/"),
        ("CC_BY_3.0", "CC BY 3.0", f"{DEED}/by/3.0/"),
        ("Creative Commons Attribution-ShareAlike 4.0 International", "CC BY-SA 4.0", f"{DEED}/by-sa/4.0/"),
        ("知识共享署名-非商业性使用-禁止演绎 4.0 国际许可协议", "CC BY-NC-ND 4.0", f"{DEED}/by-nc-nd/4.0/"),
        ("http://creativecommons.org/licenses/by/3.0/cn/deed.zh", "CC BY 3.0 CN", f"{DEED}/by/3.0/cn/"),
        ("CC0", "CC0 1.0", "https://creativecommons.org/publicdomain/zero/1.0/"),
        (f'<a rel="license" href="{DEED}/by-nc/4.0/">CC BY-NC 4.0</a>', "CC BY-NC 4.0", f"{DEED}/by-nc/4.0/"),
        ("[MIT](https://opensource.org/license/mit)", "MIT", "https://opensource.org/license/mit"),
        ("&copy; 2024 Ada", "© 2024 Ada", ""),
        ("https://example.org/terms", "", "https://example.org/terms"),
        ("true", "", ""),
    ],
)
def test_a_licence_is_known_by_its_name_and_by_its_deed(text: str, name: str, url: str) -> None:
    found = read_licence(text)
    assert (found.name, found.url) == (name, url)
    assert is_commons(found) == ("creativecommons" in url)
    assert not is_commons(found) or read_licence(found.url) == read_licence(found.name) == found


@pytest.mark.parametrize(
    "header",
    [
        {"license": "CC BY 4.0"},
        {"Licence": {"name": "CC BY 4.0"}},
        {"rights": ["CC BY 4.0"]},
        {"copyright": "true", "cc": "by"},
        {"license": {"title": "Attribution", "url": f"{DEED}/by/4.0/"}},
    ],
)
def test_stores_write_licences_in_many_ways(header: Mapping[str, Any]) -> None:
    assert (said(header).licence, said(header).licence_url) == ("CC BY 4.0", f"{DEED}/by/4.0/")


def test_a_licence_at_an_address_that_none_is_has_no_address() -> None:
    assert said({"license": {"name": "Mine", "url": "javascript:alert(1)"}}) == Details(licence="Mine")
    assert said({"copyright": "false", "cc": "ada@example.org"}) == Details()


MP3 = "https://example.org/talk.mp3"
WORDPRESS = f'{MP3}\n24986239\naudio/mpeg\na:1:{{s:8:"duration";s:8:"00:45:11";}}'


@pytest.mark.parametrize(
    ("header", "length", "seconds"),
    [
        ({"enclosure": WORDPRESS}, 24986239, 2711),
        ({"audio": MP3, "duration": "45:11", "length": "24986239"}, 24986239, 2711),
        ({"audio": [MP3]}, 0, 0),
        ({"podcast": {"file": MP3, "size": "1.5 MB", "duration": "PT45M11S"}}, 1500000, 2711),
        ({"audio": {"mp3": MP3}, "filesize": {"mp3": "99"}}, 99, 0),
        ({"enclosures": [{"url": MP3, "type": "audio/mpeg", "length": "7"}]}, 7, 0),
        ({"podcast_file": MP3, "podcast_bytes": "12,345", "podcast_duration": "45 min 11 s"}, 12345, 2711),
    ],
)
def test_stores_write_audio_in_many_ways(header: Mapping[str, Any], length: int, seconds: int) -> None:
    assert said(header).media == (MediaFile(MP3, "audio/mpeg", length, seconds),)


def test_pages_of_players_and_pictures_are_no_media_files() -> None:
    assert (
        said({"video": "https://youtu.be/abc", "audio": "true", "media": "cover.png", "enclosure": {"a": ["b"]}}) == Details()
    )
    assert [one.type for one in said({"audio": "a.ogg", "video": ["b.webm", "a.ogg"]}).media] == ["audio/ogg", "video/webm"]


def test_comments_have_an_address_where_they_are_not_only_turned_on() -> None:
    assert said({"comments": "true"}) == said({"comments": "javascript:x"}) == Details()
    assert said({"comments_url": "https://example.org/t/1"}).discussion == "https://example.org/t/1"
    post = {"host": "social.example", "username": "ada", "id": "12"}
    assert said({"comments": post}).discussion == "https://social.example/@ada/12"


@pytest.mark.parametrize(
    "header", ["feed: false", "rss: 'no'", "Feeds: off", "hideFromRSS: true", "hidden_from_rss: yes", "feed: {exclude: true}"]
)
def test_an_article_may_be_in_no_feed(header: str) -> None:
    assert not article("plain", header).in_feeds
    assert article("plain", header).digest != article("plain", "").digest
    assert article("plain", header.replace("false", "true").replace("'no'", "yes").replace("off", "on")).in_feeds == (
        not header.startswith(("hid", "feed: {"))
    )


def test_an_article_may_be_in_no_digest() -> None:
    assert not article("hugo", "newsletter: false").in_digests and not article("hugo", "email: 'no'").in_digests
    assert article("hugo", "email: ada@example.org").in_digests and article("hugo", "newsletter: false").in_feeds


def test_an_article_is_pinned_as_its_generator_does_it() -> None:
    assert [article("hexo", f"{one}").pinned for one in ("sticky: 100", "top: true", "pin: false", "sticky: 0")] == [
        100,
        1,
        0,
        0,
    ]
    first, second = (article("hugo", f"weight: {weight}").pinned for weight in (1, 2))
    assert first > second > 0 == article("hexo", "weight: 1").pinned
    assert article("hugo", "weight: 1\nseries: [A]").pinned == 0  # there it orders the series


def test_a_part_is_ordered_by_its_number_in_its_series_alone() -> None:
    parts = [article("plain", f"series: A\n{one}").part for one in ("part: 0", "series_order: 1", "part: 1.5", "part: Part 10")]
    assert sorted(parts) == parts and all(parts) and article("plain", "part: 1").part == 0
    within = article("plain", "series: {name: A, part: 2}")
    assert within.names["series"] == ("A",) and within.part == article("plain", "series: A\npart: 2").part


def test_the_length_of_a_file_beside_the_article_is_that_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "store" / "posts").mkdir(parents=True)
    (tmp_path / "store" / "posts" / "my talk.mp3").write_bytes(b"x" * 77)
    (tmp_path / "secret.mp3").write_bytes(b"x" * 5)
    media = article("hugo", "audio: [my%20talk.mp3, ../../secret.mp3]", tmp_path / "store").details.media
    assert [one.length for one in media] == [77, 0]
