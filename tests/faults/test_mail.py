"""Mail: the server is away, its certificate is not valid any more, the disk of the Maildir is full."""

from __future__ import annotations

import dataclasses
import io
import ssl
import threading
from collections import Counter
from collections.abc import Callable, MutableMapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import structlog.testing

from feeds import check, database
from feeds.config.environment import Environment
from feeds.newsletter import NewsletterContext
from feeds.newsletter.delivery import issue_status
from feeds.newsletter.subscribers import importer, signup
from feeds.newsletter.subscribers.signup import SignupForm
from feeds.newsletter.transports.smtp import Smtp
from feeds.scheduler import MailJobs
from tests.newsletter.sending import serving
from tests.newsletter.servers import free_port, make_certificate

from . import disks

PEOPLE = 40
MONDAY = 1_767_571_200  # 2026-01-05T00:00:00Z: Monday 08:00 in Shanghai
HOUR = 3600


class Now:
    """A clock that stands until it is set."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds

    def __call__(self) -> float:
        return float(self.seconds)


@pytest.fixture
def now() -> Now:
    return Now(MONDAY)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run does not wait for a server that has just refused: the ticks here are of a clock that is driven."""
    configured = Smtp.configured
    monkeypatch.setattr(Smtp, "configured", lambda *given: dataclasses.replace(configured(*given), patience=0.1))


def post_of(site: Any, now: Now, settings: str, url: str = "") -> MailJobs:
    """Subscribers whose weekly digest is due, over a mail server."""
    if url:
        with (site.root / ".env").open("a") as file:
            file.write(f'FEEDS_SMTP_URL="{url}"\n')
    site.set("newsletter.yaml", f"enabled: true\n{settings}\n")
    site.environment = Environment.read(site.config_dir, {})
    site.reopen()
    site.rescan(MONDAY - 30 * 86400)
    context = NewsletterContext.of(site.runtime, site.runtime.edition().config)
    rows = "".join(f"r{n}@example.org,weekly,tag=Linux,Asia/Shanghai,zh-CN,2024-06-01T00:00:00Z,x\n" for n in range(PEOPLE))
    head = "email,frequency,select,timezone,language,confirmed_at,source\n"
    importer.import_csv(context, io.BytesIO((head + rows).encode()), "readers.csv", MONDAY - 20 * 86400)
    site.write("7.md", tags=["Linux"], date="2026-01-03 00:00:00")
    site.rescan(MONDAY - 86400)
    return MailJobs(site.runtime, now, threading.Event())


def statuses(site: Any) -> dict[str, int]:
    with database.reading(site.runtime.engine) as connection:
        found = issue_status.counts(connection)
    return {name: number for name, number in found.items() if number and name != "issues"}


def tick(post: MailJobs, now: Now, hours: float, every: int = 600) -> None:
    """The clock's ticks of so many hours."""
    for seconds in range(now.seconds, now.seconds + int(hours * HOUR), every):
        now.seconds = seconds
        post.send()
    now.seconds += every


def problems(said: Sequence[MutableMapping[str, Any]]) -> list[MutableMapping[str, Any]]:
    """What mail had to complain of. Other tests' readers may still be counted, into databases that are gone."""
    return [line for line in said if line["log_level"] == "error" and line["event"] != "audience_not_written"]


@pytest.mark.fault(
    "The mail server is down for hours",
    readers="feeds and pages as ever; subscribers get their digest late, and once",
    lost="nothing: digests and confirmations wait; after 48 hours an issue that nobody has got is paused for an operator",
    heals="by itself within seconds after the server is back",
)
def test_a_mail_server_that_is_down_for_hours_delays_mail_and_loses_none(
    site: Any, now: Now, record_property: Callable[[str, object], None]
) -> None:
    port = free_port()
    post = post_of(site, now, "transport: smtp", f"smtp://127.0.0.1:{port}?starttls=0")
    context = NewsletterContext.of(site.runtime, site.runtime.edition().config)
    signup.sign_up(
        context,
        SignupForm(
            "new@example.org", ("tag=Linux",), frequency="weekly", timezone="Asia/Shanghai", language="zh-CN", ip="192.0.2.7"
        ),
        MONDAY,
    )
    with structlog.testing.capture_logs() as said:
        tick(post, now, 20, every=10 * HOUR)
    assert statuses(site) == {"pending": PEOPLE}
    [problem] = problems(said)
    assert "mail_waiting" in str(problem), "said once"
    with serving(port=port) as server:
        tick(post, now, 1)
        assert Counter(one.recipient for one in server.taken) == Counter(
            [*(f"r{number}@example.org" for number in range(PEOPLE)), "new@example.org"]
        )
        tick(post, now, 2)
        assert len(server.taken) == PEOPLE + 1, "none twice"
    assert statuses(site) == {"sent": PEOPLE}
    record_property("shown", f"20 hours, {PEOPLE + 1} messages")


@pytest.mark.fault(
    "The certificate of the mail server has expired",
    readers="feeds and pages as ever; subscribers get their digest late, and once",
    lost="nothing, and nothing goes out to a server that cannot prove who it is; the log and `feeds check` say why",
    heals="by itself when the server has a new certificate",
)
def test_an_expired_certificate_of_the_mail_server(site: Any, now: Now, tmp_path: Path) -> None:
    certificate = tmp_path / "localhost.pem"
    certificate.write_bytes(make_certificate(days=-1))
    port = free_port()
    post = post_of(site, now, "transport: smtp", f"smtp://localhost:{port}?cafile={certificate}")
    with serving(port=port, options={"tls_context": context(certificate), "require_starttls": True}) as server:
        with structlog.testing.capture_logs() as said:
            tick(post, now, 3, every=HOUR)
        assert server.taken == [] and statuses(site) == {"pending": PEOPLE}
        [problem] = problems(said)
        assert "certificate has expired" in problem["fault"], "said once"
        assert any("certificate has expired" in problem.reason for problem in check.check(site.runtime.environment).problems)
    certificate.write_bytes(make_certificate())
    with serving(port=port, options={"tls_context": context(certificate), "require_starttls": True}) as server:
        tick(post, now, 1)
        assert len({one.recipient for one in server.taken}) == len(server.taken) == PEOPLE
        assert all(one.tls for one in server.taken)
    assert statuses(site) == {"sent": PEOPLE}


def context(certificate: Path) -> ssl.SSLContext:
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.load_cert_chain(certificate)
    return made


@pytest.mark.fault(
    "The disk of the Maildir is full",
    readers="feeds and pages as ever; subscribers get their digest late, and once",
    lost="nothing: no half message is ever delivered",
    heals="by itself when there is room: messages are tried again as after any passing fault, after minutes at first",
)
def test_a_full_disk_under_the_maildir(site: Any, now: Now, mount: Callable[..., Path]) -> None:
    (site.root / "var").mkdir(exist_ok=True)
    disk = mount(1024, site.root / "var" / "maildir")
    post = post_of(site, now, "transport: maildir")
    disks.fill(disk, leave=100 * 1024)
    tick(post, now, 1)
    new = disk / "new"
    some = set(new.iterdir())
    assert 0 < len(some) < PEOPLE and statuses(site).keys() == {"sent", "retry"}
    assert statuses(site)["sent"] == len(some) and all(path.read_bytes().rstrip().endswith(b"--") for path in some)
    disks.empty(disk)
    tick(post, now, 6)
    assert statuses(site) == {"sent": PEOPLE} and len(list(new.iterdir())) == PEOPLE
