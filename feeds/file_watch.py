"""Notice changes of the store and the configuration as they happen. The only user of watchfiles.

It makes the next rescan come sooner and no more: renamed folders and network mounts are missed.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import watchfiles

from .catalog import store_changes
from .errors import FeedsError
from .runtime import Runtime

#: Milliseconds without a further change after which a change is told, and the most that it waits for others.
STEP, DEBOUNCE = 50, 400
#: Milliseconds after which a watch without any change is told, too: the first time shows that it has begun.
QUIET = 1000
#: Seconds until watching is tried again after a fault.
PAUSE_SECONDS = 60


def watch(runtime: Runtime, changed: threading.Event, stopped: threading.Event, report: Callable[[str], None]) -> None:
    """Set `changed` at each change below the store or config/ until `stopped` is set; `report` why watching failed.

    It is also set when watching has begun: a file may have changed after the last rescan looked, and before that.
    """
    options: dict[str, Any] = {"debounce": DEBOUNCE, "step": STEP, "rust_timeout": QUIET, "yield_on_timeout": True}
    while not stopped.is_set():
        folders, begun = watched_folders(runtime), False
        try:
            for changes in watchfiles.watch(*folders, stop_event=stopped, ignore_permission_denied=True, **options):
                if changes or not begun:
                    changed.set()
                if changes and watched_folders(runtime) != folders:
                    break  # the store is another one now
                begun = True
        except (OSError, RuntimeError) as error:
            report(str(error))
            stopped.wait(PAUSE_SECONDS)


def watched_folders(runtime: Runtime) -> list[Path]:
    """Return the folders whose files make articles or settings, as far as they exist."""
    config = None
    with contextlib.suppress(sa.exc.DBAPIError, FeedsError):  # the database is away
        config = runtime.edition().config
    folders = [runtime.environment.config_dir, *(Path(store.path) for store in (config.site.stores if config else ()))]
    return [path for path in folders if path.is_dir()]


def changes(runtime: Runtime, report: Callable[[str], None], now: Callable[[], float]) -> Iterator[None]:
    """Yield at once, after each change, when a verdict is due, and `rescan_seconds` after the last time; never ends.

    `now` gives UTC seconds.
    """
    yield  # without a second thread: an export of many files forks
    changed, stopped = threading.Event(), threading.Event()
    threading.Thread(target=watch, args=(runtime, changed, stopped, report), daemon=True).start()
    try:
        while True:
            judged = int(now())
            yield
            config = runtime.edition().config
            due = runtime.read(store_changes.next_due, judged)  # a file's verdict changes by itself, as an embargo ends
            seconds = config.site.rescan_seconds if config else 30
            changed.wait(seconds if due is None else min(seconds, max(due - now(), 0.0)))
            changed.clear()
    finally:
        stopped.set()
