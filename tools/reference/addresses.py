"""Every address: Flask's map with the words of its views, and the grammar behind the rule that takes all paths."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from flask import Flask
from werkzeug.routing import Rule

from feeds.config.environment import Environment
from feeds.feed_formats import load_formats
from feeds.model import FACETS
from feeds.web.app import make_app

from .words import Unexplained, code, sentence, table

#: The rule that stands for all of GRAMMAR.
CATCH_ALL = "/<path:address>"
_ENDINGS = ", ".join(f"`{format.extension}`" for format in load_formats().values())
#: (as it is written, an example of the demo, what it is). A test asks the demo for each example.
GRAMMAR: list[tuple[str, str, str]] = [
    ("/<facet>/", "/tags/", "all terms of a facet, with counts"),
    ("/<facet>/<term>", "/translators/demo-lin", "the page of a term: articles, addresses of its feed, subscribing by mail"),
    ("/all", "/all", "the page of all articles"),
    ("/feeds/<name>", "/feeds/kernel", "the page of a feed that `feeds.yaml` names"),
    ("/<page>.<format>", "/tags/Linux.atom", "the feed of any of these pages"),
    ("/<page>/page/<number>", "/all/page/1", "older articles, numbered from the oldest"),
    ("/<page>/archive/<period>", "/all/archive/2020-01", "the articles of a year or month, as a page"),
    ("/<page>/archive/<period>.<format>", "/all/archive/2020-01.rss", "the same as an archive document (RFC 5005)"),
]


def page() -> str:
    with tempfile.TemporaryDirectory() as folder:
        app = make_app(Environment.read(Path(folder) / "config", {}))
    facets = table(("facet", "its folder"), [(code(name), code(f"/{facet.plural}/")) for name, facet in FACETS.items()])
    grammar = table(
        ("address", "for example", "what"), [(code(shape), code(example), words) for shape, example, words in GRAMMAR]
    )
    others = table(("", "address", "what"), rows(app))
    return f"{_HEAD}{grammar}\n`<format>` is one of {_ENDINGS}.\n\n{facets}\n{_OTHERS}{others}"


def rows(app: Flask) -> list[tuple[str, str, str]]:
    """(methods, address, words). Raises Unexplained with every address that has none."""
    found = sorted((rule.rule, _methods(rule), app.view_functions[rule.endpoint].__doc__) for rule in _rules(app))
    if silent := [f"{methods} {rule}" for rule, methods, words in found if not words]:
        raise Unexplained(f"no docstring in the view of {', '.join(silent)}")
    return [(methods, code(_plain(rule)), sentence(words or "")) for rule, methods, words in found]


def _rules(app: Flask) -> Iterator[Rule]:
    return (rule for rule in app.url_map.iter_rules() if rule.rule not in (CATCH_ALL, "/static/<path:filename>"))


def _methods(rule: Rule) -> str:
    return ", ".join(sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}))


def _plain(rule: str) -> str:
    """Without converters."""
    return re.sub(r"<[a-z]+:", "<", rule)


_HEAD = """\
# Addresses

Terms are written as they are, percent-encoded UTF-8 in links; what a path cannot carry is mapped reversibly (`TCP/IP` is
`/tags/TCP~2FIP`). Another case or spelling is 301 to the right one. HEAD works wherever GET does. A browser that opens a feed
is shown its page.

This page is written by `make reference`, from the code.

## Articles and feeds

"""
_OTHERS = """\
## Everything else

GET only shows; what changes something is POST.

"""
