"""Options and output that commands share: the runtime of a configuration, faults as exit status, JSON, progress.

Answers go to stdout (`--json`: one object or list), everything else to stderr. Exit status: 0 done, 1 a fault was found,
2 wrong usage.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .. import faults, logs
from ..errors import Fault, FeedsError

if TYPE_CHECKING:
    from ..config.environment import Environment
    from ..model import Problem
    from ..runtime import Runtime

Command = Callable[..., Any]

#: What an error that names no file is about where an answer was written.
STDOUT = "stdout"
#: Under these names in `click.Context.meta`: whether tracebacks are wanted, and what must not be in them.
_DEBUG, _SECRETS = "feeds.debug", "feeds.secrets"


def _want_debug(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
    context.meta[_DEBUG] = wanted or context.meta.get(_DEBUG, False)


CONFIG = click.option(
    "--config",
    "config_dir",
    type=click.Path(file_okay=False, readable=False, path_type=Path),  # what cannot be read is a fault, not wrong usage
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
#: Exit status after Ctrl-C, as shells have it.
INTERRUPTED = 130
JSON = click.option("--json", "as_json", is_flag=True, help="Answer in JSON, for programs.")


def command(function: Command) -> Command:
    """Return the command, or the whole program, with the option --debug."""
    add_option = click.option(
        "--debug",
        is_flag=True,
        default=False,
        is_eager=True,
        expose_value=False,
        callback=_want_debug,
        envvar="FEEDS_DEBUG",
        help="Show the traceback of a fault, too.",
    )
    return add_option(function)


def open_streams() -> None:
    """Open the standard streams that are closed, to nothing: the next file would get their number, and what is printed.

    What the terminal cannot show is printed as an escape.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - until the program ends
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@contextlib.contextmanager
def report_faults(context: click.Context | None = None) -> Iterator[None]:
    """End the program with one sentence on stderr and exit status 1 at any fault; with --debug the traceback follows.

    Answers are flushed here: a full disk under stdout would be found out too late. Nobody is told about a closed pipe.
    """
    try:
        yield
        sys.stdout.flush()
    except (SystemExit, click.ClickException, click.exceptions.Exit):
        raise
    except BaseException as error:
        at_output = _is_of_output(error)
        if at_output:
            _discard_output()
        if not (at_output and isinstance(error, BrokenPipeError)):
            _print_fault(error, context.meta if context else {})
        sys.exit(INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1)


def _is_of_output(error: BaseException) -> bool:
    """Return whether stdout could not be written, and name it in the error."""
    frames = [frame for frame, _line in traceback.walk_tb(error.__traceback__)]
    if isinstance(error, OSError) and not error.filename and frames[-1].f_globals["__name__"] in ("click.utils", __name__):
        error.filename = STDOUT
    return isinstance(error, OSError) and error.filename == STDOUT


def _print_fault(error: BaseException, meta: Mapping[str, Any]) -> None:
    scrub = logs.Scrub(meta.get(_SECRETS, ()))
    unknown = f"unexpected fault: {type(error).__name__}; run again with --debug and report it"
    text = faults.sentence(error) or unknown
    with contextlib.suppress(OSError):  # stderr may be on the full disk
        for line in (text if isinstance(error, FeedsError) else scrub.text(text)).splitlines():
            echo(f"feeds: {line}", err=True)
        if meta.get(_DEBUG):
            click.echo(logs.printable(scrub.text("".join(traceback.format_exception(error))), "\n\t"), nl=False, err=True)


def _discard_output() -> None:
    """Write nothing more to stdout, also not when Python flushes it at its end."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextlib.contextmanager
def open_runtime(config_dir: Path, *, create: bool = False, tolerate: bool = False) -> Iterator[Runtime]:
    """Yield the runtime of a configuration, with its tables ready; close it afterwards.

    Only commands that fill a database `create` a missing one; for all others its absence is a DatabaseError. `tolerate`: go
    on with one that is damaged, or not the site's; `Runtime.watch` says so.
    """
    from ..runtime import Runtime

    runtime = Runtime(read_environment(config_dir), create=create)
    try:
        runtime.prepare(tolerate=tolerate)
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


def end_at_sigterm() -> None:
    """End with status 0 at SIGTERM, as a service manager asks a command that stays to: what it holds is closed."""
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))


def read_environment(config_dir: Path) -> Environment:
    """Return the environment of a site. Raises FeedsError where its folder is missing."""
    from ..config.environment import FILE, Environment, read_file

    if not config_dir.is_dir():
        raise FeedsError(f"{config_dir}: no such folder; `feeds init DIR` makes one, --config names another")
    environment = Environment.read(config_dir)
    for name, value in read_file(environment.root / FILE).items():
        if name.startswith("AWS_"):  # a library reads them from the environment, for `feeds export s3://...`
            os.environ.setdefault(name, value)
    if context := click.get_current_context(silent=True):
        context.meta[_SECRETS] = logs.secrets_of(*environment.secrets)
    return environment


def start(runtime: Runtime) -> None:
    """Remove what killed processes left, and log private files that others could read. For processes that stay."""
    import structlog

    from ..config.load import load_config
    from ..errors import ConfigError
    from ..runtime import tidy_files

    try:
        config = load_config(runtime.environment)
    except ConfigError:  # reported by the rescan
        config = None
    for wide in tidy_files(runtime.environment, config):
        structlog.get_logger().warning("mode_too_wide", path=str(wide.path), reason=str(wide))


def echo(text: object, *, err: bool = False) -> None:
    """Print one line. Articles, readers and servers have a say in it, so control characters are escaped."""
    click.echo(logs.printable(str(text)), err=err)


def as_json_text(value: object) -> str:
    """Return a value as JSON on one line, with control characters escaped."""
    return logs.printable_json(json.dumps(value, ensure_ascii=False))


def print_json(value: object) -> None:
    """Print the one answer of a command with --json."""
    click.echo(as_json_text(value))


def print_document(body: bytes) -> None:
    """Write a document to stdout as it is; on a terminal with control characters escaped."""
    if sys.stdout.isatty():
        click.echo(logs.printable(body.decode("utf-8", "replace"), "\n\t"), nl=False)
    else:
        sys.stdout.buffer.write(body)


def problem_rows(problems: Iterable[Problem | Fault]) -> list[dict[str, Any]]:
    """Return problems, or faults of a file, as answers with --json list them."""
    return [{"path": p.path, "line": p.line, "column": p.column, "reason": p.reason} for p in problems]


def print_unknown(names: Sequence[str]) -> None:
    """Say which terms of a selection no article has: a slip of the pen, or articles that are yet to come."""
    if names:
        more = f" and {len(names) - 20} more" if len(names) > 20 else ""
        echo(f"feeds: unknown, as no article has it: {', '.join(names[:20])}{more}", err=True)


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
