"""The processes of a service: `feeds serve`, `clock`, `worker`, and `health`, which asks how they are."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

import click

from .common import CONFIG, LOG, command, echo, log_to_stderr, look_at_runtime, open_runtime, start


@click.command()
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
        given = runtime.environment
        environment = replace(given, log=log_format or given.log, access_log=access_log or given.access_log)
    from ..web import server

    server.serve(environment, host, port, workers, clock=clock)


@click.command()
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


@click.command()
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


@click.command()
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
