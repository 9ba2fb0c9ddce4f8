"""A process that has imported the program, and forks for each command: `tests/forking.py` starts and asks it.

A command that is forked here is a process like any other: its own descriptors, environment, folder, standard streams, name
in /proc, status. It is the child of whoever asks, who is for that moment the reaper of orphans. What it does not do is start
Python and import modules, which takes most of the time of most commands.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import fcntl
import gc
import importlib
import io
import multiprocessing.util
import os
import pickle
import pkgutil
import random
import re
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import types
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import thread as futures
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

#: The last argument of this process leaves room for the names of those that are forked from it.
ROOM = 16 * 1024
#: Megabytes of address space of a process that has imported what it parses with.
_PARSER = 40
_CLOCK = ("-m", "feeds", "clock")
#: A line that imports from a module from outside. To parse the sources takes a second of each server's start.
_IMPORT = re.compile(r"^ *(?:from (?!__future__)(\w[\w.]*) import |import (\w[\w.]*))", re.MULTILINE)
#: What would be at work as soon as it is imported.
_NOT_IMPORTED = ("feeds.__main__", "feeds.database.migrations")


@dataclass(frozen=True, slots=True)
class Request:
    """A command of Python: `-m feeds`, or `-c CODE`. `descriptors` are the numbers that those sent with it get."""

    command: tuple[str, ...]
    environment: dict[str, str]
    folder: str
    umask: int
    descriptors: tuple[int, ...]
    session: bool = False
    group: int = -1


def receive(connection: socket.socket, size: int) -> bytes:
    """Exactly `size` bytes. Raises EOFError where the other end is closed."""
    data = b""
    while len(data) < size:
        if not (part := connection.recv(size - len(data))):
            raise EOFError
        data += part
    return data


def locale_of(environment: Mapping[str, str]) -> str:
    """How characters are coded."""
    return next((environment[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if environment.get(name)), "C")


# -- in the server -----------------------------------------------------------


def wait_for_request(connection: socket.socket) -> tuple[Request, list[int]]:
    """Fork for each request; return in the process that is to become its command, with the descriptors that came with it."""
    while True:
        head, descriptors, _flags, _address = socket.recv_fds(connection, 8, 64)
        if not head:
            os._exit(0)
        head += receive(connection, 8 - len(head))
        request = Request(*pickle.loads(receive(connection, int.from_bytes(head, "big"))))
        between = os.fork()
        if between == 0:
            between = os.getpid()
            command = os.fork()
            if command == 0:
                connection.close()
                while os.getppid() == between:
                    time.sleep(0.0002)
                return request, descriptors
            connection.sendall(command.to_bytes(8, "big"))
            os._exit(0)
        for descriptor in descriptors:
            os.close(descriptor)
        os.waitpid(between, 0)  # now the command belongs to the one who asked
        connection.sendall(b".")


def import_program(root: Path) -> None:
    """Import whatever the program imports anywhere, also when it runs."""
    for name in sorted({*_modules_of_program(), *_modules_from_outside(root)}):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def _modules_of_program() -> Iterator[str]:
    import feeds

    for module in pkgutil.walk_packages(feeds.__path__, "feeds."):
        if not module.name.startswith(_NOT_IMPORTED):
            yield module.name


def _modules_from_outside(root: Path) -> Iterator[str]:
    for path in (root / "feeds").rglob("*.py"):
        yield from (module or other for module, other in _IMPORT.findall(path.read_text("utf-8")))


# -- in what becomes a command -----------------------------------------------


def become(request: Request, descriptors: list[int]) -> None:
    """Take over all that a process gets from the one that starts it."""
    _take_descriptors(descriptors, request.descriptors)
    if request.session:
        os.setsid()
    if request.group >= 0:
        os.setpgid(0, request.group)
    os.umask(request.umask)
    os.chdir(request.folder)
    os.environ.clear()
    os.environ.update(request.environment)
    if locale_of(request.environment) in ("C", "POSIX") and not request.environment.get("LC_ALL"):
        os.environ["LC_CTYPE"] = "C.UTF-8"  # as Python does
    time.tzset()
    _open_streams()
    rename((sys.executable, *request.command))
    random.seed()
    tempfile.tempdir = tempfile._name_sequence = None  # type: ignore[attr-defined]
    sys.dont_write_bytecode = bool(request.environment.get("PYTHONDONTWRITEBYTECODE"))
    given = [place for place in request.environment.get("PYTHONPATH", "").split(os.pathsep) if place]
    sys.path[:1] = [request.folder if request.command[0] == "-m" else "", *given]


def _take_descriptors(sent: list[int], wanted: tuple[int, ...]) -> None:
    """Give those that were sent the `wanted` numbers, and close all others, as a start of a program does."""
    aside = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, max(wanted) + 1) for descriptor in sent]
    for descriptor, number in zip(aside, wanted, strict=True):
        os.dup2(descriptor, number)
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in wanted:
            with contextlib.suppress(OSError):
                os.close(int(name))


def _open_streams() -> None:
    unbuffered = bool(os.environ.get("PYTHONUNBUFFERED"))
    for number, name, mode in ((0, "stdin", "rb"), (1, "stdout", "wb"), (2, "stderr", "wb")):
        before = getattr(sys, f"__{name}__")
        raw: Any = open(number, mode, buffering=0 if unbuffered and number else -1, closefd=False)  # noqa: SIM115
        lines = not unbuffered and (number == 2 or raw.isatty())
        stream = io.TextIOWrapper(raw, before.encoding, before.errors, line_buffering=lines, write_through=unbuffered)
        stream.mode = mode[0]  # type: ignore[misc]
        for attribute in (name, f"__{name}__"):
            setattr(sys, attribute, stream)


def rename(command: tuple[str, ...]) -> None:
    """Show these words as the command line in /proc."""
    with open("/proc/self/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    start, end = int(fields[45]), int(fields[46])
    words = b"\0".join(map(os.fsencode, command))[: end - start - 1]
    ctypes.memset(start, 0, end - start)
    ctypes.memmove(start, words, len(words))


class _Popen(subprocess.Popen[bytes]):
    """Forks the clock that a service starts beside itself, and processes that parse."""

    def _execute_child(self, args: Any, executable: Any, preexec_fn: Any, close_fds: bool, pass_fds: Any, *rest: Any) -> None:
        from feeds.store import parser_pool

        command, env, streams = tuple(args[1:]), rest[1], rest[5:11]
        if args[0] != sys.executable or not (command[:3] == _CLOCK or command[1] == parser_pool._START):
            super()._execute_child(args, executable, preexec_fn, close_fds, pass_fds, *rest)  # type: ignore[misc]
            return
        given = [own if own >= 0 else number for number, own in enumerate((streams[0], streams[3], streams[5]))]
        self.pid = _fork(command, (0, 1, 2, *pass_fds), [*given, *pass_fds], os.environ if env is None else env)
        self._child_created = True
        self._close_pipe_fds(*streams)  # type: ignore[attr-defined]


def _spawn(path: Any, args: list[Any], descriptors: Sequence[int]) -> int:
    """Fork a worker that multiprocessing would start."""
    command = tuple(map(os.fsdecode, args))
    if "spawn_main" in command[2] and _is_alone():
        numbers = [0, 1, 2, *map(int, descriptors)]
        return _fork(command[1:], tuple(numbers), numbers, os.environ)
    return _spawn_genuinely(path, args, descriptors)


_spawn_genuinely = multiprocessing.util.spawnv_passfds


def _is_alone() -> bool:
    return threading.active_count() == len(os.listdir("/proc/self/task")) == 1


def _fork(command: tuple[str, ...], numbers: tuple[int, ...], given: list[int], environment: Mapping[str, str]) -> int:
    """Fork a command from a command, in whatever thread."""
    if pid := os.fork():
        return pid
    gc.freeze()  # what the parent had in hand is not put away here
    futures._threads_queues.clear()  # type: ignore[attr-defined]  # nor waited for
    os.umask(umask := os.umask(0))
    become(Request(command, dict(environment), os.getcwd(), umask, numbers), given)
    return run(command)


def run(command: tuple[str, ...]) -> NoReturn:
    """Run `-m feeds` or `-c CODE` and end, as Python does, but for taking apart what lives on: that is a start's work again."""
    main = types.ModuleType("__main__")
    main.__builtins__ = __builtins__  # type: ignore[attr-defined]
    sys.modules["__main__"] = main
    sys.argv[:] = [command[0], *command[2:]]
    sys.orig_argv[:] = [sys.executable, *command]
    from feeds.store import parser_pool

    subprocess.Popen, multiprocessing.util.spawnv_passfds = _Popen, _spawn  # type: ignore[misc]
    if command[1] == parser_pool._START:  # what the whole program takes is beside the limit
        sys.argv[-1] = str(int(sys.argv[-1]) + (parser_pool._address_space() >> 20) - _PARSER)
    status = 0
    try:
        if command[0] == "-m":
            runpy._run_module_as_main(command[1])  # type: ignore[attr-defined]
        else:
            exec(compile(command[1], "<string>", "exec"), main.__dict__)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else end.code is not None
        if status is True:
            print(end.code, file=sys.stderr)
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        status = -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            status = 120
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status & 0xFF)


if __name__ == "__main__":
    _own = sys.modules["__main__"]  # its names stay
    sys.modules["fork_server"] = _own
    sys.path[0] = sys.argv[2]
    import_program(Path(sys.argv[2]))
    assert threading.active_count() == len(os.listdir("/proc/self/task")) == 1
    gc.collect()
    gc.freeze()
    _request, _descriptors = wait_for_request(socket.socket(fileno=int(sys.argv[1])))
    become(_request, _descriptors)
    run(_request.command)
