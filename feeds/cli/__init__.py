"""The operator's verbs, a module for each subject: catalog and feeds here, `digest` and `subscribers` beside it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from ..config import Environment
from ..model import FACETS, PLURALS, FeedState, Problem, RescanReport, Selection
from .bounces import bounces
from .common import CONFIG, JSON, command, log_to_stderr, open_service, print_json, read_environment, show_progress
from .digest import digest
from .subscribers import subscribers


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="feeds")
def main() -> None:
    """Feeds and newsletters for a folder of articles: each tag, each translator, any selection, to follow or by mail.

    Start with `feeds init site`, then `feeds serve --config site/config`.
    Settings are explained in config/*.yaml; FEEDS_STORE, FEEDS_BASE_URL and FEEDS_DATABASE_URL override them.
    FEEDS_SMTP_URL, FEEDS_IMAP_URL, FEEDS_SECRET_KEY and FEEDS_OPERATOR_TOKEN hold what must not be in a file.
    """


main.add_command(digest)
main.add_command(bounces)
main.add_command(subscribers)


# -- serving ---------------------------------------------------------------


@main.command()
@CONFIG
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535))
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1, 64), help="Web processes; they only read.")
@click.option("--clock/--no-clock", default=True, show_default=True, help="Also rescan the store, in a process beside them.")
@command
def serve(config_dir: Path, host: str, port: int, workers: int, clock: bool) -> None:
    """Serve feeds and pages, and keep them fresh.

    A restart serves at once what the catalog holds. While it runs, an edit of an article or of config/*.yaml is live within
    seconds; a bad edit is logged and the last good configuration stays.
    """
    log_to_stderr()
    with open_service(config_dir) as service:
        if service.generation() < 0:
            service.adopt_config()
        environment = service.environment
    from ..web.server import serve as run

    run(environment, host, port, workers, clock=clock)


@main.command()
@CONFIG
@click.option("--parent", type=int, hidden=True, help="End when this process is no longer the parent.")
@command
def clock(config_dir: Path, parent: int | None) -> None:
    """Rescan on the clock, without serving.

    `feeds serve` starts one by itself; run this where the web processes are elsewhere (`feeds serve --no-clock`). Of several
    clocks on one database one acts, the others stand by.
    """
    from ..schedule import run

    log_to_stderr()
    with open_service(config_dir) as service:
        run(service, parent=parent)


# -- the catalog -----------------------------------------------------------


@main.command()
@CONFIG
@JSON
@click.option("--full", is_flag=True, help="Read every file again, changed or not.")
@click.option("--pull", is_flag=True, help="Pull a store in git now, however short ago that was done.")
@command
def rescan(config_dir: Path, as_json: bool, full: bool, pull: bool) -> None:
    """Bring the catalog up to date with the store, once.

    Only files that changed are read. A file that cannot be used goes to quarantine (see `feeds status`); its last good version
    stays published.
    """
    with open_service(config_dir) as service, show_progress("Reading articles") as progress:
        report: RescanReport = service.rescan(now=int(time.time()), full=full, progress=progress, pull=pull)
        problems = service.problems()
        found = service.status()
        fault, git = found["config_fault"], _git_faults(found)
    if as_json:
        print_json(_as_dict(report))
    else:
        _print_report(report)
        _print_problems(problems[:10])
        if len(problems) > 10:
            click.echo(f"... and {len(problems) - 10} more in quarantine: feeds status", err=True)
    for line in fault.splitlines():
        click.echo(f"feeds: the last good configuration is in force: {line}", err=True)
    for line in git:
        click.echo(f"feeds: {line}", err=True)
    if fault or git:
        sys.exit(1)


def _print_report(report: RescanReport) -> None:
    click.echo(
        f"{report.articles} articles ({report.added} added, {report.changed} changed, {report.renamed} renamed, "
        f"{report.removed} removed), {report.quarantined} in quarantine, {report.feeds_changed} feeds changed, "
        f"{report.seconds:.2f} s"
    )


@main.command()
@CONFIG
@JSON
@command
def check(config_dir: Path, as_json: bool) -> None:
    """Look for faults in the configuration and in every file of the store; change nothing.

    Each fault is a line `file:line:column: reason`. Exit status 1 if there is any.
    """
    from ..service import Service

    problems = Service(read_environment(config_dir)).check()
    if as_json:
        rows = [{"path": p.path, "line": p.line, "column": p.column, "reason": p.reason} for p in problems]
        print_json({"ok": not problems, "problems": rows})
    else:
        _print_problems(problems, err=False)
        click.echo("no faults" if not problems else f"{len(problems)} fault{'s' if len(problems) > 1 else ''}", err=True)
    sys.exit(1 if problems else 0)


def _print_problems(problems: list[Problem], *, err: bool = True) -> None:
    for problem in problems:
        place = f":{problem.line}:{problem.column}" if problem.line else ""
        click.echo(f"{problem.path}{place}: {problem.reason}", err=err)


@main.command()
@CONFIG
@JSON
@command
def status(config_dir: Path, as_json: bool) -> None:
    """What is published, who asked for it lately, what is in quarantine, how the last rescan went."""
    with open_service(config_dir) as service:
        found = service.status()
        problems = service.problems()
        post = service.delivery_counts()
        audience = service.recent_audience(time.time(), 100 if as_json else 10)
        hub = service.hub_counts()
        listed = [_listed(*row) for row in service.states()] if as_json else []
    if as_json:
        rows = [{"path": p.path, "line": p.line, "column": p.column, "reason": p.reason} for p in problems]
        whole = {**(found["rescan"] or {}), **found, **post, "ok": not rows, "problems": rows, "list": listed}
        print_json({**whole, "audience": audience, "hub": hub})
        return
    terms = ", ".join(f"{number} {PLURAL[facet]}" for facet, number in found["terms"].items())
    click.echo(f"{found['articles']} articles, {found['feeds']} feeds ({terms or 'no terms'})")
    if found["rescan"]:
        click.echo(f"last rescan {_time(found['rescan']['at'])}, {found['rescan']['seconds']:.2f} s")
    _print_git(found)
    for line in (*found["rescan_fault"].splitlines(), *found["config_fault"].splitlines(), *_git_faults(found)):
        click.echo(f"fault: {line}")
    if post["issues"]:
        click.echo("digests: " + ", ".join(f"{number} {name}" for name, number in post.items() if number))
    _print_audience(audience)
    if hub["subscriptions"] or hub["pending"]:
        topics = f"hub: {hub['subscriptions']} subscriptions to {hub['topics']} feeds"
        click.echo(f"{topics}, {hub['pending']} to be confirmed, {hub['due']} deliveries due, {hub['failing']} failing")
    click.echo(f"{len(problems)} files in quarantine")
    _print_problems(problems, err=False)


def _print_git(found: dict[str, Any]) -> None:
    """How the store's repository stands, where git is used."""
    git = found["store_git"]
    if git is None:
        return
    parts = [f"store at commit {git['commit'][:12]}" if git["commit"] else "store at no commit"]
    if git["pull"]:
        parts.append(f"last pull {_time(git['pulled'])}" if git["pulled"] else "never pulled")
    if git["shallow"]:
        parts.append("a shallow clone, which dates nothing that its oldest commits brought")
    click.echo(", ".join(parts))


def _git_faults(found: dict[str, Any]) -> list[str]:
    git = found["store_git"] or {}
    named = {"fault": "the store was not pulled", "dates_fault": "no dates from git"}
    return [f"{words}: {git[name]}" for name, words in named.items() if git.get(name)]


def _time(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def _print_audience(found: dict[str, Any]) -> None:
    if not found["requests"]:
        return
    told = ", ".join(f"{number} by {name}" for name, number in found["aggregators"].items())
    click.echo(f"last {found['days']} days: {_audience(found)}" + (f" ({told})" if told else ""))
    width = max(len(row["path"]) for row in found["feeds"])
    for row in found["feeds"]:
        click.echo(f"  {row['path'] or '(others)':<{width}}  {_audience(row)}")


def _audience(row: dict[str, Any]) -> str:
    share = f"{row['unchanged'] / row['requests']:.0%} unchanged"
    refused = f", {row['refused']} refused" if row["refused"] else ""
    return f"{row['requests']} requests, {share}{refused}, {row['bytes'] / 1e6:.1f} MB, {row['readers']} readers told of"


PLURAL = {facet.name: facet.plural for facet in FACETS.values()}


@main.command()
@CONFIG
@command
def migrate(config_dir: Path) -> None:
    """Bring the database's tables up to this version. Safe to repeat; going back is refused."""
    from ..service import Service

    service = Service(read_environment(config_dir))
    before, after = service.migrate()
    click.echo(f"already at {after}" if before == after else f"migrated {before or 'an empty database'} -> {after}")


# -- feeds -----------------------------------------------------------------


@main.command("list")
@CONFIG
@JSON
@command
def list_feeds(config_dir: Path, as_json: bool) -> None:
    """Every feed there is: address, number of articles, date of the newest change, title."""
    with open_service(config_dir) as service:
        rows = [_listed(*row) for row in service.states()]
    if as_json:
        print_json(rows)
        return
    width = max((len(row["path"]) for row in rows), default=0)
    for row in rows:
        click.echo(f"{row['path']:<{width}}  {row['articles']:>6}  {row['updated'][:10]}  {row['title']}")


def _listed(state: FeedState, selection: Selection) -> dict[str, Any]:
    return {
        "path": state.path,
        "title": state.title,
        "articles": state.articles,
        "updated": state.updated.isoformat(),
        "selection": selection.as_json(),
    }


@main.command()
@CONFIG
@click.argument("path")
@command
def show(config_dir: Path, path: str) -> None:
    """Print a feed's document: `feeds show tags/Linux.atom` (.atom, .rss or .json)."""
    from ..service import AddressError, Document, Elsewhere, split_format

    stem, format = split_format(path.lstrip("/"))
    if format is None:
        raise AddressError(f"{path}: expected an address that ends in .atom, .rss or .json")
    with open_service(config_dir) as service:
        found = service.document(service.edition(), stem, format)
        if isinstance(found, Elsewhere):
            click.echo(f"feeds: /{stem} is at /{found.path}", err=True)
            found = service.document(service.edition(), found.path, format)
    if not isinstance(found, Document) or found.body is None:
        raise AddressError(f"{path} is gone")
    sys.stdout.buffer.write(found.body)


@main.command()
@CONFIG
@click.argument("facet", required=False)
@command
def opml(config_dir: Path, facet: str | None) -> None:
    """Print an OPML list of all feeds, or of one FACET (tag, translator, ...)."""
    from ..service import AddressError

    chosen = FACETS.get(facet or "") or PLURALS.get(facet or "")
    if facet and chosen is None:
        raise AddressError(f"no facet is called {facet!r}; expected one of {', '.join(FACETS)}")
    with open_service(config_dir) as service:
        config = service.edition().config
        if config is None:
            raise AddressError("nothing is published yet: run `feeds rescan`")
        sys.stdout.buffer.write(service.opml(config, chosen))


@main.command()
@CONFIG
@JSON
@click.option("--compress/--no-compress", "compressed", default=True, show_default=True, help="Write .gz and .br, too.")
@click.option("--feeds-only", is_flag=True, help="Feeds and OPML lists only: something else makes the pages.")
@click.option("--full", is_flag=True, help="Make every file again and write those that differ.")
@click.option("--follow", is_flag=True, help="Stay, and export after each rescan that changed something.")
@click.argument("target", metavar="DIR|s3://BUCKET/PREFIX")
@command
def export(config_dir: Path, as_json: bool, compressed: bool, feeds_only: bool, full: bool, follow: bool, target: str) -> None:
    """Write the whole site as static files: feeds, pages, OPML lists, redirects for nginx and Caddy (docs/static.md).

    Beside each file lie .gz and .br for servers that send them as they are. A second run writes only what changed and removes
    what it wrote before and is gone.
    """
    from .following import generations

    with open_service(config_dir) as service:
        for _generation in generations(service.generation) if follow else (0,):
            with show_progress("Writing files") as progress:
                report = service.export(
                    target, renderer, compressed=compressed, feeds_only=feeds_only, full=full, progress=progress
                )
            counts = {"written": report.written, "unchanged": report.unchanged, "removed": report.removed}
            if as_json:
                print_json(counts | {"failed": len(report.faults)})
            else:
                click.echo(f"{report.written} files written, {report.unchanged} unchanged, {report.removed} removed")
            _print_faults(report.faults)
    if report.faults:
        sys.exit(1)


def _print_faults(faults: Mapping[str, str]) -> None:
    """One line for each kind of fault: a broken template may spoil thousands of pages."""
    paths: dict[str, list[str]] = {}
    for path, reason in faults.items():
        paths.setdefault(reason, []).append(path)
    for reason, spoiled in paths.items():
        more = f" and {len(spoiled) - 1} more" if len(spoiled) > 1 else ""
        click.echo(f"feeds: {spoiled[0]}{more} cannot be made: {reason}", err=True)


def renderer(environment: Environment) -> Callable[[str], bytes | None]:
    """What answers addresses; loaded only where something is to be rendered."""
    from ..web.still import renderer as make

    return make(environment)


# -- a new site ------------------------------------------------------------


@main.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--store", help="Folder of your articles; without it the demo articles are copied.")
@click.option("--title", help="Name of the site.")
@click.option("--base-url", help="Where the service will be reached.")
@command
def init(folder: Path, store: str | None, title: str | None, base_url: str | None) -> None:
    """Make a new site in FOLDER: config/ with every setting explained, templates/ to change, demo articles.

    Nothing that exists is overwritten.
    """
    from ..setup import make_site

    for line in make_site(folder, store=store, title=title, base_url=base_url):
        click.echo(line)


def _as_dict(report: RescanReport) -> dict[str, Any]:
    return {name: getattr(report, name) for name in RescanReport.__slots__}
