"""How things stand, on one page: what is published, what is faulty, what was done lately, what is due next."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ...config import FREQUENCIES, Config
from ...library import catalog, scan
from ...newsletter import due, progress
from ...syndication import documents
from ...syndication.websub import rows as hub_rows
from .. import state
from ..holding import Held, is_let_go
from ..repository import Repository
from .record import Rescan, last_rescans

#: Rescans that the page lists.
LISTED = 15


@dataclass(frozen=True, slots=True)
class Overview:
    """`rescan` is the last one that went well, with its time `at`; None before the first. `due`: frequency -> UTC seconds.

    `going`: what is `held` has been let go, and goes with the next rescan.
    """

    articles: int
    feeds: int
    quarantined: int
    terms: Mapping[str, int]
    rescan: Mapping[str, Any] | None
    rescans: Sequence[Rescan]
    rescan_fault: str
    config_fault: str
    held: Held | None
    going: bool
    git: Repository | None
    due: Mapping[str, int]
    deliveries: Mapping[str, int]
    subscribers: Mapping[str, int]
    hub: Mapping[str, int]


def look(connection: sa.Connection, now: int) -> Overview:
    stored, config = state.read(connection), state.edition(connection).config
    return Overview(
        articles=scan.count_articles(connection),
        feeds=len(documents.paths(connection)),
        quarantined=scan.count_problems(connection),
        terms=catalog.term_counts(connection),
        rescan=json.loads(stored.get("rescan", "null")),
        rescans=last_rescans(connection, LISTED),
        rescan_fault=stored.get("rescan_fault", ""),
        config_fault=stored.get("config_fault", ""),
        held=Held.read(stored),
        going=is_let_go(stored),
        git=Repository.read(stored),
        due=_due(config, now) if config else {},
        deliveries=progress.counts(connection),
        subscribers=progress.subscriber_counts(connection),
        hub=hub_rows.counts(connection),
    )


def _due(config: Config, now: int) -> dict[str, int]:
    """When the next issues are due in the site's own time zone."""
    settings = config.newsletter
    if not settings.enabled:
        return {}
    offered = [name for name in FREQUENCIES if name in settings.frequencies]
    return {name: due.following(name, settings.cron(name), config.zone, now) for name in offered}
