"""The commands. Serving and the catalog are here, the others in a module for each subject.

A command imports what it needs when it runs: `feeds --version` and `--help` load neither the database nor the settings.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from .common import (
    CONFIG,
    JSON,
    LOG,
    command,
    echo,
    log_to_stderr,
    look_at_runtime,
    open_runtime,
    open_streams,
    print_json,
    problem_rows,
    read_environment,
    report_faults,
    show_progress,
    start,
)
from .documents import as_row, export, list_feeds, opml, show
from .mail import bounces, digest
from .site import backup, init, migrate, restore
from .subscribers import subscribers

if TYPE_CHECKING:
    from ..model import Problem

#: `feeds --help` lists the commands by what they are for.
SECTIONS: Mapping[str, Sequence[str]] = {
    "Serving": ("serve", "clock", "worker", "health"),
    "Articles": ("rescan", "check", "status"),
    "Feeds": ("list", "show", "opml", "export"),
    "Mail": ("digest", "subscribers", "bounces"),
    "Setting up": ("init", "migrate", "backup", "restore", "completion"),
}
SHELLS: Mapping[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


class Program(click.Group):
    """All commands. No fault of one ends in a traceback; the help lists them by SECTIONS, one that no section names last."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run the command of the arguments, with standard streams to read and write."""
        open_streams()
        with report_faults():
            return super().main(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command: here its options are known."""
        with report_faults(ctx):
            return super().invoke(ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands for `--help`."""
        named = {name for names in SECTIONS.values() for name in names}
        others = [name for name in self.list_commands(ctx) if name not in named]
        width = max(map(len, self.commands))
        for heading, names in {**SECTIONS, "More": others}.items():
            shown = [found for name in names if (found := self.get_command(ctx, name)) and not found.hidden]
            rows = [(str(one.name).ljust(width), one.get_short_help_str(formatter.width - width - 6)) for one in shown]
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="feeds", help="Show the version.")
@command
def main() -> None:
    """Feeds and newsletters for a folder of articles: each tag, each translator, any selection, to follow or by mail.

    \b
    Examples:
      feeds init site && feeds serve --config site/config
      feeds show tags/Linux.atom --config site/config
      feeds digest preview --open --config site/config

    Files: config/site.yaml, feeds.yaml and newsletter.yaml, each setting explained in its place; var/ holds the database and
    templates/ your own pages and mails, both beside config/.

    Environment: FEEDS_CONFIG stands for --config; FEEDS_STORE, FEEDS_BASE_URL and FEEDS_DATABASE_URL override the files;
    FEEDS_SMTP_URL, FEEDS_IMAP_URL, FEEDS_SECRET_KEY and FEEDS_OPERATOR_TOKEN hold what must not be in a file.
    """
    # What is public (settings, templates, what git writes) follows the umask, but nobody else may write it, and we can use it.
    os.umask(os.umask(0o077) & 0o077 | 0o002)


for _command in (backup, bounces, digest, export, init, list_feeds, migrate, opml, restore, show, subscribers):
    main.add_command(_command)


# -- serving ---------------------------------------------------------------


@main.command()
@CONFIG
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535), help="Port to listen on.")
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1, 64), help="Web processes; they only read.")
@click.option("--clock/--no-clock", default=True, show_default=True, help="Also rescan the store, in a process beside them.")
@LOG
@click.option("--access-log", is_flag=True, help="Log each request: path (links of subscribers cut), status, bytes, time.")
@command
def serve(config_dir: Path, host: str, port: int, workers: int, clock: bool, log_format: str | None, access_log: bool) -> None:
    """Serve feeds and pages, and keep them fresh.

    A restart serves at once what the catalog holds. While it runs, an edit of an article or of config/*.yaml is live within
    seconds; a bad edit is logged and the last good configuration stays. SIGTERM lets workers finish what they answer, and
    messages that a mail server has in hand, for ten seconds.

    Files: config/*.yaml, the store that site.yaml names, templates/web/ for pages of your own, var/feeds.db. Environment: as
    `feeds --help` says; it is read once, at the start.

    \b
    Examples:
      feeds serve --config site/config
      feeds serve --host 0.0.0.0 --port 80 --workers 4
      feeds serve --no-clock                 # where a `feeds clock` runs beside it
    """
    from ..syndication import editions

    with open_runtime(config_dir, create=True, tolerate=True) as runtime:
        log_to_stderr(runtime.environment, log_format)
        if not runtime.watch.fault.words and runtime.read(editions.load_generation) < 0:
            editions.adopt_config(runtime.engine, runtime.environment)
        start(runtime)
        said = {"log": log_format or runtime.environment.log, "access_log": access_log or runtime.environment.access_log}
        environment = runtime.environment.model_copy(update=said)
    from ..web import server

    server.serve(environment, host, port, workers, clock=clock)


@main.command()
@CONFIG
@LOG
@click.option("--parent", type=int, hidden=True, help="End when this process is no longer the parent.")
@command
def clock(config_dir: Path, log_format: str | None, parent: int | None) -> None:
    """Rescan on the clock, without serving.

    `feeds serve` starts one by itself; run this where the web processes are elsewhere (`feeds serve --no-clock`). Of several
    clocks on one database one acts, the others stand by.

    \b
    Examples:
      feeds clock --config site/config
    """
    from ..process_pool import give_memory_back
    from ..scheduler import run_clock

    give_memory_back()
    with open_runtime(config_dir, create=parent is None, tolerate=True) as runtime:
        log_to_stderr(runtime.environment, log_format)
        if parent is None:
            start(runtime)
        run_clock(runtime, parent=parent)


@main.command()
@CONFIG
@LOG
@click.option("--concurrency", type=click.IntRange(1, 64), default=2, show_default=True, help="Jobs at a time.")
@command
def worker(config_dir: Path, log_format: str | None, concurrency: int) -> None:
    """Send mail and push for the acting clock, on as many machines as you like.

    Needs PostgreSQL and `workers: true` in site.yaml: then clocks only plan, and write down jobs that any worker may take. One
    that is killed is replaced by the others within half a minute; a lost database only takes time. SIGTERM finishes messages
    that a mail server has in hand.

    \b
    Examples:
      feeds worker --config site/config
      feeds worker --concurrency 4
    """
    from ..process_pool import give_memory_back
    from ..worker import run_worker

    give_memory_back()
    with open_runtime(config_dir, tolerate=True) as runtime:
        log_to_stderr(runtime.environment, log_format)
        start(runtime)
        run_worker(runtime, concurrency=concurrency)


@main.command()
@CONFIG
@click.option(
    "--role", type=click.Choice(["web", "clock", "worker"]), default="web", show_default=True, help="Whose health is asked for."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Where `feeds serve` listens.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535), help="Its port.")
@command
def health(config_dir: Path, role: str, host: str, port: int) -> None:
    """Say in a sentence whether a process of this service does its work; exit status 1 where it does not.

    For health checks of containers and service managers. web: what /ready answers there. clock: whether any clock acts for this
    database, as those that stand by are well, too. worker: whether workers give signs of life. Changes nothing.

    \b
    Examples:
      feeds health
      feeds health --role clock
    """
    from ..monitoring import health as probes

    with look_at_runtime(config_dir) as runtime:
        web = role == "web"
        found = probes.ask_web(host, port) if web else probes.ask_database(runtime.engine, role, time.time())
    echo(found.words, err=not found.well)
    sys.exit(0 if found.well else 1)


# -- the catalog -----------------------------------------------------------


@main.command()
@CONFIG
@JSON
@click.option("--full", is_flag=True, help="Read every file again, changed or not.")
@click.option("--pull", is_flag=True, help="Pull a store in git now, however short ago that was done.")
@click.option("--accept-removals", is_flag=True, help="Let articles go whose files are gone, however many they are.")
@command
def rescan(config_dir: Path, as_json: bool, full: bool, pull: bool, accept_removals: bool) -> None:
    """Bring the catalog up to date with the store, once.

    Only files that changed are read. A file that cannot be used goes to quarantine (see `feeds status`); its last good version
    stays published. So do articles whose files are gone in great number (`removal` in site.yaml), until --accept-removals.

    \b
    Examples:
      feeds rescan
      feeds rescan --full --json
      feeds rescan --accept-removals         # after half of the archive was deleted on purpose
    """
    from .. import rescan as use_case
    from ..catalog import queries
    from ..monitoring import health

    with open_runtime(config_dir, create=True) as runtime, show_progress("Reading articles") as progress:
        options = use_case.RescanOptions(full=full, pull=pull, accept_removals=accept_removals)
        report = use_case.rescan(runtime.engine, runtime.environment, options, now=int(time.time()), progress=progress)
        problems = runtime.read(queries.list_problems)
        found = runtime.read(health.catalog_status)
    if as_json:
        print_json({name: getattr(report, name) for name in report.__slots__})
    else:
        echo(
            f"{report.articles} articles ({report.added} added, {report.changed} changed, {report.renamed} renamed, "
            f"{report.removed} removed), {report.quarantined} in quarantine, {report.feeds_changed} feeds changed, "
            f"{report.seconds:.2f} s"
        )
        _print_ignored(report.ignored)
        _print_problems(problems[:10])
        if len(problems) > 10:
            echo(f"... and {len(problems) - 10} more in quarantine: feeds status", err=True)
    faults = [f"the last good configuration is in force: {line}" for line in found["config_fault"].splitlines()]
    faults += _store_faults(found)
    for line in faults:
        echo(f"feeds: {line}", err=True)
    if faults:
        sys.exit(1)


@main.command()
@CONFIG
@JSON
@command
def check(config_dir: Path, as_json: bool) -> None:
    """Look for faults in configuration and articles.

    Each fault is a line `file:line:column: reason`. Exit status 1 if there is any. Nothing is changed but one thing: modes of
    private files (database, mails, backups in var/, keys, .env) that others could read are narrowed, and listed as hints.

    \b
    Examples:
      feeds check
      feeds check --json | jq -r ".problems[].path"
    """
    from ..check import check as find_problems
    from ..check import count_ignored
    from ..errors import ConfigError
    from ..model import Problem

    try:
        environment = read_environment(config_dir)
        found, ignored = find_problems(environment), count_ignored(environment)
    except ConfigError as error:  # `.env`
        found, ignored = [Problem(f.path, f.line, f.column, f.reason, "config") for f in error.faults], 0
    hints = [problem for problem in found if problem.kind == "hint"]
    problems = [problem for problem in found if problem.kind != "hint"]
    if as_json:
        noted = {"hints": problem_rows(hints)} if hints else {}
        print_json({"ok": not problems, "problems": problem_rows(problems), "ignored": ignored, **noted})
    else:
        _print_problems([*problems, *hints], err=False)
        _print_ignored(ignored)
        echo("no faults" if not problems else f"{len(problems)} fault{'s' if len(problems) > 1 else ''}", err=True)
    sys.exit(1 if problems else 0)


def _print_problems(problems: Sequence[Problem], *, err: bool = True) -> None:
    for problem in problems:
        place = f":{problem.line}:{problem.column}" if problem.line else ""
        echo(f"{problem.path}{place}: {problem.reason}", err=err)


@main.command()
@CONFIG
@JSON
@command
def status(config_dir: Path, as_json: bool) -> None:
    """What is published, who asks for it, what is in quarantine.

    \b
    Examples:
      feeds status
      feeds status --json | jq .quarantined
    """
    from ..model import FACETS
    from ..monitoring import health
    from ..syndication import lookup

    with open_runtime(config_dir, tolerate=True) as runtime:
        fault = runtime.watch.fault
        try:
            found, mail, audience, hub, problems = runtime.read(health.read_status, time.time(), 100 if as_json else 10)
            published = [as_row(*row) for row in runtime.read(lookup.list_feeds)] if as_json else []
        except Exception as error:
            if not (fault := runtime.watch.report(error)).words:
                raise
            _print_fault(fault.words, fault.advice, as_json=as_json)
    if as_json:
        rows = problem_rows(problems)
        whole = {**(found["rescan"] or {}), **found, **mail, "ok": not rows, "problems": rows, "list": published}
        whole["database_fault"] = fault.words
        print_json({**whole, "audience": audience, "hub": hub})
        return
    terms = ", ".join(f"{number} {FACETS[facet].plural}" for facet, number in found["terms"].items())
    echo(f"{found['articles']} articles, {found['feeds']} feeds ({terms or 'no terms'})")
    if found["rescan"]:
        echo(f"last rescan {_time(found['rescan']['at'])}, {found['rescan']['seconds']:.2f} s")
        _print_ignored(found["rescan"].get("ignored", 0), err=False)
    if found["store_git"] is not None:
        _print_git(found["store_git"])
    if fault.words:
        echo(f"fault: {fault.words}: {fault.advice}")
    for line in (*found["rescan_fault"].splitlines(), *found["config_fault"].splitlines(), *_store_faults(found)):
        echo(f"fault: {line}")
    if mail["issues"]:
        echo("digests: " + ", ".join(f"{number} {name}" for name, number in mail.items() if number))
    if audience["requests"]:
        _print_audience(audience)
    if hub["subscriptions"] or hub["pending"]:
        topics = f"hub: {hub['subscriptions']} subscriptions to {hub['topics']} feeds"
        echo(f"{topics}, {hub['pending']} to be confirmed, {hub['due']} deliveries due, {hub['failing']} failing")
    echo(f"{len(problems)} files in quarantine")
    _print_problems(problems, err=False)


def _print_ignored(number: int, *, err: bool = True) -> None:
    if number:
        echo(f"{number} hidden or left-over file{'s' if number > 1 else ''} ignored", err=err)


def _print_fault(words: str, advice: str, *, as_json: bool) -> NoReturn:
    """Print all that can be said of a database that cannot be read, and end with status 1."""
    if as_json:
        print_json({"ok": False, "database_fault": words})
    else:
        echo(f"fault: {words}: {advice}")
    sys.exit(1)


def _print_git(git: Mapping[str, Any]) -> None:
    parts = [f"store at commit {git['commit'][:12]}" if git["commit"] else "store at no commit"]
    if git["pull"]:
        parts.append(f"last pull {_time(git['pulled'])}" if git["pulled"] else "never pulled")
    if git["shallow"]:
        parts.append("a shallow clone, which dates nothing that its oldest commits brought")
    echo(", ".join(parts))


def _store_faults(found: Mapping[str, Any]) -> list[str]:
    """Return faults of a store that can be read: removals held back, git."""
    git = found["store_git"] or {}
    named = {"fault": "the store was not pulled", "dates_fault": "no dates from git"}
    held = [found["held_fault"]] if found["held_fault"] else []
    return [*held, *(f"{words}: {git[name]}" for name, words in named.items() if git.get(name))]


def _time(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def _print_audience(found: Mapping[str, Any]) -> None:
    by_aggregator = ", ".join(f"{number} by {name}" for name, number in found["aggregators"].items())
    echo(f"last {found['days']} days: {_audience(found)}" + (f" ({by_aggregator})" if by_aggregator else ""))
    width = max(len(row["path"]) for row in found["feeds"])
    for row in found["feeds"]:
        echo(f"  {row['path'] or '(others)':<{width}}  {_audience(row)}")


def _audience(row: Mapping[str, Any]) -> str:
    share = f"{row['unchanged'] / row['requests']:.0%} unchanged"
    refused = f", {row['refused']} refused" if row["refused"] else ""
    return f"{row['requests']} requests, {share}{refused}, {row['bytes'] / 1e6:.1f} MB, {row['readers']} readers reported"


# -- setting up ------------------------------------------------------------


@main.command()
@command
@click.argument("shell", type=click.Choice(list(SHELLS)))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script of a SHELL.

    \b
    Examples:
      feeds completion bash > /etc/bash_completion.d/feeds
      feeds completion zsh > ~/.zfunc/_feeds             # a folder that fpath names
      feeds completion fish > ~/.config/fish/completions/feeds.fish
    """
    program = context.find_root().command
    click.echo(SHELLS[shell](program, {}, "feeds", "_FEEDS_COMPLETE").source())
