"""Decide what becomes of a file: published, a page, withheld or quarantined, why, and when that changes by itself. Pure."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from .fields import Fields
from .kinds import Place, StoreKind

State = Literal["published", "page", "withheld", "ignored", "quarantined"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a file, and why ("" for what is published).

    `due` is the next second, in UTC, at which the verdict changes although the file does not; None for never.
    """

    state: State
    reason: str = ""
    due: datetime | None = None


PUBLISHED = Verdict("published")
#: Words that say no; "" and what YAML calls nothing say nothing.
NO = frozenset("false no off 0 0.0 n f never 否 .false. ".split())
NOTHING = frozenset(("", "null", "~", "none", "nil", "undefined"))
#: Fields that withhold whatever they say but no, and the reason.
_HOLDING: Mapping[str, str] = {
    "draft": "draft",
    "drafts": "draft",
    "isdraft": "draft",
    "草稿": "draft",
    "unlisted": "unlisted",
    "hidden": "hidden",
    "private": "private",
    "isprivate": "private",
    "password": "password",
    "encrypt": "encrypt",
    "encrypted": "encrypt",
    "headless": "headless",
    "eleventyexcludefromcollections": "eleventyExcludeFromCollections",
}
#: Fields that withhold where they say no, and the reason.
_RELEASING: Mapping[str, str] = {
    "published": "published: false",
    "publish": "publish: false",
    "ispublished": "published: false",
    "dgpublish": "dg-publish: false",
    "public": "public: false",
    "listed": "unlisted",
    "permalink": "permalink: false",
}
#: Fields that withhold by a word, as `status: draft`; and the words, with the reason.
_WORDED = ("status", "visibility", "poststatus", "draft", "published", "publish", "hide")
_WORDS: Mapping[str, str] = {
    "draft": "draft",
    "drafts": "draft",
    "unfinished": "draft",
    "wip": "draft",
    "草稿": "draft",
    "pending": "draft",
    "hidden": "hidden",
    "skip": "skip",
    "private": "private",
    "unlisted": "unlisted",
    "unpublished": "draft",
    "password": "password",
    "trash": "draft",
    "future": "draft",
}


def judge(place: Place, fields: Fields, kind: StoreKind, now: datetime, *, future: str) -> Verdict:
    """Return the verdict on a file, from its path, its header and the time alone.

    `future` is "hold" or "publish": what becomes of articles with a date in the future.
    """
    if place.state in ("ignored", "withheld"):
        return Verdict("ignored" if place.state == "ignored" else "withheld", place.reason)
    if kind.headless and not fields.headed:
        return Verdict("ignored", kind.headless)
    if fields.flags and (reason := next(_withholding(fields), "")):
        return Verdict("withheld", reason)
    held = [when for when in (fields.date, fields.publish) if when and when > now] if future == "hold" else []
    expiry = fields.expiry
    if expiry and expiry <= now:
        return Verdict("withheld", "expired")
    if held:
        # What expires before it is due is expired by then.
        return Verdict("withheld", "future", _second(min(max(held), expiry or max(held))))
    state, reason = _settle(place, fields, kind)
    if state == "published" and not expiry:
        return PUBLISHED
    return Verdict(state, reason, _second(expiry) if expiry and state != "quarantined" else None)


def _second(when: datetime) -> datetime:
    """Return the first whole second, in UTC, that is not before `when`."""
    when = when.astimezone(UTC)
    return when.replace(microsecond=0) + timedelta(seconds=math.ceil(when.microsecond / 1_000_000))


def _withholding(fields: Fields) -> Iterator[str]:
    """Give the reasons for which the header says that a file is not for everybody."""
    flags = fields.flags
    for name in _WORDED:
        if reason := _WORDS.get(flags.get(name, "")):
            yield reason
    for name, reason in _HOLDING.items():
        if (value := flags.get(name, "")) not in NO and value not in NOTHING:
            yield reason
    for name, reason in _RELEASING.items():
        if flags.get(name) in NO:
            yield reason
    if flags.get("hide") in ("true", "yes", "on", "1"):
        yield "hidden"
    for part in ("list", "render"):
        if flags.get(f"build.{part}") in (*NO, "never"):
            yield f"build: {part} never"
    if flags.get("untranslated"):
        yield "not translated: 译者 is empty"


def _settle(place: Place, fields: Fields, kind: StoreKind) -> tuple[State, str]:
    """Return what a file is that nothing withholds."""
    flags = fields.flags
    if flags.get("article") in NO:
        return "page", "article: false"
    dated = fields.date or fields.date_from
    if place.state == "page":
        return "page", (place.undated if not dated else "") or place.reason
    if flags.get("home", "false") not in (*NO, *NOTHING) and kind.name in ("vuepress", "vitepress"):
        return "page", "home"
    if kind.uncredited and not (fields.date_from == "header" or fields.original or any(fields.names.values())):
        return "page", kind.uncredited
    if kind.undated == "quarantined":
        missing = list(itertools.compress(("no title", "no date"), (not fields.title, not dated)))
        return ("quarantined", missing[0]) if missing else ("published", "")
    if not dated and kind.undated == "page" and place.undated:
        return "page", place.undated
    return "published", ""
