"""The composition root and the use cases: what the doors (cli, web, schedule) call. Nothing here outlives its `Service`."""

from __future__ import annotations

import contextlib
import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from . import addresses, database
from . import config as configuration
from .config import Config, Environment
from .database import state
from .errors import AddressError, ConfigError, Fault, FeedsError, StoreError
from .library import catalog, scan
from .library.body import opens_with_picture, opens_with_summary
from .library.intake import Counts
from .library.reading import Rules
from .library.scan import Progress
from .model import FACETS, PLURALS, Article, Facet, Feed, FeedState, Problem, RescanReport, Selection, Term
from .syndication import definitions, documents, export, opml
from .syndication.documents import compress, split_format
from .syndication.formats import FORMATS, Format

Notice = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Edition:
    """What is out: the catalog's generation, and the configuration it was made with (None before the first rescan)."""

    generation: int
    config: Config | None


@dataclass(frozen=True, slots=True)
class Document:
    """One representation of a feed, rendered but not compressed. `changed` in UTC seconds.

    `body` is None where the caller already has the bytes of this digest. `base_url` and `generation` are those of the snapshot
    it was made in.
    """

    path: str
    format: Format
    digest: str
    changed: int
    body: bytes | None
    base_url: str
    generation: int


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The canonical path of what was asked for; answered with 301."""

    path: str


@dataclass(frozen=True, slots=True)
class Gone:
    """The operator retired it; answered with 410."""

    path: str


@dataclass(frozen=True, slots=True)
class Found:
    """A feed and its state in one snapshot."""

    feed: Feed
    state: FeedState


@dataclass(frozen=True, slots=True)
class TermPage:
    feed: Feed
    state: FeedState
    term: Term | None
    articles: list[Article]
    older: int | None


@dataclass(frozen=True, slots=True)
class ArticlePage:
    """An article, and what its body does not already open with."""

    article: Article
    show_picture: bool
    show_summary: bool


class Service:
    """One per process. Cheap to make; holds the engine and this process's environment."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.engine = database.connect(environment.database_url)

    def prepare(self) -> None:
        """Make or check the tables. Raises SchemaError."""
        database.ensure(self.engine)

    def migrate(self) -> tuple[str, str]:
        return database.migrate(self.engine)

    def close(self) -> None:
        self.engine.dispose()

    def snapshot(self) -> contextlib.AbstractContextManager[sa.Connection]:
        return database.reading(self.engine)

    # -- configuration -----------------------------------------------------

    def adopt_config(self) -> Config:
        """The configuration in the files, stored for all processes if the catalog has none yet. Raises ConfigError."""
        config = configuration.load(self.environment)
        with database.writing(self.engine) as connection:
            if "config" not in _state(connection):
                _put_state(connection, {"config": config.model_dump_json(by_alias=True), "generation": "0"})
        return config

    def _current_config(self, stored: Mapping[str, str]) -> tuple[Config, str]:
        """The files' configuration, or the last good one and what is wrong with the files."""
        try:
            return configuration.load(self.environment), ""
        except ConfigError as error:
            if "config" not in stored:
                raise
            return Config.model_validate_json(stored["config"]), str(error)

    # -- rescan ------------------------------------------------------------

    def rescan(
        self, *, now: int, full: bool = False, progress: Progress | None = None, workers: int | None = None
    ) -> RescanReport:
        """Bring the catalog up to date with store and configuration, in one transaction. `now` in UTC seconds.

        Waits for a rescan under way in another process. Raises StoreError, ConfigError (no good configuration yet).
        """
        started = time.perf_counter()
        with database.exclusive(self.engine, "rescan"):
            with self.snapshot() as connection:
                stored = _state(connection)
            config, fault = self._current_config(stored)
            try:
                report = self._rescan(stored, config, now, full, progress, workers, started)
            except StoreError as error:
                self._note({"rescan_fault": str(error), "config_fault": fault})
                raise
            self._note({"rescan": json.dumps({"at": now, **asdict(report)}), "rescan_fault": "", "config_fault": fault})
        return report

    def _rescan(
        self,
        stored: Mapping[str, str],
        config: Config,
        now: int,
        full: bool,
        progress: Progress | None,
        workers: int | None,
        started: float,
    ) -> RescanReport:
        rules = Rules.of(config)
        marks = _marks(config, rules)
        with self.snapshot() as connection:
            found = scan.look(connection, rules, everything=full or stored.get("parse") != marks["parse"])
            if found.idle and all(stored.get(name) == value for name, value in marks.items()):
                return _report(connection, found, started)
        with database.writing(self.engine) as connection:
            rejoin = "aliases" in stored and stored["aliases"] != marks["aliases"]
            names = definitions.names_of(config)
            taken = scan.take_in(connection, rules, names, found, now=now, rejoin=rejoin, progress=progress, workers=workers)
            everything = stored.get("shown") != marks["shown"]
            changed: list[str] = []
            if everything or taken.changed:
                changed = documents.refresh(connection, config, None if everything else taken.touched, now)
            if changed or taken.changed or stored.get("config") != marks["config"]:
                marks["generation"] = str(int(_state(connection).get("generation", "0")) + 1)
            _put_state(connection, marks)
            return _report(connection, found, started, taken, len(changed))

    def _note(self, values: Mapping[str, str]) -> None:
        with database.writing(self.engine) as connection:
            _put_state(connection, values)

    # -- what the doors ask ------------------------------------------------

    def edition(self) -> Edition:
        with self.snapshot() as connection:
            return _edition(connection)

    def generation(self) -> int:
        """One look-up; cheap enough to ask several times a second. -1 before the first rescan."""
        with self.engine.connect() as connection:
            return _generation(connection)

    def status(self) -> dict[str, Any]:
        with self.snapshot() as connection:
            stored = _state(connection)
            facets = catalog.term_counts(connection)
            return {
                "articles": scan.count_articles(connection),
                "quarantined": scan.count_problems(connection),
                "feeds": len(documents.states(connection)),
                "terms": facets,
                "generation": int(stored.get("generation", "-1")),
                "rescan": json.loads(stored.get("rescan", "null")),
                "rescan_fault": stored.get("rescan_fault", ""),
                "config_fault": stored.get("config_fault", ""),
                "schema": database.HEAD,
            }

    def problems(self) -> list[Problem]:
        with self.snapshot() as connection:
            return catalog.problems(connection)

    def check(self) -> list[Problem]:
        """Configuration and store, without touching the catalog: every fault found."""
        try:
            config = configuration.load(self.environment)
        except ConfigError as error:
            return [_as_problem(fault) for fault in error.faults]
        return [*_check_addresses(self.environment, config), *check_store(config)]

    def states(self) -> list[tuple[FeedState, Selection]]:
        """Every feed with its selection, in the order of `feeds list`."""
        with self.snapshot() as connection:
            config = _edition(connection).config
            if config is None:
                return []
            defined = {feed.path: feed.selection for feed, _known in definitions.every_feed(connection, config)}
            return [(row, defined.get(row.path, Selection())) for row in documents.states(connection)]

    def opml(self, config: Config, facet: Facet | None) -> bytes:
        with self.snapshot() as connection:
            rows = documents.states(connection)
        title = config.site.title
        if facet is not None:
            rows = [row for row in rows if row.path.startswith(facet.plural + "/")]
            title = f"{title} · {facet.zh if config.chinese else facet.en}"
        return opml.render(config, title, rows, nested=facet is None)

    def export(self, folder: Path, *, compressed: bool = True, progress: Progress | None = None) -> dict[str, int]:
        """Write the static tree. Raises AddressError before the first rescan."""
        with self.snapshot() as connection:
            config = _edition(connection).config
            if config is None:
                raise AddressError("nothing is published yet: run `feeds rescan`")
            return export.export(connection, config, folder, progress, compressed=compressed).as_json()

    def document(self, edition: Edition, path: str, format: Format, known: str = "") -> Document | Elsewhere | Gone:
        """The document of a feed; nothing is rendered where its digest is still `known`. Raises AddressError."""
        with self.snapshot() as connection:
            # A rescan may have ended since `edition` was asked for: bytes and digest must be of one configuration.
            now = edition if _generation(connection) == edition.generation else _edition(connection)
            if now.config is None:
                raise AddressError("nothing is published yet")
            found = find(connection, now.config, path)
            if not isinstance(found, Found):
                return found
            same = found.state.digest == known
            body = None if same else documents.render(connection, now.config, found.feed, found.state, format)
        row = found.state
        return Document(row.path, format, row.digest, row.changed, body, now.config.site.base_url, now.generation)

    def page(self, config: Config, path: str, before: int | None = None) -> TermPage | Elsewhere | Gone:
        """A feed's page for people: its articles without bodies, 20 at a time."""
        with self.snapshot() as connection:
            found = find(connection, config, path)
            if not isinstance(found, Found):
                return found
            clauses = catalog.resolve(connection, definitions.names_of(config), found.feed.selection)
            articles = catalog.select(connection, clauses, PAGE + 1, before, with_html=False)
            term = _term_of(connection, config, found.feed)
        older = articles[PAGE - 1].position if len(articles) > PAGE else None
        return TermPage(found.feed, found.state, term, articles[:PAGE], older)

    def home(self, config: Config) -> tuple[list[Article], dict[str, list[Term]], list[FeedState]]:
        """The newest articles, the most used terms of each facet, the operator's own feeds."""
        with self.snapshot() as connection:
            articles = catalog.select(connection, catalog.Clauses(), 12, with_html=False)
            top = {facet: _terms(connection, config, facet, 24) for facet in definitions.enabled_facets(config)}
            paths = [f"feeds/{named.name}" for named in config.feeds.feeds]
            named = [row for path in paths if (row := documents.state_at(connection, path))]
        return articles, top, named

    def directory(self, config: Config, facet: str) -> list[Term]:
        with self.snapshot() as connection:
            return _terms(connection, config, facet, None)

    def article(self, id: str) -> ArticlePage | None:
        """By the slug that its address has."""
        with self.snapshot() as connection:
            found = catalog.article(connection, addresses.unslug(id)) or catalog.article(connection, id)
        if found is None:
            return None
        return ArticlePage(
            found,
            show_picture=bool(found.picture) and not opens_with_picture(found.html, found.picture),
            show_summary=bool(found.summary) and not opens_with_summary(found.html, found.summary),
        )

    def similar(self, facet: str, name: str) -> list[Term]:
        with self.snapshot() as connection:
            return catalog.similar(connection, facet, name)


PAGE = 20


def find(connection: sa.Connection, config: Config, path: str) -> Found | Elsewhere | Gone:
    """Raises AddressError. `moved` and `gone` are asked first: the operator's word is above what the store holds."""
    if (answer := _retired(config, path)) is not None:
        return answer
    feed = definitions.feed_at(connection, config, path)
    if feed is None:
        raise AddressError(f"no feed has the address /{path}")
    if feed.path != path:
        return _retired(config, feed.path) or Elsewhere(feed.path)
    row = documents.state_at(connection, path)
    if row is None:  # the configuration is newer than the rescan; the next one makes it
        raise AddressError(f"no feed has the address /{path} yet")
    return Found(feed, row)


def _retired(config: Config, path: str) -> Elsewhere | Gone | None:
    folded = addresses.fold(path)
    for old, new in config.feeds.moved.items():
        if _same_address(old, folded):
            return Elsewhere(_segments(new))
    return Gone(path) if any(_same_address(old, folded) for old in config.feeds.gone) else None


def _segments(written: str) -> str:
    """An address as an operator writes it (`tags/TCP/IP`) as a path."""
    folder, _, name = written.strip("/").partition("/")
    facet = PLURALS.get(folder)
    return addresses.term_path(facet.name, addresses.unslug(name)) if facet and name else written.strip("/")


def _same_address(written: str, folded: str) -> bool:
    return folded in (addresses.fold(written.strip("/")), addresses.fold(_segments(written)))


def _terms(connection: sa.Connection, config: Config, facet: str, limit: int | None) -> list[Term]:
    minimum = config.feeds.facet(facet).min_articles
    return [known.term for known in catalog.terms_of(connection, facet, minimum, limit)]


def _term_of(connection: sa.Connection, config: Config, feed: Feed) -> Term | None:
    if not feed.facet:
        return None
    known = catalog.term_at(connection, definitions.names_of(config), feed.facet, feed.path.partition("/")[2])
    return known.term if known else None


# -- check -----------------------------------------------------------------


def _as_problem(fault: Fault) -> Problem:
    return Problem(fault.path, fault.line, fault.column, fault.reason, "config")


def _check_addresses(environment: Environment, config: Config) -> Iterator[Problem]:
    path = str(environment.config_dir / "feeds.yaml")
    for written in (*config.feeds.moved, *config.feeds.moved.values(), *config.feeds.gone):
        folder, _, name = written.strip("/").partition("/")
        if folder != "all" and not (name and (folder in PLURALS or folder == "feeds")):
            known = ", ".join(facet.plural for facet in FACETS.values())
            yield Problem(
                path,
                1,
                1,
                f"moved/gone: {written!r} is no feed's address; expected all, feeds/NAME or one of {known}",
                "config",
            )


def check_store(config: Config) -> list[Problem]:
    """Read every file of the store into a catalog that is thrown away."""
    with tempfile.TemporaryDirectory(prefix="feeds-check-") as folder:
        engine = database.connect(f"sqlite:///{folder}/catalog.db")
        database.metadata.create_all(engine)
        try:
            with database.writing(engine) as connection:
                problems = _problems_of(connection, config)
        finally:
            engine.dispose()
    return [Problem(str(Path(config.site.store, p.path)), p.line, p.column, p.reason, p.kind) for p in problems]


def _problems_of(connection: sa.Connection, config: Config) -> list[Problem]:
    rules = Rules.of(config)
    try:
        found = scan.look(connection, rules)
    except StoreError as error:
        return [Problem("", 0, 0, str(error), "store")]
    scan.take_in(connection, rules, definitions.names_of(config), found, now=int(time.time()))
    return catalog.problems(connection)


# -- state -----------------------------------------------------------------


def _state(connection: sa.Connection) -> dict[str, str]:
    return {name: value for name, value in connection.execute(sa.select(state.c.name, state.c.value))}


def _generation(connection: sa.Connection) -> int:
    value = connection.execute(sa.select(state.c.value).where(state.c.name == "generation")).scalar()
    return int(value) if value is not None else -1


def _edition(connection: sa.Connection) -> Edition:
    stored = _state(connection)
    config = Config.model_validate_json(stored["config"]) if "config" in stored else None
    return Edition(int(stored.get("generation", "-1")), config)


def _put_state(connection: sa.Connection, values: Mapping[str, str]) -> None:
    connection.execute(sa.delete(state).where(state.c.name.in_(list(values))))
    connection.execute(sa.insert(state), [{"name": name, "value": value} for name, value in values.items()])


def _marks(config: Config, rules: Rules) -> dict[str, str]:
    """What the catalog was made with: which part of it a new configuration asks to be made anew."""
    text = config.model_dump_json(by_alias=True)
    aliases = json.dumps({f: dict(rows) for f, rows in config.feeds.aliases.items()}, sort_keys=True)
    shown = hashlib.sha256((text + documents.versions()).encode()).hexdigest()[:16]
    return {"config": text, "parse": rules.key, "aliases": aliases, "shown": shown}


def _report(
    connection: sa.Connection, found: scan.Look, started: float, taken: scan.Taken | None = None, feeds_changed: int = 0
) -> RescanReport:
    counts = taken.counts if taken else Counts()
    total = scan.count_articles(connection)
    return RescanReport(
        articles=total,
        added=counts.added,
        changed=counts.changed,
        removed=counts.removed,
        unchanged=total - counts.added - counts.changed - counts.renamed,
        quarantined=scan.count_problems(connection),
        seconds=round(time.perf_counter() - started, 3),
        renamed=counts.renamed,
        feeds_changed=feeds_changed,
    )


__all__ = [
    "FORMATS",
    "AddressError",
    "Document",
    "Edition",
    "Elsewhere",
    "FeedsError",
    "Format",
    "Found",
    "Gone",
    "Service",
    "TermPage",
    "compress",
    "split_format",
]
