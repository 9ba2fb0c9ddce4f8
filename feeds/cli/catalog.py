"""What is published: `feeds rescan`, `check`, `status`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from ..errors import FeedsError
from .common import (
    CONFIG,
    JSON,
    command,
    echo,
    end_at_sigterm,
    open_runtime,
    print_json,
    problem_rows,
    read_environment,
    show_progress,
)
from .documents import COMPRESS, NO_PAGES, TARGET, as_row, export_counts, print_export, unmade_files
from .portrait import portrait_lines

if TYPE_CHECKING:
    from ..model import Problem, RescanReport
    from ..rescan import RescanOptions
    from ..runtime import Runtime
    from ..static.export import Report


@click.command()
@CONFIG
@JSON
@click.option("--full", is_flag=True, help="Read every file again, changed or not.")
@click.option("--pull", is_flag=True, help="Pull a store in git now, however short ago that was done.")
@click.option("--accept-removals", is_flag=True, help="Let articles go whose files are gone, however many they are.")
@click.option("--watch", is_flag=True, help="Stay, and rescan when a file changes, and every `rescan_seconds`.")
@click.option("--export", "target", metavar=TARGET, help="Then write static files, as `feeds export` does.")
@COMPRESS
@NO_PAGES
@command
def rescan(
    config_dir: Path, as_json: bool, watch: bool, target: str | None, compressed: bool, feeds_only: bool, **how: bool
) -> None:
    """Bring the catalog up to date with the store, once.

    Only files that changed are read. A file that cannot be used goes to quarantine (see `feeds status`); its last good version
    stays published. So do articles whose files are gone in great number (`removal` in site.yaml), until --accept-removals.

    \b
    Examples:
      feeds rescan
      feeds rescan --full --json
      feeds rescan --accept-removals         # after half of the archive was deleted on purpose
      feeds rescan --watch --export /srv/www/feeds
    """
    from .. import rescan as use_case
    from ..store.parser_pool import ParserPool

    with open_runtime(config_dir, create=True) as runtime, ParserPool() as parsers:
        options = use_case.RescanOptions(**how, parsers=parsers)
        rescans = Rescans(runtime, _exporter(runtime, target, compressed, feeds_only), as_json=as_json)
        if watch:
            rescans.run_for_ever(options)
        elif not rescans.run(options):
            sys.exit(1)


def _exporter(runtime: Runtime, target: str | None, compressed: bool, feeds_only: bool) -> Callable[[], Report] | None:
    """Return what exports what has changed since it was called last; None without a target."""
    if target is None:
        return None
    from ..static.export import Options
    from ..static.site_files import Exporter

    exporter = Exporter(runtime, feeds_only=feeds_only)

    def export() -> Report:
        with show_progress("Writing files") as progress:
            return exporter.export(target, Options(compressed=compressed, progress=progress))

    return export


class Rescans:
    """Rescans of one process, each followed by `export`, and what is printed about them."""

    def __init__(self, runtime: Runtime, export: Callable[[], Report] | None, *, as_json: bool) -> None:
        self._runtime, self._export, self._as_json = runtime, export, as_json
        self._generation = -2
        self._faults: list[str] = []

    def run_for_ever(self, options: RescanOptions) -> None:
        """Rescan now and whenever files change. What is faulty is said once, until it is well or something else is."""
        from .. import file_watch
        from ..rescan import RescanOptions

        end_at_sigterm()
        unwatched = lambda reason: self._report([f"files are not watched: {reason}"])  # noqa: E731
        for _change in file_watch.changes(self._runtime, unwatched, time.time):
            try:
                self.run(options)
            except FeedsError as error:  # a store that is away comes back
                self._report([str(error)])
            options = RescanOptions(parsers=options.parsers)

    def run(self, options: RescanOptions) -> bool:
        """Rescan, and where anything has changed, print and export it; return whether all is well."""
        from .. import rescan as use_case
        from ..catalog import queries
        from ..monitoring import health

        runtime = self._runtime
        with show_progress("Reading articles") as progress:
            report = use_case.rescan(runtime.engine, runtime.environment, options, now=int(time.time()), progress=progress)
        found = runtime.read(health.catalog_status)
        faults = [f"the last good configuration is in force: {line}" for line in found["config_fault"].splitlines()]
        faults += _store_faults(found)
        if found["generation"] != self._generation:
            written = self._export() if self._export else None
            if self._as_json:
                exported = {"export": export_counts(written)} if written else {}
                print_json({name: getattr(report, name) for name in report.__slots__} | exported)
            else:
                _print_rescan(report, runtime.read(queries.list_problems))
            self._generation = found["generation"]
            if written:
                if not self._as_json:
                    print_export(written)
                faults += unmade_files(written)
        self._report(faults)
        return not faults

    def _report(self, faults: list[str]) -> None:
        if faults != self._faults:
            for line in faults:
                echo(f"feeds: {line}", err=True)
        self._faults = faults


def _print_rescan(report: RescanReport, problems: Sequence[Problem]) -> None:
    echo(
        f"{report.articles} articles ({report.added} added, {report.changed} changed, {report.renamed} renamed, "
        f"{report.removed} removed), {report.quarantined} in quarantine, {report.feeds_changed} feeds changed, "
        f"{report.seconds:.2f} s"
    )
    _print_ignored(report.ignored)
    _print_problems(problems[:10])
    if len(problems) > 10:
        echo(f"... and {len(problems) - 10} more in quarantine: feeds status", err=True)


@click.command()
@CONFIG
@JSON
@click.option("--verbose", is_flag=True, help="List all hints, and what was left out or mended, article by article.")
@command
def check(config_dir: Path, as_json: bool, verbose: bool) -> None:
    """Show what the store is taken for, and look for faults in configuration and articles.

    First what kind of store it is and why, how many articles, pages and withheld files it has, a few links to compare with
    those of the site, and the line of site.yaml that would say what is missing. Then each fault as `file:line:column: reason`.
    Exit status 1 if there is any: files in quarantine, configuration that cannot be read; not what is withheld or ignored, nor
    hints. Nothing is changed but one thing: modes of private files (database, mails, backups in var/, keys, .env) that others
    could read are narrowed, and listed as hints.

    \b
    Examples:
      feeds check
      feeds check --verbose | less
      feeds check --json | jq -r ".problems[].path"
      feeds check --json | jq ".counts, .mend"
    """
    from ..check import Findings
    from ..check import check as find_problems
    from ..errors import ConfigError
    from ..model import Problem

    try:
        found = find_problems(read_environment(config_dir))
    except ConfigError as error:  # `.env`
        found = Findings(tuple(Problem(f.path, f.line, f.column, f.reason, "config") for f in error.faults))
    hints = [problem for problem in found.problems if problem.kind == "hint"]
    problems = [problem for problem in found.problems if problem.kind != "hint"]
    if as_json:
        noted = {"hints": problem_rows(hints)} if hints else {}
        portraits = [portrait.as_json(found.site) for portrait in found.portraits if found.site]
        said = portraits[0] if len(portraits) == 1 else {"stores": portraits} if portraits else {}
        print_json({"ok": not problems, "problems": problem_rows(problems), "ignored": found.ignored, **noted, **said})
    else:
        for line in (line for portrait in found.portraits if found.site for line in portrait_lines(portrait, found.site)):
            echo(line)
        roots = [portrait.settings.root for portrait in found.portraits]
        _print_findings(problems, hints, roots, verbose=verbose)
        _print_ignored(found.ignored)
        echo("no faults" if not problems else f"{len(problems)} fault{'s' if len(problems) > 1 else ''}", err=True)
    sys.exit(1 if problems else 0)


#: So many errors are printed in full; of hints that say the same, so many.
_MAX_PRINTED, _MAX_ALIKE = 100, 3


def _print_findings(problems: Sequence[Problem], hints: Sequence[Problem], stores: Sequence[str], *, verbose: bool) -> None:
    """Print errors, and hints: those that many files of the stores share are counted; `verbose`: all, file by file."""
    _print_problems(problems if verbose else problems[:_MAX_PRINTED], err=False)
    if verbose:
        _print_by_file(hints)
        return
    if len(problems) > _MAX_PRINTED:
        echo(f"... and {len(problems) - _MAX_PRINTED} more: feeds check --json")
    from ..store.portrait import shared_notice

    alike: dict[str, list[Problem]] = {}
    for hint in hints:
        said = shared_notice(hint.reason)
        alike.setdefault(said if hint.path.startswith(tuple(stores)) else f"{hint.path}: {said}", []).append(hint)
    for reason, found in alike.items():
        _print_problems(found[:_MAX_ALIKE], err=False)
        if len(found) > _MAX_ALIKE:
            echo(f"... and {len(found) - _MAX_ALIKE} more files: {reason}")


def _print_by_file(hints: Sequence[Problem]) -> None:
    """Print hints below the names of their files."""
    by_file: dict[str, list[Problem]] = {}
    for hint in hints:
        by_file.setdefault(hint.path, []).append(hint)
    for path, found in sorted(by_file.items()):
        echo(path)
        for hint in found:
            echo(f"    {f'{hint.line}:{hint.column}: ' if hint.line else ''}{hint.reason}")


def _print_problems(problems: Sequence[Problem], *, err: bool = True) -> None:
    for problem in problems:
        place = f":{problem.line}:{problem.column}" if problem.line else ""
        echo(f"{problem.path}{place}: {problem.reason}", err=err)


@click.command()
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

    with open_runtime(config_dir, tolerate=True) as runtime:
        fault = runtime.watch.fault
        try:
            found, mail, audience, hub, problems = runtime.read(health.read_status, time.time(), 100 if as_json else 10)
            published = _list_published(runtime) if as_json else []
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
    if found["waiting"]:
        number = f"{found['waiting']} file{'s wait' if found['waiting'] > 1 else ' waits'}"
        echo(f"{number} for a date in the future; the next one is out at {_time(found['next_due'])}")
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


def _list_published(runtime: Runtime) -> list[dict[str, Any]]:
    from ..syndication import lookup

    return [as_row(*row) for row in runtime.read(lookup.list_feeds)]


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
