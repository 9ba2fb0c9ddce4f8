"""Every metric of /metrics, from an answer in which each occurs once."""

from __future__ import annotations

from prometheus_client import Metric

from feeds.service.audience import Counts, Figures
from feeds.web.metrics import Collector

from .words import code, explained, table

_STATUS = {"articles": 1, "quarantined": 0, "feeds": 1, "generation": 1, "config_fault": "", "rescan_fault": ""}
_FIGURES = Figures(
    status={**_STATUS, "rescan": {"at": 0, "seconds": 1.0}},
    deliveries={"issues": 1, "sent": 1},
    subscribers={"active": 1},
    readers={"Feedly": 1},
    ever={"atom": Counts()},
    feeds={"tags/Linux": Counts()},
)


def page() -> str:
    rows = [_row(family) for family in Collector(_FIGURES, 0.0).collect()]
    return _HEAD + table(("metric", "type", "labels", "what"), rows)


def _row(family: Metric) -> tuple[str, str, str, str]:
    sample = family.samples[0]
    return code(sample.name), family.type, ", ".join(map(code, sample.labels)), explained(sample.name, family.documentation)


_HEAD = """\
# Metrics

What `/metrics` answers, in Prometheus' text format. Who may look is the setting `metrics`. How to read them, and what to be
woken by: [audience](../audience.md#prometheus).

This page is written by `make reference`, from the code.

"""
