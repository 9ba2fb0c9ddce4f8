"""Messages that come back, and none of them is what it should be: a report of some kind, never an exception, never slow."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st

from feeds.newsletter.bounces import BounceReport, parser

from .mutating import damaged, noise, seeds
from .rounds import fuzz

MESSAGES = seeds("newsletter/cases/bounces", ending=".eml")
KINDS = {"hard", "soft", "noted", "complaint", "none", "unknown"}
HEADERS = ("Content-Type", "Subject", "From", "To", "Return-Path", "Delivered-To", "Auto-Submitted", "List-Unsubscribe")


def is_report(found: BounceReport) -> None:
    assert found.kind in KINDS and len(found.id) == 64
    assert len(found.diagnostic) <= parser.MAX_DIAGNOSTIC
    assert not {*"\r\n\0\x1b"} & {*found.diagnostic}
    found.diagnostic.encode()
    assert all(token.isascii() for token in (*found.tokens, *found.unsubscribe_tokens, *found.link_tokens))


@fuzz(40, raw=damaged(MESSAGES))
def test_damaged_reports_are_reports_or_unknown(raw: bytes) -> None:
    is_report(parser.parse_report(raw))


@fuzz(30, fields=st.lists(st.tuples(st.sampled_from(HEADERS), noise(4)), max_size=6), body=noise(8))
def test_any_header_and_any_body(fields: list[tuple[str, bytes]], body: bytes) -> None:
    head = b"".join(name.encode() + b": " + value.replace(b"\n", b"\n ") + b"\n" for name, value in fields)
    is_report(parser.parse_report(head + b"\n" + body))


def _fill(unit: str) -> bytes:
    return (unit * (parser.MAX_BYTES // len(unit))).encode()


_STATUS = (
    b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\n"
)


@pytest.mark.parametrize(
    "raw",
    [
        b'Content-Type: text/plain; x="' + _fill(";"),
        b"Content-Type: multipart/mixed; " + _fill("a=b;"),
        b"Subject: " + _fill("=?utf-8?q?a?="),
        _STATUS + _fill("\n"),
        _STATUS + _fill("a\n\n"),
        b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(9000)),
    ],
    ids="parameters quotes encoded-words blank-lines groups parts".split(),
)
def test_a_message_made_to_cost_time_costs_little(raw: bytes, within: Any) -> None:
    """Each took seconds; the bound is for a slow machine."""
    with within(seconds=4):
        is_report(parser.parse_report(raw))
