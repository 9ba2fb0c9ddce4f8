"""Pages of the service (overview, quarantine, audit log, configuration) and of the newsletter (issues, subscribers).

No address of a page and no log ever holds the whole address of a subscriber.
"""

from __future__ import annotations

import time
from itertools import groupby

from flask import abort, g, request
from werkzeug.wrappers import Response as Answer

from ...admin import actions, reports
from ...config import load
from ...errors import AddressError, FeedsError, StateError
from ...model import FREQUENCIES
from ...newsletter.delivery import issue_status
from ...newsletter.subscribers.email_address import EmailAddressError
from .. import charts
from ..application import application
from ..views.language import words
from .auth import back, blueprint, config, number_arg, operator, page

#: Issues and troubled messages on the page.
LISTED, TROUBLED = 30, 200


@blueprint.get("/")
def overview() -> Answer:
    """The console's first page: what is published, what is faulty, what was done lately, what is due next."""
    who = operator()
    found = who.runtime.read(reports.read_overview, who.now)
    return page("overview.html", now=who.now, found=found, sheet=who.feeds_file.read())


@blueprint.post("/accept-removals")
def accept_removals() -> Answer:
    """Let articles go whose files are gone: with the next rescan, and only those that the page showed."""
    accepted = actions.accept_removals(operator(), request.form.get("mark", ""))
    return back("/", "accepted" if accepted else "others")


@blueprint.get("/quarantine")
def quarantine() -> Answer:
    """Files that could not become articles, with the lines around the fault."""
    problems, total, pages = application().runtime.read(reports.read_quarantine, number_arg("page"))
    site = config().site
    rows = [(problem, reports.read_excerpt(*site.file_of(problem.path), problem.line)) for problem in problems]
    return page("quarantine.html", rows=rows, total=total, number=min(max(number_arg("page"), 1), pages), pages=pages)


@blueprint.get("/articles")
def articles() -> Answer:
    """What was left out of articles or mended in them, and how often: of those that `?q=` finds, or of all that have any."""
    text = request.args.get("q", "")
    rows, total, pages = application().runtime.read(reports.read_articles, text, number_arg("page"))
    number = min(max(number_arg("page"), 1), pages)
    return page("articles.html", rows=rows, total=total, number=number, pages=pages, text=text[:100])


@blueprint.get("/log")
def log() -> Answer:
    """What was done in the console, the newest first."""
    entries, pages = application().runtime.read(reports.read_audit_log, number_arg("page"))
    return page("log.html", entries=entries, number=min(max(number_arg("page"), 1), pages), pages=pages)


@blueprint.get("/configuration")
def configuration() -> Answer:
    """Every setting in force, and where its value comes from; secrets hidden."""
    runtime = application().runtime
    settings = groupby(load.settings_in_force(config(), runtime.environment), key=lambda setting: setting.file)
    return page(
        "configuration.html",
        files=[(file, list(rows)) for file, rows in settings],
        variables=load.variables(runtime.environment),
        fault=runtime.read(reports.read_overview, int(time.time())).config_fault,
        folder=str(runtime.environment.config_dir),
    )


@blueprint.get("/issues")
def issues(status: int = 200, fault: str = "", address: str = "", frequency: str = "weekly") -> Answer:
    """Issues: how far they have come, and what failed."""
    settings, runtime = config().newsletter, application().runtime
    return page(
        "issues.html",
        status,
        issues=runtime.read(issue_status.recent_issues, LISTED),
        troubled=runtime.read(issue_status.troubled, TROUBLED),
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
    if application().edition.config is None or not config().newsletter.enabled:
        abort(404)
    if action != "test":
        try:
            actions.change_issue(operator(), config(), action, request.form.get("issue", ""))
        except AddressError:
            abort(404)
        except StateError:  # another tab, or the issue's own end, was faster
            abort(409)
        return back("/issues", action.removesuffix("-failed"))
    address, frequency = request.form.get("email", ""), request.form.get("frequency", "")
    if frequency not in FREQUENCIES:
        abort(400)
    try:
        sent = actions.send_test_message(operator(), config(), address, frequency, g.language)
    except FeedsError as error:
        return issues(400, str(error), address, frequency)
    return back("/issues", "test") if sent else issues(429, "many", address, frequency)


@blueprint.get("/subscribers")
def subscribers(status: int = 200, **values: object) -> Answer:
    """How many subscribers there are, come and go; nobody is listed."""
    growth = application().runtime.read(reports.subscriber_growth, config(), int(time.time()))
    common = {"address": "", "wrong": False, "sought": False, "found": None}
    return page("subscribers.html", status, growth=growth, **common | values)


@blueprint.post("/subscribers")
def find() -> Answer:
    """Find one subscriber by the whole address."""
    address = request.form.get("email", "")
    try:
        found = actions.find_subscriber(operator(), config(), address)
    except EmailAddressError:
        return subscribers(400, address=address, wrong=True)
    return subscribers(address=address, sought=True, found=found)


@blueprint.get("/plots/subscribers.svg")
def subscribers_plot() -> Answer:
    """Active subscribers by day, drawn."""
    growth = application().runtime.read(reports.subscriber_growth, config(), int(time.time()))
    series = [(words("Active subscribers"), [one.active for one in growth.days])]
    return charts.draw("lines", [one.day for one in growth.days], series, narrow=request.args.get("narrow") == "1")


@blueprint.get("/plots/movement.svg")
def movement_plot() -> Answer:
    """Confirmations, departures and bounces by day, drawn."""
    growth = application().runtime.read(reports.subscriber_growth, config(), int(time.time()))
    series = [
        (words("Confirmed"), [one.confirmed for one in growth.days]),
        (words("Left"), [one.left for one in growth.days]),
        (words("Bounces"), [one.bounced for one in growth.days]),
    ]
    return charts.draw("bars", [one.day for one in growth.days], series, narrow=request.args.get("narrow") == "1")
