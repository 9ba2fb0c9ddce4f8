"""`feeds digest`: what an operator sees and what `--json` says, against a site of files."""

from __future__ import annotations

import email
import email.policy
import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from feeds import database
from feeds.cli import main
from feeds.database import tables

Mailing = Any
NOW = "2026-01-05T08:00:00+08:00"
MONDAY = 1_767_571_200


class Command:
    """Runs verbs on one site."""

    def __init__(self, mailing: Mailing) -> None:
        self.config = str(mailing.site.config_dir)
        self.maildir: Path = mailing.site.root / "var" / "maildir" / "new"

    def run(self, *words: str, status: int = 0) -> Result:
        result = CliRunner().invoke(main, [*words, "--config", self.config], catch_exceptions=False)
        assert result.exit_code == status, result.output
        return result

    def json(self, *words: str) -> Any:
        return json.loads(self.run(*words, "--json").stdout)

    def messages(self) -> list[Any]:
        files = sorted(self.maildir.iterdir()) if self.maildir.is_dir() else []
        return [email.message_from_bytes(path.read_bytes(), policy=email.policy.default) for path in files]


@pytest.fixture
def command(mailing: Mailing) -> Command:
    mailing.write("1", MONDAY - 3600, title="内核文章", tags=["Linux"])
    mailing.write("2", MONDAY - 7200, title="另一篇", tags=["AI"])
    mailing.site.rescan(MONDAY - 10**7)
    mailing.subscribe("tag=Linux")
    mailing.subscribe("tag=Linux", "tag=AI")
    mailing.subscribe("tag=Haskell")
    return Command(mailing)


NOTHING = {"issues": 0, "pending": 0, "sent": 0, "retry": 0, "failed": 0, "uncertain": 0}


def test_plan_says_who_would_get_what_and_writes_nothing(command: Command) -> None:
    for _twice in range(2):
        planned = command.json("digest", "plan", "--now", NOW)
        assert (planned["issues"], planned["deliveries"]) == (1, 2)
        assert [(r["email"], r["articles"]) for r in planned["plan"][0]["recipients"]] == [
            ("reader1@example.org", ["1"]),
            ("reader2@example.org", ["1", "2"]),
        ]
    assert command.json("digest", "status").items() >= NOTHING.items()


def test_plan_on_paper_names_the_issue_and_the_readers(command: Command) -> None:
    text = command.run("digest", "plan", "--now", NOW, "--limit", "1").output
    assert "weekly-2026-01-05: 2 new articles, 2 subscribers" in text
    assert "reader1@example.org: 1" in text and "... and 1 more subscribers" in text


def test_send_writes_each_message_once(command: Command) -> None:
    sent = command.json("digest", "send", "--now", NOW)
    assert sent.items() >= {**NOTHING, "issues": 1, "sent": 2}.items()
    assert command.json("digest", "send", "--now", NOW) == sent
    messages = command.messages()
    assert sorted(message["To"] for message in messages) == ["reader1@example.org", "reader2@example.org"]
    assert len({message["Message-ID"] for message in messages}) == 2
    assert all("内核文章" in message.get_body(("plain",)).get_content() for message in messages)


def test_a_dry_run_counts_and_sends_nothing(command: Command) -> None:
    assert command.json("digest", "send", "--now", NOW, "--dry-run").items() >= {"issues": 1, "pending": 2, "sent": 0}.items()
    assert command.messages() == []
    assert command.json("digest", "status").items() >= NOTHING.items()


def test_a_test_message_is_in_no_count(command: Command) -> None:
    command.run("digest", "send", "--to", "me@example.org", "--now", NOW, "--select", "tag=AI")
    [message] = command.messages()
    assert message["To"] == "me@example.org"
    assert "另一篇" in message.get_body(("plain",)).get_content()
    assert command.json("digest", "status").items() >= NOTHING.items()


def test_preview_writes_what_a_reader_would_see(command: Command, tmp_path: Path) -> None:
    command.run("digest", "preview", "--now", NOW, "--select", "tag=Linux", "--language", "en", "--out", str(tmp_path / "out"))
    text = (tmp_path / "out" / "digest.txt").read_text("utf-8")
    assert "内核文章" in text and "另一篇" not in text
    message = email.message_from_bytes((tmp_path / "out" / "digest.eml").read_bytes(), policy=email.policy.default)
    html = (tmp_path / "out" / "digest.html").read_text("utf-8")
    assert message.get_body(("html",)).get_content().split() == html.split()


def test_an_issue_can_be_paused_resumed_and_cancelled(command: Command, mailing: Mailing) -> None:
    mailing.plan(MONDAY)
    command.run("digest", "pause", "weekly-2026-01-05")
    result = command.run("digest", "send", status=1)
    assert "weekly-2026-01-05 is paused" in result.output
    assert command.messages() == []
    command.run("digest", "resume", "weekly-2026-01-05")
    command.run("digest", "cancel", "weekly-2026-01-05")
    assert command.json("digest", "send").items() >= {"pending": 0, "sent": 0}.items()
    assert command.messages() == []
    assert "no issue is called" in command.run("digest", "pause", "weekly-1999-01-01", status=1).output


ISSUE = "weekly-2026-01-05"
#: What leads to a state of an issue, and what can be done in it.
STATES: dict[str, tuple[tuple[str, ...], set[str]]] = {
    "open": ((), {"pause", "cancel"}),
    "paused": (("pause",), {"resume", "cancel"}),
    "cancelled": (("cancel",), set()),
    "done": (("pause", "resume", "send"), set()),  # an operator who resumes it sends it, however late
}


@pytest.mark.parametrize("action", ["pause", "resume", "cancel", "retry"])
@pytest.mark.parametrize("state", list(STATES))
def test_an_action_in_another_state_is_status_1_and_says_the_state(
    command: Command, mailing: Mailing, state: str, action: str
) -> None:
    before, possible = STATES[state]
    mailing.plan(MONDAY)
    for verb in before:
        command.run("digest", verb, *([] if verb == "send" else [ISSUE]))
    counts = command.json("digest", "status")
    result = command.run("digest", action, ISSUE, status=int(action not in possible))
    if action not in possible:
        assert f"{ISSUE} is {state}: " in result.stderr and result.stdout == ""
        assert command.json("digest", "status") == counts, "nothing was changed"


def test_retry_of_an_issue_names_what_could_be_sent_again(command: Command, mailing: Mailing) -> None:
    command.run("digest", "send", "--now", NOW)
    with database.writing(mailing.site.runtime.engine) as connection:
        connection.execute(sa.update(tables.deliveries).values(status="failed", reply="550 no such user"))
    said = command.run("digest", "retry", ISSUE, status=1).stderr
    assert f"{ISSUE} is done: no message of it is uncertain; --failed sends 2 again that were refused" in said
    assert "2 to be sent again" in command.run("digest", "retry", ISSUE, "--failed").stderr
    assert "0 to be sent again" in command.run("digest", "retry").stderr


@pytest.mark.parametrize(
    ("settings", "url", "words"),
    [
        ({"transport": "smtp"}, "", "FEEDS_SMTP_URL is not set"),
        ({"transport": "smtp"}, "smtp://me:geheim@127.0.0.1:9?starttls=0", "not sending: "),
        ({"transport": "smtp"}, "smtps://me:geheim@host.invalid", "not sending: "),
        ({"maildir": "config/site.yaml"}, "", "Not a directory"),
    ],
)
@pytest.mark.usefixtures("hasty_smtp")
def test_send_is_status_1_where_nothing_can_be_handed_over(
    command: Command, mailing: Mailing, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], url: str, words: str
) -> None:
    mailing.plan(MONDAY)
    for verb in ("pause", "resume"):
        command.run("digest", verb, ISSUE)
    mailing.site.settle("newsletter.yaml", **settings)
    mailing.site.rescan()
    monkeypatch.setenv("FEEDS_SMTP_URL", url)
    said = command.run("digest", "send", status=1)
    assert words in said.stderr and "geheim" not in said.output and "Traceback" not in said.output
    mailing.site.settle("newsletter.yaml", transport="maildir", maildir="var/maildir")
    mailing.site.rescan()
    command.run("digest", "send")
    assert len(command.messages()) == 2
    command.run("digest", "send")  # nothing is due any more, which is no fault


def test_preview_and_test_messages_say_which_names_are_unknown(command: Command, tmp_path: Path) -> None:
    words = ("--select", "tag=Linux&tag=Linus&translator=nobody", "--select", "not-tag=Windoze")
    for verb in (("preview", "--out", str(tmp_path)), ("send", "--to", "me@example.org")):
        said = command.run("digest", *verb, "--now", NOW, *words).stderr
        assert "unknown, as no article has it: tag Linus, translator nobody, tag Windoze\n" in said
        assert "unknown" not in command.run("digest", *verb, "--now", NOW, "--select", "tag=Linux").output
        assert "no feed is called 'x'" in command.run("digest", *verb, "--select", "feed=x", status=1).stderr


@pytest.mark.parametrize("now", ["yesterday", "2026-01-05T08:00:00"])
def test_a_time_without_a_zone_or_sense_is_wrong_usage(command: Command, now: str) -> None:
    assert "expected for example" in command.run("digest", "plan", "--now", now, status=2).output


def test_status_of_all_carries_the_digests_numbers(command: Command) -> None:
    command.run("digest", "send", "--now", NOW)
    assert command.json("status").items() >= {"issues": 1, "sent": 2, "pending": 0, "uncertain": 0}.items()


def test_check_names_a_template_that_cannot_be_rendered(command: Command, mailing: Mailing) -> None:
    folder = mailing.site.root / "templates" / "mail"
    folder.mkdir(parents=True)
    (folder / "digest.subject").write_text("{{ issue.frequenzy }}\n", "utf-8")
    found = json.loads(command.run("check", "--json", status=1).stdout)
    assert [(Path(p["path"]).name, p["line"]) for p in found["problems"]] == [("digest.subject", 1)]


def test_check_says_that_a_server_is_missing(command: Command, mailing: Mailing) -> None:
    mailing.site.settle("newsletter.yaml", transport="smtp")
    assert "FEEDS_SMTP_URL is not set" in command.run("check", status=1).output


def test_a_site_without_a_newsletter_says_so(site: Any) -> None:
    site.rescan()
    result = CliRunner().invoke(main, ["digest", "send", "--config", str(site.config_dir)])
    assert result.exit_code == 1
    assert "the newsletter is off" in result.output
