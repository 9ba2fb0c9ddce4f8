"""The Containerfile: what it copies is there, and its commands work as processes. No registry is needed for that."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.examples import in_full_runs

ROOT = Path(__file__).resolve().parents[2]


def instructions() -> list[tuple[str, str]]:
    """(INSTRUCTION, its arguments), continued lines joined."""
    text = (ROOT / "Containerfile").read_text("utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines)]


def of(name: str) -> list[str]:
    return [rest for instruction, rest in instructions() if instruction == name]


def exec_form(text: str) -> list[str]:
    found: list[str] = json.loads(text[text.index("[") :])
    return found


def test_every_instruction_is_one_that_builders_know() -> None:
    known = {"FROM", "RUN", "COPY", "ENV", "USER", "WORKDIR", "VOLUME", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "CMD"}
    assert {name for name, _rest in instructions()} <= known
    assert instructions()[0][0] == "FROM"


def test_it_has_two_stages_and_takes_only_the_wheel_from_the_first() -> None:
    assert len(of("FROM")) == 2
    last = [rest for name, rest in instructions()[[n for n, _ in instructions()].index("FROM", 1) :] if name == "COPY"]
    assert last == ["--from=build /opt/feeds /opt/feeds"]


def test_what_it_copies_is_there_and_is_not_ignored() -> None:
    ignored = (ROOT / ".containerignore").read_text("utf-8")
    assert (ROOT / ".dockerignore").read_text("utf-8") == ignored
    for arguments in of("COPY"):
        if arguments.startswith("--from"):
            continue
        for source in arguments.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert f"\n!{source}\n" in ignored, source


def test_the_build_gets_all_that_the_wheel_is_made_of() -> None:
    copied = {source for arguments in of("COPY") for source in arguments.split()[:-1]}
    packed = re.findall(r'^"(\w+)" = "feeds/_share', (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    assert {"feeds", "pyproject.toml", "README.md", "LICENSE", *packed} <= copied


def test_nobody_runs_as_root_and_the_process_gets_the_signal() -> None:
    names = [name for name, _rest in instructions()]
    assert of("USER") == ["10001:10001"]
    assert names.index("USER") < names.index("CMD") and names.index("USER") > len(names) - 1 - names[::-1].index("RUN")
    assert " exec feeds serve" in exec_form(of("CMD")[0])[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Container:
    """CMD and HEALTHCHECK as processes in a folder of their own, on a port of their own."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.port = free_port()
        self.site = folder / "site"
        self.site.mkdir()
        program = folder / "feeds"
        program.write_text(f"#!{sys.executable}\nfrom feeds.cli import main\n\nmain()\n")
        program.chmod(0o755)
        plain = {name: value for name, value in os.environ.items() if not name.startswith("FEEDS_")}
        path = f"{folder}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{plain['PATH']}"
        own = {"PATH": path, "FEEDS_CONFIG": str(self.site / "config"), "PYTHONPATH": str(ROOT)}
        self.environment = {**plain, **own, **environment}
        self.process = subprocess.Popen(self.command("CMD"), cwd=self.site, env=self.environment)

    def command(self, name: str) -> list[str]:
        parts = exec_form(of(name)[0])
        return [part.replace("8000", str(self.port)).replace("0.0.0.0", "127.0.0.1") for part in parts]

    def is_healthy(self) -> bool:
        done = subprocess.run(self.command("HEALTHCHECK"), env=self.environment, capture_output=True, timeout=20)
        return done.returncode == 0

    def wait(self, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not (self.is_open() and self.is_healthy()):
            assert self.process.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)

    def is_open(self) -> bool:
        """Costs nothing, where asking for health starts a program."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> int:
        self.process.send_signal(getattr(signal, of("STOPSIGNAL")[0]))
        return self.process.wait(30)


def test_an_empty_volume_becomes_a_site_whose_health_is_told(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "1.md").write_text("---\ntitle: One\ntags: [Linux]\n---\n\nText.\n")
    container = Container(tmp_path, FEEDS_STORE=str(tmp_path / "store"))
    try:
        assert not container.is_healthy(), "before it serves"
        container.wait()
        with urllib.request.urlopen(f"http://127.0.0.1:{container.port}/tags/Linux.atom", timeout=10) as answered:
            assert b"One" in answered.read()
        assert not (container.site / "templates").exists(), "templates come with the image"
    finally:
        status = container.stop()
    assert status in (0, -signal.SIGTERM)
    assert not container.is_healthy(), "after it has ended"
    written = (container.site / "config" / "site.yaml").read_text("utf-8")
    assert str(tmp_path / "store") in written


@pytest.mark.interop
@in_full_runs
def test_what_the_build_stage_runs_works_where_only_its_files_are(tmp_path: Path) -> None:
    """The last RUN of the first stage, from a folder that holds what was copied; the step before needs the network."""
    source = tmp_path / "src"
    source.mkdir()
    for arguments in of("COPY"):
        if not arguments.startswith("--from"):
            for name in arguments.split()[:-1]:
                subprocess.run(["cp", "-r", str(ROOT / name), str(source)], check=True)
    runs = of("RUN")
    subprocess.run(
        shlex.split(runs[0].replace("python", sys.executable).replace("/opt/feeds", str(tmp_path / "venv"))), check=True
    )
    install = runs[2].replace("/opt/feeds", str(tmp_path / "venv"))
    subprocess.run(shlex.split(install), cwd=source, check=True, timeout=300, capture_output=True)
    (package,) = (tmp_path / "venv").glob("lib/python3*/site-packages/feeds/_share")
    assert (package / "config" / "site.yaml").is_file() and (tmp_path / "venv" / "bin" / "feeds").is_file()
