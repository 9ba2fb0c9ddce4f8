"""docs/reference/ says what the code says, and nothing that users meet is without words."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import pytest
from flask import Flask
from pydantic import BaseModel

from feeds.cli import main
from feeds.config.models import FeedSettings, Newsletter, Site
from feeds.feed_formats import load_formats
from feeds.model import FACETS
from feeds.web.app import make_app
from feeds.web.views.monitoring import Collector
from tools.reference import PAGES, Unexplained, addresses, commands, metrics, settings

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "docs" / "reference"


@pytest.fixture(scope="module")
def app(demo: Any) -> Flask:
    return make_app(demo.environment)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_of_the_reference_is_what_the_code_says(name: str) -> None:
    assert (REFERENCE / f"{name}.md").read_text("utf-8") == PAGES[name](), "run `make reference`"


# -- settings ----------------------------------------------------------------


def _leaves(model: type[BaseModel]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


@pytest.mark.parametrize("model", [Site, FeedSettings, Newsletter])
def test_every_setting_is_in_the_reference(model: type[BaseModel]) -> None:
    text = PAGES["settings"]()
    for name in _leaves(model):
        assert f"\n| `{name}` |" in text, name


def test_a_setting_without_words_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    class More(Site):
        colour: str = "red"

    monkeypatch.setitem(settings.FILES, "site.yaml", More)
    with pytest.raises(Unexplained, match=re.escape("site.yaml: colour")):
        settings.page()


def test_every_variable_that_the_code_reads_is_in_the_reference() -> None:
    text = PAGES["settings"]()
    sources = "\n".join(path.read_text("utf-8") for path in (ROOT / "feeds").rglob("*.py"))
    named = set(re.findall(r"FEEDS_[A-Z]+(?:_[A-Z]+)*", sources)) - {"FEEDS_COMPLETE"}
    assert len(named) > 5
    for variable in named:
        assert f"\n| `{variable}` |" in text, variable


def test_words_of_a_setting_are_found_where_its_line_ends() -> None:
    text = "a: x#y   # one\nb:  # two\n  c: 1  # three\n# a line\nd:\n  - name: 2  # four\n    e: {f: 1}\n"
    found = {"a": "one", "b": "two", "b.c": "three", "d": "", "d.name": "four", "d.e": ""}
    assert settings.comments(text) == found


# -- commands ----------------------------------------------------------------


def test_every_command_has_an_entry() -> None:
    text = PAGES["commands"]()
    for context in commands.commands(click.Context(main, info_name="feeds")):
        assert f"\n## {context.command_path}\n" in text


@pytest.mark.parametrize(
    "command",
    [
        click.Command("new"),
        click.Command("new", help="New."),
        click.Command("new", help="New.\n\n\b\nExamples:\n  feeds new", params=[click.Option(["--old"])]),
    ],
    ids=["no help", "no example", "an option without help"],
)
def test_a_command_without_words_is_noticed(command: click.Command) -> None:
    with pytest.raises(Unexplained, match="feeds new"):
        commands.check(click.Context(command, click.Context(main, info_name="feeds"), "new"))


def test_the_list_of_commands_is_ordered_by_what_they_are_for() -> None:
    listed = main.get_help(click.Context(main, info_name="feeds"))
    assert listed.index("Serving:") < listed.index("Mail:") < listed.index("Setting up:")
    assert "More:" not in listed, "a section for every command"


# -- addresses ---------------------------------------------------------------


def test_every_rule_of_the_service_is_in_the_reference(app: Flask) -> None:
    listed = {address for _method, address, _words in addresses.rows(app)}
    assert len(listed) >= 20
    for rule in app.url_map.iter_rules():
        if rule.rule not in (addresses.CATCH_ALL, "/static/<path:filename>"):
            assert "`" + re.sub("<[a-z]+:", "<", rule.rule) + "`" in listed


def test_an_address_without_words_is_noticed(demo: Any) -> None:
    app = make_app(demo.environment)
    app.add_url_rule("/new", view_func=lambda: "new")
    with pytest.raises(Unexplained, match="GET /new"):
        list(addresses.rows(app))


@pytest.mark.parametrize("example", [example for _shape, example, _words in addresses.GRAMMAR])
def test_examples_of_addresses_are_answered(app: Flask, example: str) -> None:
    assert app.test_client().get(example).status_code == 200


def test_the_grammar_names_every_facet_and_format() -> None:
    text = PAGES["addresses"]()
    assert all(f"`/{facet.plural}/`" in text for facet in FACETS.values())
    assert all(f"`{format.extension}`" in text for format in load_formats().values())


# -- metrics -----------------------------------------------------------------


def test_every_metric_of_the_running_service_is_in_the_reference(app: Flask) -> None:
    text = PAGES["metrics"]()
    answered = app.test_client().get("/metrics").text
    names = set(re.findall(r"^# TYPE (\S+) ", answered, re.MULTILINE))
    assert len(names) > 15
    for name in names:
        assert f"\n| `{name}` |" in text, name


def test_a_metric_without_words_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    from prometheus_client.core import GaugeMetricFamily

    monkeypatch.setattr(Collector, "collect", lambda _self: [GaugeMetricFamily("feeds_new", "", value=1)])
    with pytest.raises(Unexplained, match="feeds_new"):
        metrics.page()
