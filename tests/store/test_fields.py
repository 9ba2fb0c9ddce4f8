"""The fields of a header, by the kind of the store: titles, dates, people, tags, languages and the rest."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feeds.store.dates import READERS, read_date
from feeds.store.fields import Fields, read_fields
from feeds.store.frontmatter import Source, parse_yaml, read_source, select_forms
from feeds.store.generators.find import find_site
from feeds.store.kinds import KINDS, ContentRoot, Defaults, GeneratorSite, SiteLanguage, StoreOptions
from feeds.store.names import MAX_TERMS
from feeds.store.places import bundle_folders, place_of
from feeds.store.prose import before_marker, hashtags, take_heading
from feeds.store.verdict import judge

from ..examples import some

ZONE = "Asia/Shanghai"
PATHS = {
    "jekyll": "_posts/2024-05-06-hello-there.md",
    "hexo": "source/_posts/hello-there.md",
    "hugo": "content/posts/hello-there.md",
}


def read(
    kind: str,
    header: str = "",
    body: str = "",
    path: str = "",
    overrides: dict[str, tuple[str, ...]] | None = None,
    **site: Any,
) -> Fields:
    """Read a file whose header is written in YAML. `site` is what the generator's configuration says."""
    path = path or PATHS.get(kind, "posts/hello-there.md")
    found = GeneratorSite(kind, **site)
    source = Source(parse_yaml(header) if header else {}, body)
    return read_fields(found, KINDS[kind], place_of(found, path), source, ZONE, overrides or {})


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# -- names of fields ---------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(set(KINDS)))
def test_fields_are_found_in_any_case_of_letters_and_empty_ones_leave_room_for_the_next(kind: str) -> None:
    assert read(kind, "TITLE: One\nTags: [a]\nCategories: ''\ncategory: b").title == "One"
    names = read(kind, "Tags: [a]\nCategories: ''\ncategory: b").names
    assert (names["tag"], names["category"]) == (("a",), ("b",))


def test_the_exact_spelling_counts_before_others() -> None:
    assert read("plain", "Title: other\ntitle: exact").title == "exact"


def test_a_dot_leads_into_a_mapping_and_a_number_into_a_list() -> None:
    fields = read("docusaurus", "last_update: {Date: 2024-02-10, author: x}\nimages: [a.png, b.png]")
    assert fields.updated == utc("2024-02-10") and fields.cover == "a.png"


def test_fields_of_one_s_own_may_stand_below_hugo_s_params() -> None:
    fields = read("hugo", "title: x\nparams: {author: Ann, cover: {image: a.png}}")
    assert fields.names["author"] == ("Ann",) and fields.cover == "a.png"


def test_site_yaml_says_other_fields_in_place_of_the_kind_s() -> None:
    header = "date: 2020-01-01\ncreated: 2021-02-03\nby: Ann\nauthor: Bo\nkeywords: [k]\ntags: [t]"
    fields = read("astro", header, overrides={"date": ("created",), "author": ("by",), "tag": ("keywords",)})
    assert fields.date == utc("2021-02-03")
    assert fields.names == {"author": ("Ann",), "tag": ("k",)}
    assert "keywords" not in fields.unused and "date" in fields.unused


def test_fields_that_nothing_reads_are_named_as_they_are_written() -> None:
    assert read("hugo", "title: a\nMood: 3\nDraft: no\nlayout: post\n_build: {list: never}").unused == ("Mood", "layout")


def test_keywords_are_no_tags_unless_somebody_says_so() -> None:
    assert read("plain", "keywords: [a, b]").names == {}


# -- titles ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "title"),
    [
        *[("jekyll", "Hello There"), ("hugo", ""), ("hexo", ""), ("pelican", ""), ("archive", "")],
        *[("plain", "hello-there"), ("obsidian", "hello-there"), ("vuepress", "hello-there"), ("astro", "hello-there")],
    ],
)
def test_an_article_without_a_title_is_called_as_its_generator_would(kind: str, title: str) -> None:
    assert read(kind, "x: y").title == title


@pytest.mark.parametrize("kind", ["docusaurus", "vuepress", "vitepress", "obsidian", "plain", "lctt"])
def test_the_first_heading_is_the_title_and_leaves_the_body(kind: str) -> None:
    fields = read(kind, "", "\n# The *bold* [way](x.md) {#id}\n\nText\n\n# Second\n")
    assert fields.title == "The bold way" and "bold" not in fields.body and "# Second" in fields.body


@pytest.mark.parametrize("kind", ["hugo", "jekyll", "hexo", "astro", "eleventy", "pelican", "archive"])
def test_other_kinds_leave_headings_alone(kind: str) -> None:
    assert read(kind, "", "# Heading\n").body == "# Heading\n"


def test_a_heading_that_repeats_the_title_leaves_the_body_and_another_stays() -> None:
    assert read("plain", "title: One", "# one\n\nText").body.strip() == "Text"
    assert read("plain", "title: One", "# Two\n\nText").body == "# Two\n\nText"


@pytest.mark.parametrize(
    ("text", "title", "rest"),
    [
        ("Title\n=====\n\nText", "Title", "\nText"),
        ("import A from 'a'\n\n# Title #\nText", "Title", "import A from 'a'\n\nText"),
        ("<!-- note -->\n![cover](c.png)\n\n# C#\nText", "C#", "<!-- note -->\n![cover](c.png)\n\nText"),
        ("Text first.\n\n# Later\n", "Later", "Text first.\n\n# Later\n"),
        ("```sh\n# no title\n```\n\n# Title\n", "Title", "```sh\n# no title\n```\n\n# Title\n"),
        ("~~~~\n~~~\n# no\n~~~~\n", "", "~~~~\n~~~\n# no\n~~~~\n"),
        ("## Second level\n#hashtag\n    # code\n", "", "## Second level\n#hashtag\n    # code\n"),
        ("- item\n====\n", "", "- item\n====\n"),
    ],
)
def test_a_heading_of_the_first_level_is_taken_where_nothing_is_before_it(text: str, title: str, rest: str) -> None:
    assert take_heading(text) == (title, rest)


# -- dates -------------------------------------------------------------------------

EVERYWHERE = [
    ("2020-01-02", "2020-01-01T16:00:00"),
    ("2020-1-2", "2020-01-01T16:00:00"),
    ("2020/1/2 3:04", "2020-01-01T19:04:00"),
    ("2020.01.02", "2020-01-01T16:00:00"),
    ("2020-01-02T03:04:05Z", "2020-01-02T03:04:05"),
    ("2020-01-02T03:04:05.678+08:00", "2020-01-01T19:04:05"),
    ("2020-01-02 03:04:05 +0800", "2020-01-01T19:04:05"),
    ("2020-01-02 03:04:05 UTC", "2020-01-02T03:04:05"),
    ("2020-01-02 03:04:05 Europe/Berlin", "2020-01-02T02:04:05"),
    ("Jan 2, 2020", "2020-01-01T16:00:00"),
    ("Jul 08 2022", "2022-07-07T16:00:00"),
    ("January 2nd, 2020 at 3:04 PM", "2020-01-02T07:04:00"),
    ("2 Jan 2020", "2020-01-01T16:00:00"),
    ("Thu, 02 Jan 2020 03:04:05 +0800", "2020-01-01T19:04:05"),
    ("Thu Jan  2 03:04:05 2020", "2020-01-01T19:04:05"),
    ("Tue Jan 02 2024 03:04:05 GMT+0800 (China Standard Time)", "2024-01-01T19:04:05"),
    ("2020-01-02 03:04:05 PM", "2020-01-02T07:04:05"),
    ("2020-01-02 12:04 am", "2020-01-01T16:04:00"),
    ("2020年1月2日", "2020-01-01T16:00:00"),
    ("2020年1月2日 下午3:04", "2020-01-02T07:04:00"),
    ("2020/1/2 星期四 15:04", "2020-01-02T07:04:00"),
    ("1577905445", "2020-01-01T19:04:05"),
    ("1577905445000", "2020-01-01T19:04:05"),
    ("20200102", "2020-01-01T16:00:00"),
    ("20200102030405", "2020-01-01T19:04:05"),
    ("01/02/2020", "2020-01-01T16:00:00"),
    ("25/12/2020", "2020-12-24T16:00:00"),
    ("2020-01", "2019-12-31T16:00:00"),
    ("May 2020", "2020-04-30T16:00:00"),
]


@pytest.mark.parametrize(("text", "expected"), EVERYWHERE)
def test_dates_are_read_as_people_write_them(text: str, expected: str) -> None:
    assert read_date(text, ZONE) == utc(expected)


@pytest.mark.parametrize("text", ["", "soon", "Sunday", "3pm", "2020-02-32", "2020-13-01", "2020-01-02 25:00", "2020-01-02 3"])
@pytest.mark.parametrize("reader", sorted(READERS))
def test_what_is_no_date_gives_none(text: str, reader: str) -> None:
    assert read_date(text, ZONE, reader) is None


@pytest.mark.parametrize("reader", sorted(READERS))
def test_a_day_that_a_month_has_not_is_one_of_the_next_month_for_one_reader_alone(reader: str) -> None:
    found = read_date("2020-02-30", "UTC", reader)
    assert found == (utc("2020-03-01") if reader == "javascript" else None)


@pytest.mark.parametrize("text", ["1969-12-31T23:59:59Z", "2200-01-01T00:00:00Z", "0001-01-01", "9999-12-31"])
def test_dates_are_from_1970_to_2199(text: str) -> None:
    assert read_date(text, "UTC") is None
    assert read_date("1970-01-01", "UTC") and read_date("2199-12-31 23:59:59", "UTC")


#: As Hugo 0.111.3 has them, with `timeZone: Asia/Shanghai`.
HUGO = [
    *[("2020-01-02 03:04:05", "2020-01-01T19:04:05"), ("2020-01-02 3:04:05", "2020-01-01T19:04:05")],
    *[("2020-01-02T03:04:05+0800", "2020-01-01T19:04:05"), ("2020-01-02 03:04:05 +0800 CST", "2020-01-01T19:04:05")],
    *[("2020-01-02 03:04:05Z", "2020-01-02T03:04:05"), ("2020-01-02T03:04:05.123Z", "2020-01-02T03:04:05")],
    *[("Thu, 02 Jan 2020 03:04:05 CST", "2020-01-01T19:04:05"), ("02 Jan 20 03:04 +0800", "2020-01-01T19:04:00")],
    *[("02 Jan 2020", "2020-01-01T16:00:00"), ("1577905445", "2020-01-01T19:04:05"), ("20200102", "1970-08-22T19:08:22")],
    *[(text, "") for text in ("2020-1-2", "2020/01/02", "2020-01-02 03:04", "2020-01-02T03:04", "2020-01-02T03:04Z")],
    *[(text, "") for text in ("Jan 2, 2020", "2 Jan 2020", "2020-01-02 03:04:05 UTC", "2020-01-02 03:04:05 Z", "2020年1月2日")],
    *[(text, "") for text in ("2020-01-02t03:04:05z", "January 2, 2020", "2020-02-30")],
]


@pytest.mark.parametrize(("text", "expected"), HUGO)
def test_hugo_takes_some_forms_of_dates_and_leaves_others(text: str, expected: str) -> None:
    assert read_date(text, ZONE, "hugo") == (utc(expected) if expected else None)


def test_a_date_that_cannot_be_read_is_a_notice_that_quotes_nothing_and_the_next_rule_counts() -> None:
    fields = read("hugo", "date: 2020/01/02\nlastmod: 2020-01-03", timezone=ZONE)
    assert fields.date == utc("2020-01-02T16:00:00") and fields.date_from == "header"
    assert len(fields.notices) == 1 and fields.notices[0].startswith("date: cannot be read as a date")
    assert "2020/01" not in fields.notices[0]
    place = place_of(GeneratorSite("hugo"), "posts/x.md")
    source = Source({"Date": "soon"}, "", lines={"Date": 3})
    assert read_fields(GeneratorSite("hugo"), KINDS["hugo"], place, source, ZONE).notices[0].endswith("(line 3)")
    fields = read("plain", "date: in spring", path="notes/2015-03-00-secret.md")
    assert (fields.date, fields.date_from) == (utc("2015-02-28T16:00:00"), "name")
    assert "spring" not in "".join(fields.notices)


def test_an_article_without_any_date_is_noticed() -> None:
    fields = read("hugo", "title: x", path="content/posts/2020-01-02-x.md")
    assert (fields.date, fields.date_from, fields.notices) == (None, "", ("no date",))


def test_a_field_that_says_whether_something_is_published_is_not_taken_for_a_date() -> None:
    fields = read("hugo", "date: 2020-01-01\npublished: false")
    assert fields.publish is None and fields.notices == ()
    assert read("vitepress", "date: 2020-01-01\nlastUpdated: true").notices == ()


@pytest.mark.parametrize(
    ("kind", "header", "expected"),
    [
        ("hugo", "pubDate: 2020-01-02T00:00:00Z\nlastmod: 2021-01-01", "2020-01-02"),
        ("astro", "date: 2021-01-01\npubDate: 'Jul 08 2022'", "2022-07-08"),
        ("astro", "pubDatetime: 2022-09-10T11:12:13Z", "2022-09-10T11:12:13"),
        ("plain", "created: 2020-01-02 08:00", "2020-01-02"),
        ("plain", "published_at: 1577923200", "2020-01-02"),
        ("vuepress", "createTime: 2024/03/05 10:11:12", "2024-03-05T10:11:12"),
        # A timestamp of YAML is UTC for Ruby; a day alone, and what is no timestamp, is of the site's zone.
        ("jekyll", "date: 2020-01-02 03:04:05", "2020-01-02T03:04:05"),
        ("jekyll", "date: 2020-01-02 03:04:05 +0800", "2020-01-01T19:04:05"),
        ("jekyll", "date: 2020-01-02", "2020-01-01T16:00:00"),
        ("jekyll", "date: 2020-01-02 03:04", "2020-01-01T19:04:00"),
        ("jekyll", "date: 05/06/2020", "2020-06-04T16:00:00"),
        ("hexo", "date: 2020-01-02 03:04:05", "2020-01-01T19:04:05"),
        ("hexo", "date: 2020-01-02T03:04:05Z", "2020-01-02T03:04:05"),
        ("hexo", "date: Jan 2, 2020", "2020-01-01T16:00:00"),
        ("pelican", "date: 2020-01-02_03:04", "2020-01-01T19:04:00"),
        ("docusaurus", "date: 2020-01-02", "2020-01-02"),
        ("docusaurus", "date: 2021-02-29 11:00:00", "2021-03-01T11:00:00"),  # the day after the last one
        ("eleventy", "date: 2020-01-02", "2020-01-02"),
        ("archive", "date: 2020/1/2 3:04", "2020-01-01T19:04:00"),
    ],
)
def test_each_kind_has_its_fields_and_zones_of_dates(kind: str, header: str, expected: str) -> None:
    fields = read(kind, header, path="posts/x.md")
    assert (fields.date, fields.date_from) == (utc(expected), "header")


def test_the_zone_is_the_language_s_the_site_s_the_kind_s_and_then_this_service_s() -> None:
    languages = (SiteLanguage("zh", timezone="Asia/Tokyo"), SiteLanguage("en"))

    def hour(kind: str, **site: Any) -> int:
        date = read(kind, "date: 2020-01-02 12:00:00", **site).date
        assert date
        return date.hour

    assert hour("hugo") == 12 and hour("hexo") == 4 and hour("hexo", timezone="America/New_York") == 17
    assert hour("hexo", timezone="Nowhere/Land") == 12
    site = {"languages": languages, "language": "en", "timezone": "Europe/Berlin"}
    assert hour("hugo", path="content/posts/a.zh.md", **site) == 3
    assert hour("hugo", path="content/posts/a.en.md", **site) == 11


@pytest.mark.parametrize(
    ("kind", "path", "expected"),
    [
        ("jekyll", "_posts/2024-5-6-x.md", "2024-05-05T16:00:00"),
        ("jekyll", "_posts/24-05-06-x.md", "2024-05-05T16:00:00"),
        ("docusaurus", "2024-01-02-x.md", "2024-01-02"),
        ("eleventy", "blog/2024-02-03-x.md", "2024-02-03"),
        ("pelican", "2024-06-07-x.md", "2024-06-06T16:00:00"),
        ("obsidian", "Daily/2024-03-07.md", "2024-03-06T16:00:00"),
        ("lctt", "tech/20190325-x.md", "2019-03-24T16:00:00"),
        ("plain", "2019-05-06_x.md", "2019-05-05T16:00:00"),
        ("archive", "2020/02/x.md", "2020-01-31T16:00:00"),
    ],
)
def test_a_date_in_the_name_counts_where_the_header_has_none(kind: str, path: str, expected: str) -> None:
    assert read(kind, "title: x", path=path).date == utc(expected)
    dated = read(kind, "title: x\ndate: 2001-02-03T00:00:00Z", path=path)
    assert (dated.date, dated.date_from) == (utc("2001-02-03"), "header")


def test_hugo_s_configuration_orders_the_sources_of_dates() -> None:
    path = "content/log/2023-04-05-from-name.md"
    fields = read("hugo", "date: 2020-01-01", path=path, date_fields=(":filename", ":default"))
    assert (fields.date, fields.date_from, fields.slug) == (utc("2023-04-05"), "name", "from-name")
    assert read("hugo", "slug: own", path=path, date_fields=(":filename",)).slug == "own"
    fields = read("hugo", "date: 2020-01-01\nwritten: 2019-01-01", path=path, date_fields=("written", "date"))
    assert fields.date == utc("2019-01-01")
    fields = read("hugo", "title: x", path=path, date_fields=(":default", ":git"))
    assert (fields.date, fields.date_from) == (None, "git")


def test_updated_publish_and_expiry_dates_are_read_beside_the_date() -> None:
    fields = read("hugo", "date: 2020-01-01\nmodified: 2020-02-02\npublishDate: 2020-03-03\nunpublishDate: 2021-01-01")
    assert (fields.updated, fields.publish, fields.expiry) == (utc("2020-02-02"), utc("2020-03-03"), utc("2021-01-01"))
    assert read("jekyll", "last_modified_at: 2024-06-01 10:00:00 +0800").updated == utc("2024-06-01T02:00:00")
    assert read("astro", "pubDate: 2020-01-01\nupdatedDate: Jul 10 2022").updated == utc("2022-07-10")
    assert read("hexo", "date: 2020-01-01").updated is None


# -- names of people and topics ------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "header", "names"),
    [
        ("jekyll", "tags: ink paper", ("ink", "paper")),
        ("jekyll", "tags: a,b c", ("a,b", "c")),
        ("jekyll", "tag: ink paper", ("ink paper",)),
        ("jekyll", "tags: [ink, lead type]", ("ink", "lead type")),
        ("hugo", "tags: green tea", ("green tea",)),
        ("hexo", "tags: a, b", ("a, b",)),
        ("pelican", "tags: steel, wood", ("steel", "wood")),
        ("pelican", "tags: a, b; c", ("a, b", "c")),
        ("docusaurus", "tags: [hello, {label: Big Topic, permalink: /big}]", ("hello", "Big Topic")),
        ("obsidian", "tags: '#garden, beans peas'", ("garden", "beans", "peas")),
        ("plain", "topics: [a, A, b]", ("a", "b")),
        ("archive", "tags: a，b、c", ("a", "b", "c")),
        ("plain", "tags: [1.10, {name: x}, [deep, [deeper]], null]", ("1.10", "x", "deep", "deeper")),
    ],
)
def test_tags_are_split_as_the_kind_does(kind: str, header: str, names: tuple[str, ...]) -> None:
    assert read(kind, header).names["tag"] == names


def test_tags_in_a_note_count_but_none_in_code_comments_or_numbers() -> None:
    body = "Sow #beans, `#no`, %% #hidden %% #12 a#b (#garden/spring)\n\n```\n#code\n```\n"
    assert read("obsidian", "tags: [garden]", body).names["tag"] == ("garden", "beans", "garden/spring")
    assert hashtags("no tags") == []
    assert "tag" not in read("plain", "", body).names


def test_the_tag_of_a_collection_of_eleventy_is_no_tag() -> None:
    defaults = (Defaults("blog", "", (("tags", "posts"), ("author", "Max"))), Defaults("blog/deep", "", (("tags", "own"),)))
    root = (ContentRoot("", collection="posts"),)
    fields = read("eleventy", "tags: paper", path="blog/a.md", defaults=defaults, roots=root)
    assert fields.names == {"tag": ("paper",), "author": ("Max",)}
    fields = read("eleventy", "title: x", path="blog/deep/a.md", defaults=defaults, roots=root)
    assert fields.names["tag"] == ("own",)


@pytest.mark.parametrize(
    ("kind", "header", "path", "names"),
    [
        ("hexo", "categories: [[A, B], [C]]", "", ("A", "B", "C")),
        ("hexo", "categories: A", "", ("A",)),
        ("jekyll", "categories: Print Work", "", ("Print", "Work")),
        ("jekyll", "category: Hand Work", "", ("Hand Work",)),
        ("jekyll", "categories: [Print]", "travel/north/_posts/2024-05-12-x.md", ("travel", "north", "Print")),
        ("pelican", "title: x", "tools/hammer.md", ("tools",)),
        ("pelican", "category: Own", "tools/hammer.md", ("Own",)),
        ("hugo", "categories: [Brewing]", "", ("Brewing",)),
    ],
)
def test_categories_may_be_nested_and_folders_may_be_some(kind: str, header: str, path: str, names: tuple[str, ...]) -> None:
    assert read(kind, header, path=path).names["category"] == names


@pytest.mark.parametrize(
    ("kind", "header", "names"),
    [
        ("hugo", "author: {name: Cy Roe}", ("Cy Roe",)),
        ("hugo", "authors: [Ann Lee, {name: Bo Chen, url: 'https://example.org'}]", ("Ann Lee", "Bo Chen")),
        ("docusaurus", "authors: [gus, {name: Ivo Jay}]", ("Gus Hale", "Ivo Jay")),
        ("docusaurus", "authors: gus", ("Gus Hale",)),
        ("docusaurus", "authors: {key: gus}", ("Gus Hale",)),
        ("docusaurus", "author: Kit, Low", ("Kit, Low",)),
        ("pelican", "authors: A B; C D", ("A B", "C D")),
        ("pelican", "authors: A B, C D", ("A B", "C D")),
        ("pelican", "author: A, B", ("A, B",)),
        ("plain", "author: '[Ann](https://example.org/ann)'", ("Ann",)),
    ],
)
def test_authors_are_texts_lists_objects_or_keys(kind: str, header: str, names: tuple[str, ...]) -> None:
    assert read(kind, header, authors=(("gus", "Gus Hale"),)).names["author"] == names


def test_a_tag_of_a_vault_may_hold_a_note_back() -> None:
    assert read("obsidian", "tags: [beans, Draft]").flags == {"draft": "true"}
    assert read("plain", "tags: [beans, Draft]").flags == {}


def test_tags_are_keys_of_a_file_with_their_labels() -> None:
    fields = read("docusaurus", "tags: [rain, snow]", tags=(("rain", "Days of rain"),))
    assert fields.names["tag"] == ("Days of rain", "snow")


@pytest.mark.parametrize(
    ("facet", "field"),
    [
        *[("translator", name) for name in ("translator", "translators", "translated_by", "译者")],
        *[("reviewer", name) for name in ("reviewer", "reviewers", "proofreader", "校对", "校对者")],
        *[("selector", name) for name in ("collector", "selector", "选题", "定稿")],
    ],
)
def test_people_are_found_under_all_their_names(facet: str, field: str) -> None:
    assert read("hugo", f"{field}: 甲、乙").names == {facet: ("甲", "乙")}
    assert read("hugo", f"{field}: [Mo, {{name: Nan}}]").names == {facet: ("Mo", "Nan")}
    assert read("hugo", f"{field}: 译者ID").names == {}


def test_names_are_no_more_than_a_hundred() -> None:
    assert len(read("hugo", f"tags: [{', '.join(f't{n}' for n in range(3000))}]").names["tag"]) == MAX_TERMS


# -- the rest ------------------------------------------------------------------------


def test_slug_address_aliases_series_and_id_are_read_by_the_kind_s_rule() -> None:
    header = "slug: Short Name\nurl: /old/kettle.html\npermalink: /p/\naliases: [/kettle/]\nseries: [One]\nid: 7\nguid: g"
    fields = read("hugo", header)
    assert (fields.slug, fields.address, fields.aliases) == ("Short Name", "/old/kettle.html", ("/kettle/",))
    assert (fields.series, fields.id) == ("One", "g")
    assert (
        read("jekyll", "permalink: /kept/own.html\nredirect_from: /older/\nurl: https://example.org").address
        == "/kept/own.html"
    )
    assert read("jekyll", "redirect_from: /older/").aliases == ("/older/",)
    assert read("obsidian", "aliases: [Sowing]").aliases == ()
    assert read("eleventy", "permalink: false").address == ""
    assert read("archive", "id: '7'").id == "7" and read("hexo", "id: 7\nabbrlink: 9").id == ""
    assert read("hexo", "abbrlink: 9", overrides={"id": ("abbrlink",)}).id == "9"


@pytest.mark.parametrize(
    "header",
    [
        *["fromurl: https://a.example/x", "original: {url: 'https://a.example/x'}", "translated_from: https://a.example/x"],
        *["via: Ann\nsource_url: https://a.example/x", "原文链接: '[Title](https://a.example/x)'"],
        *[
            "original: true\n原文地址: <https://a.example/x>",
            "canonical_url: https://blog.example.org/x\nvia: https://a.example/x",
        ],
    ],
)
def test_the_original_is_the_first_address_that_is_not_of_the_site_itself(header: str) -> None:
    assert read("plain", header, base_url="https://blog.example.org").original == "https://a.example/x"


@pytest.mark.parametrize(
    ("header", "cover"),
    [
        *[("cover: a.png", "a.png"), ("image: {src: a.png, alt: x}", "a.png"), ("images: [a.png]", "a.png")],
        *[("images: a.png", "a.png"), ("cover: {image: a.png, caption: c}", "a.png"), ("image: {path: /a.png}", "/a.png")],
        *[
            ("cover: true\nheroImage: ../a.png", "../a.png"),
            ("header-img: a.png", "a.png"),
            ("banner: '[[a.png|200]]'", "a.png"),
        ],
        *[("featured_image: '![alt](a.png)'", "a.png"), ("header: {teaser: a.png}", "a.png"), ("cover: '#ff0000'", "")],
        *[("thumbnail: [{url: a.png}]", "a.png"), ("cover: /static/image/common/nophoto.png", "")],
    ],
)
def test_the_cover_is_found_in_its_shapes(header: str, cover: str) -> None:
    assert read("plain", header).cover == cover


@pytest.mark.parametrize(
    ("header", "language"),
    [
        *[
            ("lang: fr", "fr"),
            ("Lang: zh_CN", "zh-CN"),
            ("language: Go", "en"),
            ("language: [de]", "de"),
            ("lang: klingon", "en"),
        ],
        *[("lang: C", "en"), ("language: PHP", "en"), ("title: x", "en")],
    ],
)
def test_the_language_is_the_header_s_where_it_is_one_else_the_site_s(header: str, language: str) -> None:
    assert read("pelican", header, language="en").language == language


def test_the_language_of_a_name_counts_where_the_header_has_none() -> None:
    site: dict[str, Any] = {"languages": (SiteLanguage("zh"), SiteLanguage("en")), "language": "zh"}
    assert read("hugo", "title: x", path="content/posts/a.en.md", **site).language == "en"
    assert read("hugo", "title: x", path="content/posts/a.md", **site).language == "zh"


@pytest.mark.parametrize(
    "mark", ["<!--more-->", "<!-- more -->", "<!-- truncate -->", "{/* truncate */}", "{/* more */}", '<a id="more"></a>']
)
def test_the_text_before_the_mark_is_the_summary_where_the_header_has_none(mark: str) -> None:
    body = f"First `{mark}` part.\n\n```\n{mark}\n```\n\n{mark}\n\nRest.\n"
    fields = read("hexo", "title: x", body)
    assert fields.excerpt.startswith("First") and "Rest" not in fields.excerpt and "```" in fields.excerpt
    assert (
        read("hexo", "description: Said.", body).excerpt == "" and read("hexo", "description: Said.", body).summary == "Said."
    )
    assert read("archive", "title: x", body).excerpt == ""


def test_the_separator_of_an_excerpt_may_be_another() -> None:
    assert before_marker("One.\n\nTwo.", "\n\n") == "One."
    assert read("jekyll", "excerpt_separator: <!--cut-->", "One.\n<!--cut-->\nTwo.").excerpt == "One.\n"
    assert read("jekyll", "title: x", "One.\n@@\nTwo.", options=(("excerpt_separator", "@@"),)).excerpt == "One.\n"


# -- what is inherited ---------------------------------------------------------------


def test_defaults_of_jekyll_count_for_a_path_and_a_type_the_nearest_first() -> None:
    defaults = (
        Defaults("", "posts", (("author", "Dee"), ("published", "true"))),
        Defaults("travel", "posts", (("author", "Eve"), ("tags", "a\nb"))),
        Defaults("", "pages", (("author", "Page"),)),
        Defaults("**/_posts/*secret*", "", (("published", "false"),)),
    )
    assert read("jekyll", "title: x", defaults=defaults).names["author"] == ("Dee",)
    fields = read("jekyll", "title: x", path="travel/_posts/2024-01-01-x.md", defaults=defaults)
    assert (fields.names["author"], fields.names["tag"]) == (("Eve",), ("a", "b"))
    assert read("jekyll", "author: Own", defaults=defaults).names["author"] == ("Own",)
    assert read("jekyll", "title: x", path="about.md", defaults=defaults).names["author"] == ("Page",)
    secret = read("jekyll", "title: x", path="_posts/2024-01-01-secret-x.md", defaults=defaults)
    assert secret.flags == {"published": "false"}


def test_a_cascade_of_hugo_gives_flags_and_the_file_s_own_count_before_them() -> None:
    defaults = (Defaults("content/posts", "", (("draft", "true"), ("build.list", "never"))),)
    assert read("hugo", "title: x", defaults=defaults).flags == {"draft": "true", "build.list": "never"}
    assert read("hugo", "Draft: false\nbuild: {list: always}", defaults=defaults).flags == {
        "draft": "false",
        "build.list": "always",
    }
    assert read("hugo", "title: x", path="content/notes/a.md", defaults=defaults).flags == {}


# -- imitations of real stores -----------------------------------------------------------

#: What the configuration says that is code, where these tests do not read it.
CODE: dict[str, dict[str, Any]] = {
    "docusaurus": {"authors": (("gus", "Gus Hale"), ("hana", "Hana Ito"))},
    "eleventy": {"defaults": (Defaults("content/blog", "", (("tags", "posts"), ("author", "Max Nye"))),)},
    "pelican": {"defaults": (Defaults("", "", (("author", "Ola Pike"),)),)},
}
NAMES_OF = {"tags": "tag", "categories": "category", "authors": "author", "translators": "translator", "reviewers": "reviewer"}


@pytest.fixture(scope="session")
def imitations() -> Path:
    return Path(__file__).parent / "cases"


def says(fields: Fields, name: str) -> Any:
    """Return what fields say, in the form of the imitations' expectations."""
    if facet := NAMES_OF.get(name):
        return list(fields.names.get(facet, ()))
    value = getattr(fields, name)
    return (
        value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else list(value) if name == "aliases" else value
    )


@pytest.mark.parametrize(
    "name",
    [
        *["astro", "docusaurus", "eleventy", "gctt-like", "gold-miner-like", "hexo", "hugo", "hugo-bundles-multilingual"],
        *["hugo-toml", "jekyll", "obsidian", "pelican", "plain-with-readmes", "vuepress"],
    ],
)
def test_the_articles_of_an_imitation_have_the_expected_fields(imitations: Path, name: str) -> None:
    expected = json.loads((imitations / name / "expected.json").read_text("utf-8"))
    site = find_site(str(imitations / name), StoreOptions(kind=expected["kind"]))
    site = dataclasses.replace(site, **CODE.get(site.kind, {}))
    kind, files = KINDS[site.kind], expected["files"]
    bundles = bundle_folders(site, files)
    zone = expected["timezone"].partition(" ")[0]
    for path, wanted in files.items():
        if wanted["state"] != "published":
            continue
        place, text = place_of(site, path, bundles), (imitations / name / path).read_text("utf-8-sig")
        fields = read_fields(site, kind, place, read_source(text, path, select_forms(kind.headers)), zone)
        for key in ("title", "date", "updated", "original", "aliases", *NAMES_OF):
            if wanted.get(key, "*") != "*" and not str(wanted[key]).startswith("first commit"):
                assert says(fields, key) == wanted[key], (path, key)
        assert judge(place, fields, kind, utc("2026-11-30"), future="hold").state == "published", path


# -- whatever a file says ---------------------------------------------------------------

VALUES = st.recursive(
    st.text(max_size=20) | st.booleans() | st.integers() | st.floats() | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(
    sorted({name for kind in KINDS.values() for names in kind.fields.values() for name in names})
) | st.text(max_size=10)


@settings(max_examples=some(400), deadline=None)
@given(kind=st.sampled_from(sorted(KINDS)), header=st.dictionaries(NAMES, VALUES, max_size=8), body=st.text(max_size=300))
def test_whatever_a_header_holds_its_fields_are_read(kind: str, header: dict[str, Any], body: str) -> None:
    site = GeneratorSite(kind, defaults=(Defaults("", "", (("author", "x\ny"), ("a.b", "c"))),))
    fields = read_fields(site, KINDS[kind], place_of(site, "posts/2020-01-02-x.md"), Source(header, body), ZONE)
    for one in dataclasses.fields(Fields):
        assert getattr(fields, one.name) is not None or one.name in ("date", "updated", "publish", "expiry")
    for when in (fields.date, fields.updated, fields.publish, fields.expiry):
        assert when is None or (when.tzinfo is UTC and when.microsecond == 0)
    for names in fields.names.values():
        assert names and all(isinstance(name, str) and name.strip() for name in names)


@settings(max_examples=some(400), deadline=None)
@given(
    text=st.text(max_size=120) | st.from_regex(r"[0-9:/\-. TZ+年月日]{0,40}", fullmatch=True),
    reader=st.sampled_from(sorted(READERS)),
)
def test_whatever_a_date_says_it_is_an_instant_or_none(text: str, reader: str) -> None:
    found = read_date(text, ZONE, reader)
    assert found is None or utc("1970-01-01") <= found < utc("2200-01-01")


# -- as real stores have it ------------------------------------------------------------


def test_a_field_called_untranslated_asks_for_no_translator_where_there_are_no_credits() -> None:
    found = read("hugo", "date: 2024-05-06\nuntranslated: 1")
    assert "untranslated" not in found.flags


def test_the_day_in_the_path_of_a_zola_article_is_its_date() -> None:
    zola = (("address", ("path",)),)
    for path in ("2024/05/06/oars", "/inside/2024/05/06/oars/"):
        found = read("hugo", f"path: {path}", overrides=dict(zola))
        assert (found.date, found.date_from, found.notices) == (utc("2024-05-06"), "header", ())
    assert read("hugo", "path: 2024/13/06/oars", overrides=dict(zola)).date is None
    assert read("hugo", "url: /2024/05/06/oars/").date is None, "Hugo takes it for an address alone"


def test_what_a_path_says_counts_below_the_generator_s_folder_where_the_store_is_a_folder_in_it() -> None:
    root = ContentRoot("_posts", collection="posts")
    defaults = (Defaults("", "posts", (("author", "Ida"),)), Defaults("_posts/travel", "", (("tags", "sea"),)))
    found = read("jekyll", path="travel/2024-05-06-oars.md", below="_posts", roots=(root,), defaults=defaults)
    assert (found.names["author"], found.names["tag"]) == (("Ida",), ("sea",))


@pytest.mark.parametrize("kind", ["eleventy", "jekyll", "plain", "astro"])
def test_what_is_scheduled_waits_for_its_day_whatever_its_date_is(kind: str) -> None:
    assert read(kind, "date: 2024-05-06\nscheduled: 2099-06-23T00:00:00Z").publish == utc("2099-06-23")
