"""Feeds: how many articles, how many requests and readers; one of them by day."""

from __future__ import annotations

from urllib.parse import urlencode

from flask import abort, request
from werkzeug.wrappers import Response as Answer

from ...admin.audience import ORDERS, RECENT
from ...newsletter.subscribers.email_address import EmailAddressError
from . import charts
from .auth import FOLDER, blueprint, config, console, ip, now, number, page, words


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
    return charts.bars([one.day for one in found.days], series)


@blueprint.get("/plots/readers.svg")
def readers_plot() -> Answer:
    """Readers of the feed at `path` by day, drawn."""
    found = console().history(config(), request.args.get("path", ""), now()) or abort(404)
    return charts.lines([one.day for one in found.days], [(words("Readers"), [one.readers for one in found.days])])


# Subscribers in numbers; one of them by the whole address, which no address of a page and no log ever holds.


@blueprint.get("/subscribers")
def subscribers() -> Answer:
    """How many subscribers there are, come and go; nobody is listed."""
    return _page()


@blueprint.post("/subscribers")
def find() -> Answer:
    """Find one subscriber by the whole address."""
    address = request.form.get("email", "")
    try:
        found = console().find_subscriber(config(), address, ip(), now())
    except EmailAddressError:
        return _page(400, address=address, wrong=True)
    return _page(address=address, sought=True, found=found)


def _page(status: int = 200, **values: object) -> Answer:
    growth = console().growth(config(), now())
    common = {"address": "", "wrong": False, "sought": False, "found": None}
    return page("subscribers.html", status, growth=growth, **common | values)


@blueprint.get("/plots/subscribers.svg")
def subscribers_plot() -> Answer:
    """Active subscribers by day, drawn."""
    growth = console().growth(config(), now())
    days = [one.day for one in growth.days]
    return charts.lines(days, [(words("Active subscribers"), [one.active for one in growth.days])])


@blueprint.get("/plots/movement.svg")
def movement_plot() -> Answer:
    """Confirmations, departures and bounces by day, drawn."""
    growth = console().growth(config(), now())
    series = [
        (words("Confirmed"), [one.confirmed for one in growth.days]),
        (words("Left"), [one.left for one in growth.days]),
        (words("Bounces"), [one.bounced for one in growth.days]),
    ]
    return charts.bars([one.day for one in growth.days], series)
