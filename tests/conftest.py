"""Fixtures of all tests: a site of one's own, the demo site, the corpus, tools from outside.

Times are fixed: files are written as of 2025, rescans happen in 2026, one minute apart. So a file counts as settled, and
equal tests give equal bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import fcntl
import functools
import gc
import http.client
import multiprocessing.util
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa
import yaml
from babel.messages.frontend import CommandLineInterface
from dotenv import dotenv_values
from hypothesis import HealthCheck, settings

from feeds import rescan as rescan_
from feeds.config.environment import Environment
from feeds.database import backup, connect, ensure_tables, reading, writing
from feeds.database.tables import files, metadata
from feeds.model import RescanReport
from feeds.newsletter.transports.smtp import Smtp
from feeds.runtime import Runtime
from feeds.store import parser_pool, walk
from feeds.store.parser_pool import ParserPool
from feeds.syndication import editions

from . import compiling, forking, postgresql
from .examples import FULL, some

CHECKOUT = Path(__file__).resolve().parents[1]
LOCALES = CHECKOUT / "feeds" / "locale"
#: Processes that parse, for all rescans of a run: as a clock keeps them.
PARSERS = ParserPool()
WRITTEN = 1_735_689_600  # 2025-01-01T00:00:00Z: the time stamp of the first file
NOW = 1_767_225_600  # 2026-01-01T00:00:00Z: the first rescan

# An operator's own settings are not the tests'; what they start inherits this, too.
_KEPT = ("FEEDS_CORPUS", "FEEDS_FUZZ", "FEEDS_FAULT_ROUNDS", "FEEDS_TEST_EXAMPLES")
for _name in [name for name in os.environ if name.startswith("FEEDS_") and not name.startswith(_KEPT)]:
    del os.environ[_name]

compiling.keep_modules()
compiling.keep_templates()
compiling.keep_addresses()
compiling.keep_statements()

# `make test` and `make fuzz` look further each time. A full run has the same examples for the same tests: what turns it
# red is the change.
settings.register_profile(
    "feeds",
    max_examples=some(50),
    deadline=None,
    derandomize=FULL,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("feeds")

SITE_YAML = """\
title: Linux 中国
base_url: https://feeds.example
article_url: https://linux.cn{permalink}
store: {path: articles, future: publish}
"""
FEEDS_YAML = """\
facets:
  tag: {limit: 20}
  translator: {limit: 20}
"""

#: An article as the archive writes it: every key, alphabetical, strings where there is nothing.
ARTICLE: dict[str, Any] = {
    "author": "Ada Example",
    "category": "技术",
    "comments_data": [],
    "count": {"commentnum": 0, "favtimes": 0, "likes": 0, "sharetimes": 0, "viewnum": 1},
    "date": "2020-01-02 03:04:05",
    "editorchoice": False,
    "excerpt": "一句话的摘要。",
    "fromurl": "https://example.org/original",
    "islctt": True,
    "largepic": "/data/attachment/album/202001/02/030405cover.png",
    "pic": "/data/attachment/album/202001/02/030405cover.png.thumb.jpg",
    "related": [],
    "reviewer": "",
    "selector": "",
    "summary": "一句话的摘要。",
    "tags": ["Linux"],
    "thumb": False,
    "title": "一篇文章",
    "titlepic": True,
    "translator": "",
}
BODY = "第一段。\n\n第二段，有 **强调**。"


def article_text(path: str, **fields: Any) -> str:
    """A file in the archive's schema; `...` (Ellipsis) as a value leaves the key out, `body` is the Markdown."""
    stem = Path(path).stem
    id = fields.pop("id", int(stem) if stem.isdigit() else stem)
    body = fields.pop("body", BODY)
    date = fields.get("date", ARTICLE["date"])
    header = {**ARTICLE, "id": id, "permalink": f"/article-{id}-1.html", "updated": date, **fields}
    header = {key: value for key, value in sorted(header.items()) if value is not ...}
    return f"---\n{dump(header)}---\n\n{body}"


def dump(values: Any) -> str:
    """YAML from libyaml, which takes a seventh of the time."""
    return str(yaml.dump(values, Dumper=yaml.CSafeDumper, allow_unicode=True))


# -- which database: `pytest --database=postgresql` ---------------------------

#: Where the processes of one run find the server that the first of them has begun.
SERVER = "TESTS_POSTGRESQL"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--database", choices=("sqlite", "postgresql"), default="sqlite", help="what all sites of the tests keep")


def _compile_words() -> None:
    """A checkout is installed once and edited often."""
    sources = [(po, po.with_suffix(".mo")) for po in LOCALES.rglob("*.po")]
    if any(not mo.exists() or mo.stat().st_mtime < po.stat().st_mtime for po, mo in sources):
        CommandLineInterface().run(["pybabel", "--quiet", "compile", "--directory", str(LOCALES), "--domain", "feeds"])


def pytest_configure(config: pytest.Config) -> None:
    """Words that are newer than what was compiled last; one database server for all processes of this run.

    What the program starts in the tests' own processes is forked, too.
    """
    parser_pool.subprocess = forking  # type: ignore[attr-defined]
    multiprocessing.util.spawnv_passfds = forking.spawn  # type: ignore[attr-defined]
    if not hasattr(config, "workerinput"):
        _compile_words()
    if config.getoption("--database") == "postgresql" and not hasattr(config, "workerinput"):
        server = contextlib.ExitStack()
        url = server.enter_context(postgresql.running()).url()
        config.add_cleanup(server.close)
        postgresql.prepare(url)
        os.environ[SERVER] = url
    if config.getoption("--database") == "postgresql":  # what is open to hypothesis is what both do alike
        settings.register_profile("postgresql", settings.get_profile("feeds"), max_examples=some(30))
        settings.load_profile("postgresql")


def pytest_xdist_auto_num_workers() -> int | None:
    """Half as many again as there are processors: a fifth of the time of these tests is waiting for others."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None  # it is said already
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(2, processors * 3 // 2)


def pytest_collection() -> None:
    """Whatever is made from here on stays, so to look for garbage among it finds none and takes a quarter of the time."""
    gc.disable()


def pytest_collection_finish() -> None:
    """What was collected stays: nobody has to look through it again for garbage."""
    gc.enable()
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """A PostgreSQL server, also where this run's sites keep files: for what only PostgreSQL does."""
    if url := os.environ.get(SERVER):
        yield url
        return
    with postgresql.running() as cluster:
        postgresql.prepare(cluster.url())
        yield cluster.url()


def settle_database(root: Path, template: Site | None = None) -> None:
    """Give the site at `root` what this run's sites keep: a file, or a database that whoever works there finds in `.env`.

    It begins empty, with all tables, or as a copy of the `template`'s.
    """
    (root / "var").mkdir(mode=0o700, exist_ok=True)
    if url := os.environ.get(SERVER):
        drop_database(root)
        made = postgresql.new(url)
        (root / ".env").touch(0o600)
        (root / ".env").write_text(f'FEEDS_DATABASE_URL="{made}"\n')
        if template:
            _fill(made, template)
        return
    (root / "var" / "feeds.db").touch(0o600)
    if template:
        with contextlib.closing(sqlite3.connect(template.database)) as connection:
            connection.execute(f"VACUUM INTO '{root / 'var' / 'feeds.db'}'")
    else:
        (root / "var" / "feeds.db").write_bytes(_empty_file())


@functools.cache
def _empty_file() -> bytes:
    """An SQLite database with all tables: making them takes longer than many a test."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "feeds.db"
        engine = connect(f"sqlite:///{path}", create=True)
        ensure_tables(engine)
        engine.dispose()
        return path.read_bytes()


def _fill(url: str, template: Site) -> None:
    engine = connect(url)
    with reading(template.runtime.engine) as rows, writing(engine) as written:
        backup.copy(rows, written)
    engine.dispose()


def database_url(root: Path) -> str:
    """Where the site at `root` keeps everything."""
    return dotenv_values(root / ".env").get("FEEDS_DATABASE_URL") or f"sqlite:///{root / 'var' / 'feeds.db'}"


def drop_database(root: Path) -> None:
    """Where it is a file, it goes with the folder."""
    url, kept = os.environ.get(SERVER), dotenv_values(root / ".env").get("FEEDS_DATABASE_URL")
    if url and kept:
        postgresql.drop(url, kept)


class Site:
    """A site's folder (config/, articles/, var/) and a service over it. Paths of articles are below the store.

    It is empty, or as the `template` is after its last rescan, which takes a fifth of the time.
    """

    def __init__(self, root: Path, template: Site | None = None, **settings: Any) -> None:
        self.root = root
        self.config_dir = root / "config"
        self.store = root / "articles"
        self.now = template.now if template else NOW
        self._written = template._written if template else WRITTEN
        root.mkdir(parents=True)
        if template:
            shutil.copytree(template.config_dir, self.config_dir)
            shutil.copytree(template.store, self.store)
        else:
            self.config_dir.mkdir()
            self.store.mkdir()
            self.set("site.yaml", SITE_YAML)
            self.set("feeds.yaml", FEEDS_YAML)
        if settings:
            self.settle("site.yaml", **settings)
        settle_database(root, template)
        self.environment = Environment.read(self.config_dir, {})
        self.runtime = Runtime(self.environment, create=True)
        self.runtime.prepare()
        if template:
            self._move_in(template)

    def _move_in(self, template: Site) -> None:
        """As if it had always been here: the store has another place, and a copied file the time of its making."""
        stamps = [{"copied": path, "stamped": stamp} for path, stamp in walk.list_files(str(self.store)).files.items()]
        known = sa.update(files).where(files.c.path == sa.bindparam("copied")).values(stamp=sa.bindparam("stamped"))
        with writing(self.runtime.engine) as connection:
            connection.execute(known, stamps)
            config = editions.load_state(connection)["config"].replace(str(template.root), str(self.root))
            editions.save_state(connection, {"config": config})

    @property
    def database(self) -> Path:
        return self.root / "var" / "feeds.db"

    def write(self, path: str, text: str | bytes | None = None, **fields: Any) -> Path:
        """An article of these fields, or these very bytes; each file is one second younger than the one before."""
        if text is None:
            text = article_text(path, **fields)
        target = self.store / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text if isinstance(text, bytes) else text.encode())
        self._written += 1
        os.utime(target, (self._written, self._written))
        return target

    def set(self, file: str, text: str) -> None:
        """The whole text of config/FILE."""
        (self.config_dir / file).write_text(text, "utf-8")

    def settle(self, file: str, **settings: Any) -> None:
        """Some settings of config/FILE; the others stay."""
        path = self.config_dir / file
        merged = {**(yaml.load(path.read_text("utf-8"), Loader=yaml.CSafeLoader) or {}), **settings}
        self.set(file, dump(merged))

    def rescan(self, now: int | None = None, *, progress: Any = None, stop: Any = None, **options: Any) -> RescanReport:
        """Rescan at `now`, or a minute after the rescan before."""
        self.now = self.now + 60 if now is None else now
        wanted, site = rescan_.RescanOptions(**{"parsers": PARSERS, **options}), self.runtime
        return rescan_.rescan(site.engine, site.environment, wanted, now=self.now, progress=progress, stop=stop)

    def forget(self) -> None:
        """A database without a row in place of the one that there is, closed: as for a site that was set up this minute."""
        self.runtime.close()
        for path in self.database.parent.glob(f"{self.database.name}*"):
            path.unlink()
        (self.root / "var" / "site-id").unlink(missing_ok=True)
        settle_database(self.root)
        self.environment = Environment.read(self.config_dir, {})

    def lose_database(self) -> None:
        """It is there no more, or nothing that can be read is in its place."""
        self.runtime.close()
        drop_database(self.root)
        for path in self.database.parent.glob(f"{self.database.name}*"):
            path.write_bytes(b"not a database, and long enough to be looked at as one" * 100)

    @contextlib.contextmanager
    def held(self, table: str) -> Iterator[None]:
        """Someone else writes to the table, and takes his time."""
        with self.runtime.engine.connect() as other:
            postgresql_ = other.dialect.name == "postgresql"
            other.exec_driver_sql(f"LOCK TABLE {table} IN EXCLUSIVE MODE" if postgresql_ else "BEGIN IMMEDIATE")
            yield
            other.rollback()

    def kept(self, *names: str) -> str:
        """All that the tables hold, or those named, to look for what must not be there."""
        tables = [table for table in metadata.sorted_tables if not names or table.name in names]
        with reading(self.runtime.engine) as connection:
            return "\n".join(str(row) for table in tables for row in connection.execute(sa.select(table)))

    def reopen(self) -> Runtime:
        """The same database in a new service, as after a restart."""
        self.runtime.close()
        self.runtime = Runtime(self.environment, create=True)
        self.runtime.prepare()
        return self.runtime

    def close(self) -> None:
        """Only this service: others may go on with the database."""
        self.runtime.close()

    def remove(self) -> None:
        self.close()
        drop_database(self.root)


@pytest.fixture
def new_site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Makes further sites: `new_site(title="...")`, settings as in site.yaml; `template` is another one to copy."""
    made: list[Site] = []

    def make(template: Site | None = None, **settings: Any) -> Site:
        made.append(Site(tmp_path / f"site{len(made) or ''}", template, **settings))
        return made[-1]

    yield make
    for site in made:
        site.remove()


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Callable[[Site], None]], Site]]:
    """`new_site(prepared(fill))` is a site that is filled as `fill` does it once for this process."""
    made: dict[Callable[[Site], None], Site] = {}

    def prepare(fill: Callable[[Site], None]) -> Site:
        if fill not in made:
            made[fill] = Site(tmp_path_factory.mktemp("prepared") / "site")
            fill(made[fill])
        return made[fill]

    yield prepare
    for site in made.values():
        site.remove()


@pytest.fixture
def site(new_site: Callable[..., Site]) -> Site:
    """An empty site with its tables made."""
    return new_site()


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The demo articles and the default configuration, rescanned. Do not write to it."""
    site = Site(tmp_path_factory.mktemp("demo") / "site")
    for file in sorted((CHECKOUT / "config").glob("*.yaml")):
        site.set(file.name, file.read_text("utf-8"))
    site.settle("site.yaml", store={"path": "articles", "future": "publish"})
    source = CHECKOUT / "demo" / "articles"
    for path in sorted(source.rglob("*.md")):
        site.write(str(path.relative_to(source)), path.read_bytes())
    site.rescan()
    yield site
    site.remove()


@pytest.fixture(scope="session")
def corpus() -> Path:
    """A store of real articles: $FEEDS_CORPUS, or ../shared/corpus/content beside the checkout."""
    named = os.environ.get("FEEDS_CORPUS")
    folder = Path(named) if named else CHECKOUT.parent / "shared" / "corpus" / "content"
    if not folder.is_dir():
        pytest.skip(f"no corpus of real articles: {folder} does not exist (FEEDS_CORPUS names another place)")
    return folder


@pytest.fixture(scope="session")
def tool() -> Callable[[str], str]:
    """The path of a program from outside. Skips where it is not installed, but fails in CI, which has them all."""

    def find(name: str) -> str:
        # First what is pinned: a system's own Caddy may be years older.
        places = (str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin")
        found = shutil.which(name, path=os.pathsep.join(places))
        if found is None:
            reason = f"{name} is not installed"
            pytest.fail(f"{reason}, and CI must have it") if os.environ.get("CI") else pytest.skip(reason)
        return found

    return find


class Driven:
    """Debian's browser, driven by playwright, whose event loop runs in this thread: only `at_work`, as tests run loops, too."""

    def __init__(self, driver: Any, path: str) -> None:
        as_root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        self._driver = driver.start()
        self._loop = asyncio.get_running_loop()
        self.browser = self._driver.chromium.launch(executable_path=path, args=as_root)
        self._contexts: dict[tuple[object, ...], Any] = {}
        asyncio._set_running_loop(None)

    @contextlib.contextmanager
    def at_work(self) -> Iterator[Any]:
        asyncio._set_running_loop(self._loop)
        yield self.browser
        asyncio._set_running_loop(None)

    @contextlib.contextmanager
    def page(
        self,
        width: int = 1280,
        *,
        height: int = 800,
        scheme: str = "light",
        still: bool = True,
        only: str | None = None,
        **options: Any,
    ) -> Iterator[Any]:
        """A new page of a browser without cookies. Of addresses only those that begin with `only` answer.

        A context (`options` are those of `new_context`) takes longer than many a page: pages of equal options share one.
        """
        key = tuple(sorted((name, str(value)) for name, value in options.items()))
        if key not in self._contexts:
            self._contexts[key] = self.browser.new_context(**options)
        page = self._contexts[key].new_page()
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce" if still else "no-preference")
        if only is not None:
            page.route(lambda url: not url.startswith(only), lambda route: route.abort())
        try:
            yield page
        finally:
            for opened in self._contexts[key].pages:
                opened.close()
            self._contexts[key].clear_cookies()

    def close(self) -> None:
        with self.at_work():
            self.browser.close()
            self._driver.stop()


@pytest.fixture(scope="session")
def driven(tool: Callable[[str], str]) -> Iterator[Driven]:
    """One browser for all tests of a process, each with contexts of its own."""
    from playwright.sync_api import sync_playwright

    started = Driven(sync_playwright(), tool("chromium"))
    yield started
    started.close()


@pytest.fixture
def chromium(driven: Driven) -> Iterator[Any]:
    with driven.at_work() as browser:
        yield browser


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that `make` fills, once for all processes of a run: who comes second waits."""
    own = factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / name
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            making = folder.with_suffix(".part")
            shutil.rmtree(making, ignore_errors=True)
            making.mkdir()
            make(making)
            making.rename(folder)
    return folder


@pytest.fixture(scope="session")
def npm_packages(tool: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what tests/interop/package.json names. Do not write to it."""

    def install(folder: Path) -> None:
        shutil.copy(CHECKOUT / "tests" / "interop" / "package.json", folder)
        command = [tool("npm"), "install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr

    return made_once(tmp_path_factory, "npm", install)


@pytest.fixture
def hasty_smtp(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mail servers that do not answer are tried for a second, where a command goes on for a quarter of a minute."""
    configured = Smtp.configured

    def hastily(config: Any, environment: Environment) -> Smtp:
        return dataclasses.replace(configured(config, environment), patience=0.5)

    monkeypatch.setattr(Smtp, "configured", hastily)


@pytest.fixture(scope="session")
def text_of() -> Callable[..., str]:
    """The text of an article file: `text_of("2020/01/7.md", title="...")`."""
    return article_text


# -- a real service in processes of its own --------------------------------


class Running:
    """A `feeds serve` process tree on a free port, or on `port`. `log()` is what it has written so far."""

    def __init__(
        self, config_dir: Path, log: Path, *options: str, environment: dict[str, str] | None = None, port: int = 0
    ) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = port or probe.getsockname()[1]
        self.base = f"http://127.0.0.1:{self.port}"
        self._log = log
        command = [sys.executable, "-m", "feeds", "serve", "--config", str(config_dir), "--port", str(self.port), *options]
        with log.open("ab") as file:
            self.process = forking.Popen(
                command, stdout=file, stderr=file, cwd=CHECKOUT, env={**os.environ, **(environment or {})}
            )

    def log(self) -> str:
        return self._log.read_text("utf-8", "replace")

    def request(
        self, path: str, headers: dict[str, str] | None = None, method: str = "GET"
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        """One request on a connection of its own: status, headers, body. Follows nothing, unpacks nothing."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, headers=headers or {})
            answered = connection.getresponse()
            return answered.status, answered.headers, answered.read()
        finally:
            connection.close()

    def send(self, path: str, form: dict[str, str]) -> tuple[int, http.client.HTTPMessage, bytes]:
        """A form that is sent."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("POST", path, urlencode(form), {"Content-Type": "application/x-www-form-urlencoded"})
            answered = connection.getresponse()
            return answered.status, answered.headers, answered.read()
        finally:
            connection.close()

    def wait(self, what: Callable[[], Any], seconds: float = 60.0) -> Any:
        """The first true answer of `what`; fails with the log if there is none in time. A refused connection is no answer."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                pytest.fail(f"feeds serve ended with {self.process.returncode}:\n{self.log()}")
            with contextlib.suppress(OSError, http.client.HTTPException):
                if found := what():
                    return found
            time.sleep(0.05)
        pytest.fail(f"nothing after {seconds} s:\n{self.log()}")

    def ready(self) -> Running:
        self.wait(lambda: self.request("/ready")[0] == 200)
        return self

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Running]]:
    """Starts services: `running(config_dir, "--workers", "1")`; all are stopped in the end."""
    started: list[Running] = []

    def start(config_dir: Path, *options: str, environment: dict[str, str] | None = None) -> Running:
        log = tmp_path_factory.mktemp("serve") / "log"
        started.append(Running(config_dir, log, *options, environment=environment))
        return started[-1]

    yield start
    for service in started:
        service.stop()
