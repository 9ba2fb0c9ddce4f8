"""Files beside articles as the catalog knows them: which changed in the stores, and what an address of one means.

The bytes stay in the store, but for pictures that an article contains. A file is published while an article, or page, that is
published refers to it: what a draft refers to has no address.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from ..config.models import Site
from ..database import fetch_rows
from ..database.tables import articles, assets, pages
from ..store.assets.kinds import kind_of as kind_of
from ..store.assets.opening import Asset, content_hash, current_stamp, hash_of, open_inside
from ..store.stores import Stores
from ..store.walk import Stamp, file_stamp


class PublishedFile(NamedTuple):
    """A file that may be asked for; `path` in the catalog. `data` where it is no file of the store."""

    path: str
    hash: str
    name: str
    stamp: Stamp
    size: int
    data: bytes | None = None


_COLUMNS = [assets.c[name] for name in PublishedFile._fields]
_IS_PUBLISHED = sa.or_(sa.exists().where(articles.c.path == assets.c.owner), sa.exists().where(pages.c.path == assets.c.owner))
_FIND = (
    sa.select(*_COLUMNS)
    .where(assets.c.hash == sa.bindparam("hash"), assets.c.name == sa.bindparam("name"), _IS_PUBLISHED)
    .order_by(assets.c.owner, assets.c.path)
    .limit(20)
)


def find_files(connection: sa.Connection, hash: str, name: str) -> list[PublishedFile]:
    """Return where the file of an address lies: each of them, as copies may have changed since."""
    return [PublishedFile(*row) for row in connection.execute(_FIND, {"hash": hash, "name": name})] if hash else []


def list_published(connection: sa.Connection) -> list[PublishedFile]:
    """Return all files that are published, each address once, with the data of those that articles contain."""
    query = sa.select(*_COLUMNS).where(assets.c.hash != "", _IS_PUBLISHED).order_by(assets.c.hash, assets.c.name, assets.c.path)
    found = {(row.hash, row.name): PublishedFile(*row) for row in connection.execute(query)}
    return list(found.values())


def open_file(site: Site, file: PublishedFile) -> int | None:
    """Open a file of the store that is still as it was published, and return its descriptor; None for any other one.

    Its stamp is that of the last rescan, or else its content is compared.
    """
    root, path = site.file_of(file.path)
    try:
        descriptor = open_inside(str(root), path)
    except (OSError, ValueError):
        return None
    status = os.fstat(descriptor)
    if status.st_size == file.size and (file_stamp(status) == file.stamp or hash_of(descriptor, file.size) == file.hash):
        return descriptor
    os.close(descriptor)
    return None


def read_file(site: Site, file: PublishedFile) -> bytes | None:
    """Return all bytes of a file, if they are those that were published."""
    if file.data is not None:
        return file.data
    descriptor = open_file(site, file)
    if descriptor is None:
        return None
    with open(descriptor, "rb") as opened:
        data = opened.read(file.size + 1)
    return data if content_hash([data]) == file.hash else None


# -- what a rescan does ----------------------------------------------------------


def changed_owners(connection: sa.Connection, stores: Stores) -> set[str]:
    """Return the files of articles that refer to files which are others than they were, or are there now, or no more."""
    c = assets.c
    # One file may have several stamps: it changed while a rescan read those that refer to it.
    known = fetch_rows(connection, sa.select(c.path, c.stamp).where(c.data.is_(None)).distinct())
    present: dict[str, Stamp] = {}
    for settings, paths in stores.grouped(dict(known)):
        below = paths if not settings.folder else [path.removeprefix(settings.folder) for path in paths]
        present |= zip(paths, map(current_stamp, itertools.repeat(os.path.realpath(settings.root)), below), strict=True)
    changed = sorted({path for path, stamp in known if present[path] != stamp})
    found: set[str] = set()
    for start in range(0, len(changed), 500):
        found.update(connection.scalars(sa.select(c.owner).where(c.path.in_(changed[start : start + 500]))))
    return found


def asset_rows(owner: str, found: Sequence[Asset]) -> list[dict[str, Any]]:
    """Return the rows of the files that the article in the file `owner` refers to."""
    names = ("path", "hash", "name", "stamp", "size", "data")
    return [{"owner": owner} | {name: getattr(one, name) for name in names} for one in found]
