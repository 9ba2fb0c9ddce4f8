"""One round: deliver to some subscriptions whatever is owed to them. What a worker does for the acting clock's hub.

The clock has put off what it handed over (`rows.hand_over`); should this round die, it is owed again by then.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence

import sqlalchemy as sa
import structlog

from ... import database, measures
from ...config import WebSub
from . import rows
from .errands import Errands, Note
from .looking import Lookout, Source
from .rows import Owed

log = structlog.get_logger("feeds.hub")

#: Notes that are written together.
TOGETHER = 50


def carry(engine: sa.Engine, source: Source, keys: Sequence[int], now: Callable[[], float]) -> dict[str, int]:
    """Returns how many deliveries went well and how many did not. Whoever has got what is wanted already is left alone."""
    config = source.config()
    if config is None or not config.hub_url or config.feeds.websub.outside:
        return {}
    moment = int(now())
    with database.reading(engine) as connection:
        owed = rows.owed_to(connection, keys, moment)
    errands = Errands(source, lambda: int(now()), config)
    unsure = asyncio.run(_Round(engine, errands, config.feeds.websub).run(owed))
    Lookout(engine, source, lambda: int(now())).compare(unsure)
    if errands.tally:
        log.info("push", **errands.tally)
    return dict(errands.tally)


class _Round:
    def __init__(self, engine: sa.Engine, errands: Errands, settings: WebSub) -> None:
        self.engine, self.errands = engine, errands
        self._slots = asyncio.Semaphore(settings.parallel)
        self._hosts: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(settings.parallel_per_host))
        self._unsure: set[str] = set()

    async def run(self, owed: Sequence[Owed]) -> set[str]:
        """Returns topics that must be compared once more."""
        async with self.errands.strangers:
            notes: list[Note] = []
            for ended in asyncio.as_completed([self._deliver(row) for row in owed]):
                notes.append(await ended)
                if len(notes) >= TOGETHER:
                    await asyncio.to_thread(self._write, notes)
                    notes = []
            await asyncio.to_thread(self._write, notes)
        return self._unsure

    async def _deliver(self, row: Owed) -> Note:
        async with self._hosts[row.host], self._slots:  # the host first: who waits for it keeps no slot from others
            return await self.errands.deliver(row)

    def _write(self, notes: Sequence[Note]) -> None:
        if notes:
            with database.writing(self.engine, durable=True) as connection:
                measures.add(connection, self.errands.gathered.take())
                for note in notes:
                    self._unsure.update(note(connection).unsure)
