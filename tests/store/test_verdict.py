"""What becomes of a file: published, a page, withheld or quarantined, and when that changes by itself."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feeds.store.fields import Fields, read_fields
from feeds.store.frontmatter import Source
from feeds.store.headers.lookup import FLAGS
from feeds.store.kinds import KINDS, GeneratorSite, Place
from feeds.store.verdict import NO, NOTHING, Verdict, judge

from ..examples import some

NOW = datetime(2026, 11, 30, 12, 0, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
DATED = {"title": "x", "date": "2024-01-02T03:04:05Z"}


def verdict(
    kind: str, header: dict[str, Any], *, state: str = "article", future: str = "hold", now: datetime = NOW, **place: Any
) -> Verdict:
    row, where = KINDS[kind], Place("posts/x.md", state, stem="posts/x", name="x", **place)
    return judge(where, read_fields(GeneratorSite(kind), row, where, Source(header, ""), "UTC"), row, now, future=future)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_what_nothing_withholds_is_published_for_ever(kind: str) -> None:
    assert verdict(kind, DATED | {"author": "Ann"}) == Verdict("published")


@pytest.mark.parametrize("state", ["ignored", "withheld"])
def test_what_the_path_says_stands(state: str) -> None:
    assert verdict("hugo", DATED | {"draft": "true"}, state=state, reason="readme") == Verdict(state, "readme")  # type: ignore[arg-type]


YES = ["true", "True", "TRUE", "yes", "Yes", "on", "1", "'true'", " true ", True, 1, "y", "maybe"]
NAY = ["false", "False", "no", "off", "0", "'false'", "", "null", "~", False, 0, "N"]


@pytest.mark.parametrize("value", YES)
@pytest.mark.parametrize(
    ("field", "reason"),
    [
        *[
            ("draft", "draft"),
            ("Draft", "draft"),
            ("DRAFT", "draft"),
            ("is_draft", "draft"),
            ("isDraft", "draft"),
            ("草稿", "draft"),
        ],
        *[
            ("unlisted", "unlisted"),
            ("hidden", "hidden"),
            ("private", "private"),
            ("Private", "private"),
            ("headless", "headless"),
        ],
        *[("encrypt", "encrypt"), ("password", "password")],
        ("eleventyExcludeFromCollections", "eleventyExcludeFromCollections"),
    ],
)
def test_a_field_that_holds_an_article_back_does_in_any_spelling_and_type(field: str, reason: str, value: Any) -> None:
    assert verdict("plain", DATED | {field: value}) == Verdict("withheld", reason)


@pytest.mark.parametrize("value", NAY)
@pytest.mark.parametrize("field", ["draft", "Draft", "unlisted", "hidden", "private", "password", "encrypt", "headless"])
def test_a_field_that_says_no_holds_nothing_back(field: str, value: Any) -> None:
    assert verdict("plain", DATED | {field: value}) == Verdict("published")


@pytest.mark.parametrize("value", ["false", "False", "FALSE", "no", "off", "0", "'false'", False, 0, "N", " false "])
@pytest.mark.parametrize(
    ("field", "reason"),
    [
        *[("published", "published: false"), ("Published", "published: false"), ("publish", "publish: false")],
        *[("dg-publish", "dg-publish: false"), ("public", "public: false"), ("listed", "unlisted")],
    ],
)
def test_an_article_that_is_not_to_be_published_is_not(field: str, reason: str, value: Any) -> None:
    assert verdict("hexo", DATED | {field: value}) == Verdict("withheld", reason)


@pytest.mark.parametrize("value", ["true", "yes", "", "null", "2020-01-01", True])
def test_an_article_that_is_to_be_published_is(value: Any) -> None:
    assert verdict("hugo", DATED | {"published": value}) == Verdict("published")


@pytest.mark.parametrize(
    ("kind", "header", "reason"),
    [
        ("pelican", {"Status": "draft"}, "draft"),
        ("pelican", {"Status": "Hidden"}, "hidden"),
        ("pelican", {"status": "skip"}, "skip"),
        ("plain", {"status": "Draft"}, "draft"),
        ("plain", {"visibility": "private"}, "private"),
        ("plain", {"published": "draft"}, "draft"),
        ("plain", {"draft": ["true"]}, "draft"),
        ("hexo", {"hide": "true"}, "hidden"),
        ("hugo", {"_build": {"list": "never"}}, "build: list never"),
        ("hugo", {"build": {"List": "false"}}, "build: list never"),
        ("hugo", {"_build": {"render": "never", "list": "always"}}, "build: render never"),
        ("eleventy", {"permalink": "false"}, "permalink: false"),
        ("eleventy", {"permalink": False}, "permalink: false"),
        ("eleventy", {"permalink": {"build": "false"}}, "permalink: false"),
        ("lctt", {"untranslated": "译者", "fromurl": "https://a.example/x"}, "not translated: 译者 is empty"),
        ("lctt", {"译者": "", "fromurl": "https://a.example/x"}, "not translated: 译者 is empty"),
    ],
)
def test_each_kind_has_its_own_words_for_it(kind: str, header: dict[str, Any], reason: str) -> None:
    assert verdict(kind, DATED | header) == Verdict("withheld", reason)


@pytest.mark.parametrize(
    "header",
    [
        *[{"status": "done"}, {"hide": ["toc"]}, {"permalink": "/no/"}, {"permalink": "off"}, {"_build": {"list": "always"}}],
        *[{"visibility": "public"}, {"draft": None}, {"encrypt": {}}],
    ],
)
def test_other_words_hold_nothing_back(header: dict[str, Any]) -> None:
    assert verdict("hugo", DATED | header) == Verdict("published")


def test_a_draft_that_the_generator_would_publish_is_withheld_and_noticed() -> None:
    place = Place("_posts/2024-01-01-x.md", "article", name="x")
    for kind in ("jekyll", "hexo"):
        fields = read_fields(GeneratorSite(kind), KINDS[kind], place, Source(DATED | {"draft": "true"}, ""), "UTC")
        assert fields.notices == ("draft: withheld here, although the generator would publish it",)
        assert judge(place, fields, KINDS[kind], NOW, future="publish").state == "withheld"


# -- time --------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["date", "publishDate"])
def test_an_article_of_the_future_comes_out_at_its_second(field: str) -> None:
    due = NOW + timedelta(days=3)
    header = DATED | {field: due.isoformat()}
    assert verdict("hugo", header) == Verdict("withheld", "future", due)
    assert verdict("hugo", header, now=due - timedelta(microseconds=1)) == Verdict("withheld", "future", due)
    assert verdict("hugo", header, now=due) == Verdict("published")


def test_of_a_date_and_a_publish_date_the_later_counts() -> None:
    header = {"title": "x", "date": "2027-02-01T00:00:00Z", "publishDate": "2027-01-01T00:00:00Z"}
    assert verdict("hugo", header).due == datetime(2027, 2, 1, tzinfo=UTC)


def test_the_future_is_published_where_the_operator_or_the_generator_says_so() -> None:
    assert verdict("archive", {"title": "x", "date": "2098-01-01"}, future="publish") == Verdict("published")


def test_an_expired_article_leaves_at_its_second() -> None:
    expiry = NOW + timedelta(hours=1)
    header = DATED | {"expiryDate": expiry.isoformat()}
    assert verdict("hugo", header) == Verdict("published", "", expiry)
    assert verdict("hugo", header, now=expiry - timedelta(microseconds=1)).state == "published"
    assert verdict("hugo", header, now=expiry) == Verdict("withheld", "expired")
    assert verdict("hugo", header, state="page", reason="section", now=NOW) == Verdict("page", "section", expiry)


def test_what_expires_before_it_is_due_is_never_published() -> None:
    header = {"title": "x", "date": "2028-01-01T00:00:00Z", "expiryDate": "2027-01-01T00:00:00Z"}
    expiry = datetime(2027, 1, 1, tzinfo=UTC)
    assert verdict("hugo", header) == Verdict("withheld", "future", expiry)
    assert verdict("hugo", header, now=expiry) == Verdict("withheld", "expired")


def test_a_draft_has_no_due_time() -> None:
    assert verdict("hugo", {"draft": "true", "date": "2098-01-01"}) == Verdict("withheld", "draft")


@settings(max_examples=some(200), deadline=None)
@given(
    date=st.integers(0, 20),
    publish=st.none() | st.integers(0, 20),
    expiry=st.none() | st.integers(0, 20),
    future=st.sampled_from(("hold", "publish")),
)
def test_a_verdict_changes_at_its_due_second_and_at_no_other(
    date: int, publish: int | None, expiry: int | None, future: str
) -> None:
    fields = Fields(
        title="x",
        date=NOW + date * SECOND,
        date_from="header",
        publish=None if publish is None else NOW + publish * SECOND,
        expiry=None if expiry is None else NOW + expiry * SECOND,
    )
    place = Place("x.md", "article")
    seen = [judge(place, fields, KINDS["hugo"], NOW + at * SECOND / 2, future=future) for at in range(44)]
    for at, (before, after) in enumerate(itertools.pairwise(seen)):
        changed = (before.state, before.reason) != (after.state, after.reason)
        assert changed == (before.due == NOW + (at + 1) * SECOND / 2)
    assert seen[-1].due is None


# -- pages and faults ------------------------------------------------------------------


def test_pages_are_pages_unless_something_withholds_them() -> None:
    assert verdict("hugo", {"title": "x"}, state="page", reason="section") == Verdict("page", "section")
    assert verdict("hugo", {"title": "x", "draft": "true"}, state="page", reason="section") == Verdict("withheld", "draft")


def test_an_undated_file_is_what_its_kind_makes_of_it() -> None:
    assert verdict("hugo", {"title": "x"}, undated="undated page") == Verdict("page", "undated page")
    assert verdict("hugo", {"title": "x"}) == Verdict("published")
    assert verdict("pelican", {"title": "x"}, undated="no date") == Verdict("quarantined", "no date")
    assert verdict("pelican", {"date": "2024-01-01"}) == Verdict("quarantined", "no title")
    assert verdict("obsidian", {"title": "x"}) == Verdict("published")


def test_a_file_that_history_dates_is_not_undated() -> None:
    place = Place("posts/x.md", "article", stem="posts/x", undated="undated page")
    site = GeneratorSite("hugo", date_fields=(":default", ":git"))
    fields = read_fields(site, KINDS["hugo"], place, Source({"title": "x"}, ""), "UTC")
    assert judge(place, fields, KINDS["hugo"], NOW, future="hold") == Verdict("published")


def test_a_page_may_be_said_in_the_header() -> None:
    assert verdict("vuepress", DATED | {"article": "false"}) == Verdict("page", "article: false")
    assert verdict("vuepress", DATED | {"feed": False}).state == "published"  # an article, which is in no feed
    assert verdict("vuepress", DATED | {"home": "true"}) == Verdict("page", "home")


def test_a_file_without_a_header_is_what_its_kind_makes_of_it() -> None:
    assert verdict("jekyll", {}) == Verdict("ignored", "no header: a static file")
    assert verdict("lctt", {}) == Verdict("page", "no credits")
    assert verdict("plain", {}) == Verdict("published")


# -- whatever it says ----------------------------------------------------------------------

HOLDING = ("draft", "private", "hidden", "unlisted", "password", "encrypt", "is draft", "isPrivate")
FREEING = ("published", "publish", "public", "listed")


def spellings(name: str) -> st.SearchStrategy[str]:
    """The name with other cases of letters, and signs between its words."""
    cased = st.lists(st.booleans(), min_size=len(name), max_size=len(name)).map(
        lambda up: "".join(letter.upper() if one else letter for letter, one in zip(name, up, strict=True))
    )
    return st.tuples(cased, st.sampled_from(["", "_", "-", " "])).map(lambda found: found[0].replace(" ", found[1]))


@settings(max_examples=some(400), deadline=None)
@given(
    kind=st.sampled_from(sorted(KINDS)),
    said=st.sampled_from(HOLDING).flatmap(
        lambda name: st.tuples(spellings(name), st.sampled_from([*YES, "yes!", "2", 7, ["true"]]))
    )
    | st.sampled_from(FREEING).flatmap(
        lambda name: st.tuples(spellings(name), st.sampled_from(["false", "No", "OFF", 0, False, "0"]))
    )
    | st.tuples(spellings("status"), st.sampled_from(["draft", "Draft", "PRIVATE", "hidden"])),
    others=st.dictionaries(st.sampled_from(["tags", "layout", "weight", "author"]), st.text(max_size=5), max_size=3),
    state=st.sampled_from(["article", "page"]),
    future=st.sampled_from(["hold", "publish"]),
)
def test_what_says_that_it_is_not_for_everybody_is_never_published(
    kind: str, said: tuple[str, Any], others: dict[str, str], state: str, future: str
) -> None:
    found = verdict(kind, DATED | others | {said[0]: said[1]}, state=state, future=future)
    assert (found.state, found.due) == ("withheld", None)


@settings(max_examples=some(300), deadline=None)
@given(
    kind=st.sampled_from(sorted(KINDS)),
    flags=st.dictionaries(
        st.sampled_from(sorted(FLAGS)), st.text(max_size=8) | st.sampled_from(sorted(NO | NOTHING)), max_size=5
    ),
    state=st.sampled_from(["article", "page", "withheld", "ignored"]),
)
def test_a_verdict_is_given_on_whatever_the_flags_say(kind: str, flags: dict[str, str], state: str) -> None:
    found = judge(Place("x.md", state, "why"), Fields(flags=flags), KINDS[kind], NOW, future="hold")
    assert found.state in ("published", "page", "withheld", "ignored", "quarantined") and (found.state == "published") != bool(
        found.reason
    )
