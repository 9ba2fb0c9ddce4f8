"""Answer /metrics as Prometheus text. The only user of prometheus-client.

All is read from the database in one snapshot: each worker answers the same, and nothing is kept between two scrapes. What
processes count (`feeds.counters`) is there a few seconds later, summed.
"""

from __future__ import annotations

import hmac
import platform
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from flask import Response, request
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.core import GaugeMetricFamily as Gauge
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from werkzeug.wrappers import Response as Answer

from ...counters import METRICS
from ...monitoring.gauges import Snapshot, take_snapshot
from ...monitoring.health import FACTS
from ..application import application
from ..rate_limit import Networks, client_address, parse_address

_DEGRADED = "1 where `/ready` says that this is not as it should be."
_LOOPBACK = Networks(("loopback",))


def metrics() -> Answer:
    """Answer a scrape: with the operator's token always, without it as the setting `metrics` says."""
    app, now = application(), time.time()
    site, token = app.config.site, app.runtime.environment.console_token
    headers, refusal = {"Cache-Control": "no-store"}, ("", 200)
    if given := request.headers.get("Authorization", ""):
        if not token or not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
            refusal = "not the operator's token\n", 401
            headers["WWW-Authenticate"] = 'Bearer realm="metrics"'
    elif site.metrics != "public":
        near = _LOOPBACK.contains(client_address(request.environ, Networks(site.trusted_proxies)))
        if site.metrics != "local" or not near or not is_loopback(request.headers.get("Host", "")):
            refusal = "figures are for the operator: from this machine, or with FEEDS_OPERATOR_TOKEN as bearer\n", 403
    if refusal[0]:
        return Response(*refusal, content_type="text/plain; charset=utf-8", headers=headers)
    registry = CollectorRegistry(auto_describe=False)
    fault = app.runtime.watch.latest().words
    try:
        snapshot = app.runtime.read(take_snapshot, app.config, int(now), fault)
    except Exception as error:
        if not (fault or app.runtime.watch.report(error).words):
            raise
        registry.register(_OnlyFault())
    else:
        registry.register(Collector(snapshot, now, app.started))
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4, headers=headers)


def is_loopback(host: str) -> bool:
    """Return whether the header Host names this machine: a page whose own name was made to lead here has another.

    >>> [is_loopback(host) for host in ("localhost:8000", "127.0.0.1", "[::1]:8000", "127.0.0.1.evil.example", "")]
    [True, True, True, False, False]
    """
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
    return name.lower().rstrip(".") == "localhost" or _LOOPBACK.contains(parse_address(name))


class _OnlyFault:
    """Yields the one fact that is known of a database that cannot be read."""

    def collect(self) -> Iterator[Any]:
        yield _gauges("feeds_degraded", _DEGRADED, "fact", {"database": 1})


@dataclass(eq=False, slots=True)  # the registry wants it to be hashable
class Collector:
    """Yields a snapshot as the library's metric families. `started` (UTC seconds) is when this worker started."""

    snapshot: Snapshot
    now: float
    started: float

    def collect(self) -> Iterator[Any]:
        """Yield all families, in the order in which /metrics has them."""
        found = self.snapshot
        labels = {"version": version("feeds"), "python": platform.python_version(), "schema": found.schema}
        yield InfoMetricFamily("feeds_build", "What answers.", value=labels)
        yield Gauge("feeds_worker_start_time_seconds", "When the worker that answers was started.", self.started)
        yield from self._state()
        for metric in METRICS:
            kind = HistogramMetricFamily if metric.bounds else CounterMetricFamily
            family: Any = kind(f"feeds_{metric.name}", metric.help, labels=metric.labels)
            for values, series in found.counters.get(metric.name, {}).items():
                if metric.bounds:
                    buckets = [(str(bound), number) for bound, number in series.buckets(metric)]
                    family.add_metric(values, [*buckets, ("+Inf", series.number)], series.seconds)
                else:
                    family.add_metric(values, series.number)
            yield family
        yield from self._requested()
        yield from self._readers_and_queues()

    def _state(self) -> Iterator[Any]:
        """Yield what the last rescan left, and what /ready reports, too."""
        found = self.snapshot
        yield Gauge("feeds_feeds", "Feeds that are published.", found.feeds)
        yield Gauge("feeds_generation", "Grows with each rescan that changed something.", found.generation)
        if rescan := found.rescan:
            yield Gauge("feeds_articles", "Articles in the catalog.", rescan["articles"])
            yield Gauge("feeds_quarantined_files", "Files that could not become articles.", rescan["quarantined"])
            held = "Articles whose files are gone, held until you let them go."
            yield Gauge("feeds_held_articles", held, rescan.get("held", 0))
            yield Gauge("feeds_last_rescan_timestamp_seconds", "When the last rescan ended well.", rescan["at"])
            yield Gauge("feeds_last_rescan_age_seconds", "How long ago that is.", max(0.0, self.now - rescan["at"]))
            yield Gauge("feeds_last_rescan_duration_seconds", "How long it took.", rescan["seconds"])
            changes = {change: rescan[change] for change in ("added", "changed", "renamed", "removed")}
            yield _gauges("feeds_last_rescan_articles", "Articles that it brought, changed or took away.", "change", changes)
        for name, fact in (("config fault", "config"), ("rescan fault", "store")):
            shown = f"1 where `feeds status` shows a {name}."
            yield Gauge(f"feeds_{name.replace(' ', '_')}", shown, int(fact in found.degraded))
        facts = {fact: int(fact in found.degraded) for fact in FACTS}
        yield _gauges("feeds_degraded", _DEGRADED, "fact", facts)
        if found.beat:
            yield Gauge("feeds_clock_age_seconds", "When the clock was last heard of.", max(0.0, self.now - found.beat))

    def _requested(self) -> Iterator[Any]:
        """Yield counters of single feeds, the MOST_REQUESTED ones: a monitor pays for each time series."""
        names = {"requests": "Requests", "not_modified": "Requests answered 304", "refused": "Requests answered 429"}
        for place, (name, help) in enumerate({**names, "sent_bytes": "Bytes of bodies"}.items()):
            help = f"{help} of the feeds that are asked for most, all formats."
            family = CounterMetricFamily(f"feeds_feed_{name}", help, labels=["feed"])
            for path, counts in self.snapshot.requested.items():
                family.add_metric([path], counts[place])
            yield family

    def _readers_and_queues(self) -> Iterator[Any]:
        found = self.snapshot
        reported = "Readers that an aggregator told of, the highest number of 7 days for each feed, added up."
        yield _gauges("feeds_readers", reported, "aggregator", found.readers)
        yield _gauges("feeds_subscribers", "Subscribers of the newsletter by state.", "state", found.subscribers)
        yield Gauge("feeds_issues", "Issues of the newsletter.", found.issues["all"])
        waiting = {status: number for status, number in found.issues.items() if status != "all"}
        yield _gauges("feeds_issues_waiting", "Issues that are being sent, or wait for the operator.", "status", waiting)
        yield _gauges("feeds_deliveries", "Messages of issues by status, as counted last.", "status", found.deliveries)
        if found.counted_at is not None:
            age = max(0.0, self.now - found.counted_at)
            yield Gauge("feeds_counted_age_seconds", "How long ago the clock counted subscribers; deliveries with them.", age)
        oldest = "How long the oldest of what is due has been waiting: messages of issues, single messages, pushes."
        yield _gauges("feeds_queue_oldest_seconds", oldest, "queue", found.waiting)
        hub = "The hub: subscriptions, topics, requests to be verified, deliveries that are due, callbacks that fail."
        yield _gauges("feeds_hub", hub, "what", found.hub)
        if found.jobs:
            yield _gauges("feeds_jobs", "Jobs of the workers that are not done.", "status", found.jobs)
            yield Gauge("feeds_workers", "Workers that have given a sign of life of late.", found.workers)


def _gauges(name: str, help: str, label: str, values: Mapping[str, int]) -> Any:
    family = Gauge(name, help, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family
