"""How things stand, files in quarantine with their lines, what was done here."""

from __future__ import annotations

from itertools import groupby

from flask import request
from werkzeug.wrappers import Response as Answer

from ..context import state
from .auth import back, blueprint, config, console, ip, now, number, page


@blueprint.get("/")
def overview() -> Answer:
    """The console's first page: what is published, what is faulty, what was done lately, what is due next."""
    return page("overview.html", now=now(), found=console().overview(now()), sheet=console().sheet())


@blueprint.post("/accept-removals")
def accept_removals() -> Answer:
    """Let articles go whose files are gone: with the next rescan, and only those that the page showed."""
    accepted = console().accept_removals(request.form.get("mark", ""), ip(), now())
    return back("/", "accepted" if accepted else "others")


@blueprint.get("/quarantine")
def quarantine() -> Answer:
    """Files that could not become articles, with the lines around the fault."""
    here = console()
    problems, total, pages = here.problems(number("page"))
    rows = [(problem, here.excerpt(config(), problem)) for problem in problems]
    return page("quarantine.html", rows=rows, total=total, number=min(max(number("page"), 1), pages), pages=pages)


@blueprint.get("/log")
def log() -> Answer:
    """What was done in the console, the newest first."""
    entries, pages = console().log(number("page"))
    return page("log.html", entries=entries, number=min(max(number("page"), 1), pages), pages=pages)


# The configuration as it is in force, and where each value comes from.


@blueprint.get("/configuration")
def configuration() -> Answer:
    """Every setting in force, and where its value comes from; secrets hidden."""
    here = console()
    files = [(file, list(rows)) for file, rows in groupby(here.settings(config()), key=lambda setting: setting.file)]
    return page(
        "configuration.html",
        files=files,
        variables=here.variables(),
        fault=here.overview(now()).config_fault,
        folder=str(state().runtime.environment.config_dir),
    )
