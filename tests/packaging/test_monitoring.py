"""Alerts and dashboard ask for what there is: every expression parses, every metric and label is one of /metrics."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from werkzeug.test import Client

from feeds.monitoring import gauges, health
from feeds.monitoring.health import FACTS
from feeds.web.app import create_app
from tools.reference import metrics

from ..conftest import Site

ROOT = Path(__file__).resolve().parents[2]
ALERTS = yaml.safe_load((ROOT / "packaging" / "monitoring" / "alerts.yml").read_text("utf-8"))["groups"]
DASHBOARD = json.loads((ROOT / "packaging" / "monitoring" / "dashboard.json").read_text("utf-8"))
RULES = [rule for group in ALERTS for rule in group["rules"]]
TARGETS = [target for panel in DASHBOARD["panels"] for target in panel["targets"]]
EXPRESSIONS = [one["expr"] for one in (*RULES, *TARGETS)]
#: Prometheus' own.
UP, LABELS = "up", {"instance", "job", "le"}


def labels_by_metric() -> dict[str, set[str]]:
    rows = re.findall(r"^\| `(\w+)` \| \w+ \| ([^|]*) \|", metrics.page(), re.MULTILINE)
    return {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows}


KNOWN = labels_by_metric()


def family(name: str) -> str:
    """`feeds_render_seconds` of `feeds_render_seconds_bucket`."""
    return name if name in KNOWN else re.sub(r"_(bucket|count|sum)$", "", name)


def nodes(expression: str) -> Iterator[Any]:
    found: list[Any] = []
    promql_parser.walk(promql_parser.parse(expression), found.append)
    assert found
    for node in found:
        yield node
        if isinstance(node, promql_parser.MatrixSelector):
            yield node.vector_selector


def selectors(expression: str) -> dict[str, set[str]]:
    """Metric -> labels that it is chosen by."""
    chosen: dict[str, set[str]] = {}
    for node in nodes(expression):
        if isinstance(node, promql_parser.VectorSelector):
            chosen.setdefault(node.name, set()).update(matcher.name for matcher in node.matchers.matchers)
    return chosen


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """/metrics of a service that a clock looks after."""
    site = Site(tmp_path_factory.mktemp("monitored") / "site")
    site.write("1.md", tags=["Linux"])
    site.rescan()
    site.runtime.write(health.write_heartbeat, time.time())
    gauges.count_tables(site.runtime.engine, site.runtime.edition().config, time.time, threading.Event())
    yield Client(create_app(site.environment)).get("/metrics", environ_base={"REMOTE_ADDR": "127.0.0.1"}).text
    site.close()


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_expression_parses_and_asks_for_metrics_and_labels_that_there_are(expression: str, text: str) -> None:
    there = set(re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE)) | {"feeds_jobs"}  # of PostgreSQL with workers
    chosen = selectors(expression)
    assert chosen
    for name, labels in chosen.items():
        assert name == UP or family(name) in there, name
        assert labels <= KNOWN.get(family(name), set()) | LABELS, (name, labels)
    grouped = {label for node in nodes(expression) for label in getattr(getattr(node, "modifier", None), "labels", None) or ()}
    assert grouped <= {label for name in chosen for label in KNOWN.get(family(name), ())} | LABELS, grouped


def test_a_wrong_expression_would_be_noticed() -> None:
    with pytest.raises(ValueError, match=r"unclosed|paren"):
        promql_parser.parse("sum(rate(feeds_requests_total[5m])")
    assert selectors('rate(feeds_x_total{a="1"}[5m]) > 0') == {"feeds_x_total": {"a"}}
    assert {"feeds_requests_total", "feeds_render_seconds", "feeds_queue_oldest_seconds"} <= set(KNOWN)


def test_rules_are_whole() -> None:
    assert len({rule["alert"] for rule in RULES}) == len(RULES) > 15
    for rule in RULES:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("page", "ticket") and rule["annotations"]["summary"]
        assert re.fullmatch(r"\d+[smhd]", rule.get("for", "1m"))


def test_every_fact_that_ready_tells_has_an_alert() -> None:
    asked = " ".join(rule["expr"] for rule in RULES)
    assert all(f'fact="{fact}"' in asked for fact in FACTS)


def test_each_alert_is_explained_and_no_other() -> None:
    page = (ROOT / "docs" / "monitoring.md").read_text("utf-8")
    assert re.findall(r"^### (\w+)$", page, re.MULTILINE) == [rule["alert"] for rule in RULES]


def test_the_dashboard_is_one_that_grafana_reads() -> None:
    places = [tuple(panel["gridPos"][name] for name in "xywh") for panel in DASHBOARD["panels"]]
    assert len({place[:2] for place in places}) == len(places) and all(x + w <= 24 for x, _y, w, _h in places)
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(places)
    assert all(panel["title"] and panel["targets"] for panel in DASHBOARD["panels"])
    assert DASHBOARD["templating"]["list"][0]["query"] == "prometheus"


def test_legends_name_labels_that_the_expressions_keep() -> None:
    for target in TARGETS:
        kept = {label for name in selectors(target["expr"]) for label in KNOWN.get(family(name), ())}
        assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= kept, target


def test_the_reference_knows_every_metric_of_the_answer(text: str) -> None:
    assert set(re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE)) <= set(KNOWN)
