"""Every metric of /metrics, from an answer in which each occurs once."""

from __future__ import annotations

from prometheus_client import Metric

from feeds.audience.requests import Counts
from feeds.counters import COUNT, METRICS, Series
from feeds.monitoring.gauges import Snapshot
from feeds.web.views.monitoring import Collector

from .words import code, explained, table

_RESCAN = {"at": 0, "seconds": 1.0, "articles": 1, "quarantined": 0, "added": 1, "changed": 0, "renamed": 0, "removed": 0}
_SNAPSHOT = Snapshot(
    generation=1,
    feeds=1,
    schema="",
    rescan=_RESCAN,
    degraded={},
    beat=1,
    counters={metric.name: {tuple(metric.labels): Series({COUNT: 1})} for metric in METRICS},
    requested={"tags/Linux": Counts()},
    readers={"Feedly": 1},
    subscribers={"active": 1},
    deliveries={"sent": 1},
    issues={"all": 1, "open": 1},
    waiting={"deliveries": 0},
    hub={"subscriptions": 1},
    jobs={"todo": 0},
    workers=1,
    counted_at=0,
)


def page() -> str:
    rows = [_row(family) for family in Collector(_SNAPSHOT, 0.0, 0.0).collect()]
    return _HEAD + table(("metric", "type", "labels", "what"), rows)


def _row(family: Metric) -> tuple[str, str, str, str]:
    sample = family.samples[0]
    name = family.name if family.type == "histogram" else sample.name
    labels = [label for label in sample.labels if label != "le"]
    return code(name), family.type, ", ".join(map(code, labels)), explained(name, family.documentation)


_HEAD = """\
# Metrics

What `/metrics` answers, in Prometheus' text format. Who may look is the setting `metrics`. How to read them, and what to be
woken by: [monitoring](../monitoring.md).

This page is written by `make reference`, from the code.

"""
