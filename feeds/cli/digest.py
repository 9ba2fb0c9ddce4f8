"""`feeds digest`: what is due, what it looks like, sending it, what became of it."""

from __future__ import annotations

import time
import webbrowser
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from ..config.models import FREQUENCIES
from ..errors import AddressError
from ..newsletter.delivery import issue_status
from ..newsletter.digests import Digests
from ..newsletter.issues.planning import paused_issues
from ..newsletter.issues.preview import PreviewRequest
from .common import CONFIG, JSON, command, log_to_stderr, open_service, print_json, show_count


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
            self.fail(f"{value!r} names no time zone; expected for example {value}+08:00", param, ctx)
        return int(when.timestamp())


NOW = click.option("--now", type=_Instant(), help="Act as at this time, for example 2014-06-02T08:00:00+08:00.")
SELECT = click.option("--select", multiple=True, metavar="SELECTION", help="As in an address: tag=Linux&translator=geekpi.")
FREQUENCY = click.option(
    "--frequency", type=click.Choice(FREQUENCIES), default="weekly", show_default=True, help="Whose period."
)
LANGUAGE = click.option("--language", type=click.Choice(["zh-CN", "en"]), help="Of the words around the articles.")


@click.group()
def digest() -> None:
    """Digests by e-mail: plan, preview, send, and see what became of them.

    `feeds serve` plans and sends by itself when an issue is due; these commands look at that, or do it by hand.

    Files: config/newsletter.yaml, templates/mail/; with `transport: maildir` messages are files in var/maildir/. Environment:
    FEEDS_SMTP_URL names the server for `transport: smtp`.
    """


def _digests(runtime: Any) -> Any:
    log_to_stderr(runtime.environment)
    config = runtime.edition().config
    if config is None:
        raise AddressError("nothing is published yet: run `feeds rescan`")
    if not config.newsletter.enabled:
        raise AddressError("the newsletter is off: set `enabled: true` in newsletter.yaml, then run `feeds rescan`")
    return Digests.from_runtime(runtime, config)


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
    with open_service(config_dir) as runtime:
        found = _digests(runtime).rehearse(
            now or int(time.time()), catching_up=now is not None, limit=None if as_json else limit
        )
    if as_json:
        rows = [_rehearsal(one) for one in found]
        print_json({"issues": len(rows), "deliveries": sum(one.deliveries for one in found), "plan": rows})
        return
    for one in found:
        issue = one.issue
        click.echo(f"{issue.id}: {issue.articles} new articles, {one.deliveries} subscribers{_why(issue)}")
        for planned in one.recipients:
            more = f" and {planned.more} more" if planned.more else ""
            click.echo(f"  {planned.address}: {', '.join(planned.articles)}{more}")
        if one.deliveries > len(one.recipients):
            click.echo(f"  ... and {one.deliveries - len(one.recipients)} more subscribers")
    if not found:
        click.echo("nothing is due, or nothing is new for anyone")


def _why(issue: Any) -> str:
    return f" ({issue.status}: {issue.reason})" if issue.reason else ""


def _rehearsal(one: Any) -> dict[str, Any]:
    issue = one.issue
    recipients = [{"email": p.address, "articles": list(p.articles), "more": p.more} for p in one.recipients]
    return {
        "id": issue.id,
        "frequency": issue.frequency,
        "due": issue.due,
        "articles": issue.articles,
        "deliveries": one.deliveries,
        "recipients": recipients,
    }


@digest.command()
@CONFIG
@NOW
@FREQUENCY
@SELECT
@LANGUAGE
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder to write to; var/preview otherwise.")
@click.option("--open", "opened", is_flag=True, help="Show the HTML in a browser.")
@command
def preview(
    config_dir: Path,
    now: int | None,
    frequency: str,
    select: tuple[str, ...],
    language: str | None,
    out: Path | None,
    opened: bool,
) -> None:
    """Write the newest digest of some selections as HTML, text and .eml; without --select, of all articles.

    \b
    Examples:
      feeds digest preview --open
      feeds digest preview --select "tag=Linux&translator=geekpi" --frequency daily
    """
    with open_service(config_dir) as runtime:
        digests = _digests(runtime)
        site = digests.config.site
        seen, message, anything = digests.preview(
            PreviewRequest(frequency, site.timezone, select or ("",), language or site.language), now or int(time.time())
        )
        folder = out or runtime.environment.root / "var" / "preview"
    for path in _write_preview(folder, seen, message.data):
        click.echo(path)
    if not anything:
        click.echo(f"feeds: nothing is new in this {frequency} digest; these are the last articles there are", err=True)
    if opened:
        webbrowser.open((folder / "digest.html").absolute().as_uri())


def _write_preview(folder: Path, seen: Any, data: bytes) -> Iterator[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (("digest.html", seen.html.encode()), ("digest.txt", seen.text.encode()), ("digest.eml", data)):
        (folder / name).write_bytes(content)
        yield folder / name


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
def send(
    config_dir: Path,
    as_json: bool,
    now: int | None,
    frequency: str,
    select: tuple[str, ...],
    language: str | None,
    dry_run: bool,
    to: str | None,
) -> None:
    """Plan what is due and send what is open, now; the clock of `feeds serve` does the same by itself.

    Safe to repeat: no issue is planned twice, no message is sent twice.

    \b
    Examples:
      feeds digest send --to me@example.org  # one test message
      feeds digest send --dry-run
      feeds digest send
    """
    instant = now or int(time.time())
    with open_service(config_dir) as runtime:
        digests = _digests(runtime)
        if to:
            site = digests.config.site
            wanted = PreviewRequest(frequency, site.timezone, select or ("",), language or site.language)
            message = digests.send_test(to, wanted, instant)
            click.echo(f"sent {message.message_id} to {to}", err=as_json)
            return
        if dry_run:
            found = digests.rehearse(instant, catching_up=now is not None, limit=0)
            counts = {
                **runtime.read(issue_status.counts),
                "pending": sum(one.deliveries for one in found),
                "issues": len(found),
            }
            _print_counts(counts, as_json)
            return
        with show_count("Planning") as progress:
            digests.plan(instant, written_at=int(time.time()) if now is not None else None, progress=progress)
        with show_count("Sending") as progress:
            problem = digests.send(time.time, progress=progress).problem
        counts, paused = runtime.read(issue_status.counts), runtime.read(paused_issues)
    _print_counts(counts, as_json)
    _print_paused(paused)
    _print_problem(problem)


def _print_counts(counts: dict[str, int], as_json: bool) -> None:
    if as_json:
        print_json(counts)
    else:
        click.echo(", ".join(f"{number} {name}" for name, number in counts.items()))


def _print_paused(paused: list[Any]) -> None:
    for issue in paused:
        click.echo(
            f"feeds: {issue.id} is paused: {issue.reason or 'by the operator'}; `feeds digest resume {issue.id}`", err=True
        )


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
    with open_service(config_dir) as runtime:
        _digests(runtime)  # the newsletter is on
        counts, recent = runtime.read(issue_status.counts), runtime.read(issue_status.recent_issues)
        troubled = runtime.read(issue_status.troubled)
    if as_json:
        rows = [{"issue": t.issue, "email": t.address, "status": t.status, "reply": t.reply} for t in troubled]
        issues = [{"id": i.id, "status": i.status, "reason": i.reason, **numbers} for i, numbers in recent]
        print_json({**counts, "recent": issues, "troubled": rows})
        return
    _print_counts(counts, False)
    for issue, numbers in recent:
        click.echo(f"{issue.id}  {issue.status}{_why(issue)}  " + ", ".join(f"{n} {name}" for name, n in numbers.items() if n))
    for one in troubled:
        click.echo(f"{one.status}: {one.address} ({one.issue}) {one.reply}".rstrip())
    if any(one.status == "uncertain" for one in troubled):
        click.echo(
            "uncertain: a crash or a lost reply leaves open whether the server took it; `feeds digest retry` sends again"
        )


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
    with open_service(config_dir) as runtime:
        digests = _digests(runtime)
        again, problem = digests.retry(issue, failed=failed, now=int(time.time())), ""
        if again:
            with show_count("Sending") as progress:
                problem = digests.send(time.time, progress=progress).problem
        counts = runtime.read(issue_status.counts)
    click.echo(f"{again} to be sent again", err=True)
    _print_counts(counts, as_json)
    _print_problem(problem)


def _print_problem(problem: str) -> None:
    """Why messages wait, if they do."""
    if problem:
        click.echo(f"feeds: not sending: {problem}", err=True)


def _action(name: str, text: str) -> None:
    @digest.command(name, help=f"{text}\n\n\b\nExamples:\n  feeds digest {name} weekly-2026-06-01")
    @CONFIG
    @click.argument("issue")
    @command
    def act(config_dir: Path, issue: str) -> None:
        with open_service(config_dir) as runtime:
            getattr(_digests(runtime), name)(issue, now=int(time.time()))
        click.echo(f"{issue}: {name}d" if name.endswith("e") else f"{issue}: {name}led")


_action("pause", "Stop handing over messages of ISSUE, until `resume`.")
_action("resume", "Go on with ISSUE.")
_action("cancel", "Never send what is left of ISSUE.")
