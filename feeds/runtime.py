"""The runtime of one process: its environment, its engine, the secret of its links.

What a command, a page or the clock does lives in the package that it serves; callers pass a connection of the runtime, which
`Runtime.read` opens: `runtime.read(pages.home, config)`.
"""

from __future__ import annotations

import contextlib
import glob
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa

from . import database, faults
from .database import backup, identity
from .errors import DatabaseError, DatabaseFault
from .private_files import WideMode, narrow, remove_leftovers, summarize
from .syndication import editions
from .syndication.editions import Edition

if TYPE_CHECKING:
    from .config.environment import Environment
    from .config.models import Config
    from .tokens import Tokens

P = ParamSpec("P")
T = TypeVar("T")
#: Seconds that a worker's counts wait for another writer. They are kept and tried again, and a worker that ends must not hold
#: up the end of the service.
COUNTING_SECONDS = 2.0


class Runtime:
    """Hold the engine and the environment of this process. Cheap to make; `close` it.

    `create`: a missing database is made, unless the site had one there. Only commands that fill it may (`open_runtime`).
    `watch` finds out whether the database is still the site's, and sound.
    """

    def __init__(self, environment: Environment, *, create: bool = False) -> None:
        self.environment = environment
        url, folder = environment.database_url.get_secret_value(), environment.root / "var"
        self._create = create
        self.engine = database.connect(url)
        record = identity.read_record(folder)  # of a database at another address, where FEEDS_DATABASE_URL is a new one
        self._known = record is not None and record.address == identity.address(self.engine)
        if create and not self._known:
            self.engine = database.connect(url, create=True)
        self.engine.update_execution_options(departures=str(self.departures))
        self._counting = database.connect(url, busy_seconds=COUNTING_SECONDS)
        self.watch = identity.Watch((self.engine, self._counting), folder)

    @property
    def folder(self) -> Path:
        """Return where files are that belong to the database: beside it, or in var/ where a server keeps it."""
        if database.is_postgresql(self.engine):
            return self.environment.root / "var"
        return Path(str(self.engine.url.database)).parent

    @property
    def departures(self) -> Path:
        """Return the list of those who left (`newsletter.subscribers.departures`)."""
        return self.folder / "departures.jsonl"

    def prepare(self, *, tolerate: bool = False) -> None:
        """Check the tables, or make them with `create`. Raises DatabaseError, also for a database that was carried over.

        `tolerate`: a damaged or foreign database raises nothing; it is reported by `watch.fault`.
        """
        if self._known and self._is_refused(tolerate):
            return
        try:
            (database.ensure_tables if self._create else database.check_tables)(self.engine)
            if self.read(backup.is_closed):
                raise DatabaseError(backup.MOVED)
            if self._create:
                self.watch.adopt()
        except sa.exc.DBAPIError as error:
            raise DatabaseError(faults.sentence(error) or str(error.orig)) from error
        self._is_refused(tolerate)

    def _is_refused(self, tolerate: bool) -> bool:
        fault = self.watch.look()
        if fault == identity.MOVED:
            raise DatabaseError(backup.MOVED)
        if fault.words and not tolerate and (self._create or not fault.readable):
            raise DatabaseFault(f"{fault.words}: {fault.advice}")
        return bool(fault.words)

    def close(self) -> None:
        """Close all connections that are not in use."""
        self.engine.dispose()
        self._counting.dispose()

    def reading(self) -> contextlib.AbstractContextManager[sa.Connection]:
        """Open a snapshot: all that is read in it is of one moment."""
        return database.reading(self.engine)

    def read(self, query: Callable[Concatenate[sa.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return `query(connection, ...)` in a snapshot of its own: `runtime.read(pages.home, config)`."""
        with database.reading(self.engine) as connection:
            return query(connection, *args, **kwargs)

    def write(self, change: Callable[Concatenate[sa.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return `change(connection, ...)` in a transaction of its own."""
        with database.writing(self.engine) as connection:
            return change(connection, *args, **kwargs)

    def count(self, change: Callable[Concatenate[sa.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `write`, for sums that can wait: give up after COUNTING_SECONDS where another process writes."""
        with database.writing(self._counting, together=True) as connection:
            return change(connection, *args, **kwargs)

    def generation(self) -> int:
        """Return the generation of the catalog; looks whether the database is the site's, now and then."""
        self.watch.latest()
        return self.read(editions.load_generation)

    def probe(self, query: Callable[[sa.Connection], T]) -> T:
        """As `read`, for a monitor: give up after COUNTING_SECONDS where another process holds a lock."""
        with database.reading(self._counting) as connection:
            return query(connection)

    def edition(self) -> Edition:
        """Return the generation of the catalog and the configuration that it was made with; looks as `generation` does."""
        self.watch.latest()
        return self.read(editions.load_edition)

    def tokens(self) -> Tokens:
        """Return the signer of links: with FEEDS_SECRET_KEY, or with a secret that the database keeps."""
        from .tokens import Tokens, new_secret  # what signs is loaded where links are made or checked

        if self.environment.secret_key:
            return Tokens(self.environment.secret_key.get_secret_value())
        if secret := self.read(editions.load_state).get("secret"):
            return Tokens(secret)
        with database.writing(self.engine, durable=True) as connection:
            secret = editions.load_state(connection).get("secret") or new_secret()
            editions.save_state(connection, {"secret": secret})
        return Tokens(secret)


def tidy_files(environment: Environment, config: Config | None) -> list[WideMode]:
    """Remove temporary files of processes that were killed, and take the rights of others from what only the service may read.

    That is var/, the database and what lies beside it, the maildir, DKIM keys and `.env`. Returns what others could read, many
    files of a folder as one. Idempotent.
    """
    var, url = environment.root / "var", sa.make_url(environment.database_url.get_secret_value())
    private, given, folders = [var], [environment.root / ".env"], [environment.config_dir]
    public: set[Path] = set()
    if url.get_backend_name() == "sqlite" and url.database:
        path = Path(url.database)
        private += [path, path.with_name("site-id"), *path.parent.glob(f"{glob.escape(path.name)}[.-]*")]
        folders.append(path.parent)
    if config:
        given += [environment.root / key for key in (config.newsletter.dkim.rsa_key, config.newsletter.dkim.ed25519_key) if key]
        private += [environment.root / config.newsletter.maildir] if config.newsletter.maildir else []
        folders.append(environment.root / config.newsletter.maildir / "tmp")
        public.update((environment.root / store.path).resolve() for store in config.site.stores)
    for folder in (*folders, var, *(path for path in var.glob("*") if path.is_dir())):
        remove_leftovers(folder)
    found = [wide for path in dict.fromkeys(path.resolve() for path in private) for wide in narrow(path, public)]
    return summarize([*found, *(wide for path in given for wide in narrow(path, given=True))])
