"""Feeds of the operator's own: put a selection together, see what it takes, give it a name; edit, remove, take back.

All of it is written to feeds.yaml by the service, and live as soon as the clock has seen the file.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import parse_qsl, quote, urlencode

from flask import abort, g, redirect, request
from werkzeug.wrappers import Response as Answer

from ... import selections
from ...admin.custom_feeds import Draft, Words, faults
from ...config.models import Config, NamedFeed
from ...errors import ConfigError, EditError, SelectionError
from ...model import Selection
from ...syndication import lookup
from ..context import state
from ..views.select import MODES, STEP, clauses, with_step
from .auth import FOLDER, back, blueprint, config, console, ip, now, page

NEW = f"{FOLDER}/feeds/new"
_POPULAR = 16
#: How long the page after saving waits for the rescan (seconds), and how often it looks.
PATIENCE, LOOK = 3.0, 0.1


@blueprint.get("/feeds/own")
def own_feeds() -> Answer:
    """The feeds that feeds.yaml names. After a change it answers as soon as that is live, or after three seconds."""
    live = _is_live(patient="said" in request.args)
    return _own_page(200, live, "")


def _own_page(status: int, live: bool, fault: str) -> Answer:
    chinese = g.language == "zh-CN"
    feeds = [(feed, selections.title(feed.select.selection(), chinese=chinese)) for feed in _files_config().feeds.feeds]
    return page("own.html", status, feeds=feeds, sheet=console().sheet(), live=live, fault=fault)


def _is_live(*, patient: bool) -> bool:
    end = time.monotonic() + PATIENCE
    here = state()
    while True:
        here.current.renew()
        in_force = here.current.edition().config
        if in_force is not None and console().is_live(in_force):
            return True
        if not patient or time.monotonic() >= end:
            return False
        time.sleep(LOOK)


def _files_config() -> Config:
    """What the files say, or what is in force where they are faulty."""
    return console().written(config())


# -- putting together ----------------------------------------------------------


@blueprint.get("/feeds/new")
def new_feed() -> Answer:
    """Put a feed together, or change the one that `edit` names. The selection is the address's, as on `/select`."""
    former = request.args.get("edit", "")
    known = _named(former) if former else None
    text = _query()
    if known is not None and not text and (own := selections.canonical(known.select.selection())):
        return redirect(_address(parse_qsl(own), former), 302)
    if any(name in request.args for name in STEP):
        pairs = [pair for pair in with_step(text) if pair[0] != "edit"]
        return redirect(_address(pairs, former), 302)
    words = _words_of(known) if known else Words("", "")
    return _page(text, words, {}, 200)


def _query() -> str:
    """The address's own pairs without those that are no part of a selection."""
    pairs = parse_qsl(request.query_string.decode("utf-8", "replace"), keep_blank_values=True)
    return urlencode([pair for pair in pairs if pair[0] not in ("edit", "said")], quote_via=quote)


def _named(name: str) -> NamedFeed:
    return next((feed for feed in _files_config().feeds.feeds if feed.name == name), None) or abort(404)


def _words_of(feed: NamedFeed) -> Words:
    limit = str(feed.limit) if "limit" in feed.model_fields_set else ""
    return Words(feed.name, feed.title, feed.description, limit, feed.content or "", feed.name)


def _address(pairs: list[tuple[str, str]], former: str = "") -> str:
    more = [("edit", former)] if former else []
    query = urlencode([*more, *pairs], quote_via=quote)
    return NEW + (f"?{query}" if query else "")


def _page(text: str, words: Words, errors: dict[str, str], status: int, fault: str = "") -> Answer:
    pairs, draft, refused = parse_qsl(text, keep_blank_values=True), Draft(Selection(), "", 0, (), ()), ""
    try:
        draft = console().draft(_files_config(), text, everything=bool(words.former))
        pairs = parse_qsl(draft.query)
    except SelectionError as error:
        refused, status = str(error), 400
    return page(
        "new.html",
        status,
        draft=draft,
        pairs=pairs,
        refused=refused,
        words=words,
        errors=errors,
        fault=fault,
        sheet=console().sheet(),
        clauses=list(clauses(draft.selection, lambda rest: _address(rest, words.former))),
        popular=state().runtime.read(lookup.most_used, _POPULAR),
        adding=lambda term: _address([*pairs, (term.facet, term.name)], words.former),
        modes=MODES,
        usual=selections.title(draft.selection, chinese=config().chinese) if draft.query else "",
    )


# -- saving ----------------------------------------------------------------------


@blueprint.post("/feeds/save")
def save_feed() -> Answer:
    """Write a feed into feeds.yaml."""
    form = request.form
    words = Words(*(form.get(name, "").strip() for name in ("name", "title", "description", "limit", "content", "former")))
    text = form.get("select", "")
    try:
        draft = console().draft(_files_config(), text, everything=bool(words.former))
    except SelectionError:
        abort(400)
    if wrong := faults(_files_config(), words, draft.selection):
        return _page(text, words, wrong, 400)
    try:
        console().save_feed(form.get("mark", ""), words, draft, ip(), now())
    except (EditError, ConfigError) as error:
        return _page(text, words, {}, 409, str(error))
    return back("/feeds/own", "saved")


@blueprint.post("/feeds/remove")
def remove_feed() -> Answer:
    """Take a feed out of feeds.yaml; `gone` makes its address answer 410."""
    name, gone = request.form.get("name", ""), request.form.get("gone") == "yes"
    return _changed(lambda mark: console().remove_feed(mark, name, ip(), now(), gone=gone), "removed")


@blueprint.post("/feeds/undo")
def undo() -> Answer:
    """Restore feeds.yaml as it was before the last change."""
    return _changed(lambda mark: console().undo(mark, ip(), now()), "undone")


def _changed(change: Callable[[str], object], said: str) -> Answer:
    try:
        change(request.form.get("mark", ""))
    except (EditError, ConfigError) as error:
        return _own_page(409, _is_live(patient=False), str(error))
    return back("/feeds/own", said)
