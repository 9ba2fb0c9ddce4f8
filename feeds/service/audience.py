"""Who follows what: counts come in from the web workers, `feeds status` and /metrics ask. In numbers only."""

from __future__ import annotations

from datetime import date, datetime, tzinfo
from typing import Any

import sqlalchemy as sa

from ..audience import records
from ..audience.claims import Claim, is_claim
from ..audience.claims import read as read_claim
from ..audience.records import ELSEWHERE, Audience, Batch, Counts

__all__ = ["ELSEWHERE", "Audience", "Batch", "Claim", "Counts", "as_json", "is_claim", "read_claim", "recent"]

#: What `feeds status` looks back on, today included.
DAYS = 7


def today(zone: tzinfo, now: float) -> int:
    return datetime.fromtimestamp(now, zone).date().toordinal()


def recent(connection: sa.Connection, zone: tzinfo, now: float, limit: int) -> Audience:
    """Of the last DAYS."""
    return records.report(connection, _since(zone, now), limit)


def aggregators(connection: sa.Connection, zone: tzinfo, now: float) -> dict[str, int]:
    """The readers that each told of in the last DAYS."""
    return records.aggregators(connection, _since(zone, now))


def _since(zone: tzinfo, now: float) -> int:
    return today(zone, now) - DAYS + 1


def forget(connection: sa.Connection, zone: tzinfo, now: float, days: int) -> None:
    """All but the last `days`."""
    records.purge(connection, today(zone, now) - days + 1)


def as_json(found: Audience, zone: tzinfo, now: float) -> dict[str, Any]:
    def numbers(counts: Counts, readers: int) -> dict[str, int]:
        return {
            "requests": counts.requests,
            "unchanged": counts.unchanged,
            "refused": counts.refused,
            "bytes": counts.sent,
            "readers": readers,
        }

    feeds = [{"path": one.path, **numbers(one.counts, one.readers), "formats": dict(one.formats)} for one in found.feeds]
    since = date.fromordinal(_since(zone, now)).isoformat()
    whole = numbers(found.counts, found.readers)
    return {"days": DAYS, "since": since, **whole, "aggregators": dict(found.aggregators), "feeds": feeds}
