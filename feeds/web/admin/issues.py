"""Issues: how far they have come, what failed, and the buttons for it; a test message."""

from __future__ import annotations

from flask import abort, g, request
from werkzeug.wrappers import Response as Answer

from ...config.models import FREQUENCIES
from ...errors import AddressError, FeedsError
from ..context import state
from .auth import back, blueprint, config, console, ip, now, page

#: Issues and troubled messages on the page.
LISTED, TROUBLED = 30, 200


@blueprint.get("/issues")
def issues() -> Answer:
    """Issues: how far they have come, and what failed."""
    return _page()


def _page(status: int = 200, fault: str = "", address: str = "", frequency: str = "weekly") -> Answer:
    settings = config().newsletter
    return page(
        "issues.html",
        status,
        issues=console().issues(LISTED),
        troubled=console().troubled(TROUBLED),
        enabled=settings.enabled,
        transport=settings.transport,
        frequencies=FREQUENCIES,
        fault=fault,
        address=address,
        frequency=frequency,
    )


@blueprint.post("/issues/<action>")
def act(action: str) -> Answer:
    """What a button does to an issue: pause, resume, cancel, retry, retry-failed; `test` sends one message to one address."""
    _must_be_on()
    if action == "test":
        return _test()
    try:
        console().act(config(), action, request.form.get("issue", ""), ip(), now())
    except AddressError:
        abort(404)
    return back("/issues", action.removesuffix("-failed"))


def _must_be_on() -> None:
    if state().edition.config is None or not config().newsletter.enabled:
        abort(404)


def _test() -> Answer:
    """One message of the newest digest to the address typed, and nothing else."""
    address, frequency = request.form.get("email", ""), request.form.get("frequency", "")
    if frequency not in FREQUENCIES:
        abort(400)
    try:
        sent = console().send_test(config(), address, frequency, g.language, ip(), now())
    except FeedsError as error:
        return _page(400, str(error), address, frequency)
    return back("/issues", "test") if sent else _page(429, "many", address, frequency)
