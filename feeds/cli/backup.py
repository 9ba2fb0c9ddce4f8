"""The database as a whole: `feeds migrate`, `feeds backup`, `feeds restore`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from .common import CONFIG, JSON, command, log_to_stderr, open_runtime, print_json, read_environment, show_count

FILE = click.argument("file", type=click.Path(dir_okay=False, path_type=Path))


@click.command()
@CONFIG
@click.option(
    "--from", "source", metavar="URL", help="Carry everything over from this database, for example sqlite:///var/feeds.db"
)
@command
def migrate(config_dir: Path, source: str | None) -> None:
    """Bring the database's tables up to this version. Safe to repeat; going back is refused.

    With --from, everything of another database is carried over into the one that FEEDS_DATABASE_URL names, which must have
    nothing in it yet: subscribers, marks of delivery, ids of feeds, all of it, or nothing. From that instant the other one
    takes in nothing any more, so that no service that still runs on it can lose what it is told; it stays as it was otherwise.

    \b
    Examples:
      feeds migrate --config site/config
      FEEDS_DATABASE_URL=postgresql://feeds@db/feeds feeds migrate --from sqlite:///var/feeds.db
    """
    from .. import database
    from ..database import backup as backups
    from ..runtime import Runtime

    runtime = Runtime(read_environment(config_dir))
    log_to_stderr(runtime.environment)
    try:
        before, after = database.migrate(runtime.engine)
        click.echo(f"already at {after}" if before == after else f"migrated {before or 'an empty database'} -> {after}")
        if source:
            with backups.open_engine(runtime.environment.locate(source)) as old, show_count("carrying over") as progress:
                counts = backups.carry_over(old, runtime.engine, progress)
            click.echo(f"carried over: {backups.summary(counts)}")
            click.echo("start every process with the new FEEDS_DATABASE_URL; the old database is closed, and may be kept")
    finally:
        runtime.close()


@click.command()
@FILE
@CONFIG
@JSON
@command
def backup(file: Path, config_dir: Path, as_json: bool) -> None:
    """Copy the database to FILE, as it is at one instant, while everything goes on.

    FILE is an SQLite database, whatever the service keeps its own in, for its owner alone: there are addresses of people in
    it. Settings and templates are files of yours, and not in it. An existing file is never overwritten.

    \b
    Examples:
      feeds backup /backup/feeds-$(date +%F).db
    """
    from ..database import backup as backups

    with open_runtime(config_dir) as runtime, show_count("copying") as progress:
        counts = backups.back_up(runtime.engine, file, progress)
    if as_json:
        print_json({"file": str(file), "bytes": file.stat().st_size, "rows": counts})
    else:
        click.echo(f"{file}: {backups.summary(counts)}")


@click.command()
@FILE
@CONFIG
@JSON
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@command
def restore(file: Path, config_dir: Path, as_json: bool, yes: bool) -> None:
    """Put back what `feeds backup` has copied to FILE, in place of everything that is in the database now.

    All or nothing, and under a service that runs: feeds are as they were, at once. Issues that were not finished then wait for
    `feeds digest resume` or `cancel`: nobody can know what of them went out after the copy was made.

    \b
    Examples:
      feeds restore /backup/feeds-2026-06-01.db
      feeds restore feeds.db --yes
    """
    from ..database import backup as backups

    if not yes and sys.stdin.isatty():
        click.confirm("Everything in the database is replaced. Go on?", abort=True, err=True)
    with open_runtime(config_dir) as runtime, show_count("restoring") as progress:
        counts = backups.restore(runtime.engine, file, progress)
    if as_json:
        print_json({"file": str(file), "rows": counts})
    else:
        click.echo(f"restored: {backups.summary(counts)}")
        click.echo("`feeds rescan` takes in what has changed since; `feeds digest status` lists the issues that wait")
