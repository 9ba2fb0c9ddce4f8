"""The time of day: a clock that is wrong, and put right."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .house import House
from .test_mail import MONDAY, PEOPLE, Now, post_of

YEAR, WEEK, DAY = 365 * 86400, 7 * 86400, 86400


@pytest.mark.interop
@pytest.mark.fault(
    "The clock jumps a year ahead and back, or a year back",
    readers="every edit within seconds, and 304 where nothing is new; who asks by date alone is sent the whole feed until the "
    "clock has come to where it was, never an old one",
    lost="nothing",
    heals="by itself, at once: what a feed is, is decided by its bytes and not by a time",
)
def test_feeds_stay_fresh_whatever_the_clock_says(site: Any, make_house: Callable[..., House]) -> None:
    site.settle("site.yaml", rescan_seconds=1)
    for id in range(1, 11):
        site.write(f"{id}.md", tags=["Linux"], title=f"title {id}.", date=f"2020-01-{id:02} 08:00:00")
    site.rescan()
    house = make_house(site, "--workers", "1").start()
    start, etags = site.now, set()
    for number, jump in enumerate((YEAR, 0, -YEAR, 60)):
        house.set_time(start + jump)
        before = house.get("/all.atom")[1]
        site.write("10.md", tags=["Linux"], title=f"edit {number}.", date="2020-01-10 08:00:00")
        house.wait(lambda number=number: house.shows(f"edit {number}."))
        old = {"If_None_Match": before["ETag"], "If_Modified_Since": before["Last-Modified"]}
        status, headers, _body = house.get("/all.atom", **old)
        assert status == 200
        assert house.get("/all.atom", If_None_Match=headers["ETag"])[0] == 304
        again = house.get("/all.atom", If_Modified_Since=headers["Last-Modified"])[0]
        assert again == (304 if jump == YEAR else 200), "rather too often than once too few"
        assert house.get("/all.atom", If_Modified_Since=before["Last-Modified"])[0] == 200, "older readers know no ETags"
        etags |= {before["ETag"], headers["ETag"]}
    assert len(etags) == 5 and "Traceback" not in house.log()


@pytest.mark.fault(
    "The clock jumps a year ahead and back while digests are due",
    readers="subscribers get no article twice, and none is left out",
    lost="nothing; what came into the store while the clock was ahead waits for the digest of that time",
    heals="by itself: the next digest comes at its usual time, with what is new",
)
def test_no_digest_is_repeated_or_left_out(site: Any) -> None:
    now = Now(MONDAY)
    post = post_of(site, now, "transport: maildir")

    def at(instant: int, article: str = "") -> None:
        now.seconds = instant
        if article:
            site.write(f"{article}.md", tags=["Linux"], date="2026-01-04 00:00:00")
        site.rescan(instant)
        post.send()

    at(MONDAY)
    at(MONDAY + YEAR, "101")
    at(MONDAY + 2 * DAY, "102")
    at(MONDAY + WEEK, "103")
    at(MONDAY - YEAR, "104")
    at(MONDAY + 2 * WEEK)
    at(MONDAY + 3 * WEEK, "105")
    at(MONDAY + 4 * WEEK)
    assert brought(site) == {"101": 0, "102": PEOPLE, "103": PEOPLE, "104": PEOPLE, "105": PEOPLE}
    at(MONDAY + YEAR + WEEK)
    assert brought(site) == dict.fromkeys(("101", "102", "103", "104", "105"), PEOPLE)


def brought(site: Any) -> dict[str, int]:
    """How many messages bring an article."""
    texts = [text(path) for path in (site.root / "var" / "maildir" / "new").iterdir()]
    return {name: sum(f"/article-{name}-1.html" in one for one in texts) for name in ("101", "102", "103", "104", "105")}


def text(path: Path) -> str:
    body = email.message_from_bytes(path.read_bytes(), policy=email.policy.default).get_body(("plain",))
    return str(body.get_content()) if body else ""
