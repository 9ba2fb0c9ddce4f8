"""`feeds bounces`: what came back."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from ..errors import AddressError
from ..syndication import editions
from .common import CONFIG, JSON, command, log_to_stderr, open_service, print_json, show_count


@click.command()
@CONFIG
@JSON
@command
def bounces(config_dir: Path, as_json: bool) -> None:
    """Read the mail that came back.

    Reports of undeliverable mail, complaints, unsubscribing by mail. The mailbox is bounces.maildir of newsletter.yaml, or the
    IMAP mailbox that FEEDS_IMAP_URL names. An address that is refused for good, that fails too often or that complains gets no
    more mail. A message is removed once it is booked. What cannot be booked is kept, flagged and listed here; take the flag off
    to have it read again.

    \b
    Examples:
      feeds bounces
      FEEDS_IMAP_URL=imaps://user:password@mail.example.org/INBOX feeds bounces
    """
    with open_service(config_dir) as runtime, show_count("Reading reports") as progress:
        log_to_stderr(runtime.environment)
        found, issues = _collect(runtime, progress)
    if as_json:
        print_json({**found.as_json(), "issues": issues})
    else:
        _print(found, issues)


def _collect(runtime: Any, progress: Any) -> tuple[Any, dict[str, dict[str, int]]]:
    from ..newsletter import NewsletterContext
    from ..newsletter.bounces import booking

    config = runtime.edition().config or editions.adopt(runtime.engine, runtime.environment)
    context = NewsletterContext.of(runtime, config)
    if not booking.is_configured(context):
        raise AddressError("no mailbox of reports is known: set bounces.maildir in newsletter.yaml, or FEEDS_IMAP_URL")
    return booking.collect(context, int(time.time()), progress), runtime.read(booking.counts_by_issue)


_WORDS = {
    "hard": "refused for good",
    "soft": "failed for now",
    "noted": "refused by policy",
    "complaint": "complaints",
    "unsubscribed": "unsubscribed by mail",
    "ignored": "no bounces",
    "repeated": "booked before",
}


def _print(found: Any, issues: dict[str, dict[str, int]]) -> None:
    parts = [f"{found.counts[kind]} {words}" for kind, words in _WORDS.items() if found.counts[kind]]
    click.echo(f"{found.counts.total()} messages read{': ' if parts else ''}{', '.join(parts)}")
    click.echo(f"{found.ended} taken off the list")
    for problem in found.kept:
        click.echo(f"kept: {problem['message']} in {problem['mailbox']}: {problem['reason']}", err=True)
    for id, kinds in issues.items():
        click.echo(f"  {id}: {', '.join(f'{number} {kind}' for kind, number in kinds.items())}")
