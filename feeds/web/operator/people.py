"""Subscribers in numbers; one of them by the whole address, which no address of a page and no log ever holds."""

from __future__ import annotations

from flask import request
from werkzeug.wrappers import Response as Answer

from ...service.consent import MailboxError
from . import plots
from .door import blueprint, config, console, ip, now, page, words


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
    except MailboxError:
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
    return plots.lines(days, [(words("Active subscribers"), [one.active for one in growth.days])])


@blueprint.get("/plots/movement.svg")
def movement_plot() -> Answer:
    """Confirmations, departures and bounces by day, drawn."""
    growth = console().growth(config(), now())
    series = [
        (words("Confirmed"), [one.confirmed for one in growth.days]),
        (words("Left"), [one.left for one in growth.days]),
        (words("Bounces"), [one.bounced for one in growth.days]),
    ]
    return plots.bars([one.day for one in growth.days], series)
