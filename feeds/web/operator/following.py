"""Feeds: how many articles, how many requests and readers; one of them by day."""

from __future__ import annotations

from urllib.parse import urlencode

from flask import abort, request
from werkzeug.wrappers import Response as Answer

from ...service.console.following import ORDERS, RECENT
from . import plots
from .door import FOLDER, blueprint, config, console, now, number, page, words


@blueprint.get("/feeds")
def feeds() -> Answer:
    """All feeds with their requests and readers: `q` searches, `sort` names a column."""
    order = request.args.get("sort", "requests")
    order = order if order in ORDERS else "requests"
    text = request.args.get("q", "")[:100]
    table = console().table(config(), text, order, number("page"), now())

    def link(**changes: object) -> str:
        values = {"sort": order, "q": text, "page": 1} | changes
        return f"{FOLDER}/feeds?{urlencode({name: value for name, value in values.items() if value not in ('', 1)})}"

    return page("feeds.html", table=table, order=order, text=text, link=link, days=RECENT)


@blueprint.get("/feeds/show")
def feed() -> Answer:
    """The feed at `path`, by day."""
    found = console().history(config(), request.args.get("path", ""), now())
    if found is None:
        abort(404)
    return page("feed.html", found=found, days=RECENT)


@blueprint.get("/plots/requests.svg")
def requests_plot() -> Answer:
    """Requests of the feed at `path` by day, drawn."""
    found = console().history(config(), request.args.get("path", ""), now()) or abort(404)
    sent = [one.counts.requests - one.counts.unchanged - one.counts.refused for one in found.days]
    series = [
        (words("Sent"), sent),
        (words("Unchanged (304)"), [one.counts.unchanged for one in found.days]),
        (words("Refused (429)"), [one.counts.refused for one in found.days]),
    ]
    return plots.bars([one.day for one in found.days], series)


@blueprint.get("/plots/readers.svg")
def readers_plot() -> Answer:
    """Readers of the feed at `path` by day, drawn."""
    found = console().history(config(), request.args.get("path", ""), now()) or abort(404)
    return plots.lines([one.day for one in found.days], [(words("Readers"), [one.readers for one in found.days])])
