"""Mail: `feeds digest` (what is due, what it looks like, sending it, its status) and `feeds bounces`."""

from __future__ import annotations

import sys
import time
import webbrowser
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import AddressError
from ..model import FREQUENCIES
from ..private_files import make_private_folder, write_private
from .common import CONFIG, JSON, command, echo, log_to_stderr, open_runtime, print_json, print_unknown, show_count

if TYPE_CHECKING:
    from ..model import Issue
    from ..newsletter import NewsletterContext
    from ..newsletter.delivery.ledgers import Tally
    from ..newsletter.issues.preview import PreviewRequest
    from ..runtime import Runtime

#: Kinds of reports, in the order in which they are listed, and their words.
BOUNCES = {
    "hard": "refused for good",
    "soft": "failed for now",
    "noted": "refused by policy",
    "complaint": "complaints",
    "unsubscribed": "unsubscribed by mail",
    "ignored": "no bounces",
    "repeated": "booked before",
}


class _Instant(click.ParamType[int]):
    """An ISO 8601 date and time with an offset -> UTC seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            when = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no time; expected for example 2014-06-02T08:00:00+08:00", param, ctx)
        if when.tzinfo is None:
            self.fail(f"{value!r} names no time zone; expected for example 2014-06-02T08:00:00+08:00", param, ctx)
        if not 1970 <= when.year <= 9000:  # years before and after it are counted from there
            self.fail(f"{value!r} is no time of this service; expected for example 2014-06-02T08:00:00+08:00", param, ctx)
        return int(when.timestamp())


NOW = click.option("--now", type=_Instant(), help="Act as at this time, for example 2014-06-02T08:00:00+08:00.")
SELECT = click.option("--select", multiple=True, metavar="SELECTION", help="As in an address: tag=Linux&translator=geekpi.")
_CHOICE = click.Choice(FREQUENCIES)
FREQUENCY = click.option("--frequency", type=_CHOICE, default="weekly", show_default=True, help="Whose period.")
LANGUAGE = click.option("--language", type=click.Choice(["zh-CN", "en"]), help="Of the words around the articles.")


@click.group()
def digest() -> None:
    """Digests by e-mail: plan, preview, send, and see what became of them.

    `feeds serve` plans and sends by itself when an issue is due; these commands look at that, or do it by hand.

    Files: config/newsletter.yaml, templates/mail/; with `transport: maildir` messages are files in var/maildir/. Environment:
    FEEDS_SMTP_URL names the server for `transport: smtp`.
    """


def _context(runtime: Runtime) -> NewsletterContext:
    """Return the context of the newsletter in force. Raises AddressError where it is off or nothing is published."""
    from ..newsletter import NewsletterContext

    log_to_stderr(runtime.environment)
    config = runtime.edition().config
    if config is None:
        raise AddressError("nothing is published yet: run `feeds rescan`")
    if not config.newsletter.enabled:
        raise AddressError("the newsletter is off: set `enabled: true` in newsletter.yaml, then run `feeds rescan`")
    return NewsletterContext.of(runtime, config)


def _preview_request(
    context: NewsletterContext, frequency: str, select: tuple[str, ...], language: str | None
) -> PreviewRequest:
    """Return what FREQUENCY, SELECT and LANGUAGE ask for; without a selection all articles. Says which terms are unknown.

    Raises FeedsError for a selection that cannot be read, names a feed that is not there, or has a frequency that is off.
    """
    from ..newsletter.issues.preview import PreviewRequest
    from ..newsletter.subscribers import preferences

    site = context.config.site
    wishes = [preferences.validate_wish(context.config, frequency, text) for text in select or ("",)]
    with context.reading() as connection:
        print_unknown(preferences.unknown_names(connection, context.config, [wish.select for wish in wishes]))
    return PreviewRequest(frequency, site.timezone, [wish.select for wish in wishes], language or site.language)


@digest.command()
@CONFIG
@JSON
@NOW
@click.option("--limit", default=20, show_default=True, help="How many subscribers to name of each issue.")
@command
def plan(config_dir: Path, as_json: bool, now: int | None, limit: int) -> None:
    """Who would get what now; nothing is written.

    Without --now: the issues that are due and not yet planned. With it: as if it were that time, by the consent of that time.

    \b
    Examples:
      feeds digest plan
      feeds digest plan --now 2026-06-01T08:00:00+08:00
    """
    from ..newsletter import digests

    with open_runtime(config_dir) as runtime:
        named, instant = None if as_json else limit, now or int(time.time())
        found = digests.rehearse(_context(runtime), instant, catching_up=now is not None, limit=named)
    if as_json:
        rows = []
        for one in found:
            recipients = [{"email": p.address, "articles": list(p.articles), "more": p.more} for p in one.recipients]
            about = {name: getattr(one.issue, name) for name in ("id", "frequency", "due", "articles")}
            rows.append({**about, "deliveries": one.deliveries, "recipients": recipients})
        print_json({"issues": len(rows), "deliveries": sum(one.deliveries for one in found), "plan": rows})
        return
    for one in found:
        issue = one.issue
        echo(f"{issue.id}: {issue.articles} new articles, {one.deliveries} subscribers{_why(issue)}")
        for planned in one.recipients:
            more = f" and {planned.more} more" if planned.more else ""
            echo(f"  {planned.address}: {', '.join(planned.articles)}{more}")
        if one.deliveries > len(one.recipients):
            echo(f"  ... and {one.deliveries - len(one.recipients)} more subscribers")
    if not found:
        echo("nothing is due, or nothing is new for anyone")


def _why(issue: Issue) -> str:
    return f" ({issue.status}: {issue.reason})" if issue.reason else ""


@digest.command()
@CONFIG
@NOW
@FREQUENCY
@SELECT
@LANGUAGE
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder to write to; var/preview otherwise.")
@click.option("--open", "opened", is_flag=True, help="Show the HTML in a browser.")
@command
def preview(config_dir: Path, now: int | None, out: Path | None, opened: bool, **wanted: Any) -> None:
    """Write the newest digest of some selections as HTML, text and .eml; without --select, of all articles.

    \b
    Examples:
      feeds digest preview --open
      feeds digest preview --select "tag=Linux&translator=geekpi" --frequency daily
    """
    from ..newsletter import digests

    with open_runtime(config_dir) as runtime:
        context = _context(runtime)
        request = _preview_request(context, **wanted)
        seen, message, anything = digests.preview(context, request, now or int(time.time()))
        var = runtime.environment.root / "var"
        folder = out or var / "preview"
    make_private_folder(folder)
    for name, content in (("html", seen.html.encode()), ("txt", seen.text.encode()), ("eml", message.data)):
        write_private(folder / f"digest.{name}", content, var)
        echo(folder / f"digest.{name}")
    if not anything:
        echo(f"feeds: nothing is new in this {request.frequency} digest; it shows the last articles that match", err=True)
    if opened:
        webbrowser.open((folder / "digest.html").absolute().as_uri())


@digest.command()
@CONFIG
@JSON
@NOW
@FREQUENCY
@SELECT
@LANGUAGE
@click.option("--dry-run", is_flag=True, help="Only say how many messages there would be.")
@click.option("--to", metavar="ADDRESS", help="Send one test message of the newest digest to this address, and nothing else.")
@command
def send(config_dir: Path, as_json: bool, now: int | None, dry_run: bool, to: str | None, **wanted: Any) -> None:
    """Plan what is due and send what is open, now; the clock of `feeds serve` does the same by itself.

    Safe to repeat: no issue is planned twice, no message is sent twice.

    \b
    Examples:
      feeds digest send --to me@example.org  # one test message
      feeds digest send --dry-run
      feeds digest send
    """
    from ..newsletter import digests
    from ..newsletter.delivery import issue_status
    from ..newsletter.issues.planning import paused_issues

    instant = now or int(time.time())
    with open_runtime(config_dir) as runtime:
        context = _context(runtime)
        if to:
            message = digests.send_test(context, to, _preview_request(context, **wanted), instant)
            echo(f"sent {message.message_id} to {to}", err=as_json)
            return
        if dry_run:
            found = digests.rehearse(context, instant, catching_up=now is not None, limit=0)
            planned = {"pending": sum(one.deliveries for one in found), "issues": len(found)}
            _print_counts({**runtime.read(issue_status.counts), **planned}, as_json)
            return
        with show_count("Planning") as progress:
            digests.plan(context, instant, written_at=int(time.time()) if now is not None else None, progress=progress)
        with show_count("Sending") as progress:
            tally = digests.send(context, time.time, progress=progress)
        counts, paused = runtime.read(issue_status.counts), runtime.read(paused_issues)
        _print_counts(counts, as_json)
        for issue in paused:
            why = issue.reason or "by the operator"
            echo(f"feeds: {issue.id} is paused: {why}; `feeds digest resume {issue.id}`", err=True)
        _end_unsent(runtime, tally, paused)


def _end_unsent(runtime: Runtime, tally: Tally, paused: Sequence[Issue] = ()) -> None:
    """End with status 1, and say why, where messages wait, or were due and none could be handed over."""
    from ..newsletter.delivery import issue_status

    refused = (
        ""
        if tally.sent
        else ", ".join(
            f"{number} {words}"
            for number, words in (
                (tally.retry, "to be tried again"),
                (tally.failed, "refused for good"),
                (tally.uncertain, "uncertain"),
            )
            if number
        )
    )
    if tally.problem:
        echo(f"feeds: not sending: {tally.problem}", err=True)
    elif refused:
        reply = runtime.read(issue_status.last_reply)
        echo(f"feeds: no message could be handed over: {refused}{f' ({reply})' if reply else ''}", err=True)
    if tally.problem or refused or (paused and not tally.done):
        sys.exit(1)


def _print_counts(counts: Mapping[str, int], as_json: bool) -> None:
    if as_json:
        print_json(counts)
    else:
        echo(", ".join(f"{number} {name}" for name, number in counts.items()))


@digest.command()
@CONFIG
@JSON
@command
def status(config_dir: Path, as_json: bool) -> None:
    """What became of the issues: messages by status; each one that is uncertain or failed, by address.

    \b
    Examples:
      feeds digest status
      feeds digest status --json | jq .uncertain
    """
    from ..newsletter.delivery import issue_status

    with open_runtime(config_dir) as runtime:
        _context(runtime)  # the newsletter is on
        counts, recent = runtime.read(issue_status.counts), runtime.read(issue_status.recent_issues)
        troubled = runtime.read(issue_status.troubled)
    if as_json:
        rows = [{"issue": t.issue, "email": t.address, "status": t.status, "reply": t.reply} for t in troubled]
        issues = [{"id": i.id, "status": i.status, "reason": i.reason, **numbers} for i, numbers in recent]
        print_json({**counts, "recent": issues, "troubled": rows})
        return
    _print_counts(counts, False)
    for issue, numbers in recent:
        echo(f"{issue.id}  {issue.status}{_why(issue)}  " + ", ".join(f"{n} {name}" for name, n in numbers.items() if n))
    for one in troubled:
        echo(f"{one.status}: {one.address} ({one.issue}) {one.reply}".rstrip())
    if any(one.status == "uncertain" for one in troubled):
        told = "uncertain: a crash or a lost reply leaves open whether the server took it"
        echo(f"{told}; `feeds digest retry` sends again")


@digest.command()
@CONFIG
@JSON
@click.argument("issue", required=False)
@click.option("--failed", is_flag=True, help="Also those that a server refused for good.")
@command
def retry(config_dir: Path, as_json: bool, issue: str | None, failed: bool) -> None:
    """Send uncertain messages again, of one ISSUE or of all, with the same Message-ID.

    \b
    Examples:
      feeds digest retry
      feeds digest retry weekly-2026-06-01 --failed
    """
    from ..newsletter import digests
    from ..newsletter.delivery import issue_status

    with open_runtime(config_dir) as runtime:
        context = _context(runtime)
        again = digests.retry(context, issue, failed=failed, now=int(time.time()))
        echo(f"{again} to be sent again", err=True)
        tally = None
        if again:
            with show_count("Sending") as progress:
                tally = digests.send(context, time.time, progress=progress)
        _print_counts(runtime.read(issue_status.counts), as_json)
        if tally:
            _end_unsent(runtime, tally)


def _add_action(name: str, text: str) -> None:
    """Add a command that changes the status of one issue."""

    @digest.command(name, help=f"{text}\n\n\b\nExamples:\n  feeds digest {name} weekly-2026-06-01")
    @CONFIG
    @click.argument("issue")
    @command
    def act(config_dir: Path, issue: str) -> None:
        from ..newsletter import digests

        with open_runtime(config_dir) as runtime:
            spared = digests.change_status(_context(runtime), issue, name, int(time.time()))
        done = f"{name}d" if name.endswith("e") else f"{name}led, {spared} messages are not sent"
        echo(f"{issue}: {done}")


_add_action("pause", "Stop handing over messages of ISSUE, until `resume`.")
_add_action("resume", "Go on with ISSUE.")
_add_action("cancel", "Never send what is left of ISSUE.")


# -- bounces -----------------------------------------------------------------


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
    from ..newsletter import NewsletterContext
    from ..newsletter.bounces import booking
    from ..syndication import editions

    with open_runtime(config_dir) as runtime, show_count("Reading reports") as progress:
        log_to_stderr(runtime.environment)
        config = runtime.edition().config or editions.adopt_config(runtime.engine, runtime.environment)
        context = NewsletterContext.of(runtime, config)
        found = booking.collect(context, int(time.time()), progress)
        if found is None:
            raise AddressError("no mailbox of reports is known: set bounces.maildir in newsletter.yaml, or FEEDS_IMAP_URL")
        issues = runtime.read(booking.counts_by_issue)
    if as_json:
        print_json({**found.as_json(), "issues": issues})
        return
    parts = [f"{found.counts[kind]} {words}" for kind, words in BOUNCES.items() if found.counts[kind]]
    echo(f"{found.counts.total()} messages read{': ' if parts else ''}{', '.join(parts)}")
    echo(f"{found.ended} taken off the list")
    for problem in found.kept:
        echo(f"kept: {problem['message']} in {problem['mailbox']}: {problem['reason']}", err=True)
    for id, kinds in issues.items():
        echo(f"  {id}: {', '.join(f'{number} {kind}' for kind, number in kinds.items())}")
