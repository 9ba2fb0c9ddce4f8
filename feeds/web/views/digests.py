"""Past issues of the digest: a list, a page for each, a feed of them."""

from __future__ import annotations

from flask import Blueprint, Response, abort, g, redirect, render_template, request
from werkzeug.wrappers import Response as Answer

from ... import urls
from ...newsletter.issues import archive as _archive_module
from ..context import State, state
from .feeds import max_age, on_request

blueprint = Blueprint("digests", __name__)
MAX_SELECTIONS = 200


def _here() -> State:
    """404 where there is no newsletter."""
    here = state()
    if not here.config.newsletter.enabled:
        abort(404)
    return here


@blueprint.get("/digests")
def elsewhere() -> Answer:
    """301 to `/digests/`."""
    return redirect("/digests/", 301)


@blueprint.get("/digests/")
def archive() -> Answer:
    """Past digests, newest first."""
    return _archive(None)


@blueprint.get("/digests/page/<int:number>")
def older(number: int) -> Answer:
    """Older digests, numbered from the oldest."""
    return _archive(number)


def _archive(number: int | None) -> Answer:
    here = _here()
    page = here.runtime.read(_archive_module.listed, number) if number != 0 else None
    if page is None:
        abort(404)
    path = "digests/" if number is None else urls.page_path("digests", number)
    values = {name: getattr(page, name) for name in ("rows", "number", "older", "newer")}
    return _page("digests.html", **values, canonical=f"{here.config.site.base_url}/{path}")


@blueprint.get("/digests/<id>")
def issue(id: str) -> Answer:
    """One digest.

    `?reach=0&s=3.17` are the selections of a message's "read in browser" link: numbers of selections, not of readers.
    """
    here = _here()
    keys = [int(key) for key in request.args.get("s", "").split(".") if key.isdecimal() and len(key) < 10][:MAX_SELECTIONS]
    reach = request.args.get("reach", 0, type=int)
    found = here.runtime.read(_archive_module.page, here.config, id, reach=reach, keys=keys, chinese=g.language == "zh-CN")
    if found is None:
        abort(404)
    return _page("digest.html", page=found, canonical=f"{here.config.site.base_url}/digests/{found.issue.id}")


@blueprint.get("/digests.atom")
def feed() -> Answer:
    """Past digests as an Atom feed."""
    here = _here()
    made = on_request(here, here.runtime.read(_archive_module.feed, here.config), "application/atom+xml; charset=utf-8")
    sent = len(made.get_data()) if made.status_code == 200 and request.method == "GET" else 0
    here.turnstile.count(("digests", "atom"), made.status_code, sent, request.environ, here.edition)
    return made


def _page(template: str, **values: object) -> Answer:
    here = state()
    archive_feed = [("application/atom+xml", here.config.site.title, f"{here.config.site.base_url}/digests.atom")]
    body = render_template(template, **{"autodiscovery": archive_feed, **values})
    answered = Response(body, content_type="text/html; charset=utf-8")
    answered.headers["Cache-Control"] = f"public, max-age={max_age(here.config)}"
    return answered
