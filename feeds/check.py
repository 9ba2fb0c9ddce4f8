"""Find every fault in the configuration, the store, the templates of mails and their transport.

Changes nothing but modes of private files that others could read, and removes what killed processes left behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import sqlalchemy as sa

from . import database, resources, urls
from .catalog import ingest, queries, store_changes
from .catalog.sort_key import Window
from .config.environment import FILE, Environment, find_differences, variable
from .config.load import Keys, load_config, positions, removed_settings
from .config.models import Config, Site, Store, feed_path, suggestion
from .database import identity, tables
from .errors import ConfigError, Fault, FeedsError, GitError, StoreError
from .model import FACETS, PLURALS, Problem, Recipient
from .newsletter.issues import preview
from .newsletter.messages.composer import DigestComposer
from .newsletter.messages.dkim import Signer
from .newsletter.messages.templates import template_folders
from .newsletter.messages.transactional import NOTICES, ConfirmationLinks, OwnLinks, TransactionalComposer
from .newsletter.subscribers.email_address import parse_address
from .newsletter.transports import choose_transport
from .runtime import tidy_files
from .store import git, walk
from .store.git import Git
from .store.links.permalinks import NO_VALUE, token_names
from .store.parsed import ParsedFile
from .store.portrait import Portrait, StoreFile
from .store.stores import Stores, find_sites, with_addresses
from .syndication import feeds
from .syndication.documents import places_beyond
from .tokens import Tokens, new_secret


@dataclass(frozen=True, slots=True)
class Findings:
    """What `check` has found. Problems of the kind "hint" only advise. `ignored`: names in the stores that are passed over.

    Without readable stores and configuration there is no portrait of any, and `site` is None.
    """

    problems: tuple[Problem, ...]
    portraits: tuple[Portrait, ...] = ()
    site: Site | None = None
    ignored: int = 0


def check(environment: Environment) -> Findings:
    """Return all faults and the portrait of each store; the faults of the configuration alone where it cannot be loaded."""
    hints = [_as_problem(hint, "hint") for hint in (*removed_settings(environment), *find_differences(environment.root / FILE))]
    hints += _check_database(environment)
    hints += _check_secrets(environment)
    try:
        config = load_config(environment)
    except ConfigError as error:
        return Findings((*map(_as_problem, error.faults), *hints, *_tidy(environment, None)))
    found = _check_store(environment, config)
    before = (*hints, *_tidy(environment, config), *_check_addresses(environment, config), *_check_git(environment, config))
    return replace(found, problems=(*before, *found.problems, *_check_newsletter(environment, config)))


def _tidy(environment: Environment, config: Config | None) -> Iterator[Problem]:
    """Put the modes of private files right, and yield those that others could read."""
    for wide in tidy_files(environment, config):
        yield Problem(str(wide.path), 0, 0, str(wide), "hint")


def _check_secrets(environment: Environment) -> Iterator[Problem]:
    """Yield secrets that can be guessed. A weak operator's token opens nothing; a weak key of links is only advised against."""
    make = 'take one that `python3 -c "import secrets; print(secrets.token_urlsafe(32))"` makes'
    for name, reason in environment.weak_secrets.items():
        kind = "config" if name == variable("operator_token") else "hint"
        yield Problem(name, 0, 0, f"it can be guessed: {reason}; {make}", kind)


def _as_problem(fault: Fault, kind: str = "config") -> Problem:
    return Problem(fault.path, fault.line, fault.column, fault.reason, kind)


def _check_database(environment: Environment) -> list[Problem]:
    """Return what is wrong with the site's database, once it has one."""
    folder = environment.root / "var"
    if identity.read_record(folder) is None:
        return []
    engine = database.connect(environment.database_url.get_secret_value())
    try:
        found = identity.Watch((engine,), folder).examine()
    finally:
        engine.dispose()
    return [Problem(database.place(engine), 0, 0, f"{found.words}: {found.advice}", "database")] if found.words else []


def _check_addresses(environment: Environment, config: Config) -> Iterator[Problem]:
    """Yield addresses in `moved` and `gone` that no feed can have."""
    written: list[tuple[str, Keys]] = []
    for old, new in config.feeds.moved.items():
        written += [(old, ("moved", old, "[key]")), (new, ("moved", old))]
    written += [(path, ("gone", index)) for index, path in enumerate(config.feeds.gone)]
    known = ", ".join(facet.plural for facet in FACETS.values())
    for path, place in written:
        if not _is_address(path):
            reason = f"moved/gone: {path!r} is no feed's address; expected all, feeds/NAME or one of {known}"
            yield _fault_at(environment, "feeds.yaml", place, reason)


def _is_address(written: str) -> bool:
    folder, _, name = written.strip("/").partition("/")
    return folder == "all" or bool(name and (folder in PLURALS or folder == "feeds"))


def _check_moves(environment: Environment, config: Config, connection: sa.Connection) -> Iterator[Problem]:
    """Yield moves to an address without an article: possible, but hardly on purpose, as readers get a 404."""
    for old, new in config.feeds.moved.items():
        target = config.retired[urls.fold(feed_path(old))]
        if not target or not (_is_address(old) and _is_address(new)):
            continue
        if feeds.parse_path(connection, config, target) is None:
            reason = f"moved: {old!r} goes to {target!r}, and no feed is there"
            yield _fault_at(environment, "feeds.yaml", ("moved", old), reason)


#: Bytes of an entry besides its body, about.
_AROUND = 1000


def _check_sizes(environment: Environment, config: Config, connection: sa.Connection) -> Iterator[Problem]:
    """Yield one hint that names the feeds whose oldest entries have summaries, as all of their articles would be too long."""
    bound, b = config.feeds.max_bytes, tables.bodies.c
    rows = connection.execute(sa.select(b.article_key, sa.func.length(sa.cast(b.html, sa.LargeBinary))))
    lengths = {key: length + _AROUND for key, length in rows}
    longest = sorted(lengths.values(), reverse=True)
    short = []
    for feed, _known in feeds.list_feeds(connection, config):
        if feed.content != "full" or not places_beyond(longest[: feed.limit], bound):
            continue
        shown = queries.article_digests(connection, feeds.resolve_clauses(connection, config, feed), Window(feed.limit))
        if beyond := places_beyond([lengths[article.key] for article in shown], bound):
            short.append(f"{feed.path} ({len(beyond)} of {len(shown)})")
    if short:
        more = f" and {len(short) - 5} more feeds" if len(short) > 5 else ""
        reason = f"max_bytes: about so many entries have only their summaries: {', '.join(short[:5])}{more}"
        yield replace(_fault_at(environment, "feeds.yaml", ("max_bytes",), reason), kind="hint")


def _fault_at(environment: Environment, file: str, keys: Keys, reason: str) -> Problem:
    """Return a fault at a setting of a file that could be loaded."""
    path = environment.config_dir / file
    return Problem(str(path), *positions(path).get(keys, (1, 1)), reason, "config")


def _check_git(environment: Environment, config: Config) -> Iterator[Problem]:
    """Yield what is wrong with git, without asking the remote."""
    settings = config.site.store_git
    if not (settings.pull or settings.dates):
        return
    faults = {}
    for store in filter(lambda store: os.path.isdir(store.path), config.site.stores):
        try:
            repository = Git(os.path.realpath(store.path))
            git.head_commit(repository)
            if settings.dates and git.shallow_commits(repository):
                reason = f"store_git.dates: a shallow clone {git.SHALLOW}: git fetch --unshallow"
                yield _fault_at(environment, "site.yaml", ("store_git", "dates"), reason)
            if settings.pull:
                git.upstream_branch(repository)
            faults[store.prefix] = ""
        except GitError as error:
            faults[store.prefix] = str(error)
    if fault := git.join_faults(faults):
        setting = "pull" if settings.pull else "dates"
        yield _fault_at(environment, "site.yaml", ("store_git", setting), f"store_git.{setting}: {fault}")


def _check_newsletter(environment: Environment, config: Config) -> Iterator[Problem]:
    """Render each template with the demo articles, read the keys, and greet the mail server."""
    if not config.newsletter.enabled:
        return
    settings = str(environment.config_dir / "newsletter.yaml")
    try:
        _render_all(environment, config)
    except Fault as fault:
        yield _as_problem(fault)
    except FeedsError as error:
        yield Problem(settings, 1, 1, str(error), "config")
    try:
        asyncio.run(choose_transport(config, environment).check())
    except FeedsError as error:
        yield Problem(settings, 1, 1, f"transport: {error}", "config")


def _render_all(environment: Environment, config: Config) -> None:
    """Render a digest and the transactional messages in both languages. Raises Fault and other FeedsErrors."""
    now = int(time.time())
    demo = config.model_copy(
        update={"site": config.site.model_copy(update={"stores": (Store(path=str(resources.DEMO / "articles")),)})}
    )
    with _catalog_of(demo) as (connection, _files):
        wanted = preview.PreviewRequest(next(iter(config.newsletter.frequencies)), "UTC")
        content = preview.newest_content(connection, demo, wanted, now, after=0)
    tokens = Tokens(new_secret())
    folders = template_folders(environment.root)
    digest = DigestComposer(config, content, tokens, folders, Signer.from_settings(config.newsletter.dkim, environment.root))
    single = TransactionalComposer(config, folders)
    mailbox = parse_address("reader@example.org")
    for language in ("zh-CN", "en"):
        digest.message(Recipient(1, mailbox.address, language, config.site.timezone, 1, 0, (1,)), now)
        asked = ConfirmationLinks(tokens.request("confirm", "sample"), tokens.request("refuse", "sample"))
        single.confirmation(mailbox, asked, language, now)
        own = OwnLinks(tokens.preferences(1, 1, now), tokens.unsubscribe(1))
        for is_changed in (False, True):
            single.receipt(mailbox, own, language, {"weekly": ["tag=Linux"]}, now, is_changed=is_changed)
        for kind in NOTICES:
            single.notice(kind, mailbox, language, now, link=asked.confirm, address="r***@example.org")


def _check_store(environment: Environment, config: Config) -> Findings:
    """Read every file of the stores into a temporary catalog, and check the moves of feeds against it."""
    ignored = 0
    portraits: list[Portrait] = []
    try:
        sites = find_sites(config, {})
        config, stores = with_addresses(config, sites), Stores.from_config(config, sites)
        with _catalog_of(config, stores) as (connection, files):
            found, moves = queries.list_problems(connection), list(_check_moves(environment, config, connection))
            moves += _check_sizes(environment, config, connection)
        files += [StoreFile(p.path, "quarantined", p.reason) for p in found if p.path not in {file.path for file in files}]
        for part in stores.parts:
            root = os.path.realpath(part.root)
            listing, passed_over = walk.list_files(root, part.suffixes), walk.name_passed_over(root, part.suffixes)
            own = [file for file in files if stores.of(file.path) is part]
            own += [StoreFile(part.folder + path, "ignored", reason) for path, reason in passed_over.items()]
            portraits.append(Portrait.of(part, own, listing.unread))
            ignored += listing.ignored
    except StoreError as error:
        named = [store.path for store in config.site.stores if str(error).startswith(os.path.realpath(store.path))]
        return Findings((Problem(named[0] if named else config.site.stores[0].path, 0, 0, str(error), "store"),))
    problems = [Problem(str(Path(*config.site.file_of(p.path))), p.line, p.column, p.reason, p.kind) for p in found]
    said = [
        (f, notice) for p in portraits for f in p.files for notice in f.notices if notice != "no date" or f.state == "published"
    ]
    notices = [Problem(str(Path(*config.site.file_of(f.path))), 0, 0, notice, "hint") for f, notice in said]
    faults = [Problem(site.root, 0, 0, fault, "store") for site in sites for fault in site.faults]
    patterns = [problem for portrait in portraits for problem in _check_permalink(environment, config, portrait)]
    return Findings((*moves, *faults, *patterns, *problems, *notices), tuple(portraits), config.site, ignored)


def look_at(config: Config) -> Portrait:
    """Return the portrait of a store for which there is no site yet. Raises StoreError."""
    sites = find_sites(config, {})
    config, stores = with_addresses(config, sites), Stores.from_config(config, sites)
    with _catalog_of(config, stores) as (_connection, files):
        unread = walk.list_files(os.path.realpath(stores.parts[0].root), stores.parts[0].suffixes).unread
    return Portrait.of(stores.parts[0], files, unread)


def _check_permalink(environment: Environment, config: Config, portrait: Portrait) -> Iterator[Problem]:
    """Yield tokens of the operator's pattern of addresses for which most articles have no value."""
    stores, store = config.site.stores, config.site.store_with(portrait.settings.site.prefix)
    if not store.permalink:
        return
    keys: Keys = ("store", "permalink") if len(stores) == 1 else ("store", stores.index(store), "permalink")
    known = [f":{name}" for name in token_names(portrait.settings.site.kind)]
    for notice, count in portrait.notices().items():
        token = notice.removesuffix(NO_VALUE).strip()
        if token != notice and token not in known and count * 2 > portrait.count("published").total():
            likely = suggestion(token if token.startswith(":") else f":{token.strip('{}')}", known)
            reason = f"store.permalink: {token} has no value in most articles{likely.rstrip(';')}"
            yield _fault_at(environment, "site.yaml", keys, reason)


@contextlib.contextmanager
def _catalog_of(config: Config, stores: Stores | None = None) -> Iterator[tuple[sa.Connection, list[StoreFile]]]:
    """Yield a temporary catalog of the stores, and what each file of them is. Raises StoreError."""
    engine = database.temporary()
    tables.metadata.create_all(engine)
    stores = stores or Stores.from_config(config, find_sites(config, {}))
    options = ingest.IngestOptions(now=int(time.time()))
    files: list[StoreFile] = []

    def note(batches: Iterable[list[ParsedFile]]) -> Iterator[list[ParsedFile]]:
        for batch in batches:
            files.extend(map(StoreFile.of, batch))
            yield batch

    try:
        with database.writing(engine) as connection:
            found = store_changes.find_changes(connection, stores, now=options.now)
            with ingest.parsing(connection, stores, found, options.now) as parsed:
                ingest.apply_changes(connection, stores, feeds.aliases_of(config), found, note(parsed), options)
            yield connection, files
    finally:
        engine.dispose()
