"""A hub outside: which feeds it has not been told of, and in which words.

The recommendation leaves the words open; `hub.mode=publish` with `hub.url` for each address is what public hubs understand
(https://github.com/pubsubhubbub/PubSubHubbub/wiki/Hubs, section 7.1 of PubSubHubbub 0.3).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

import sqlalchemy as sa

from ... import addresses
from ...config import Config
from ...database import feeds, hub_announced
from ..formats import FORMATS

#: Feeds in one request; each has an address for each format.
BATCH = 30
AGAIN_SECONDS = 60
#: The row that says which hub all others are about; no feed has this path.
_HUB = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """`digests`: path -> digest of the feeds that `form` is about."""

    digests: Mapping[str, str]
    form: bytes


def changed(connection: sa.Connection, config: Config) -> list[Batch]:
    """What the hub has not been told of. A hub that is new here has nothing to be told: nobody is subscribed yet."""
    known = _digests(connection, hub_announced)
    current = _digests(connection, feeds)
    hub = config.feeds.websub.outside
    if known.pop(_HUB, None) != hub:
        connection.execute(sa.delete(hub_announced))
        _write(connection, {_HUB: hub, **current})
        return []
    connection.execute(sa.delete(hub_announced).where(hub_announced.c.path.in_(sorted(known.keys() - current.keys())[:400])))
    due = [(path, digest) for path, digest in current.items() if known.get(path) != digest]
    return [_batch(config, dict(due[start : start + BATCH])) for start in range(0, len(due), BATCH)]


def _digests(connection: sa.Connection, table: sa.Table) -> dict[str, str]:
    return {path: digest for path, digest in connection.execute(sa.select(table.c.path, table.c.digest))}


def _batch(config: Config, digests: Mapping[str, str]) -> Batch:
    pages = (f"{config.site.base_url}/{addresses.encode(path)}" for path in digests)
    urls = [("hub.url", page + format.extension) for page in pages for format in FORMATS.values()]
    return Batch(digests, urlencode([("hub.mode", "publish"), *urls]).encode())


def told(connection: sa.Connection, batches: Iterable[Batch]) -> None:
    digests = {path: digest for batch in batches for path, digest in batch.digests.items()}
    for start in range(0, len(digests), 400):
        some = dict(list(digests.items())[start : start + 400])
        connection.execute(sa.delete(hub_announced).where(hub_announced.c.path.in_(list(some))))
        _write(connection, some)


def _write(connection: sa.Connection, digests: Mapping[str, str]) -> None:
    connection.execute(sa.insert(hub_announced), [{"path": path, "digest": digest} for path, digest in digests.items()])
