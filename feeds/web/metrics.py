"""/metrics: how the service does, as Prometheus text. The only user of prometheus-client.

All of it is read from the database when it is asked for, so each of several workers answers the same, and nothing is kept
between two requests; what the workers count is there a few seconds later (`tally`). Counters of single feeds are only those of
the MOST_REQUESTED ones, however many there are: a monitor pays for each time series.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Iterator, Mapping
from typing import Any

from flask import Response, request
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from werkzeug.wrappers import Response as Answer

from ..config import Site
from ..service.audience import Counts, Figures
from . import clients
from .clients import Networks
from .state import state

_LOOPBACK = Networks(("loopback",))


def figures() -> Answer:
    here = state()
    site = here.config.site
    if (status := _refusal(site, here.service.environment.operator_token)) is not None:
        return status
    now = time.time()
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collector(here.service.figures(here.config, now), now))
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4, headers={"Cache-Control": "no-store"})


def _refusal(site: Site, token: str) -> Answer | None:
    """None for whoever may look: with the operator's token always, without it as the setting says."""
    given = request.headers.get("Authorization", "")
    if given:
        known = bool(token) and hmac.compare_digest(given.encode(), f"Bearer {token}".encode())
        return None if known else _say("not the operator's token\n", 401)
    if site.metrics == "public":
        return None
    if site.metrics == "local" and _LOOPBACK.holds(clients.client(request.environ, Networks(site.trusted_proxies))):
        return None
    return _say("figures are for the operator: from this machine, or with FEEDS_OPERATOR_TOKEN as bearer\n", 403)


def _say(text: str, status: int) -> Answer:
    headers = {"Cache-Control": "no-store"} | ({"WWW-Authenticate": 'Bearer realm="metrics"'} if status == 401 else {})
    return Response(text, status, content_type="text/plain; charset=utf-8", headers=headers)


class Collector:
    """One answer's worth of figures, in the library's words."""

    def __init__(self, figures: Figures, now: float) -> None:
        self.figures, self.now = figures, now

    def collect(self) -> Iterator[Any]:
        yield from self._catalog()
        yield from _counters("feeds", "format", self.figures.ever, "of all feeds, by format")
        yield from _counters("feeds_feed", "feed", self.figures.feeds, "of the feeds that are asked for most, all formats")
        yield from self._people()

    def _catalog(self) -> Iterator[Any]:
        status = self.figures.status
        yield _gauge("feeds_articles", "Articles in the catalog.", status["articles"])
        yield _gauge("feeds_quarantined_files", "Files that could not become articles.", status["quarantined"])
        yield _gauge("feeds_feeds", "Feeds that are published.", status["feeds"])
        yield _gauge("feeds_generation", "Grows with each rescan that changed something.", status["generation"])
        for name in ("config_fault", "rescan_fault"):
            yield _gauge(f"feeds_{name}", f"1 where `feeds status` shows a {name.replace('_', ' ')}.", int(bool(status[name])))
        if rescan := status["rescan"]:
            yield _gauge("feeds_last_rescan_timestamp_seconds", "When the last rescan ended well.", rescan["at"])
            yield _gauge("feeds_last_rescan_age_seconds", "How long ago that is.", max(0.0, self.now - rescan["at"]))
            yield _gauge("feeds_last_rescan_duration_seconds", "How long it took.", rescan["seconds"])

    def _people(self) -> Iterator[Any]:
        found = self.figures
        told = "Readers that an aggregator told of, the highest number of 7 days for each feed, added up."
        yield _gauges("feeds_readers", told, "aggregator", found.readers)
        yield _gauges("feeds_subscribers", "Subscribers of the newsletter by state.", "state", found.subscribers)
        deliveries = {status: number for status, number in found.deliveries.items() if status != "issues"}
        yield _gauge("feeds_issues", "Issues of the newsletter.", found.deliveries["issues"])
        yield _gauges("feeds_deliveries", "Messages of issues by status.", "status", deliveries)


def _counters(prefix: str, label: str, rows: Mapping[str, Counts], which: str) -> Iterator[Any]:
    for name, help, values in (
        ("requests", "Requests", {key: row.requests for key, row in rows.items()}),
        ("not_modified", "Requests answered 304", {key: row.unchanged for key, row in rows.items()}),
        ("refused", "Requests answered 429", {key: row.refused for key, row in rows.items()}),
        ("sent_bytes", "Bytes of bodies", {key: row.sent for key, row in rows.items()}),
    ):
        family = CounterMetricFamily(f"{prefix}_{name}", f"{help} {which}.", labels=[label])
        for key, value in values.items():
            family.add_metric([key], value)
        yield family


def _gauge(name: str, help: str, value: float) -> Any:
    return GaugeMetricFamily(name, help, value=value)


def _gauges(name: str, help: str, label: str, values: Mapping[str, int]) -> Any:
    family = GaugeMetricFamily(name, help, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family
