"""The commands, each in the module of its subject, which is imported when one of its commands is asked for.

A command imports what it needs when it runs: `feeds --version` and `--help` load neither the database nor the settings.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from typing import Any

import click

from .common import command, open_streams, report_faults

#: `feeds --help` lists the commands by what they are for. Name of a command -> module of this package.
SECTIONS: Mapping[str, Mapping[str, str]] = {
    "Serving": {"serve": "serving", "clock": "serving", "worker": "serving", "health": "serving"},
    "Articles": {"rescan": "catalog", "check": "catalog", "status": "catalog"},
    "Feeds": {"list": "documents", "show": "documents", "opml": "documents", "export": "documents"},
    "Mail": {"digest": "mail", "subscribers": "subscribers", "bounces": "mail"},
    "Setting up": {"init": "site", "migrate": "site", "backup": "site", "restore": "site", "completion": "site"},
}


class Program(click.Group):
    """All commands. No fault of one ends in a traceback; the help lists them by SECTIONS."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run the command of the arguments, with standard streams to read and write."""
        open_streams()
        with report_faults():
            return super().main(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command: here its options are known."""
        with report_faults(ctx):
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted(name for section in SECTIONS.values() for name in section)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of a name; None where there is none."""
        module = next((section[cmd_name] for section in SECTIONS.values() if cmd_name in section), None)
        if module is None:
            return None
        defined = vars(importlib.import_module(f"{__name__}.{module}")).values()
        return next(one for one in defined if isinstance(one, click.Command) and one.name == cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands for `--help`."""
        width = max(map(len, self.list_commands(ctx)))
        for heading, section in SECTIONS.items():
            found = [one for name in section if (one := self.get_command(ctx, name))]
            rows = [(str(one.name).ljust(width), one.get_short_help_str(formatter.width - width - 6)) for one in found]
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
