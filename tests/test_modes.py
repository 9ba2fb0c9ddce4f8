"""No private file is readable by others: every command that writes, under every umask, looked at while it runs."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from feeds.config.load import load_config
from feeds.config.models import Store
from feeds.private_files import narrow
from feeds.runtime import tidy_files

from . import forking
from .newsletter.servers import free_port

#: What a command writes for everybody: settings, templates, the demo's articles, a static tree.
PUBLIC = ("config", "templates", "demo", "tree")
#: One process for each umask. Root may read everything, and a umask keeps it out of nothing: without its capabilities, then, as
#: any other user; what it starts has them neither.
RUN = """
import ctypes, os, sys
from feeds.cli import main
if os.geteuid() == 0:
    system = ctypes.CDLL(None)
    for capability in range(64):
        system.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP
    assert system.capset((ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()) == 0
for command in sys.stdin.read().splitlines():
    try:
        main(command.split(" "), standalone_mode=False)
    except SystemExit as end:
        if end.code:
            sys.exit(f"{command}: {end.code}")
"""
COMMANDS = """\
init site --yes
rescan
subscribers add reader@example.org --confirmed-at 2020-01-01T00:00:00+00:00
subscribers add another@example.org
subscribers import people.csv
subscribers export readers.csv
digest preview
digest preview --out out/deep
subscribers export out/readers.csv
digest send --to reader@example.org
check
backup backup.db
backup deep/er/backup.db
restore backup.db --yes
subscribers erase reader@example.org
export {tree}tree
migrate"""


def readable(folder: Path, public: tuple[str, ...] = PUBLIC) -> dict[str, str]:
    """What others than the owner may do with private files; files that vanish meanwhile are not there."""
    found = {}
    for place, folders, files in os.walk(folder):
        if Path(place) in (folder, folder / "site"):
            folders[:] = [name for name in folders if name not in public]
        for name in (*folders, *files):
            path = Path(place, name)
            with contextlib.suppress(FileNotFoundError):
                status = path.lstat()
                if not stat.S_ISLNK(status.st_mode) and status.st_mode & 0o077 and name not in ("site", "people.csv"):
                    found[str(path.relative_to(folder))] = oct(status.st_mode)
    return found


def watch(process: subprocess.Popen[str], folder: Path, every: float) -> dict[str, str]:
    """Return what could be read at any time while the process ran; looks `every` so many seconds."""
    found = {}
    while process.poll() is None:
        found |= readable(folder)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(every)
    return found | readable(folder)


def environment(folder: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(folder), "FEEDS_CONFIG": "site/config", "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777], ids="{:03o}".format)
def test_no_command_makes_a_private_file_that_others_can_read(tmp_path: Path, umask: int) -> None:
    place = tmp_path
    people = place / "people.csv"
    people.write_text("email,confirmed_at\nthird@example.org,2020-01-01T00:00:00+00:00\n")
    people.chmod(0o644)
    options: dict[str, Any] = {"cwd": place, "env": environment(place), "umask": umask, "text": True}
    process = forking.Popen([sys.executable, "-c", RUN], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, **options)
    assert process.stdin is not None
    process.stdin.write(COMMANDS.format(tree="" if umask == 0o077 else "--feeds-only "))  # all is written by the same hand
    process.stdin.close()
    # Under the narrow ones a file is wide for good, or never.
    assert watch(process, place, 0.1 if umask & 0o077 == 0o077 else 0.005) == {} and process.returncode == 0
    written = {
        path.relative_to(place).as_posix() for path in place.rglob("*") if path.relative_to(place).parts[0] not in PUBLIC
    }
    for expected in (
        "site/var/feeds.db",
        "readers.csv",
        "out/readers.csv",
        "site/var/preview/digest.eml",
        "out/deep/digest.eml",
    ):
        assert expected in written
    assert {"backup.db", "deep/er/backup.db"} <= written and not [name for name in written if "feeds-tmp" in name]
    assert list((place / "site" / "var" / "maildir" / "new").iterdir())
    tree = [*(place / "tree").rglob("*")]
    own = place / "tree" / ".feeds-export"
    closed = [path for path in tree if not path.stat().st_mode & 0o004 and own not in path.parents]
    assert len(tree) > 20 and closed == [], "a web server cannot read it"
    others = [path for path in place.rglob("*") if path.lstat().st_mode & 0o002 and not path.is_symlink()]
    assert others == [], "others can write it"


def test_a_service_makes_none_either(site: Any) -> None:
    """The whole of it under the widest umask: workers, clock, write-ahead log, locks, mails to the maildir."""
    site.runtime.close()
    shutil.rmtree(site.root / "var")
    site.set("newsletter.yaml", "transport: maildir\n")
    port = free_port()
    command = [sys.executable, "-m", "feeds", "serve", "--port", str(port), "--workers", "1", "--config", str(site.config_dir)]
    process = forking.Popen(command, umask=0, stderr=subprocess.DEVNULL)
    config = ["--config", str(site.config_dir)]
    found: dict[str, str] = {}
    try:
        for _ in range(3000):
            found |= readable(site.root, (*PUBLIC, "articles"))
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            time.sleep(0.02)
        asked = forking.Popen([sys.executable, "-m", "feeds", "subscribers", "add", "reader@example.org", *config], umask=0)
        mails = site.root / "var" / "maildir" / "new"
        for _ in range(3000):
            found |= readable(site.root, (*PUBLIC, "articles"))
            if asked.poll() is not None and mails.is_dir() and list(mails.iterdir()):
                break
            time.sleep(0.02)
    finally:
        process.terminate()
        process.wait(30)
    assert list(mails.iterdir()) and found | readable(site.root, (*PUBLIC, "articles")) == {}


@pytest.mark.parametrize("role", ["serve", "clock", "check"])
def test_a_start_and_a_check_narrow_what_others_could_read_and_say_so(site: Any, role: str) -> None:
    var, elsewhere = site.root / "var", site.root / "elsewhere"
    site.set("newsletter.yaml", "transport: maildir\nmaildir: mail\n")
    (elsewhere / "kept").mkdir(parents=True)
    wide = [var / "preview" / "digest.eml", var / "old" / "backup.db", site.root / "mail" / "new" / "1", site.root / ".env"]
    public = [site.root / "config" / "site.yaml", elsewhere / "kept" / "x", var / "tree" / "index.html"]
    wide += [site.root / "mail" / "cur" / f"{number}:2,S" for number in range(10)]
    for path in (*wide, *public, var / "tree" / ".feeds-export" / "lock"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        path.chmod(0o644)
    (var / "link").symlink_to(elsewhere / "kept")
    wide += [site.database] if site.database.exists() else []
    wide += [var, var / "old", site.root / "mail", site.root / "mail" / "new"]
    leftover = var / ".backup.db.0123456789ab.feeds-tmp"
    leftover.touch(0o600)
    for path in wide:
        path.chmod(0o755 if path.is_dir() else 0o644)
    command = [sys.executable, "-m", "feeds", role, "--config", str(site.root / "config")]
    if role == "serve":
        command += ["--no-clock", "--port", str(free_port()), "--workers", "1"]
    process = forking.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said = ""
    while "/.env" not in said and (line := process.stdout.readline()):  # type: ignore[union-attr]
        said += line
    process.terminate()
    said += process.communicate()[0]
    assert [path for path in wide if path.stat().st_mode & 0o077] == [] and not leftover.exists()
    assert [path for path in public if not path.stat().st_mode & 0o044] == []
    plain = said.replace("path=", "").replace(" reason=", ": ").replace('"', "")  # in the log, and as hints
    assert f"{var}: others could read it: mode 0755 -> 0700" in plain
    assert f"{site.root}/.env: others could read it: mode 0644 -> 0600" in plain and "mail/cur/2:2,S" not in plain
    again = forking.run([*command[:3], "check", *command[4:6]], capture_output=True, text=True, check=False)
    assert "others" not in again.stdout + again.stderr


def test_what_is_not_ours_to_change_is_reported_with_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a b").touch(0o644)
    (tmp_path / "for the group").touch(0o640)
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    found = [str(one) for name in ("a b", "for the group") for one in narrow(tmp_path / name)]
    assert found == [f"others can read it, and it is not ours to change: chmod 0640 {tmp_path}/'a b'"]
    assert (tmp_path / "a b").stat().st_mode & 0o777 == 0o644


def test_the_group_of_a_secret_that_was_given_to_us_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("own", "given"):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(0o644)
    monkeypatch.setattr(os, "getegid", lambda: 4711)
    assert [one.after for one in narrow(tmp_path / "given", given=True)] == [0o640]
    assert [one.after for one in narrow(tmp_path / "own")] == [0o600]


def test_a_folder_behind_a_link_is_narrowed_and_a_link_in_it_is_not_followed(site: Any, tmp_path: Path) -> None:
    disk, elsewhere = tmp_path / "disk", tmp_path / "elsewhere"
    elsewhere.touch(0o644)
    shutil.move(site.root / "var", disk)
    (site.root / "var").symlink_to(disk)
    (disk / "kept.db").touch(0o644)
    (disk / "link").symlink_to(elsewhere)
    disk.chmod(0o755)
    tidy_files(site.environment, None)
    assert (disk.stat().st_mode & 0o777, (disk / "kept.db").stat().st_mode & 0o777) == (0o700, 0o600)
    assert elsewhere.stat().st_mode & 0o777 == 0o644


def test_a_store_in_var_is_the_operators(site: Any) -> None:
    store = site.root / "var" / "checkout"
    store.mkdir(0o755)
    store.chmod(0o755)
    (store / "1.md").touch(0o644)
    config = site.runtime.edition().config or load_config(site.environment)
    config = config.model_copy(update={"site": config.site.model_copy(update={"stores": (Store(path=str(store)),)})})
    assert [one for one in tidy_files(site.environment, config) if "checkout" in str(one.path)] == []
    assert store.stat().st_mode & 0o777 == 0o755


def test_modes_that_cannot_be_changed_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "a").chmod(0o644)

    def read_only(*_arguments: Any, **_options: Any) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "chmod", read_only)
    assert [str(one) for one in narrow(tmp_path / "a")] == [
        f"others can read it, and it is not ours to change: chmod 0600 {tmp_path}/a"
    ]
