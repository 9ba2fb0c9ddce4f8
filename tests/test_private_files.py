"""Private files are private from their first instant, and temporary ones do not outlive their process."""

from __future__ import annotations

import fcntl
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from feeds.private_files import (
    make_private_folder,
    open_private,
    remove_leftovers,
    replace_file,
    temporary_beside,
    write_private,
)

from . import forking

UMASKS = (0o000, 0o022, 0o077, 0o777)


@pytest.fixture(params=UMASKS, ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.mark.usefixtures("umask")
def test_the_umask_changes_nothing(tmp_path: Path) -> None:
    folder = make_private_folder(tmp_path / "var" / "preview")
    os.close(open_private(folder / "opened"))
    write_private(folder / "written", b"reader@example.org")
    with temporary_beside(folder / "draft") as draft:
        assert mode(draft) == 0o600
        with sqlite3.connect(draft) as connection:
            connection.execute("CREATE TABLE t (x)")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("INSERT INTO t VALUES (1)")
            connection.commit()
            assert {mode(path) for path in folder.glob(f"{draft.name}*")} == {0o600}
        connection.close()
        replace_file(draft, folder / "draft")
    assert (mode(folder), mode(folder.parent)) == (0o700, 0o700)
    assert {path.name: mode(path) for path in folder.iterdir()} == {"opened": 0o600, "written": 0o600, "draft": 0o600}


def test_folders_that_exist_keep_their_modes(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    make_private_folder(tmp_path)
    assert mode(tmp_path) == 0o755


def test_an_existing_file_is_narrowed_before_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "wide").touch(0o644)
    os.close(open_private(tmp_path / "wide"))
    assert mode(tmp_path / "wide") == 0o600


def test_devices_keep_their_modes() -> None:
    before = mode(Path("/dev/null"))
    os.close(open_private("/dev/null"))
    assert mode(Path("/dev/null")) == before


def test_no_planted_link_is_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "link").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic"):
        open_private(tmp_path / "link")
    write_private(tmp_path / "link", b"new")
    assert victim.read_text() == "mine" and not (tmp_path / "link").is_symlink()


def test_a_name_of_the_greatest_length_has_room_for_a_temporary_file(tmp_path: Path) -> None:
    write_private(tmp_path / ("文" * 85), b"long")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"long"]


HOLD = """
import sys, sqlite3, time
from pathlib import Path
from feeds.private_files import temporary_beside
with temporary_beside(Path(sys.argv[1]), Path(sys.argv[2])) as draft:
    connection = sqlite3.connect(draft)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE t (x)")
    print(draft, flush=True)
    time.sleep(600)
"""
Holder = Callable[[Path, Path], tuple["subprocess.Popen[str]", Path]]


@pytest.fixture
def hold() -> Iterator[Holder]:
    """Start a process that uses a temporary file."""
    running = []

    def start(target: Path, known_in: Path) -> tuple[subprocess.Popen[str], Path]:
        process = forking.Popen([sys.executable, "-c", HOLD, target, known_in], stdout=subprocess.PIPE, text=True)
        running.append(process)
        assert process.stdout is not None
        return process, Path(process.stdout.readline().strip())

    yield start
    for process in running:
        process.kill()
        process.communicate()


def test_what_a_killed_process_leaves_is_removed_and_what_a_living_one_uses_stays(tmp_path: Path, hold: Holder) -> None:
    folders = make_private_folder(tmp_path / "var"), make_private_folder(tmp_path / "elsewhere")
    var, elsewhere = folders
    (killed, left), (_living, used) = hold(var / "a.db", var), hold(elsewhere / "b.db", var)
    far, far_left = hold(elsewhere / "c.db", var)
    for process in (killed, far):
        process.send_signal(signal.SIGKILL)
        process.wait()
    others = [var / ".mine.feeds-tmp.txt", var / "x.feeds-tmp", elsewhere / ".feeds-tmp"]
    for other in others:
        other.touch()
    assert set(remove_leftovers(var)) >= {left, far_left}
    assert not left.exists() and not far_left.exists() and used.exists()
    assert all(other.exists() for other in others)
    assert sorted(path.name for path in var.iterdir()) == sorted([used.name, ".mine.feeds-tmp.txt", "x.feeds-tmp"])
    assert {path.name.partition(used.name)[2] for path in elsewhere.glob(f"{used.name}*")} == {"", "-wal", "-shm"}
    assert set(remove_leftovers(elsewhere)) == set()


def test_a_planted_link_removes_nothing(tmp_path: Path) -> None:
    """Only temporary files are removed through links, not what else a link may name."""
    (tmp_path / "precious").write_text("mine")
    (tmp_path / ".a.0.feeds-tmp").symlink_to(tmp_path / "precious")
    (tmp_path / ".b.0.feeds-tmp").symlink_to(tmp_path / "gone")
    assert remove_leftovers(tmp_path) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == [".a.0.feeds-tmp", "precious"]


def test_an_error_leaves_no_temporary_file(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), temporary_beside(tmp_path / "a", tmp_path.parent) as draft:
        assert os.path.lexists(tmp_path.parent / draft.name)
        raise RuntimeError
    assert list(tmp_path.iterdir()) == [] and not os.path.lexists(tmp_path.parent / draft.name)


def test_processes_that_begin_at_once_do_not_remove_each_others_files(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from feeds.private_files import write_private\n"
        "for number in range(100): write_private(Path(sys.argv[1], sys.argv[2]), b'x' * 100)"
    )
    processes = [forking.Popen([sys.executable, "-c", code, tmp_path, str(index)]) for index in range(4)]
    assert [process.wait() for process in processes] == [0, 0, 0, 0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1", "2", "3"]


def test_a_file_system_without_locks_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_arguments: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with temporary_beside(tmp_path / "a") as draft:
        assert remove_leftovers(tmp_path) == [] and draft.exists()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_ours_to_write_holds_no_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "var").mkdir()
    (tmp_path / "out").mkdir()
    monkeypatch.setattr(Path, "symlink_to", refuse)
    write_private(tmp_path / "out" / "a", b"x", tmp_path / "var")
    assert (tmp_path / "out" / "a").read_bytes() == b"x"
