"""/metrics: how the service does, as Prometheus text. The only user of prometheus-client.

All of it is read from the database when it is asked for, so each of several workers answers the same (but for its own start),
and nothing is kept between two requests; what processes count is there a few seconds later, added up (`measures`). Counters of
single feeds are only those of the MOST_REQUESTED ones, however many there are: a monitor pays for each time series.
"""

from __future__ import annotations

import hmac
import platform
import time
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any

from flask import Response, request
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from werkzeug.wrappers import Response as Answer

from ...audience.requests import Counts
from ...config.models import Site
from ...counters import MEASURES, Measure, Series
from ...monitoring import gauges
from ...monitoring.gauges import Figures
from ...monitoring.health import FACTS
from ..application import application
from ..rate_limit import Networks, client_address

_LOOPBACK = Networks(("loopback",))


def figures() -> Answer:
    here = application()
    site = here.config.site
    if (status := _refusal(site, here.runtime.environment.operator_token.get_secret_value())) is not None:
        return status
    now = time.time()
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collector(here.runtime.read(gauges.gather, here.config, int(now)), now, here.started))
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4, headers={"Cache-Control": "no-store"})


def _refusal(site: Site, token: str) -> Answer | None:
    """None for whoever may look: with the operator's token always, without it as the setting says."""
    given = request.headers.get("Authorization", "")
    if given:
        known = bool(token) and hmac.compare_digest(given.encode(), f"Bearer {token}".encode())
        return None if known else _say("not the operator's token\n", 401)
    if site.metrics == "public":
        return None
    if site.metrics == "local" and _LOOPBACK.contains(client_address(request.environ, Networks(site.trusted_proxies))):
        return None
    return _say("figures are for the operator: from this machine, or with FEEDS_OPERATOR_TOKEN as bearer\n", 403)


def _say(text: str, status: int) -> Answer:
    headers = {"Cache-Control": "no-store"} | ({"WWW-Authenticate": 'Bearer realm="metrics"'} if status == 401 else {})
    return Response(text, status, content_type="text/plain; charset=utf-8", headers=headers)


class Collector:
    """One answer's worth of figures, in the library's words. `started` (UTC seconds) is when this worker was."""

    def __init__(self, figures: Figures, now: float, started: float) -> None:
        self.figures, self.now, self.started = figures, now, started

    def collect(self) -> Iterator[Any]:
        yield from self._program()
        yield from self._catalog()
        yield from self._standing()
        yield from (_measured(measure, self.figures.measured.get(measure.name, {})) for measure in MEASURES)
        yield from _counters("feeds_feed", "feed", self.figures.requested, "of the feeds that are asked for most, all formats")
        yield from self._people()
        yield from self._queues()

    def _program(self) -> Iterator[Any]:
        labels = {"version": version("feeds"), "python": platform.python_version(), "schema": self.figures.schema}
        yield InfoMetricFamily("feeds_build", "What answers.", value=labels)
        yield _gauge("feeds_worker_start_time_seconds", "When the worker that answers was started.", self.started)

    def _catalog(self) -> Iterator[Any]:
        found = self.figures
        yield _gauge("feeds_feeds", "Feeds that are published.", found.feeds)
        yield _gauge("feeds_generation", "Grows with each rescan that changed something.", found.generation)
        if rescan := found.rescan:
            yield _gauge("feeds_articles", "Articles in the catalog.", rescan["articles"])
            yield _gauge("feeds_quarantined_files", "Files that could not become articles.", rescan["quarantined"])
            held = "Articles whose files are gone, held until you let them go."
            yield _gauge("feeds_held_articles", held, rescan.get("held", 0))
            yield _gauge("feeds_last_rescan_timestamp_seconds", "When the last rescan ended well.", rescan["at"])
            yield _gauge("feeds_last_rescan_age_seconds", "How long ago that is.", max(0.0, self.now - rescan["at"]))
            yield _gauge("feeds_last_rescan_duration_seconds", "How long it took.", rescan["seconds"])
            changes = {change: rescan[change] for change in ("added", "changed", "renamed", "removed")}
            yield _gauges("feeds_last_rescan_articles", "Articles that it brought, changed or took away.", "change", changes)

    def _standing(self) -> Iterator[Any]:
        """What `/ready` tells, too."""
        found = self.figures
        for name, fact in (("config fault", "config"), ("rescan fault", "store")):
            shown = f"1 where `feeds status` shows a {name}."
            yield _gauge(f"feeds_{name.replace(' ', '_')}", shown, int(fact in found.degraded))
        facts = {fact: int(fact in found.degraded) for fact in FACTS}
        yield _gauges("feeds_degraded", "1 where `/ready` says that this is not as it should be.", "fact", facts)
        if found.beat:
            yield _gauge("feeds_clock_age_seconds", "When the clock was last heard of.", max(0.0, self.now - found.beat))

    def _people(self) -> Iterator[Any]:
        found = self.figures
        told = "Readers that an aggregator told of, the highest number of 7 days for each feed, added up."
        yield _gauges("feeds_readers", told, "aggregator", found.readers)
        yield _gauges("feeds_subscribers", "Subscribers of the newsletter by state.", "state", found.subscribers)
        yield _gauge("feeds_issues", "Issues of the newsletter.", found.issues["all"])
        waiting = {status: number for status, number in found.issues.items() if status != "all"}
        yield _gauges("feeds_issues_waiting", "Issues that are being sent, or wait for the operator.", "status", waiting)
        yield _gauges("feeds_deliveries", "Messages of issues by status, as counted last.", "status", found.deliveries)
        if found.counted_at is not None:
            age = max(0.0, self.now - found.counted_at)
            yield _gauge("feeds_counted_age_seconds", "How long ago the clock counted subscribers; deliveries with them.", age)

    def _queues(self) -> Iterator[Any]:
        found = self.figures
        oldest = "How long the oldest of what is due has been waiting: messages of issues, single messages, pushes."
        yield _gauges("feeds_queue_oldest_seconds", oldest, "queue", found.waiting)
        hub = "The hub: subscriptions, topics, requests to be verified, deliveries that are due, callbacks that fail."
        yield _gauges("feeds_hub", hub, "what", found.hub)
        if found.jobs:
            yield _gauges("feeds_jobs", "Jobs of the workers that are not done.", "status", found.jobs)
            yield _gauge("feeds_workers", "Workers that have given a sign of life of late.", found.workers)


def _measured(measure: Measure, rows: Mapping[tuple[str, ...], Series]) -> Any:
    if not measure.bounds:
        counter = CounterMetricFamily(f"feeds_{measure.name}", measure.help, labels=measure.labels)
        for labels, series in rows.items():
            counter.add_metric(labels, series.number)
        return counter
    family = HistogramMetricFamily(f"feeds_{measure.name}", measure.help, labels=measure.labels)
    for labels, series in rows.items():
        buckets = [(str(bound), number) for bound, number in series.buckets(measure)]
        family.add_metric(labels, [*buckets, ("+Inf", series.number)], series.seconds)
    return family


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
