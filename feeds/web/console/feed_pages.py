"""Pages of feeds: requests and readers, by day and as charts; the editor of custom feeds.

The editor writes feeds.yaml; a change is live as soon as the clock has seen the file.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import parse_qsl, quote, urlencode

from flask import abort, g, redirect, request
from werkzeug.wrappers import Response as Answer

from ... import selections
from ...admin import actions, custom_feeds, reports
from ...admin.custom_feeds import Draft, FeedForm
from ...admin.reports import ORDERS, RECENT, FeedHistory
from ...config.load import load_config
from ...config.models import Config
from ...errors import ConfigError, EditError, SelectionError
from ...model import Selection
from ...syndication import pages
from .. import charts
from ..application import application
from ..views.language import words
from ..views.select import MODES, POPULAR, STEP, Pairs, clauses, with_step
from .auth import FOLDER, back, blueprint, config, number_arg, operator, page

NEW = f"{FOLDER}/feeds/new"
#: How long the page after saving waits for the rescan (seconds), and how often it looks.
PATIENCE, LOOK = 3.0, 0.1


@blueprint.get("/feeds")
def feeds() -> Answer:
    """All feeds with their requests and readers: `q` searches, `sort` names a column."""
    order = request.args.get("sort", "requests")
    order = order if order in ORDERS else "requests"
    text = request.args.get("q", "")[:100]
    table = application().runtime.read(reports.feed_table, config(), text, order, number_arg("page"), int(time.time()))

    def link(**changes: object) -> str:
        values = {"sort": order, "q": text, "page": 1} | changes
        return f"{FOLDER}/feeds?{urlencode({name: value for name, value in values.items() if value not in ('', 1)})}"

    return page("feeds.html", table=table, order=order, text=text, link=link, days=RECENT)


@blueprint.get("/feeds/show")
def feed() -> Answer:
    """The feed at `path`, by day."""
    return page("feed.html", found=_history(), days=RECENT)


@blueprint.get("/plots/requests.svg")
def requests_plot() -> Answer:
    """Requests of the feed at `path` by day, drawn."""
    found = _history()
    series = [
        (words("Sent"), [one.counts.requests - one.counts.unchanged - one.counts.refused for one in found.days]),
        (words("Unchanged (304)"), [one.counts.unchanged for one in found.days]),
        (words("Refused (429)"), [one.counts.refused for one in found.days]),
    ]
    return charts.draw("bars", [one.day for one in found.days], series, narrow=request.args.get("narrow") == "1")


@blueprint.get("/plots/readers.svg")
def readers_plot() -> Answer:
    """Readers of the feed at `path` by day, drawn."""
    found = _history()
    series = [(words("Readers"), [one.readers for one in found.days])]
    return charts.draw("lines", [one.day for one in found.days], series, narrow=request.args.get("narrow") == "1")


def _history() -> FeedHistory:
    found = application().runtime.read(reports.feed_history, config(), request.args.get("path", ""), int(time.time()))
    return found or abort(404)


@blueprint.get("/feeds/own")
def own_feeds(status: int = 200, fault: str = "") -> Answer:
    """The feeds that feeds.yaml names. After a change it answers as soon as that is live, or after three seconds."""
    live, chinese = _is_live(patient=not fault and "said" in request.args), g.language == "zh-CN"
    feeds = [(feed, selections.title(feed.select.selection(), chinese=chinese)) for feed in _written().feeds.feeds]
    return page("own.html", status, feeds=feeds, sheet=operator().feeds_file.read(), live=live, fault=fault)


def _is_live(*, patient: bool) -> bool:
    """Return whether the configuration in force has the feeds of feeds.yaml; `patient`: wait for it."""
    end = time.monotonic() + PATIENCE
    app = application()
    while True:
        app.editions.expire()
        in_force = app.editions.latest().config
        try:
            if in_force is not None and load_config(app.runtime.environment).feeds == in_force.feeds:
                return True
        except ConfigError:
            pass  # a rescan keeps the configuration before a faulty file
        if not patient or time.monotonic() >= end:
            return False
        time.sleep(LOOK)


def _written() -> Config:
    """Return the configuration of the files, or the one in force where they are faulty."""
    try:
        return load_config(application().runtime.environment)
    except ConfigError:
        return config()


@blueprint.get("/feeds/new")
def new_feed() -> Answer:
    """Put a feed together, or change the one that `edit` names. The selection is the address's, as on `/select`."""
    former = request.args.get("edit", "")
    named = (feed for feed in _written().feeds.feeds if feed.name == former)
    known = next(named, None) or abort(404) if former else None
    # The address's own pairs, without those that are no part of a selection.
    pairs = parse_qsl(request.query_string.decode("utf-8", "replace"), keep_blank_values=True)
    text = urlencode([pair for pair in pairs if pair[0] not in ("edit", "said")], quote_via=quote)
    if known is not None and not text and (own := selections.canonical(known.select.selection())):
        return redirect(_address(parse_qsl(own), former), 302)
    if any(name in request.args for name in STEP):
        return redirect(_address([pair for pair in with_step(text) if pair[0] != "edit"], former), 302)
    return _editor_page(text, FeedForm.of(known) if known else FeedForm("", ""), {}, 200)


def _address(pairs: Pairs, former: str = "") -> str:
    more = [("edit", former)] if former else []
    query = urlencode([*more, *pairs], quote_via=quote)
    return NEW + (f"?{query}" if query else "")


def _editor_page(text: str, form: FeedForm, errors: dict[str, str], status: int, fault: str = "") -> Answer:
    who, refused = operator(), ""
    pairs, draft = parse_qsl(text, keep_blank_values=True), Draft(Selection(), "", 0, (), ())
    try:
        draft = who.runtime.read(custom_feeds.make_draft, _written(), text, everything=bool(form.former))
        pairs = parse_qsl(draft.query)
    except SelectionError as error:
        refused, status = str(error), 400
    return page(
        "new.html",
        status,
        draft=draft,
        pairs=pairs,
        refused=refused,
        words=form,
        errors=errors,
        fault=fault,
        sheet=who.feeds_file.read(),
        clauses=clauses(draft.selection, lambda rest: _address(rest, form.former)),
        popular=who.runtime.read(pages.most_used_terms, POPULAR),
        adding=lambda term: _address([*pairs, (term.facet, term.name)], form.former),
        modes=MODES,
        usual=selections.title(draft.selection, chinese=config().chinese) if draft.query else "",
    )


@blueprint.post("/feeds/save")
def save_feed() -> Answer:
    """Write a feed into feeds.yaml."""
    names = ("name", "title", "description", "limit", "content", "former")
    form = FeedForm(*(request.form.get(name, "").strip() for name in names))
    text = request.form.get("select", "")
    try:
        draft = application().runtime.read(custom_feeds.make_draft, _written(), text, everything=bool(form.former))
    except SelectionError:
        abort(400)
    if wrong := custom_feeds.validate(_written(), form, draft.selection):
        return _editor_page(text, form, wrong, 400)
    try:
        actions.save_feed(operator(), request.form.get("mark", ""), form, draft)
    except (EditError, ConfigError) as error:
        return _editor_page(text, form, {}, 409, str(error))
    return back("/feeds/own", "saved")


@blueprint.post("/feeds/remove")
def remove_feed() -> Answer:
    """Take a feed out of feeds.yaml; `gone` makes its address answer 410."""
    name, gone = request.form.get("name", ""), request.form.get("gone") == "yes"
    return _change(lambda mark: actions.remove_feed(operator(), mark, name, gone=gone), "removed")


@blueprint.post("/feeds/undo")
def undo() -> Answer:
    """Restore feeds.yaml as it was before the last change."""
    return _change(lambda mark: actions.undo_last_change(operator(), mark), "undone")


def _change(change: Callable[[str], None], said: str) -> Answer:
    try:
        change(request.form.get("mark", ""))
    except (EditError, ConfigError) as error:
        return own_feeds(409, str(error))
    return back("/feeds/own", said)
