"""Past issues of the digest: a list, a page for each, a feed of them."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, g, redirect, request
from werkzeug.wrappers import Response as Answer

from ... import urls
from ...newsletter.issues import archive
from ..application import Application, application
from . import made_on_request, render_page

blueprint = Blueprint("digests", __name__)
#: Selections that the address of one digest may name.
MAX_SELECTIONS = 200


def _newsletter_app() -> Application:
    """Return the application, or abort with 404 where there is no newsletter."""
    app = application()
    if not app.config.newsletter.enabled:
        abort(404)
    return app


@blueprint.get("/digests")
def elsewhere() -> Answer:
    """301 to `/digests/`."""
    return redirect("/digests/", 301)


@blueprint.get("/digests/")
@blueprint.get("/digests/page/<int:number>")
def archive_page(number: int | None = None) -> Answer:
    """Past digests, newest first; older pages are numbered from the oldest."""
    app = _newsletter_app()
    page = (app.runtime.read(archive.archive_page, number) if number != 0 else None) or abort(404)
    path = "digests/" if number is None else urls.page_path("digests", number)
    return _render("digests.html", path, rows=page.rows, number=page.number, older=page.older, newer=page.newer)


@blueprint.get("/digests/<id>")
def issue(id: str) -> Answer:
    """One digest."""
    # `?reach=0&s=3.17` are the selections of a message's "read in browser" link: numbers of selections, not of readers.
    app = _newsletter_app()
    keys = [int(key) for key in request.args.get("s", "").split(".") if key.isdecimal() and len(key) < 10][:MAX_SELECTIONS]
    reach = request.args.get("reach", 0, type=int)
    found = app.runtime.read(archive.issue_page, app.config, id, reach=reach, keys=keys, language=g.language) or abort(404)
    return _render("digest.html", f"digests/{found.issue.id}", page=found)


@blueprint.get("/digests.atom")
def feed() -> Answer:
    """Past digests as an Atom feed."""
    app = _newsletter_app()
    response = made_on_request(app.runtime.read(archive.archive_feed, app.config), "application/atom+xml; charset=utf-8")
    sent = len(response.get_data()) if response.status_code == 200 and request.method == "GET" else 0
    app.limiter.count(("digests", "atom"), response.status_code, sent, request.environ, app.edition)
    return response


def _render(template: str, path: str, **values: Any) -> Answer:
    site = application().config.site
    links = [("application/atom+xml", site.title, f"{site.base_url}/digests.atom")]
    return render_page(template, autodiscovery=links, canonical=f"{site.base_url}/{path}", **values)
