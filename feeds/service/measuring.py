"""What a run of some length measures is written while it goes on: nobody waits an hour to see how mail servers answer."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
import structlog

from .. import database, measures
from ..measures import Gathered

log: Any = structlog.get_logger("feeds.measures")

FLUSH_SECONDS = 5.0


@contextlib.contextmanager
def gathered(engine: sa.Engine) -> Iterator[Gathered]:
    """Written every FLUSH_SECONDS and at the end. What cannot be written is lost, and said: no message waits for it."""
    found, over = Gathered(), threading.Event()
    writer = threading.Thread(target=_write_now_and_then, args=(engine, found, over), name="measures")
    writer.start()
    try:
        yield found
    finally:
        over.set()
        writer.join()


def _write_now_and_then(engine: sa.Engine, found: Gathered, over: threading.Event) -> None:
    ended = False
    while not ended:
        ended = over.wait(FLUSH_SECONDS)
        if sums := found.take():
            try:
                with database.writing(engine, together=True) as connection:
                    measures.add(connection, sums)
            except sa.exc.SQLAlchemyError as error:
                log.error("measures_not_written", error=type(error).__name__)
