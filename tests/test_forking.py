"""A command that is forked is a process as if it had been started: what it gets, what it says, how it ends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from . import forking
from .conftest import CHECKOUT

TOLD = """
import json, os, resource, signal, sys
def stream(one):
    return [one.encoding, one.errors, one.line_buffering, one.write_through, one.fileno(), one.mode, one.isatty()]
print(json.dumps({
    "name": __name__, "argv": sys.argv, "path": sys.path, "folder": os.getcwd(), "environment": dict(os.environ),
    "parent": os.getppid(), "leads": [os.getsid(0) == os.getpid(), os.getpgid(0) == os.getpid()],
    "umask": os.umask(0), "open": sorted(os.listdir("/proc/self/fd")), "input": sys.stdin.read(),
    "streams": [stream(one) for one in (sys.stdin, sys.stdout, sys.stderr, sys.__stdout__)],
    "signals": [str(signal.getsignal(number)) for number in sorted(signal.valid_signals())],
    "command": open("/proc/self/cmdline").read().rstrip(chr(0)), "bytecode": sys.dont_write_bytecode,
    "limits": [resource.getrlimit(number) for number in range(8)],
}))
"""


@pytest.mark.parametrize(
    "options",
    [
        {"input": "words"},
        {"stdin": subprocess.DEVNULL, "umask": 0o027, "start_new_session": True},
        {"stdin": subprocess.DEVNULL, "process_group": 0, "env": {"PATH": "/bin", "PYTHONDONTWRITEBYTECODE": "1"}},
        {"stdin": subprocess.DEVNULL, "env": {**os.environ, "PYTHONUNBUFFERED": "", "PYTHONPATH": "/nowhere"}},
    ],
    ids=["input", "session", "environment", "path"],
)
def test_it_gets_what_a_started_one_gets(tmp_path: Path, options: dict[str, Any]) -> None:
    def told(run: Callable[..., Any]) -> Any:
        done = run(
            [sys.executable, "-c", TOLD, "a b", "é"],
            cwd=tmp_path,
            stdout=-1,
            stderr=-1,
            text=True,
            **{"env": dict(os.environ), **options},
        )
        assert done.stderr == ""
        return json.loads(done.stdout)

    assert told(forking.run) == told(subprocess.run)


@pytest.mark.parametrize(
    "code",
    [
        "pass",
        "import sys; sys.exit(7)",
        "import sys; sys.exit('words')",
        "import sys; sys.exit(None)",
        "import atexit; atexit.register(print, 'at the end'); print('first')",
        "import threading; threading.Timer(0.1, print, ['in a thread']).start()",
        "import os; os.kill(os.getpid(), 9)",
        "import sys; sys.stderr.write('not flushed'); sys.stdout.write('neither')",
    ],
)
def test_it_ends_as_a_started_one_ends(code: str) -> None:
    def told(run: Callable[..., Any]) -> Any:
        done = run([sys.executable, "-c", code], capture_output=True, text=True)
        return done.returncode, done.stdout, done.stderr

    assert told(forking.run) == told(subprocess.run)


def test_a_fault_is_told_with_its_traceback() -> None:
    done = forking.run([sys.executable, "-c", "1 / 0"], capture_output=True, text=True)
    assert (
        done.returncode == 1
        and done.stderr.startswith("Traceback")
        and done.stderr.endswith("ZeroDivisionError: division by zero\n")
    )


@pytest.mark.parametrize("words", [["--version"], ["list", "--nonsense"], ["list", "--config", "nowhere"]], ids=" ".join)
def test_the_program_says_the_same(tmp_path: Path, words: list[str]) -> None:
    forked, started = (
        run([sys.executable, "-m", "feeds", *words], cwd=tmp_path, capture_output=True, text=True)
        for run in (forking.run, subprocess.run)
    )
    assert (forked.returncode, forked.stdout, forked.stderr) == (started.returncode, started.stdout, started.stderr)


def test_it_can_be_waited_for_and_killed() -> None:
    with forking.Popen([sys.executable, "-c", "import time; print('ready', flush=True); time.sleep(60)"], stdout=-1) as process:
        assert process.stdout.readline() == b"ready\n" and process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.01)
        process.kill()
        assert process.wait(10) == -signal.SIGKILL
    with pytest.raises(subprocess.TimeoutExpired):
        forking.run([sys.executable, "-c", "import time; time.sleep(60)"], timeout=0.1)


def test_no_two_are_equal_by_chance() -> None:
    code = "import random, tempfile; print(random.random(), tempfile.mktemp())"
    said = [forking.run([sys.executable, "-c", code], capture_output=True).stdout for _ in range(2)]
    assert said[0] != said[1]


@pytest.mark.parametrize("changed", [{"PYTHONHASHSEED": "1"}, {"LC_ALL": "en_US.ISO-8859-1"}])
def test_what_python_would_start_in_another_way_is_started(changed: dict[str, str]) -> None:
    code = "import sys; print('fork_server' in sys.modules)"
    done = forking.run([sys.executable, "-c", code], env={**os.environ, **changed}, capture_output=True, text=True)
    assert done.stdout == "False\n"
    assert forking.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "True\n"


def test_none_is_left_when_nobody_waits() -> None:
    process = forking.Popen([sys.executable, "-c", "pass"])
    deadline = time.monotonic() + 30
    while process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert process.returncode == 0 and not Path(f"/proc/{process.pid}").exists()


def test_a_copy_of_the_program_runs_its_own_code(tmp_path: Path) -> None:
    shutil.copytree(CHECKOUT / "feeds", tmp_path / "feeds", ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-c", "import feeds, sys; print(feeds.__file__, 'feeds.cli' in sys.modules)"]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for options in ({"cwd": tmp_path}, {"cwd": elsewhere, "env": {**os.environ, "PYTHONPATH": str(tmp_path)}}):
        done = forking.run(command, capture_output=True, text=True, **options)
        assert done.stdout == f"{tmp_path / 'feeds' / '__init__.py'} True\n"
    assert str(CHECKOUT) in forking.run(command, cwd=CHECKOUT, capture_output=True, text=True).stdout
