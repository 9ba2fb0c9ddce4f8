"""The configuration as it is in force, and where each value comes from."""

from __future__ import annotations

from itertools import groupby

from werkzeug.wrappers import Response as Answer

from ..state import state
from .door import blueprint, config, console, now, page


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
        folder=str(state().service.environment.config_dir),
    )
