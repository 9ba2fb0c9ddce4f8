"""Terms to path segments and back; ids."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from feeds import urls
from feeds.feed_formats import OTHER_EXTENSIONS
from feeds.model import FACETS, PLURALS
from feeds.urls import encode, feed_id, fold, slug, unslug

#: Names with what an address finds hard, more often than chance would have it.
HARD = ["~", "~~", "/", "\\", ".", "..", ".atom", ".RSS", ".json", ".gz", "%2F", "~2F", "\x00", "\n", "\u2028", "é", "e\u0301"]
HARD += ["🎉", "👩‍💻", "C++", "#", "?", "&", " ", "内核", "ß", "ẞ", "İ", "K", "a" * 150, "字" * 70, "-", "~E5", "~7E"]
NAMES = st.lists(st.sampled_from(HARD) | st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).map("".join)


@pytest.mark.parametrize(
    ("name", "segment"),
    [
        ("Linux", "Linux"),
        ("内核", "内核"),
        ("C++", "C++"),
        ("C#", "C#"),
        ("Ubuntu 11.04", "Ubuntu 11.04"),
        ("Node.js", "Node.js"),
        ("TCP/IP", "TCP~2FIP"),
        ("/etc", "~2Fetc"),
        (".NET", "~2ENET"),
        (".", "~2E"),
        ("..", "~2E."),
        ("a~b", "a~7Eb"),
        ("TCP~2FIP", "TCP~7E2FIP"),
        ("notes.atom", "notes~2Eatom"),
        ("notes.Json", "notes~2EJson"),
        ("atom", "atom"),
        ("a\\b", "a~5Cb"),
        ("a\u2028b", "a~E2~80~A8b"),
        ("e\u0301", "é"),
    ],
)
def test_a_slug_is_the_term_itself_but_for_what_a_path_cannot_carry(name: str, segment: str) -> None:
    assert slug(name) == segment
    assert unslug(segment) == unicodedata.normalize("NFC", name)


@given(NAMES)
def test_a_slug_leads_back_to_its_term(name: str) -> None:
    segment = slug(name)
    if "~~" not in segment:  # the mark of a shortened one, which only the catalog knows
        assert unslug(segment) == unicodedata.normalize("NFC", name)
    assert unquote(encode(segment)) == segment


@given(NAMES)
def test_a_name_up_to_the_limit_is_not_shortened(name: str) -> None:
    assert ("~~" in slug(name)) <= (len(name.encode()) * 3 > urls.MAX_SLUG_BYTES)


@given(NAMES)
@example(".")
@example("..")
@example("~2E")
@example("字" * 100)
@example("~" * 300)
@example("/" * 300 + ".atom")
def test_a_slug_can_be_a_file_name_and_a_path_segment(name: str) -> None:
    segment = slug(name)
    assert segment not in ("", ".", "..")
    assert not set(segment) & set("/\\\x00\n\r\x7f\u2028")
    assert not segment.startswith(".")
    assert urls.split_format(segment)[1] is None and not segment.lower().endswith(OTHER_EXTENSIONS)
    assert len(segment.encode()) <= urls.MAX_SLUG_BYTES
    assert encode(segment).isascii() and not set(encode(segment)) & set(' <>"{}|\\^`?#')


@given(st.lists(NAMES, min_size=2, max_size=30))
@example(["TCP/IP", "TCP~2FIP", "TCP~7E2FIP"])
@example(["a" * 300, "a" * 301, "a" * 160 + "~~" + "b" * 24])
@example(["x.atom", "x~2Eatom"])
def test_two_terms_never_share_a_slug(names: list[str]) -> None:
    distinct = {unicodedata.normalize("NFC", name) for name in names}
    assert len({slug(name) for name in names}) == len(distinct)


@given(NAMES)
def test_a_long_terms_slug_is_not_the_slug_of_another_term(name: str) -> None:
    long = name + "x" * 250
    assert slug(slug(long)) != slug(long)
    assert slug(unslug(slug(long))) != slug(long)


@given(st.text(max_size=60))
@example("~")
@example("~2")
@example("~ZZ")
@example("~FF~FE")
@example("~E4~B8")
def test_any_segment_can_be_asked_for(segment: str) -> None:
    assert isinstance(unslug(segment), str)
    fold(segment)


@given(NAMES)
def test_folding_is_stable_and_sees_through_case_and_normal_forms(name: str) -> None:
    assert fold(fold(name)) == fold(name)
    assert fold(unicodedata.normalize("NFD", name)) == fold(unicodedata.normalize("NFC", name)) == fold(name)


@pytest.mark.parametrize(
    ("one", "other"), [("UBUNTU", "Ubuntu"), ("python", "PYTHON"), ("Straße", "STRASSE"), ("é", "E\u0301")]
)
def test_spellings_of_one_term_fold_together(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@given(NAMES)
def test_ids_are_tag_uris_in_ascii(name: str) -> None:
    # RFC 4151 section 2.1: tag:authority,date:specific, specific = *( pchar / "/" / "?" )
    grammar = r"tag:linux\.cn,2003:(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?]|%[0-9A-F]{2})+"
    for id in (feed_id("linux.cn,2003", f"tags/{slug(name)}"), urls.article_id("linux.cn,2003", name)):
        assert re.fullmatch(grammar, id), id


@given(NAMES, NAMES)
def test_two_articles_never_share_an_id(one: str, other: str) -> None:
    same = urls.article_id("h,2003", one) == urls.article_id("h,2003", other)
    assert same == (one == other)


def test_every_facet_has_a_folder_of_its_own() -> None:
    assert len(PLURALS) == len(FACETS) and not set(PLURALS) & {"all", "feeds", "articles", "static"}
    assert urls.term_path("category", "系统/运维") == "categories/系统~2F运维"
