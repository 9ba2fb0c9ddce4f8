"""Feeds as documents and files: `feeds list`, `show`, `opml`, `export`."""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import AddressError
from ..model import FACETS, PLURALS
from .common import CONFIG, JSON, command, echo, end_at_sigterm, open_runtime, print_document, print_json, show_progress

if TYPE_CHECKING:
    from ..model import FeedState, Selection
    from ..static.export import Report

#: How often `export --follow` asks for the generation of the catalog.
FOLLOW_SECONDS = 0.2


@click.command("list")
@CONFIG
@JSON
@command
def list_feeds(config_dir: Path, as_json: bool) -> None:
    """Every feed: address, number of articles, newest change, title.

    \b
    Examples:
      feeds list | sort -k2 -n              # by number of articles
      feeds list --json
    """
    from ..syndication import lookup

    with open_runtime(config_dir) as runtime:
        rows = [as_row(*row) for row in runtime.read(lookup.list_feeds)]
    if as_json:
        print_json(rows)
        return
    width = max((len(row["path"]) for row in rows), default=0)
    for row in rows:
        echo(f"{row['path']:<{width}}  {row['articles']:>6}  {row['updated'][:10]}  {row['title']}")


def as_row(state: FeedState, selection: Selection) -> dict[str, Any]:
    """Return one feed as `feeds list --json` shows it."""
    return {
        "path": state.path,
        "title": state.title,
        "articles": state.articles,
        "updated": state.updated.isoformat(),
        "selection": selection.as_json(),
    }


@click.command()
@CONFIG
@click.argument("path")
@command
def show(config_dir: Path, path: str) -> None:
    """Print a feed's document (.atom, .rss or .json).

    \b
    Examples:
      feeds show tags/Linux.atom
      feeds show translators/geekpi.json | jq .items[0].title
    """
    from .. import urls
    from ..syndication import lookup

    stem, format = urls.split_format(path.lstrip("/"))
    if format is None:
        raise AddressError(f"{path}: expected an address that ends in {urls.list_extensions()}")
    with open_runtime(config_dir) as runtime:
        found = runtime.read(lookup.find_document, runtime.edition(), stem, format)
        if isinstance(found, lookup.Elsewhere):
            echo(f"feeds: /{stem} is at /{found.path}", err=True)
            found = runtime.read(lookup.find_document, runtime.edition(), found.path, format)
    if not isinstance(found, lookup.Document) or found.body is None:
        raise AddressError(f"{path} is gone")
    print_document(found.body)


@click.command()
@CONFIG
@click.argument("facet", required=False)
@command
def opml(config_dir: Path, facet: str | None) -> None:
    """Print an OPML list of all feeds, or of one FACET.

    \b
    Examples:
      feeds opml > feeds.opml
      feeds opml translator
    """
    from ..syndication import documents

    chosen = FACETS.get(facet or "") or PLURALS.get(facet or "")
    if facet and chosen is None:
        raise AddressError(f"no facet is called {facet!r}; expected one of {', '.join(FACETS)}")
    with open_runtime(config_dir) as runtime:
        config = runtime.edition().config
        if config is None:
            raise AddressError("nothing is published yet: run `feeds rescan`")
        print_document(runtime.read(documents.opml, config, chosen))


COMPRESS = click.option(
    "--compress/--no-compress", "compressed", default=True, show_default=True, help="Write .gz and .br of static files, too."
)
NO_PAGES = click.option("--feeds-only", is_flag=True, help="Feeds and OPML lists only: something else makes the pages.")
#: Where static files go.
TARGET = "DIR|s3://BUCKET/PREFIX"


@click.command()
@CONFIG
@JSON
@COMPRESS
@NO_PAGES
@click.option("--full", is_flag=True, help="Make every file again and write those that differ.")
@click.option("--follow", is_flag=True, help="Stay, and export after each rescan that changed something.")
@click.argument("target", metavar=TARGET)
@command
def export(config_dir: Path, as_json: bool, compressed: bool, feeds_only: bool, full: bool, follow: bool, target: str) -> None:
    """Write the whole site as static files.

    Feeds, pages, OPML lists, and redirects for nginx and Caddy (docs/static.md); into a folder, or to object storage. Beside
    each file lie .gz and .br for servers that send them as they are. A second run writes only what changed and removes what it
    wrote before and is gone. `feeds rescan --export` rescans before it.

    Environment: object storage takes its keys from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT.

    \b
    Examples:
      feeds export /srv/www/feeds
      feeds export --follow /srv/www/feeds
      feeds export s3://bucket/prefix
    """
    from ..static.export import Options
    from ..static.site_files import Exporter
    from ..syndication import editions

    if follow:
        end_at_sigterm()
    with open_runtime(config_dir) as runtime:
        exporter = Exporter(runtime, feeds_only=feeds_only)
        for _generation in _generations(functools.partial(runtime.read, editions.load_generation)) if follow else (0,):
            with show_progress("Writing files") as progress:
                report = exporter.export(target, Options(compressed=compressed, full=full, progress=progress))
            if as_json:
                print_json(export_counts(report))
            else:
                print_export(report)
            for line in unmade_files(report):
                echo(f"feeds: {line}", err=True)
    if report.faults:
        sys.exit(1)


def export_counts(report: Report) -> dict[str, int]:
    """Return what an export did, as answers with --json have it."""
    counts = {"written": report.written, "unchanged": report.unchanged, "removed": report.removed}
    return counts | {"failed": len(report.faults)}


def print_export(report: Report) -> None:
    """Print what an export did."""
    echo(f"{report.written} files written, {report.unchanged} unchanged, {report.removed} removed")


def unmade_files(report: Report) -> list[str]:
    """Return a line for each reason why files could not be made: a broken template may spoil thousands of pages."""
    paths: dict[str, list[str]] = {}
    for path, reason in report.faults.items():
        paths.setdefault(reason, []).append(path)
    more = {reason: f" and {len(spoiled) - 1} more" if len(spoiled) > 1 else "" for reason, spoiled in paths.items()}
    return [f"{spoiled[0]}{more[reason]} cannot be made: {reason}" for reason, spoiled in paths.items()]


def _generations(ask: Callable[[], int]) -> Iterator[int]:
    """Yield the catalog's generation, then each later one once the one before has been dealt with; never ends."""
    known = None
    while True:
        found = ask()
        if found != known:
            known = found
            yield found
        else:
            time.sleep(FOLLOW_SECONDS)
