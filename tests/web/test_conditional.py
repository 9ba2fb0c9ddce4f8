"""Conditional requests and content codings: tables of RFC 9110, and everything that readers really send."""

from __future__ import annotations

import email.utils

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.web import conditional
from feeds.web.conditional import ENCODINGS, choose_encoding, decide, etag, http_date, negotiate_encoding

TAGS = tuple(etag("abc123", "atom", encoding) for encoding in ENCODINGS)
PLAIN = etag("abc123", "atom", "identity")
CHANGED = 1_700_000_000
BEFORE, SAME, AFTER = (http_date(CHANGED + seconds) for seconds in (-1, 0, 1))


def asked(**headers: str) -> int:
    """`asked(if_none_match="*")`: the decision for a request with these headers."""
    return decide({f"HTTP_{name.upper()}": value for name, value in headers.items()}, TAGS, PLAIN, CHANGED)


def test_entity_tags_differ_for_each_coding_and_format() -> None:
    found = {etag("d", format, encoding) for format in ("atom", "rss", "json") for encoding in ENCODINGS}
    assert len(found) == 9
    assert all(tag.startswith('"') and tag.endswith('"') for tag in found)


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("form", ["{}", "W/{}", " {} ", '"other", {}', '{}, "other"', 'W/"a",W/{},"b"', '"a,b", {}', '"", {}'])
def test_a_tag_of_any_coding_in_any_form_is_known(tag: str, form: str) -> None:
    assert asked(if_none_match=form.format(tag)) == 304


@pytest.mark.parametrize("suffix", ["-gzip", ";gzip", "--gzip", "-br", ";br", "-df"])
def test_what_a_server_in_between_appends_does_not_count(suffix: str) -> None:
    assert asked(if_none_match=PLAIN[:-1] + suffix + '"') == 304
    assert asked(if_none_match="W/" + PLAIN[:-1] + suffix + '"') == 304


@pytest.mark.parametrize("header", ["*", " * "])
def test_a_star_is_any_representation(header: str) -> None:
    assert asked(if_none_match=header) == 304


@pytest.mark.parametrize(
    "header",
    [
        "",
        '"',
        '""',
        "abc123.atom",
        '"abc123.atom',
        'abc123.atom"',
        '"ABC123.atom"',
        '"abc123.rss"',
        '"abc123"',
        '"abc123.atom-gzip-gzip"',
        '"x", "y"',
        ",,,",
        "W/",
        "\x00",
        '"*"',
        '"abc123.atomx"',
        '"' * 1000,
    ],
)
def test_other_tags_and_garbage_are_not_known(header: str) -> None:
    assert asked(if_none_match=header) == 200


def test_if_none_match_is_above_if_modified_since() -> None:
    assert asked(if_none_match='"other"', if_modified_since=AFTER) == 200
    assert asked(if_none_match="garbage", if_modified_since=AFTER) == 200
    assert asked(if_none_match=PLAIN, if_modified_since=BEFORE) == 304


def test_if_modified_since_compares_by_seconds() -> None:
    assert [asked(if_modified_since=date) for date in (BEFORE, SAME, AFTER)] == [200, 304, 304]


@pytest.mark.parametrize(
    "date",
    [
        "Tue, 14 Nov 2023 22:13:20 GMT",
        "Tuesday, 14-Nov-23 22:13:20 GMT",
        "Tue Nov 14 22:13:20 2023",
        "Tue, 14 Nov 2023 22:13:20 +0000",
        "Wed, 15 Nov 2023 06:13:20 +0800",
    ],
)
def test_each_form_of_date_is_understood(date: str) -> None:
    assert asked(if_modified_since=date) == 304


@pytest.mark.parametrize(
    "date", ["", "0", "yesterday", "Tue, 99 Nov 2023 22:13:20 GMT", "-1", "2023-11-14", "Tue, 14 Nov", "\x00"]
)
def test_what_is_no_date_is_ignored(date: str) -> None:
    assert asked(if_modified_since=date) == 200
    assert asked(if_unmodified_since=date) == 200


def test_if_match_compares_strongly_and_fails_with_412() -> None:
    assert asked(if_match=PLAIN) == 200
    assert asked(if_match="*") == 200
    assert asked(if_match='"other", ' + TAGS[0]) == 200
    assert asked(if_match="W/" + PLAIN) == 412
    assert asked(if_match='"other"') == 412
    assert asked(if_match=PLAIN[:-1] + '-gzip"') == 412


def test_if_unmodified_since_fails_with_412_where_something_changed() -> None:
    assert [asked(if_unmodified_since=date) for date in (BEFORE, SAME, AFTER)] == [412, 200, 200]


def test_if_match_is_above_if_unmodified_since_and_both_are_above_the_others() -> None:
    assert asked(if_match=PLAIN, if_unmodified_since=BEFORE) == 200
    assert asked(if_match='"other"', if_none_match=PLAIN) == 412
    assert asked(if_match=PLAIN, if_none_match=PLAIN) == 304
    assert asked(if_unmodified_since=BEFORE, if_none_match=PLAIN) == 412


ANYTHING = st.text(st.characters(codec="latin-1"), max_size=60)
PIECES = st.lists(
    st.sampled_from(['"', "W/", ",", " ", "*", "abc123.atom", "abc123.atom.gz", "-gzip", ";", "x", "\\", "\t", "\xff"]),
    max_size=12,
).map("".join)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "HTTP_IF_NONE_MATCH": ANYTHING | PIECES,
        "HTTP_IF_MATCH": ANYTHING | PIECES,
        "HTTP_IF_MODIFIED_SINCE": ANYTHING | st.sampled_from([BEFORE, SAME, AFTER]),
        "HTTP_IF_UNMODIFIED_SINCE": ANYTHING | st.sampled_from([BEFORE, SAME, AFTER]),
    },
)


@given(headers=HEADERS)
def test_any_headers_give_a_decision_and_the_precedence_of_the_rfc_holds(headers: dict[str, str]) -> None:
    status = decide(headers, TAGS, PLAIN, CHANGED)
    assert status in (200, 304, 412)
    if status == 412:
        assert {"HTTP_IF_MATCH", "HTTP_IF_UNMODIFIED_SINCE"} & headers.keys()
    if "HTTP_IF_NONE_MATCH" in headers:
        without = {name: value for name, value in headers.items() if name != "HTTP_IF_MODIFIED_SINCE"}
        assert decide(without, TAGS, PLAIN, CHANGED) == status, "If-Modified-Since counts only without If-None-Match"
    if "HTTP_IF_MATCH" in headers:
        without = {name: value for name, value in headers.items() if name != "HTTP_IF_UNMODIFIED_SINCE"}
        assert decide(without, TAGS, PLAIN, CHANGED) == status


@given(
    others=st.lists(st.text(st.characters(min_codepoint=0x23, max_codepoint=0x7E), max_size=20), max_size=5),
    weak=st.booleans(),
    ours=st.sampled_from(TAGS),
    at=st.integers(0, 5),
)
def test_our_tag_is_found_anywhere_in_a_list_and_a_list_without_it_does_not_match(
    others: list[str], weak: bool, ours: str, at: int
) -> None:
    listed = [f'"{other}"' for other in others if f'"{other}"' not in TAGS]
    assert asked(if_none_match=", ".join(listed)) == 200 or any("abc123" in tag for tag in listed)
    listed.insert(at, "W/" + ours if weak else ours)
    assert asked(if_none_match=", ".join(listed)) == 304


@given(seconds=st.integers(0, 4_102_444_800))
def test_dates_of_ours_come_back_as_they_went(seconds: int) -> None:
    text = http_date(seconds)
    assert int(email.utils.parsedate_to_datetime(text).timestamp()) == seconds
    assert decide({"HTTP_IF_MODIFIED_SINCE": text}, TAGS, PLAIN, seconds) == 304
    assert decide({"HTTP_IF_MODIFIED_SINCE": text}, TAGS, PLAIN, seconds + 1) == 200


# -- codings ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "chosen"),
    [
        (None, "identity"),
        ("", "identity"),
        ("gzip", "gzip"),
        ("br", "br"),
        ("gzip, deflate", "gzip"),
        ("gzip, deflate, br", "br"),
        ("gzip, deflate, br, zstd", "br"),
        ("br;q=0.5, gzip;q=0.8", "gzip"),
        ("br;q=0.5, gzip", "gzip"),
        ("gzip;q=0", "identity"),
        ("gzip;q=0, br;q=0", "identity"),
        ("GZIP", "gzip"),
        ("x-gzip", "gzip"),
        (" gzip ; q=1.0 ", "gzip"),
        ("gzip;Q=0.5", "gzip"),
        ("*", "br"),
        ("*;q=0.1", "br"),
        ("*;q=0", "identity"),
        ("br;q=0, *", "gzip"),
        ("identity", "identity"),
        ("identity;q=0.5, gzip;q=0.3", "identity"),
        ("identity;q=0, gzip;q=0.1", "gzip"),
        ("deflate", "identity"),
        ("gzip;q=nonsense", "identity"),
        ("gzip;q=", "identity"),
        ("gzip;q=nan", "identity"),
        ("gzip;q=0.001", "gzip"),
        (";,;q=1,,", "identity"),
    ],
)
def test_the_coding_of_the_highest_quality_is_chosen(header: str | None, chosen: str) -> None:
    assert choose_encoding(header) == chosen


@given(
    ANYTHING
    | st.lists(st.sampled_from(["gzip", "br", "identity", "*", ";q=", "0", "1", ".5", ",", " ", "nan", "inf"])).map("".join)
)
def test_any_header_gives_a_coding_that_is_offered(header: str) -> None:
    assert choose_encoding(header) in ENCODINGS


@given(st.dictionaries(st.sampled_from(ENCODINGS), st.integers(0, 1000), min_size=1))
def test_a_coding_of_quality_zero_is_never_chosen(qualities: dict[str, int]) -> None:
    chosen = choose_encoding(", ".join(f"{name};q={quality / 1000}" for name, quality in qualities.items()))
    if any(qualities.values()):
        assert qualities.get(chosen, 1) > 0
        assert all(quality <= qualities.get(chosen, 1) for name, quality in qualities.items() if name != "identity" or quality)


def test_codings_are_chosen_alike_whether_they_are_remembered_or_too_long_for_that() -> None:
    for number in range(2000):
        asked_for = f"gzip;q=0.{number:03},br;q=0.5" + f", x{number}" * 40
        assert negotiate_encoding(asked_for) == choose_encoding(asked_for)
    assert negotiate_encoding("gzip") == "gzip" and conditional._remembered.cache_info().currsize < 512, (
        "nobody can fill it with those"
    )
