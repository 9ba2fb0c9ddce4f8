"""The composition root and the use cases: what the doors (cli, web, schedule) call. Nothing here outlives its `Service`.

`rescan`, `reading` and `check` are the three kinds of use case, `state` what they remember.
"""

from __future__ import annotations

import contextlib
import functools
import json
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from .. import config as configuration
from .. import copying, database, jobs, measures
from ..audience import records
from ..config import Config, Environment
from ..errors import AddressError, DatabaseError, SelectionError
from ..library import catalog, scan
from ..library.scan import Progress
from ..model import Article, Facet, FeedState, Problem, RescanReport, Selection, Term
from ..newsletter.tokens import Tokens, new_secret
from ..syndication import definitions, documents, opml
from ..syndication.documents import compress, split_format
from ..syndication.formats import FORMATS, Format
from . import archive, articles, audience, building, finding, readiness, reading, rescan, state
from .archive import ArchivePage, IssuePage
from .articles import ArticlePage
from .building import Built
from .directory import SORTS, Directory, arrange
from .finding import MAX_PAGES, Results
from .holding import Held
from .readiness import Readiness, is_away
from .reading import Document, Elsewhere, Found, Gone, TermPage, VolumePage, find
from .repository import Repository
from .state import Edition

if TYPE_CHECKING:
    from ..syndication.export import Report
    from ..syndication.websub.courier import Courier
    from .consent import Consent
    from .console.console import Console
    from .digests import Digests
    from .figures import Figures
    from .hub import Hub
    from .tree import Reader

#: How long a worker's counts wait for another writer, in seconds. They are kept and tried again; and a worker that ends must
#: not hold up the end of the service.
COUNTING_SECONDS = 2.0


class Service:
    """One per process. Cheap to make; holds the engine and this process's environment."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.engine = database.connect(environment.database_url)
        self._jobs_prepared = False
        self._counting = database.connect(environment.database_url, busy_seconds=COUNTING_SECONDS)

    def prepare(self) -> None:
        """Make or check the tables. Raises DatabaseError, also for a database that was carried over to another."""
        try:
            database.ensure(self.engine)
        except sa.exc.OperationalError as error:
            raise DatabaseError(f"the database does not answer: {str(error.orig).strip().splitlines()[0]}") from None
        with self.snapshot() as connection:
            if copying.closed(connection):
                raise DatabaseError(copying.MOVED)

    def migrate(self) -> tuple[str, str]:
        """The versions of the tables before and after."""
        return database.migrate(self.engine)

    def carry_over_from(self, url: str, progress: copying.Progress | None = None) -> copying.Counts:
        """Everything of another database into this one, which has nothing yet; the other takes in nothing any more."""
        source = database.connect(self.environment.located(url))
        try:
            return copying.carry_over(source, self.engine, progress)
        finally:
            source.dispose()

    def back_up(self, path: Path, progress: copying.Progress | None = None) -> copying.Counts:
        return copying.back_up(self.engine, path, progress)

    def restore(self, path: Path, progress: copying.Progress | None = None) -> copying.Counts:
        return copying.restore(self.engine, path, progress)

    def close(self) -> None:
        self.engine.dispose()
        self._counting.dispose()

    def snapshot(self) -> contextlib.AbstractContextManager[sa.Connection]:
        return database.reading(self.engine)

    def adopt_config(self) -> Config:
        """The configuration in the files, stored for all processes if the catalog has none yet. Raises ConfigError."""
        config = configuration.load(self.environment)
        with database.writing(self.engine) as connection:
            if "config" not in state.read(connection):
                state.put(connection, {"config": config.model_dump_json(by_alias=True), "generation": "0"})
        return config

    def rescan(
        self,
        *,
        now: int,
        full: bool = False,
        progress: Progress | None = None,
        workers: int | None = None,
        pull: bool = False,
        accept_removals: bool = False,
        stop: threading.Event | None = None,
    ) -> RescanReport:
        """Bring the catalog up to date with store and configuration. `now` in UTC seconds.

        Waits for a rescan under way in another process. Raises StoreError, ConfigError (no good configuration yet).
        `pull` does not wait until a pull of a store in git is due; `stop` ends one that is under way. `accept_removals` lets
        articles go whose files are gone, however many they are.
        """
        return rescan.rescan(
            self.engine,
            self.environment,
            now=now,
            full=full,
            progress=progress,
            workers=workers,
            pull=pull,
            accept_removals=accept_removals,
            stop=stop,
        )

    def check(self) -> list[Problem]:
        from . import check  # it composes a message to see whether that can be done: nothing else here needs what that takes

        return check.check(self.environment)

    # -- what is out ------------------------------------------------------

    def edition(self) -> Edition:
        with self.snapshot() as connection:
            return state.edition(connection)

    def generation(self) -> int:
        """One look-up; cheap enough to ask several times a second. -1 before the first rescan."""
        with self.snapshot() as connection:
            return state.generation(connection)

    def status(self) -> dict[str, Any]:
        with self.snapshot() as connection:
            stored = state.read(connection)
            return {
                "articles": scan.count_articles(connection),
                "quarantined": scan.count_problems(connection),
                "feeds": len(documents.states(connection)),
                "terms": catalog.term_counts(connection),
                "generation": int(stored.get("generation", "-1")),
                "rescan": json.loads(stored.get("rescan", "null")),
                "rescan_fault": stored.get("rescan_fault", ""),
                "config_fault": stored.get("config_fault", ""),
                "held": asdict(held) if (held := Held.read(stored)) else None,
                "held_fault": held.in_words if held else "",
                "store_git": asdict(git) if (git := Repository.read(stored)) else None,
                "schema": database.HEAD,
            }

    def problems(self) -> list[Problem]:
        with self.snapshot() as connection:
            return catalog.problems(connection)

    def states(self) -> list[tuple[FeedState, Selection]]:
        """Every feed with its selection, in the order of `feeds list`."""
        with self.snapshot() as connection:
            config = state.edition(connection).config
            if config is None:
                return []
            defined = {feed.path: feed.selection for feed, _known in definitions.every_feed(connection, config)}
            return [(row, defined.get(row.path, Selection())) for row in documents.states(connection)]

    # -- feeds ------------------------------------------------------------

    def document(
        self, edition: Edition, path: str, format: Format, known: Callable[[FeedState], bool] | None = None
    ) -> Document | Elsewhere | Gone:
        """The document of a feed; nothing is rendered where its state is `known`. Raises AddressError."""
        with self.snapshot() as connection:
            return reading.document(connection, edition, path, format, known)

    def volume(self, edition: Edition, path: str) -> dict[str, bytes]:
        """An archive document in all formats, by their names. Raises AddressError."""
        with self.snapshot() as connection:
            return reading.volume(connection, edition, path)

    def selected(
        self, edition: Edition, text: str, format: Format, known: Callable[[FeedState], bool] | None = None
    ) -> Document | Elsewhere:
        """The document of any selection, as `document`. Raises SelectionError, AddressError where no term of it exists."""
        with self.snapshot() as connection:
            return reading.selected(connection, edition, text, format, known)

    def opml(self, config: Config, facet: Facet | None) -> bytes:
        with self.snapshot() as connection:
            rows = documents.states(connection)
        title = config.site.title
        if facet is not None:
            rows = [row for row in rows if row.path.startswith(facet.plural + "/")]
            title = f"{title} · {facet.zh if config.chinese else facet.en}"
        return opml.render(config, title, rows, nested=facet is None)

    def export(
        self,
        target: str,
        renderer: Callable[[Environment], Callable[[str], bytes | None]],
        *,
        compressed: bool = True,
        feeds_only: bool = False,
        full: bool = False,
        progress: Progress | None = None,
        workers: int | None = None,
    ) -> Report:
        """Bring the static tree in a folder or at s3://BUCKET/PREFIX up to date. Raises AddressError before the first rescan.

        `renderer` makes, in any process, what answers an address. `feeds_only`: newest documents and lists, no pages.
        """
        from ..syndication import export
        from . import tree

        return export.export(
            tree.Everything(self._reader, feeds_only),
            tree.target(target, tree.published(self.edition())),
            functools.partial(renderer, self.environment),
            progress,
            compressed=compressed,
            full=full,
            workers=workers,
        )

    @functools.cached_property
    def _reader(self) -> Reader:
        from .tree import Reader

        return Reader(self.engine, self.environment.root)

    # -- pages ------------------------------------------------------------

    def digests_at(self, paths: Collection[str]) -> dict[str, str]:
        """What the feeds at these canonical paths hold now, as digests; without those that there are no more."""
        with self.snapshot() as connection:
            return documents.digests_at(connection, paths)

    def paths(self) -> frozenset[str]:
        """Of all feeds: what else is named has no page to link to."""
        with self.snapshot() as connection:
            return documents.paths(connection)

    def page(self, config: Config, path: str, number: int | None = None) -> TermPage | Elsewhere | Gone:
        """A feed's page for people: the newest, or an older one by its number. Raises AddressError."""
        with self.snapshot() as connection:
            return reading.page(connection, config, path, number)

    def volume_page(self, config: Config, path: str) -> VolumePage | Elsewhere | Gone:
        """An archive document's page for people. Raises AddressError."""
        with self.snapshot() as connection:
            return reading.volume_page(connection, config, path)

    def home(self, config: Config) -> tuple[list[Article], dict[str, list[Term]], list[FeedState]]:
        """The newest articles, the most used terms of each facet, the operator's own feeds."""
        with self.snapshot() as connection:
            return reading.home(connection, config)

    def directory(self, config: Config, facet: str) -> list[Term]:
        """All terms that have a page, most used first; `arrange` makes pages of them."""
        with self.snapshot() as connection:
            return reading.terms(connection, config, facet, None)

    def find(self, config: Config, text: str, page: int) -> Results:
        """Terms and articles by words that readers type; `page` up to MAX_PAGES."""
        with self.snapshot() as connection:
            return finding.search(connection, config, text, page)

    def article(self, slug: str) -> ArticlePage | None:
        with self.snapshot() as connection:
            return articles.article(connection, slug)

    def permalink(self, path: str) -> str:
        """The address of the article whose own header says that it lives at `path`; "" if there is none."""
        with self.snapshot() as connection:
            return catalog.url_of(connection, path)

    def built(self, config: Config, text: str) -> Built | Elsewhere | None:
        """What a selection takes, for the feed builder. Raises SelectionError, AddressError."""
        with self.snapshot() as connection:
            return building.build(connection, config, text)

    def search(self, facet: str, text: str) -> list[Term]:
        """Terms to choose from."""
        with self.snapshot() as connection:
            return building.search(connection, facet, text)

    def most_used(self, limit: int) -> dict[str, list[Term]]:
        with self.snapshot() as connection:
            return building.most_used(connection, limit)

    # -- audience ---------------------------------------------------------

    def note_audience(self, batch: audience.Batch) -> None:
        """Add up what a web worker has counted. Gives up soon where another writes: the worker tries again."""
        with database.writing(self._counting, together=True) as connection:
            records.add(connection, batch)

    def recent_audience(self, now: float, limit: int) -> dict[str, Any]:
        """Of the last days, with the `limit` feeds that were asked for most."""
        with self.snapshot() as connection:
            zone = (state.edition(connection).config or Config()).zone
            return audience.as_json(audience.recent(connection, zone, now, limit), zone, now)

    def forget_audience(self, now: float) -> None:
        """Days that are older than `audience_days`. Idempotent."""
        if (config := self.edition().config) is not None:
            with database.writing(self.engine) as connection:
                audience.forget(connection, config.zone, now, config.site.audience_days)

    # -- for monitors -----------------------------------------------------

    def readiness(self, now: float) -> Readiness:
        """Whether anything can be served. Never raises: a database that does not answer is an answer, too."""
        try:
            return readiness.look(self.engine, int(now))
        except Exception as error:  # whatever it has to say, this process cannot serve anew
            return Readiness(f"the catalog cannot be read ({type(error).__name__})")

    def figures(self, config: Config, now: float) -> Figures:
        """What a monitor watches."""
        from . import figures

        with self.snapshot() as connection:
            return figures.gather(connection, config, int(now))

    def count(self, now: Callable[[], float], stop: threading.Event) -> None:
        """What is too much to be counted whenever a monitor asks; for the clock, who does it now and then."""
        from . import census

        if (config := self.edition().config) is not None:
            census.count(self.engine, config, now, stop)

    def beat(self, now: float) -> None:
        """The clock is there."""
        with database.writing(self.engine) as connection:
            state.put(connection, {"clock": str(int(now))})

    def note_start(self, process: str) -> None:
        """A process of this kind begins its work."""
        with database.writing(self._counting, together=True) as connection:
            measures.add(connection, {(measures.STARTS.name, process, measures.COUNT): 1})

    # -- workers ----------------------------------------------------------

    def rescue_jobs(self) -> int:
        """Jobs of dead workers wait again. Makes the tables of jobs where there are none yet. Idempotent."""
        if not self._jobs_prepared:
            jobs.prepare(self.engine)
            self._jobs_prepared = True
        return jobs.rescue(self.engine)

    # -- push -------------------------------------------------------------

    def hub(self, edition: Edition) -> Hub:
        """Where subscribers ask; `edition` has a configuration."""
        from .hub import Hub

        assert edition.config is not None
        return Hub(self.engine, edition, edition.config.feeds.websub)

    def courier(self, now: Callable[[], float]) -> Courier:
        """The hub's run, for the clock."""
        from ..syndication.websub.courier import Courier
        from .hub import Topics

        def hand_over(connection: sa.Connection, keys: list[int]) -> None:
            jobs.enqueue(connection, [jobs.Job("push", {"subscriptions": keys})])

        return Courier(self.engine, Topics(self.engine), now, hand_over)

    def push_some(self, subscriptions: Sequence[int], now: Callable[[], float]) -> dict[str, int]:
        """What one job does: deliver what is owed to these subscriptions. Returns how that went."""
        from ..syndication.websub import round
        from .hub import Topics

        return round.carry(self.engine, Topics(self.engine), subscriptions, now)

    def hub_counts(self) -> dict[str, int]:
        """Subscriptions, what waits, what fails."""
        from ..syndication.websub import rows

        with self.snapshot() as connection:
            return rows.counts(connection)

    # -- console ----------------------------------------------------------

    def console(self) -> Console:
        """What the operator sees and does at /operator/."""
        from .console.console import Console

        return Console(self.engine, self.environment, self.tokens)

    # -- newsletter -------------------------------------------------------

    def tokens(self) -> Tokens:
        """Signs with FEEDS_SECRET_KEY, or with a secret that the database keeps."""
        if self.environment.secret_key:
            return Tokens(self.environment.secret_key)
        with self.snapshot() as connection:
            secret = state.read(connection).get("secret")
        return Tokens(secret or self._new_secret())

    def _new_secret(self) -> str:
        with database.writing(self.engine, durable=True) as connection:
            secret = state.read(connection).get("secret") or new_secret()
            state.put(connection, {"secret": secret})
        return secret

    def digests(self, config: Config) -> Digests:
        """The newsletter's use cases for operator and clock."""
        from .digests import Digests  # a web worker never sends: it need not load what sends

        return Digests(self.engine, self.environment, config, self.tokens())

    def consent(self, config: Config) -> Consent:
        """Signing up, preferences, leaving."""
        from .consent import Consent

        return Consent(self.engine, self.environment, config, self.tokens())

    def fetch_returns(self, config: Config, now: int, stop: threading.Event | None = None) -> dict[str, Any] | None:
        """Book what came back, until `stop`; None where no mailbox is configured. Raises MailboxError."""
        from . import returns

        if not returns.is_configured(config, self.environment):
            return None
        return returns.collect(self.engine, self.environment, config, self.tokens(), now, stop=stop).as_json()

    def forget_unconfirmed(self, now: int) -> None:
        """Addresses whose link has expired unused; the newsletter need not be enabled for that. Idempotent."""
        from ..newsletter import limits

        with database.writing(self.engine) as connection:
            limits.purge(connection, now)

    def delivery_counts(self) -> dict[str, int]:
        """Issues, and messages by status, of all time."""
        from ..newsletter import progress

        with self.snapshot() as connection:
            return progress.counts(connection)

    def archive(self, number: int | None = None) -> ArchivePage | None:
        """A page of past issues; None where no page has the number."""
        with self.snapshot() as connection:
            return archive.listed(connection, number)

    def issue_page(self, config: Config, id: str, *, reach: int, keys: Sequence[int], chinese: bool) -> IssuePage | None:
        """One past issue: all that was new, or what some selections take of it."""
        with self.snapshot() as connection:
            return archive.page(connection, config, id, reach=reach, keys=keys, chinese=chinese)

    def archive_feed(self, config: Config) -> bytes:
        with self.snapshot() as connection:
            return archive.feed(connection, config)

    def similar(self, facet: str, name: str) -> list[Term]:
        with self.snapshot() as connection:
            return catalog.similar(connection, facet, name)


__all__ = [
    "FORMATS",
    "MAX_PAGES",
    "SORTS",
    "AddressError",
    "Built",
    "Directory",
    "Document",
    "Edition",
    "Elsewhere",
    "Format",
    "Found",
    "Gone",
    "SelectionError",
    "Service",
    "TermPage",
    "arrange",
    "compress",
    "find",
    "is_away",
    "split_format",
]
