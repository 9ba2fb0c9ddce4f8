"""What others say never controls a terminal or the shape of a log: characters are escaped at every door, in every format."""

from __future__ import annotations

import json
import logging
import os
import pty
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from feeds import logs
from feeds.cli import main
from feeds.logs import printable, printable_json

from . import forking

#: What a terminal, a log reader or an eye can be deceived with.
SHAPES = {
    "colour": "\x1b[31mred\x1b[0m",
    "title of the window": "\x1b]0;owned\x07",
    "clear screen": "\x1b[2J\x1b[H",
    "C1": "\x9b31m\x9d0;x\x9c\x85",
    "overwrite": "good\rbad",
    "backspace": "bad\b\b\bgood",
    "another event": "x\n2026-01-01T00:00:00Z level=info event=paid",
    "another field": 'x" level=error event="y',
    "other ends of lines": "a\u2028b\u2029c\x0bd\x0ce\x1cf",
    "from right to left": "\u202egnp.exe\u2066x\u2069\u200f\u061c",
    "not seen": "pay\u200bpal\ufeff\u2060\U000e0041",
    "nothing and rubout": "a\x00b\x7f",
}
#: Every character of Unicode that is a control, an end of a line or a half of a pair, and those of direction.
FORBIDDEN = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\U000e0041]"
)


@pytest.fixture
def restored() -> Iterator[None]:
    root = logging.getLogger()
    before = root.level, list(root.handlers)
    yield
    root.level, root.handlers = before
    structlog.reset_defaults()


def said(capsys: pytest.CaptureFixture[str], format: str, text: str) -> str:
    """What the log holds after `text` came in by every way: event, field, nested field, exception, a library."""
    logs.configure(format)
    log: Any = structlog.get_logger()
    log.info("request", path=text, user_agent=[text], nested={text: text}, number=1)
    log.warning(text)
    logging.getLogger("library").warning("it said %s", text)
    try:
        raise ValueError(text)
    except ValueError as error:
        log.exception("failed", error=str(error))
    return capsys.readouterr().err


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize("format", ["json", "logfmt", "console"])
@pytest.mark.parametrize("shape", SHAPES)
def test_no_text_controls_the_log(capsys: pytest.CaptureFixture[str], format: str, shape: str) -> None:
    found, plain = said(capsys, format, SHAPES[shape]), said(capsys, format, "plain")
    colours = re.compile(r"\x1b\[[0-9;]*m")  # of the console's own
    if format == "console":
        assert len(colours.findall(found)) == len(colours.findall(plain))
        found = colours.sub("", found)
    assert FORBIDDEN.search(found) is None
    if format != "console":  # a traceback has lines of its own
        assert len(found.splitlines()) == 4
    if format == "json":
        events = [json.loads(line) for line in found.splitlines()]
        assert events[0]["path"] == SHAPES[shape] and events[3]["error"] == SHAPES[shape]


@given(st.text(st.characters(codec=None), max_size=20))
def test_json_means_what_it_did(text: str) -> None:
    line = printable_json(json.dumps({"a": text, text: 1}, ensure_ascii=False))
    assert json.loads(line) == {"a": text, text: 1} and FORBIDDEN.search(line) is None and "\n" not in line


@given(st.text(st.characters(codec=None)))
def test_what_is_printed_has_no_controls_and_stays_as_it_is_without_them(text: str) -> None:
    shown = printable(text)
    assert FORBIDDEN.search(shown) is None and "\n" not in shown and printable(shown) == shown
    shown.encode()
    assert (
        shown == text or FORBIDDEN.search(text) or "\n" in text or re.search("[\u180e\ufff9-\ufffb\U000e0000-\U000e007f]", text)
    )


def test_words_of_all_scripts_stay() -> None:
    for text in ("Linux 中国，第二段", "क्‍ष", "می‌خواهم", "👩‍👩‍👧", "e\u0301", "\u3000全角", "ﷺ"):
        assert printable(text) == text


COMMANDS = (["rescan"], ["rescan", "--json"], ["check"], ["check", "--json"], ["status"], ["status", "--json"], ["list"])
MORE = (["list", "--json"], ["subscribers", "list"], ["subscribers", "list", "--json"], ["digest", "due"], ["digest", "status"])


@pytest.fixture
def hostile(site: Any) -> Any:
    """A site whose articles, names of files, tags and subscribers are all of these shapes."""
    for number, text in enumerate(SHAPES.values()):
        site.write(f"{number}.md", id=str(number), title=text, tags=[text], translator=text, excerpt=text)
        (site.store / f"bad{number}{text.replace('/', '').replace(chr(0), '')}.md").write_text(f"---\n{text}: [\n---\n")
    return site


@pytest.mark.parametrize("command", [*COMMANDS, *MORE], ids=" ".join)
def test_no_command_prints_what_controls_a_terminal(hostile: Any, command: list[str]) -> None:
    hostile.rescan()
    answered = CliRunner().invoke(main, [*command, "--config", str(hostile.config_dir)])
    assert answered.exception is None or isinstance(answered.exception, SystemExit), answered.exception
    text = answered.output_bytes.decode()
    assert FORBIDDEN.search(text) is None
    if "--json" in command:
        json.loads(answered.stdout)


@pytest.mark.parametrize("shape", SHAPES)
def test_no_fault_of_the_configuration_does(site: Any, shape: str) -> None:
    text = SHAPES[shape]
    site.set("site.yaml", f"title: x\nstore: articles\n{json.dumps(text)}: {json.dumps(text)}\nlanguage: {json.dumps(text)}\n")
    for command in (
        ["check"],
        ["rescan"],
        ["show", text.replace("\x00", "")],
        ["digest", "preview", "--select", text.replace("\x00", "")],
    ):
        answered = CliRunner().invoke(main, [*command, "--config", str(site.config_dir)])
        assert answered.exit_code in (1, 2) and FORBIDDEN.search(answered.output_bytes.decode()) is None, answered.output


def test_a_document_on_a_terminal_is_escaped_and_in_a_pipe_is_as_it_is(site: Any) -> None:
    site.write("1.md", title="\x9b31m \u202e\u200f\u200b", body="\u202e\u200f\u200b \x85", tags=["Linux"])
    site.rescan()
    command = [sys.executable, "-m", "feeds", "show", "tags/Linux.atom", "--config", str(site.config_dir)]
    piped = forking.run(command, capture_output=True, check=True).stdout.decode()
    assert FORBIDDEN.search(piped)
    ours, theirs = pty.openpty()
    process = forking.Popen(command, stdout=theirs, stdin=subprocess.DEVNULL)
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 65536):
            shown += part
    except OSError:  # the end of a terminal
        pass
    assert process.wait() == 0 and len(shown) > 500
    assert FORBIDDEN.search(shown.decode().replace("\r\n", "\n")) is None


def test_no_request_controls_the_access_log(site: Any, running: Callable[..., Any]) -> None:
    site.write("1.md")
    site.rescan()
    for format in ("logfmt", "json"):
        service = running(site.config_dir, "--workers", "1", "--no-clock", "--log-format", format, "--access-log").ready()
        for text in SHAPES.values():
            quoted = "".join(f"%{byte:02x}" for byte in text.encode())
            raw = re.sub(r"[\r\n\x00 ]", "", text)
            for path, agent in ((f"/{quoted}", "x"), (f"/x?{quoted}", raw), (f"/all.atom?{quoted}", raw), ("/all.atom", raw)):
                ask(
                    service.port,
                    f"GET {path} HTTP/1.1\r\nHost: x\r\nUser-Agent: {agent}\r\nReferer: {agent}\r\nConnection: close\r\n\r\n",
                )
        service.stop()
        assert "request" in service.log() and FORBIDDEN.search(service.log()) is None
        assert [line for line in service.log().splitlines() if "event=paid" in line and not re.match("timestamp|{", line)] == []


def ask(port: int, request: str) -> bytes:
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        connection.sendall(request.encode())
        answer = b""
        while part := connection.recv(65536):
            answer += part
        return answer


def test_commands_print_by_the_one_function_that_escapes() -> None:
    """A command that prints by itself would be a door without a lock."""
    allowed = {"common.py": 4, "subscribers.py": 2, "site.py": 1}
    for path in Path(main.callback.__code__.co_filename).parent.glob("*.py"):  # type: ignore[union-attr]
        text = path.read_text("utf-8")
        assert len(re.findall(r"click\.(?:s?echo)\(|\bprint\(", text)) <= allowed.get(path.name, 0), path.name
