"""Processes of the program without its start: `run` and `Popen` of subprocess for commands that a warm process forks.

    forking.run([sys.executable, "-m", "feeds", "list"], capture_output=True, text=True)

Where the start itself, a limit, other code or another interpreter is what a test is about, it takes `subprocess`. What Python
would start in another way than this one (a locale, PYTHON... variables, another package `feeds`) is started here, too, and so
is everything on systems without /proc.
"""

from __future__ import annotations

import ctypes
import functools
import os
import pickle
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from pathlib import Path
from subprocess import DEVNULL, PIPE, TimeoutExpired
from typing import Any

__all__ = ["DEVNULL", "PIPE", "Popen", "TimeoutExpired", "forget_copy", "run", "spawn"]

from .fork_server import ROOM, Request, locale_of, receive

_CHECKOUT = Path(__file__).resolve().parents[1]
_SUBREAPER = 36  # prctl
#: Variables that decide how Python starts, but for those that the server follows.
_FOLLOWED = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED")
_AT_START = dict(os.environ)


def run(
    command: Sequence[str | Path],
    *,
    input: Any = None,
    capture_output: bool = False,
    timeout: float | None = None,
    check: bool = False,
    **options: Any,
) -> subprocess.CompletedProcess[Any]:
    """As subprocess.run."""
    if input is not None:
        options["stdin"] = subprocess.PIPE
    if capture_output:
        options["stdout"] = options["stderr"] = subprocess.PIPE
    with Popen(command, **options) as process:
        try:
            said, errors = process.communicate(input, timeout=timeout)
        except BaseException:
            process.kill()
            raise
    done = subprocess.CompletedProcess(process.args, process.returncode, said, errors)
    if check:
        done.check_returncode()
    return done


def forget_copy() -> None:
    """What runs next finds what was edited in a copy of the program."""
    _server_of_copy.cache_clear()


class Popen(subprocess.Popen[Any]):
    """As subprocess.Popen. The process is a child of this one."""

    def _execute_child(self, args: Any, executable: Any, preexec_fn: Any, close_fds: bool, pass_fds: Any, *rest: Any) -> None:
        (cwd, env, _startup, _flags, shell, p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite, *last) = rest
        restore, gid, gids, uid, umask, session, group = last
        command = tuple(map(os.fsdecode, args)) if isinstance(args, (list, tuple)) else ()
        environment = dict(os.environ if env is None else env)
        folder = os.path.realpath(cwd or os.getcwd())
        genuine = executable or preexec_fn or shell or not restore or not close_fds or (gid, gids, uid) != (None, None, None)
        program = _program(environment, folder)
        if genuine or not _can_be_forked(command, environment, folder, program):
            super()._execute_child(args, executable, preexec_fn, close_fds, pass_fds, *rest)  # type: ignore[misc]
            return
        streams = [given if given >= 0 else number for number, given in enumerate((p2cread, c2pwrite, errwrite))]
        umask = _umask() if umask < 0 else umask
        numbers = (0, 1, 2, *pass_fds)
        request = Request(command[1:], environment, folder, umask, numbers, session, -1 if group is None else group)
        self.pid = _server(_customs(environment), program).fork(request, [*streams, *pass_fds])
        self._child_created = True
        self._close_pipe_fds(p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)  # type: ignore[attr-defined]


def spawn(path: Any, args: Sequence[Any], descriptors: Sequence[int]) -> int:
    """As multiprocessing.util.spawnv_passfds: the number of a worker."""
    command = [os.fsdecode(path), *map(os.fsdecode, args[1:])]
    process = Popen(command, pass_fds=sorted(map(int, descriptors)))
    process.returncode = 0  # it is for multiprocessing to wait for it
    return process.pid


def _program(environment: Mapping[str, str], folder: str) -> Path:
    """Where the program is that a start of this command would find: in this checkout, or in a copy of it."""
    places = [Path(folder, place) for place in ("", *environment.get("PYTHONPATH", "").split(os.pathsep))]
    found = next((place for place in places if (place / "feeds" / "__init__.py").is_file()), _CHECKOUT)
    return found.resolve()


def _can_be_forked(command: tuple[str, ...], environment: Mapping[str, str], folder: str, program: Path) -> bool:
    """Whether a start of this command would find the same interpreter and settings of it, and a program."""
    return (
        sys.platform == "linux"
        and len(command) > 2
        and command[0] == sys.executable
        and (command[1:3] == ("-m", "feeds") or command[1] == "-c")
        and os.path.isdir(folder)
        and _of_start(environment) == _of_start(_AT_START)
    )


def _of_start(environment: Mapping[str, str]) -> tuple[object, ...]:
    locale = locale_of(environment)
    named = {name: value for name, value in environment.items() if name.startswith("PYTHON") and name not in _FOLLOWED}
    return named, "" if locale in ("C", "POSIX", "C.UTF-8") else locale


def _umask() -> int:
    with open("/proc/self/status") as file:
        return next(int(line.split()[1], 8) for line in file if line.startswith("Umask:"))


def _customs(environment: Mapping[str, str]) -> str:
    """The folders of PYTHONPATH whose `sitecustomize` Python runs before anything is imported."""
    places = environment.get("PYTHONPATH", "").split(os.pathsep)
    return os.pathsep.join(place for place in places if place and Path(place, "sitecustomize.py").exists())


@functools.cache
def _own_server(customs: str) -> _Server:
    return _Server(customs, _CHECKOUT)


@functools.lru_cache(1)  # a copy is asked a few times, then comes the next
def _server_of_copy(customs: str, program: Path) -> _Server:
    return _Server(customs, program)


def _server(customs: str, program: Path) -> _Server:
    return _own_server(customs) if program == _CHECKOUT else _server_of_copy(customs, program)


class _Server:
    """The warm process, which ends with this one."""

    def __init__(self, customs: str, root: Path) -> None:
        self._connection, theirs = socket.socketpair()
        self._lock = threading.Lock()
        program = Path(__file__).with_name("fork_server.py")
        environment = {name: value for name, value in _AT_START.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment |= {"PYTHONPATH": customs} if customs else {}
        with theirs:
            command = [sys.executable, str(program), str(theirs.fileno()), str(root), "x" * ROOM]
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, env=environment)
        weakref.finalize(self, _end, self._connection, self._process)

    def fork(self, request: Request, descriptors: Sequence[int]) -> int:
        """The number of the process, a child of this one."""
        data = pickle.dumps(astuple(request))
        prctl = ctypes.CDLL(None).prctl
        with self._lock:
            prctl(_SUBREAPER, 1, 0, 0, 0)
            try:
                socket.send_fds(self._connection, [len(data).to_bytes(8, "big")], descriptors)
                self._connection.sendall(data)
                answer = receive(self._connection, 9)
            finally:
                prctl(_SUBREAPER, 0, 0, 0, 0)
        return int.from_bytes(answer[:8], "big")


def _end(connection: socket.socket, process: subprocess.Popen[bytes]) -> None:
    connection.close()
    process.wait()
