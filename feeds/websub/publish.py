"""Notify an external hub of the feeds that changed.

The recommendation leaves the request open; `hub.mode=publish` with `hub.url` for each address is what public hubs understand
(https://github.com/pubsubhubbub/PubSubHubbub/wiki/Hubs, section 7.1 of PubSubHubbub 0.3). Functions are steps inside their
caller's transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

import sqlalchemy as sa

from .. import urls
from ..config.models import Config
from ..database import chunks
from ..database.tables import feeds, hub_announced
from ..formats import load_formats

#: Feeds in one request; each has an address for each format.
BATCH_SIZE = 30
#: Seconds until an external hub that failed is notified again.
RETRY_SECONDS = 60
#: The row whose digest is the address of the hub that all other rows are about; no feed has this path.
_HUB = ""


@dataclass(frozen=True, slots=True)
class Announcement:
    """One request to an external hub: its `form`, and path -> digest of the feeds in it."""

    digests: Mapping[str, str]
    form: bytes


def find_announcements(connection: sa.Connection, config: Config) -> list[Announcement]:
    """Return what the external hub has not been notified of.

    A hub that is new here is notified of nothing: nobody has subscribed to it yet. Feeds that no longer exist are forgotten.
    """
    known, current = (_read_digests(connection, table) for table in (hub_announced, feeds))
    hub = config.feeds.websub.outside
    if known.pop(_HUB, None) != hub:
        connection.execute(sa.delete(hub_announced))
        _write_digests(connection, {_HUB: hub, **current})
        return []
    connection.execute(sa.delete(hub_announced).where(hub_announced.c.path.in_(sorted(known.keys() - current.keys())[:400])))
    found = []
    for paths in chunks((path for path, digest in current.items() if known.get(path) != digest), BATCH_SIZE):
        pages = (f"{config.site.base_url}/{urls.encode(path)}" for path in paths)
        addresses = [("hub.url", page + format.extension) for page in pages for format in load_formats().values()]
        form = urlencode([("hub.mode", "publish"), *addresses]).encode()
        found.append(Announcement({path: current[path] for path in paths}, form))
    return found


def mark_announced(connection: sa.Connection, announcements: Iterable[Announcement]) -> None:
    """Note that the external hub accepted these."""
    for announcement in announcements:
        connection.execute(sa.delete(hub_announced).where(hub_announced.c.path.in_(list(announcement.digests))))
        _write_digests(connection, announcement.digests)


def _read_digests(connection: sa.Connection, table: sa.Table) -> dict[str, str]:
    return {path: digest for path, digest in connection.execute(sa.select(table.c.path, table.c.digest))}


def _write_digests(connection: sa.Connection, digests: Mapping[str, str]) -> None:
    connection.execute(sa.insert(hub_announced), [{"path": path, "digest": digest} for path, digest in digests.items()])
