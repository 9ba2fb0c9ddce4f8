"""Ordinary faults of machine, servers, installation and files: one sentence, exit status 1, no traceback, nothing made."""

from __future__ import annotations

import ctypes
import dataclasses
import os
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from feeds import faults
from feeds.cli import main

from . import forking
from .conftest import article_text

SECRET = "geheim4711"
AWAY = f"postgresql://feeds:{SECRET}@127.0.0.1:9/feeds"
#: Every command that only looks, or that works on what there is.
LOOKING: tuple[tuple[str, ...], ...] = (
    ("status",),
    ("list",),
    ("list", "--json"),
    ("show", "all.atom"),
    ("opml",),
    ("export", "out"),
    ("digest", "plan"),
    ("digest", "preview"),
    ("digest", "send"),
    ("digest", "send", "--to", "me@example.org"),
    ("digest", "status"),
    ("digest", "retry"),
    ("digest", "pause", "weekly-2026-01-05"),
    ("digest", "resume", "weekly-2026-01-05"),
    ("digest", "cancel", "weekly-2026-01-05"),
    ("subscribers", "add", "me@example.org"),
    ("subscribers", "import", "people.csv"),
    ("subscribers", "export"),
    ("subscribers", "export", "people2.csv"),
    ("subscribers", "list"),
    ("subscribers", "erase", "me@example.org"),
    ("bounces",),
    ("backup", "copy.db"),
    ("worker",),
)


@dataclasses.dataclass
class Place:
    """A site's folder, with all tables and three articles, and the environment in which a command is given."""

    root: Path
    env: dict[str, str] = dataclasses.field(default_factory=dict)
    without: str = ""

    @property
    def database(self) -> Path:
        return self.root / "var" / "feeds.db"

    def write(self, path: str, data: bytes | str) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data if isinstance(data, bytes) else data.encode())

    def replace_by_folder(self, path: str) -> None:
        (self.root / path).unlink(missing_ok=True)
        (self.root / path).mkdir(parents=True)

    def tree(self) -> list[tuple[str, int, int]]:
        """Every file with its size and time, every folder; SQLite's own files beside an open database come and go."""
        found = []
        for path in sorted(self.root.rglob("*")):
            status = path.lstat()
            found.append((str(path), *((status.st_size, status.st_mtime_ns) if path.is_file() else (0, 0))))
        return found


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("template") / "site"
    for number in range(3):
        path = root / "articles" / f"{number}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(article_text(path.name, title=f"标题 {number}", tags=["Linux"]), "utf-8")
    (root / "config").mkdir()
    (root / "config" / "site.yaml").write_text("store: articles\n")
    (root / "config" / "feeds.yaml").write_text("{}\n")
    (root / "config" / "newsletter.yaml").write_text("from: digest@example.org\n")
    (root / "people.csv").write_text("email\nme@example.org\n")
    done = CliRunner().invoke(main, ["rescan", "--config", str(root / "config")], env={"FEEDS_DATABASE_URL": ""})
    assert done.exit_code == 0, done.output
    return root


@pytest.fixture
def place(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    for name in [name for name in os.environ if name.startswith(("FEEDS_", "AWS_"))]:
        monkeypatch.delenv(name)
    root = tmp_path / "site"
    shutil.copytree(template, root)
    monkeypatch.chdir(root)
    yield Place(root)
    for path in (root, *root.rglob("*")):
        path.chmod(0o700) if path.is_dir() and not path.is_symlink() else None


def run(place: Place, *words: str, monkeypatch: pytest.MonkeyPatch | None = None) -> tuple[int, str, str]:
    """A command in this process: exit status, stdout, stderr."""
    if place.without and monkeypatch:
        monkeypatch.setitem(sys.modules, place.without, None)
        monkeypatch.delitem(sys.modules, "feeds.worker", raising=False)
    done = CliRunner().invoke(main, [*words, *([] if words[0] == "init" else ["--config", "config"])], env=place.env)
    return done.exit_code, done.stdout, done.stderr


def spawn(
    place: Place, *words: str, before: Callable[[], None] | None = None, start: Any = forking.run, **options: Any
) -> tuple[int, str, str]:
    """The same in a process of its own."""
    command = [sys.executable, "-m", "feeds", *words, "--config", "config"]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, **options}
    done = start(
        command, cwd=place.root, env={**os.environ, **place.env}, timeout=120, preexec_fn=before, check=False, **streams
    )
    return done.returncode, (done.stdout or b"").decode(errors="replace"), (done.stderr or b"").decode()


# -- no database -----------------------------------------------------------


def remove_database(place: Place) -> None:
    shutil.rmtree(place.root / "var")


def empty_database(place: Place) -> None:
    remove_database(place)
    place.write("var/feeds.db", b"")


def foreign_database(place: Place) -> None:
    remove_database(place)
    (place.root / "var").mkdir()
    with sqlite3.connect(place.database) as connection:
        connection.execute("CREATE TABLE notes (text)")
    connection.close()


@pytest.mark.parametrize(
    ("lose", "words"),
    [*((remove_database, words) for words in LOOKING)]
    + [(lose, words) for lose in (empty_database, foreign_database) for words in LOOKING[::3]],
)
def test_a_command_that_only_looks_makes_no_database(
    place: Place, words: tuple[str, ...], lose: Callable[[Place], None]
) -> None:
    lose(place)
    before = place.tree()
    status, said, reason = run(place, *words)
    assert (status, said) == (1, "") and "no database at " in reason and "(FEEDS_DATABASE_URL " in reason
    assert reason.count("\n") == 1 and place.tree() == before


def test_check_looks_at_configuration_and_store_and_makes_nothing(place: Place) -> None:
    for lose in (empty_database, remove_database):
        lose(place)
        before = place.tree()
        run(place, "check")
        assert place.tree() == before


@pytest.mark.parametrize("words", LOOKING, ids=" ".join)
def test_a_command_leaves_no_file_of_sqlite_behind(place: Place, words: tuple[str, ...]) -> None:
    if words[0] == "export":  # what it renders with is closed when its process ends, as Python ends
        spawn(place, *words, start=subprocess.run)
    else:
        run(place, *words)
    left = {path.name for path in place.database.parent.iterdir()}
    assert not left & {"feeds.db-wal", "feeds.db-shm", "feeds.db-journal"}


@pytest.mark.parametrize("name", ["100%", "a%41b", "what?", "a#b", "a b&c=d", "内核"])
def test_a_site_may_lie_in_a_folder_of_any_name(place: Place, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    root = place.root.rename(place.root.with_name(name))
    monkeypatch.chdir(root)
    moved = Place(root)
    for words in (
        ("rescan",),
        ("list",),
        ("check",),
        ("backup", f"{name}.db"),
        ("restore", "--yes", f"{name}.db"),
        ("status",),
    ):
        status, said, reason = run(moved, *words)
        assert status == 0, (words, said + reason)
    assert {path.name for path in root.parent.iterdir()} == {name}, "nothing beside it"


# -- the table of faults -----------------------------------------------------


def garbage(place: Place) -> None:
    remove_database(place)
    place.write("var/feeds.db", b"not a database, and long enough to be looked at as one" * 100)


def damage(place: Place) -> None:
    data = bytearray(place.database.read_bytes())
    for at in range(4096, len(data), 4096):
        data[at : at + 2048] = b"\xff" * 2048
    place.database.write_bytes(data)


def environ(**values: str) -> Callable[[Place], None]:
    return lambda place: place.env.update(values)


def without(package: str, **values: str) -> Callable[[Place], None]:
    def prepare(place: Place) -> None:
        place.env.update(values)
        place.without = package

    return prepare


def file(path: str, data: bytes | str) -> Callable[[Place], None]:
    return lambda place: place.write(path, data)


def folder(path: str) -> Callable[[Place], None]:
    return lambda place: place.replace_by_folder(path)


def nothing(_place: Place) -> None:
    pass


def smtp(url: str) -> Callable[[Place], None]:
    def prepare(place: Place) -> None:
        place.write("config/newsletter.yaml", "from: digest@example.org\ntransport: smtp\n")
        assert run(place, "rescan")[0] == 0
        place.env["FEEDS_SMTP_URL"] = url

    return prepare


def lose_store(place: Place) -> None:
    shutil.rmtree(place.root / "articles")


#: What is wrong, the command, its exit status, words of its sentence.
Fault = tuple[str, Callable[[Place], None], tuple[str, ...], int, str]
SEND = ("digest", "send", "--to", "me@example.org")
IMPORT = ("subscribers", "import", "x.csv")
FAULTS: tuple[Fault, ...] = (
    ("not a database: status", garbage, ("list",), 1, "not a database"),
    ("not a database: rescan", garbage, ("rescan",), 1, "not a database"),
    ("not a database: migrate", garbage, ("migrate",), 1, "not a database"),
    ("not a database: serve", garbage, ("serve",), 1, "not a database"),
    ("not a database: clock", garbage, ("clock",), 1, "not a database"),
    ("damaged: list", damage, ("list",), 1, "damaged"),
    ("damaged: backup", damage, ("backup", "copy.db"), 1, "damaged"),
    ("database is a folder", folder("var/feeds.db"), ("list",), 1, "is a folder, where a file is expected"),
    ("URL without sense", environ(FEEDS_DATABASE_URL=SECRET), ("list",), 1, "FEEDS_DATABASE_URL is no address"),
    ("URL with a bad port", environ(FEEDS_DATABASE_URL=f"postgresql://a:b@h:{SECRET}/x"), ("list",), 1, "is no address"),
    ("URL of another kind", environ(FEEDS_DATABASE_URL=f"mysql://u:{SECRET}@h/x"), ("list",), 1, "only sqlite and postgresql"),
    ("URL without a file", environ(FEEDS_DATABASE_URL="sqlite://"), ("rescan",), 1, "names no file"),
    ("PostgreSQL refuses: list", environ(FEEDS_DATABASE_URL=AWAY), ("list",), 1, "the database does not answer"),
    ("PostgreSQL refuses: rescan", environ(FEEDS_DATABASE_URL=AWAY), ("rescan",), 1, "check FEEDS_DATABASE_URL"),
    ("PostgreSQL refuses: serve", environ(FEEDS_DATABASE_URL=AWAY), ("serve",), 1, "check FEEDS_DATABASE_URL"),
    ("PostgreSQL refuses: worker", environ(FEEDS_DATABASE_URL=AWAY), ("worker",), 1, "check FEEDS_DATABASE_URL"),
    ("PostgreSQL refuses: migrate", environ(FEEDS_DATABASE_URL=AWAY), ("migrate",), 1, "check FEEDS_DATABASE_URL"),
    ("PostgreSQL unknown host", environ(FEEDS_DATABASE_URL="postgresql://a@host.invalid/x"), ("list",), 1, "resolve host"),
    ("no psycopg", without("psycopg", FEEDS_DATABASE_URL=AWAY), ("list",), 1, "pip install 'feeds[postgresql]'"),
    ("no procrastinate", without("procrastinate"), ("worker",), 1, "pip install 'feeds[scale]'"),
    ("no obstore", without("obstore"), ("export", "s3://bucket/x"), 1, "feeds[s3]"),
    ("no config folder", lambda place: shutil.rmtree(place.root / "config"), ("list",), 1, "no such folder"),
    ("config is a file", lambda p: (shutil.rmtree(p.root / "config"), p.write("config", "x"))[1], ("list",), 2, "is a file"),
    ("site.yaml is a folder", folder("config/site.yaml"), ("rescan",), 1, "site.yaml:1:1: Is a directory"),
    ("site.yaml is binary", file("config/site.yaml", bytes(range(256))), ("rescan",), 1, "not UTF-8"),
    ("site.yaml is no YAML", file("config/site.yaml", "a: [\n"), ("rescan",), 1, "site.yaml:2:1"),
    ("NUL in a path", file("config/site.yaml", 'store: "a\\0b"\n'), ("rescan",), 1, "NUL"),
    (".env is a folder", folder(".env"), ("list",), 1, ".env:1:1"),
    (".env is not UTF-8", file(".env", b"FEEDS_LOG=\xff\n"), ("list",), 1, "not UTF-8"),
    ("no store", lose_store, ("rescan",), 1, "no such folder"),
    ("no store: check", lose_store, ("check",), 1, "1 fault"),
    ("mail template: syntax", file("templates/mail/digest.html", "\n{% if %}"), ("digest", "preview"), 1, "digest.html:2:1"),
    ("mail template: undefined", file("templates/mail/digest.html", "{{ a.b }}"), ("digest", "preview"), 1, "'a' is undefined"),
    (
        "mail template: include",
        file("templates/mail/digest.txt", "{% include 'x' %}"),
        ("digest", "preview"),
        1,
        "'x' not found",
    ),
    ("mail template: not UTF-8", file("templates/mail/digest.html", b"\xff"), ("digest", "preview"), 1, "not UTF-8"),
    ("mail template: endless", file("templates/mail/digest.html", "{% include 'digest.html' %}"), SEND, 1, "recursion"),
    ("SMTP without a server", smtp(""), SEND, 1, "FEEDS_SMTP_URL is not set"),
    ("SMTP refused", smtp(f"smtp://a:{SECRET}@127.0.0.1:9?starttls=0"), SEND, 1, "127.0.0.1"),
    ("SMTP unknown host", smtp(f"smtps://a:{SECRET}@host.invalid"), SEND, 1, "host.invalid"),
    ("SMTP wrongly written", smtp(f"smtp:/{SECRET}"), SEND, 1, "FEEDS_SMTP_URL"),
    ("IMAP refused", environ(FEEDS_IMAP_URL=f"imap://a:{SECRET}@127.0.0.1:9/INBOX"), ("bounces",), 1, "127.0.0.1"),
    ("IMAP unknown host", environ(FEEDS_IMAP_URL=f"imaps://a:{SECRET}@host.invalid/INBOX"), ("bounces",), 1, "host.invalid"),
    ("no mailbox of bounces", nothing, ("bounces",), 1, "no mailbox of reports is known"),
    ("serve: unknown host", nothing, ("serve", "--host", "host.invalid"), 1, "cannot serve on host.invalid"),
    ("serve: foreign address", nothing, ("serve", "--host", "192.0.2.1"), 1, "cannot serve on 192.0.2.1"),
    ("serve: impossible port", nothing, ("serve", "--port", "99999"), 2, "99999"),
    ("worker on SQLite", nothing, ("worker",), 1, "needs PostgreSQL"),
    ("export onto a file", file("out", "x"), ("export", "out"), 1, "Not a directory"),
    ("export to nowhere", nothing, ("export", "ftp://example.org"), 1, "expected a folder or s3://"),
    ("backup over a file", file("copy.db", "x"), ("backup", "copy.db"), 1, "overwrites nothing"),
    ("backup below a file", file("f", "x"), ("backup", "f/copy.db"), 1, "not a folder"),
    ("preview below a file", file("f", "x"), ("digest", "preview", "--out", "f/out"), 1, "not a folder"),
    ("restore of nothing", nothing, ("restore", "--yes", "none.db"), 1, "no such file"),
    ("restore of garbage", file("copy.db", b"garbage" * 1000), ("restore", "--yes", "copy.db"), 1, "copy.db"),
    ("restore unasked", file("copy.db", "x"), ("restore", "copy.db"), 1, "--yes"),
    ("export of people to nowhere", nothing, ("subscribers", "export", "no/such/x.csv"), 1, "no such file or folder"),
    ("import of Latin-1", file("x.csv", b"email\nf\xfc@example.org\n"), IMPORT, 1, "not UTF-8"),
    ("import of UTF-16", file("x.csv", "email\n".encode("utf-16")), IMPORT, 1, "x.csv:1:1"),
    ("import of NUL", file("x.csv", b"email\na\0b@example.org\n"), IMPORT, 1, "x.csv:2:1"),
    ("import of a huge cell", file("x.csv", b"email\n" + b"a" * 300_000 + b"\n"), IMPORT, 1, "not CSV"),
    ("import of other columns", file("x.csv", "mail;name\n"), IMPORT, 1, "unknown column"),
    ("import of an open quote", file("x.csv", 'email\n"a@example.org\n'), IMPORT, 1, "not CSV"),
    ("import of nothing", nothing, IMPORT, 2, "does not exist"),
    ("an impossible time", nothing, ("digest", "plan", "--now", "0001-01-01"), 2, "time zone"),
    ("a time before time", nothing, ("digest", "preview", "--now", "0001-01-01T00:00:00Z"), 2, "no time of this service"),
    ("a time after time", nothing, ("digest", "preview", "--now", "9999-12-31T23:00:00-12:00"), 2, "no time of this service"),
    ("an unknown time zone", nothing, ("subscribers", "add", "a@example.org", "--timezone", "Moon"), 1, "no time zone"),
    ("an impossible selection", nothing, ("digest", "preview", "--select", "tag=%ff"), 1, "no selection"),
    ("an unknown feed", nothing, ("show", "tags/none.atom"), 1, "tags/none"),
    ("no format", nothing, ("show", "tags/none"), 1, "expected an address"),
    ("an unknown facet", nothing, ("opml", "colour"), 1, "no facet"),
    ("an unknown issue", nothing, ("digest", "retry", "none"), 1, "no issue is called"),
    ("bytes that are no text", nothing, ("digest", "pause", "\udcff"), 1, "not UTF-8"),
    ("init over a file", file("f", "x"), ("init", "--yes", "f"), 2, "is a file"),
    ("init below a file", file("f", "x"), ("init", "--yes", "f/site"), 1, "not a folder"),
)


@pytest.mark.parametrize(("prepare", "words", "status", "expected"), [f[1:] for f in FAULTS], ids=[f[0] for f in FAULTS])
@pytest.mark.usefixtures("hasty_smtp")
def test_an_ordinary_fault_is_one_sentence(
    place: Place,
    monkeypatch: pytest.MonkeyPatch,
    prepare: Callable[[Place], None],
    words: tuple[str, ...],
    status: int,
    expected: str,
) -> None:
    prepare(place)
    before = {name for name, *_ in place.tree()}
    found, said, reason = run(place, *words, monkeypatch=monkeypatch)
    assert found == status, said + reason
    assert expected in reason, reason
    assert "Traceback" not in said + reason and "unexpected fault" not in reason and SECRET not in said + reason
    lines = [line for line in reason.splitlines() if " level=" not in line]
    assert 1 <= len(lines) <= (5 if status == 2 else 3), reason
    made = {name for name, *_ in place.tree()} - before
    assert not {name for name in made if "/var/feeds.db" not in name}, "a fault makes nothing but locks of what there is"


def test_sixty_faults_are_tried(record_property: Callable[[str, object], None]) -> None:
    number = len(FAULTS) + len(PROCESSES)
    record_property("shown", f"tracebacks in {number} ordinary faults: 0")
    assert number >= 60


# -- faults that take a process of its own -----------------------------------


def drop_rights() -> None:
    """Take from root what lets it read and write what the modes forbid (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH)."""
    if os.geteuid() == 0:
        for capability in (1, 2):
            ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)


def limit(what: int, number: int) -> Callable[[], None]:
    def apply() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(what, (number, number))

    return apply


def modes(**wanted: int) -> Callable[[Place], None]:
    def prepare(place: Place) -> None:
        for name, mode in wanted.items():
            (place.root / name.replace("__", ".").replace("_", "/")).chmod(mode)

    return prepare


Process = tuple[str, Callable[[Place], None], Callable[[], None] | None, str, str]
PROCESSES: tuple[Process, ...] = (
    (
        "a folder that cannot be written",
        lambda p: (remove_database(p), p.root.chmod(0o500))[1],
        drop_rights,
        "rescan",
        "var: permis",
    ),
    ("a database that cannot be read", modes(var=0o700, var_feeds__db=0), drop_rights, "list", "let this user read and write"),
    ("a database that cannot be written", modes(var_feeds__db=0o400, var=0o500), drop_rights, "list", "cannot be written"),
    ("var that cannot be entered", modes(var=0), drop_rights, "serve", "permission denied"),
    ("settings that cannot be read", modes(config_site__yaml=0), drop_rights, "subscribers list", "Permission denied"),
    ("a store that cannot be read", modes(articles=0), drop_rights, "rescan", "Permission denied"),
    ("a file that may not grow", remove_database, limit(resource.RLIMIT_FSIZE, 500), "rescan", "reports an error, or is full"),
    ("too few open files", nothing, limit(resource.RLIMIT_NOFILE, 20), "serve", "raise the limit (ulimit -n)"),
    ("too few open files to read", nothing, limit(resource.RLIMIT_NOFILE, 14), "rescan --full", "Too many open files"),
)


@pytest.mark.parametrize(("prepare", "before", "words", "expected"), [p[1:] for p in PROCESSES], ids=[p[0] for p in PROCESSES])
def test_an_ordinary_fault_of_a_process_is_one_sentence(
    place: Place, prepare: Callable[[Place], None], before: Callable[[], None] | None, words: str, expected: str
) -> None:
    prepare(place)
    status, said, reason = spawn(place, *words.split(), before=before)
    assert status == 1 and expected in reason and "Traceback" not in said + reason, reason


@pytest.mark.parametrize("words", ["list", "opml", "show all.atom", "subscribers export", "check --help"])
def test_a_full_disk_under_stdout_is_said_and_a_closed_pipe_is_not(place: Place, words: str) -> None:
    with open("/dev/full", "wb") as full:
        status, _said, reason = spawn(place, *words.split(), stdout=full)
    assert (status, reason) == (1, "feeds: stdout: no space is left: make room on this disk, and repeat the command\n")
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        status, _said, reason = spawn(place, *words.split(), stdout=closed)
    assert (status, reason) == (1, "")


def test_closed_streams_are_no_fault_and_no_file_takes_their_place(place: Place) -> None:
    command = f"{sys.executable} -m feeds list --config config <&- >&- 2>&-"
    assert subprocess.run(command, shell=True, cwd=place.root, timeout=120, check=False).returncode == 0
    with sqlite3.connect(place.database) as connection:
        assert connection.execute("PRAGMA quick_check").fetchone() == ("ok",)
    connection.close()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_what_a_terminal_cannot_show_is_no_fault(place: Place, encoding: str) -> None:
    place.write("articles/9.md", article_text("9.md", title="标题", tags=["内核"]))
    place.env["PYTHONIOENCODING"] = encoding
    assert spawn(place, "rescan")[0] == 0
    status, said, reason = spawn(place, "list")
    assert (status, reason) == (0, "") and ("tags/内核" in said or "tags/\\u5185\\u6838" in said)


def test_a_port_in_use_is_said(place: Place) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        status, said, reason = run(place, "serve", "--port", str(taken.getsockname()[1]))
    assert status == 1 and "cannot serve on 127.0.0.1" in reason and "Traceback" not in said + reason


def test_a_database_that_stays_locked_is_said(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    other = sqlite3.connect(place.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr("feeds.database.connect", _hasty("feeds.database.engine"))
    status, _said, reason = run(place, "subscribers", "add", "me@example.org", "--confirmed-at", "2020-01-01T00:00:00Z")
    other.close()
    assert status == 1 and reason.count("\n") == 1 and "locked by another process" in reason


def _hasty(module: str) -> Callable[..., Any]:
    connect = sys.modules[module].connect
    return lambda *arguments, **options: connect(*arguments, **{**options, "busy_seconds": 0.05})


@pytest.mark.parametrize("words", [("rescan", "--full"), ("clock",), ("serve", "--port", "0")], ids=" ".join)
@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_any_command_without_a_traceback(place: Place, words: tuple[str, ...], signal_: int) -> None:
    """At a moment that a loaded machine makes random: while it is loaded, started, or works."""
    if words[0] == "serve":
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            words = ("serve", "--port", str(probe.getsockname()[1]))
    command = [sys.executable, "-m", "feeds", *words, "--config", "config"]
    process = subprocess.Popen(command, cwd=place.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    time.sleep(0.4)
    process.send_signal(signal_)
    said, reason = process.communicate(timeout=60)
    assert b"Traceback" not in said + reason and b"Aborted" not in reason, reason


# -- --debug -----------------------------------------------------------------


@pytest.mark.parametrize("words", [("--debug", "list"), ("list", "--debug"), ("list",)], ids=" ".join)
def test_debug_shows_the_traceback_without_secrets(place: Place, words: tuple[str, ...]) -> None:
    place.env["FEEDS_DATABASE_URL"] = AWAY
    if "--debug" not in words:
        place.env["FEEDS_DEBUG"] = "1"
    status, _said, reason = run(place, *words)
    assert status == 1 and reason.startswith("feeds: the database does not answer")
    assert "Traceback (most recent call last)" in reason and SECRET not in reason


def test_a_fault_that_nobody_knows_is_one_line_that_asks_for_a_report(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object) -> None:
        raise ZeroDivisionError("smtp://a:geheim@example.org")

    monkeypatch.setattr("feeds.syndication.lookup.list_feeds", fail)
    status, _said, reason = run(place, "list")
    assert (status, reason) == (1, "feeds: unexpected fault: ZeroDivisionError; run again with --debug and report it\n")
    assert "geheim" not in run(place, "list", "--debug")[2]


@pytest.mark.parametrize("number", sorted(faults._OS))
def test_every_fault_of_the_system_has_words_of_ours(number: int) -> None:
    error = OSError(number, os.strerror(number), "a/b")
    assert faults.sentence(error).startswith("a/b: ") and os.strerror(number) not in faults.sentence(error)


@pytest.mark.parametrize("name", [name for name in dir(sqlite3) if name.startswith("SQLITE_IOERR")] + list(faults._SQLITE))
def test_every_kind_of_fault_of_sqlite_has_words_of_ours(name: str) -> None:
    error = sqlite3.OperationalError("words of SQLite")
    error.sqlite_errorname = name
    assert faults.sentence(error).endswith(" (words of SQLite)")
