"""`feeds subscribers`: add, import, export, list and erase people who get digests."""

from __future__ import annotations

import contextlib
import csv
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import unquote

import click

from ..errors import FeedsError
from ..private_files import replace_file, temporary_beside
from .common import (
    CONFIG,
    JSON,
    STDOUT,
    as_json_text,
    command,
    echo,
    open_runtime,
    print_json,
    print_unknown,
    problem_rows,
    show_count,
)

if TYPE_CHECKING:
    from ..newsletter import NewsletterContext


@click.group()
def subscribers() -> None:
    """Who gets digests: enter, import, export, list, erase.

    Without a date of consent nobody gets more than one mail that asks for it. An address that has left, bounced or complained
    is never revived by a command.

    Environment: FEEDS_SECRET_KEY signs the links in messages that ask for consent.
    """


@contextlib.contextmanager
def _newsletter(config_dir: Path) -> Iterator[NewsletterContext]:
    """Yield the newsletter by the configuration in the files."""
    from ..newsletter import NewsletterContext
    from ..syndication import editions

    with open_runtime(config_dir) as runtime:
        yield NewsletterContext.of(runtime, editions.adopt_config(runtime.engine, runtime.environment))


@subscribers.command()
@CONFIG
@JSON
@click.argument("address")
@click.option(
    "--select", "selects", multiple=True, help="What: tag=Linux&translator=geekpi, feed=NAME. Repeatable; none: all articles."
)
@click.option("--frequency", default="", help="daily, weekly or monthly; by default weekly.")
@click.option("--timezone", default="", help="Such as Asia/Shanghai; by default the site's.")
@click.option("--language", default="", help="zh-CN or en; by default the site's.")
@click.option("--confirmed-at", default="", help="When consent was given (ISO 8601). Without it the address is asked by mail.")
@click.option("--source", default="command", show_default=True, help="Where the consent comes from.")
@command
def add(config_dir: Path, as_json: bool, selects: tuple[str, ...], confirmed_at: str, source: str, **given: Any) -> None:
    """Enter one ADDRESS.

    \b
    Examples:
      feeds subscribers add me@example.org --select tag=Linux --select translator=geekpi
      feeds subscribers add me@example.org --confirmed-at 2026-06-01T08:00:00+08:00
    """
    from ..newsletter.subscribers import importer, preferences, signup

    with _newsletter(config_dir) as context:
        given["frequency"] = given["frequency"] or preferences.usual_frequency(context.config)
        form = signup.SignupForm(selects=selects, **given)
        became = importer.add_subscriber(context, form, confirmed_at=confirmed_at, source=source, now=int(time.time()))
        with context.reading() as connection:
            unknown = preferences.unknown_names(connection, context.config, selects)
    if became == "suppressed":
        raise FeedsError("this address has left, bounced or complained: only its owner can sign up again, on the web")
    if as_json:
        print_json({"status": became} | ({"unknown": unknown} if unknown else {}))
    else:
        echo("entered" if became == "confirmed" else "a message that asks for confirmation is in the outbox")
    print_unknown(unknown)


@subscribers.command("import")
@CONFIG
@JSON
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Say what would happen; write nothing.")
@click.option("--skip-faulty", is_flag=True, help="Import the other rows where some are faulty.")
@command
def import_(config_dir: Path, as_json: bool, file: Path, dry_run: bool, skip_faulty: bool) -> None:
    """Import FILE, a CSV with the columns email,frequency,select,timezone,language,confirmed_at,source.

    Only email is needed. Several rows of one address are several selections; without select it is all articles, without
    frequency weekly. Rows with confirmed_at count as consent given then, the others are asked by mail. One faulty row, and
    nothing is imported. The same file twice is the same as once.

    \b
    Examples:
      feeds subscribers import readers.csv --dry-run
      feeds subscribers import readers.csv
    """
    from ..newsletter.subscribers import importer

    with _newsletter(config_dir) as context, show_count("Importing") as progress, file.open("rb") as opened:
        try:
            options = importer.ImportOptions(dry_run, skip_faulty, progress)
            report = importer.import_csv(context, opened, str(file), int(time.time()), options)
        except FeedsError as error:
            if as_json and hasattr(error, "faults"):
                rows = problem_rows(error.faults)
                print_json({"ok": False, "faulty": getattr(error, "total", len(rows)), "faults": rows})
            raise
    if as_json:
        print_json({"ok": True, "dry_run": dry_run, **report.as_json()})
    else:
        _print_report(report, dry_run)
    print_unknown(report.unknown)


def _print_report(report: Any, dry_run: bool) -> None:
    would = "would be " if dry_run else ""
    echo(
        f"{report.rows} rows: {report.added} selections {would}added, {report.subscribers} subscribers {would}new, "
        f"{report.unchanged} rows known already, {report.confirmations} confirmations {would}asked for"
    )
    if lines := report.suppressed_rows:
        rest = f" and {len(lines) - 20} more" if len(lines) > 20 else ""
        echo(
            f"{len(lines)} rows left out, as their addresses have left, bounced or complained: "
            f"lines {', '.join(map(str, lines[:20]))}{rest}"
        )
    for fault in report.faults:
        echo(f"skipped {fault}", err=True)
    if report.faulty > len(report.faults):
        echo(f"skipped {report.faulty - len(report.faults)} more faulty rows", err=True)


@subscribers.command()
@CONFIG
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
@command
def export(config_dir: Path, file: Path | None) -> None:
    """Write active subscribers as CSV to FILE, or to stdout; `import` reads it again.

    FILE is for its owner alone, and is replaced once it is complete. What a spreadsheet would take for a formula has an
    apostrophe before it, which `import` takes away.

    \b
    Examples:
      feeds subscribers export readers.csv
    """
    from ..newsletter.subscribers import importer

    with _newsletter(config_dir) as context, _writable(file, context.environment.root / "var") as target:
        csv.writer(target, lineterminator="\r\n").writerows(importer.export_csv(context))


@contextlib.contextmanager
def _writable(file: Path | None, var: Path) -> Iterator[IO[str]]:
    """Yield what is FILE once it is complete, for its owner alone; a device or a pipe as it is; stdout for None."""
    if file is None:
        try:
            yield sys.stdout
            sys.stdout.flush()
        except OSError as error:
            error.filename = error.filename or STDOUT
            raise
    elif file.exists() and not file.is_file():
        with file.open("w", encoding="utf-8", newline="") as target:
            yield target
    elif file.is_symlink() and file.lstat().st_uid not in (0, os.geteuid()):
        raise FeedsError(f"{file}: a link that another user has made; name the file itself")
    else:
        with temporary_beside(file := file.resolve(), var) as draft:
            with draft.open("w", encoding="utf-8", newline="") as target:
                yield target
            replace_file(draft, file)


@subscribers.command("list")
@CONFIG
@JSON
@command
def list_(config_dir: Path, as_json: bool) -> None:
    """Every subscriber: status, how often, what. With --json one list of all that is kept.

    \b
    Examples:
      feeds subscribers list
      feeds subscribers list --json | jq -r .[].email
    """
    from ..newsletter.subscribers import records

    with _newsletter(config_dir) as context:
        rows = records.list_subscribers(context.engine)
        if as_json:  # one JSON list, a row at a time: there may be a million
            click.echo("[", nl=False)
            for number, row in enumerate(rows):
                click.echo((",\n" if number else "") + as_json_text(row), nl=False)
            echo("]")
            return
        for row in rows:
            wanted = []
            for one in row["subscriptions"]:
                wanted.append(f"{one['frequency']}: {', '.join(unquote(text) or 'all articles' for text in one['select'])}")
            echo("  ".join([row["email"], row["status"], row["timezone"], row["language"], "; ".join(wanted)]))


@subscribers.command()
@CONFIG
@JSON
@click.argument("address")
@command
def erase(config_dir: Path, as_json: bool, address: str) -> None:
    """Forget all about ADDRESS, but for the hash that keeps an import from adding it again.

    Its bytes in the database are overwritten, too; where a reader is in the way, the clock does that within ten minutes.
    Backups and the mails of a maildir are files of yours: those that were made before keep it.

    \b
    Examples:
      feeds subscribers erase me@example.org
    """
    from ..newsletter.subscribers import unsubscribe

    with _newsletter(config_dir) as context:
        known = unsubscribe.erase_address(context, address, int(time.time()))
        unsubscribe.overwrite_erased(context.engine)
    if as_json:
        print_json({"erased": known})
    else:
        echo("erased" if known else "nothing was known of this address; it is suppressed from now on")
