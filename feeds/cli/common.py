"""Options and output that commands share: the runtime of a configuration, faults as exit status, JSON, progress.

Answers go to stdout (`--json`: one object or list), everything else to stderr. Exit status: 0 done, 1 a fault was found,
2 wrong usage.
"""

from __future__ import annotations

import contextlib
import functools
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .. import logs
from ..errors import Fault, FeedsError

if TYPE_CHECKING:
    from ..config.environment import Environment
    from ..model import Problem
    from ..runtime import Runtime

Command = Callable[..., Any]

CONFIG = click.option(
    "--config",
    "config_dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("config"),
    show_default=True,
    envvar="FEEDS_CONFIG",
    help="Folder of site.yaml, feeds.yaml and newsletter.yaml. Its parent holds templates/ and var/.",
)
LOG = click.option(
    "--log-format",
    type=click.Choice(logs.FORMATS),
    help="Shape of the log, one event a line: for eyes, or for machines; auto is the first on a terminal, else logfmt.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Answer in JSON, for programs.")


def command(function: Command) -> Command:
    """Return the command with faults as one line each on stderr, and exit status 1."""

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            function(*args, **kwargs)
        except FeedsError as error:
            for line in str(error).splitlines():
                click.echo(f"feeds: {line}", err=True)
            sys.exit(1)

    return wrapped


@contextlib.contextmanager
def open_runtime(config_dir: Path, *, create: bool = False) -> Iterator[Runtime]:
    """Yield the runtime of a configuration, with its tables ready; close it afterwards.

    Only commands that fill a database `create` a missing one; for all others its absence is a DatabaseError.
    """
    from ..runtime import Runtime

    runtime = Runtime(read_environment(config_dir), create=create)
    try:
        runtime.prepare()
        yield runtime
    finally:
        runtime.close()


@contextlib.contextmanager
def look_at_runtime(config_dir: Path) -> Iterator[Runtime]:
    """Yield the runtime of a configuration as it is: nothing is made and nothing is checked; close it afterwards."""
    from ..runtime import Runtime

    runtime = Runtime(read_environment(config_dir))
    try:
        yield runtime
    finally:
        runtime.close()


def read_environment(config_dir: Path) -> Environment:
    """Return the environment of a site. Raises FeedsError where its folder is missing."""
    from ..config.environment import Environment

    if not config_dir.is_dir():
        raise FeedsError(f"{config_dir}: no such folder; `feeds init DIR` makes one, --config names another")
    return Environment.read(config_dir)


def print_json(value: object) -> None:
    """Print the one answer of a command with --json."""
    click.echo(json.dumps(value, ensure_ascii=False))


def problem_rows(problems: Iterable[Problem | Fault]) -> list[dict[str, Any]]:
    """Return problems, or faults of a file, as answers with --json list them."""
    return [{"path": p.path, "line": p.line, "column": p.column, "reason": p.reason} for p in problems]


@contextlib.contextmanager
def show_progress(title: str) -> Iterator[Callable[[int, int], None] | None]:
    """Yield what moves a bar on a terminal, as `(done, total)`; None in a pipe."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextlib.contextmanager
def show_count(title: str) -> Iterator[Callable[[int], None] | None]:
    """Yield what shows a running number on a terminal, for work of unknown length; None in a pipe."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console

    with Console(stderr=True).status(title) as line:
        yield lambda done: line.update(f"{title}: {done:,}")


def log_to_stderr(environment: Environment, format: str | None = None) -> None:
    """Log one event a line, without any secret of this environment; `format` as --log-format."""
    logs.configure(format or environment.log, secrets=logs.secrets_of(*environment.secrets))
