"""What tests of sending share: issues straight in the tables, messages of real bytes, an SMTP server that answers as told."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from feeds import database
from feeds.config.models import Config
from feeds.database.tables import deliveries, issues, subscribers
from feeds.model import Message, Outcome, Recipient
from feeds.newsletter.delivery import issue_status
from feeds.newsletter.delivery.ledgers import IssueLedger, Tally, send_issues
from feeds.newsletter.transports.base import PerMessageTransport
from feeds.newsletter.transports.smtp import Smtp
from feeds.newsletter.transports.smtp_session import parse_servers

from ..conftest import database_url, drop_database, settle_database
from .servers import free_port

NOW = 1_767_600_000
Answer = Callable[..., str | None]


class Composer:
    """Real bytes, with a line that begins with a dot and some Chinese; the key of a subscriber in `broken` cannot be made."""

    def __init__(self, issue: int = 1, size: int = 400, broken: tuple[int, ...] = ()) -> None:
        self.issue, self.broken = issue, broken
        self.text = b"." + "第一段。".encode() + b"\r\n..two dots\r\n" + b"x" * 70 + b"\r\n" + b"y" * max(0, size - 200)

    def message(self, recipient: Recipient, now: int) -> Message:
        if recipient.subscriber in self.broken:
            raise ValueError("no\nsuch article")
        id = f"<weekly-{self.issue}.{recipient.subscriber}@example.org>"
        head = f"From: digest@example.org\r\nTo: {recipient.address}\r\nMessage-ID: {id}\r\n\r\n".encode()
        return Message(f"digest+{self.issue}.{recipient.subscriber}@example.org", recipient.address, id, head + self.text)


def settings(**values: Any) -> Config:
    return Config.model_validate({"newsletter": {"transport": "smtp", **values}})


class Post:
    """A database with issues and their deliveries, and a clock that stands until it is moved."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        settle_database(folder)
        self.url = database_url(folder)
        self.engine = database.connect(self.url)
        database.ensure_tables(self.engine)
        self.now: float = NOW

    def close(self) -> None:
        self.engine.dispose()
        drop_database(self._folder)

    def add(self, people: int, issue: int = 1, address: Callable[[int], str] = lambda key: f"reader{key}@example.org") -> Post:
        with database.writing(self.engine) as connection:
            row = (issue, f"weekly-{issue}", "weekly", NOW + issue, "UTC", NOW, "open", "", 1, 20)
            database.insert_rows(connection, issues, [row])
            known = connection.execute(sa.select(sa.func.count()).select_from(subscribers)).scalar() or 0
            new = range(known + 1, people + 1)
            rows = [(k, address(k), address(k), "active", "en", "UTC", 1, 1, 1, None, "", "", 0, 0, None, None) for k in new]
            database.insert_rows(connection, subscribers, rows)
            open_rows = [(issue, k, 0, "1", "pending", 0, 0, "", 0, NOW, "") for k in range(1, people + 1)]
            database.insert_rows(connection, deliveries, open_rows)
        return self

    def deliver(
        self, transport: Any, config: Config | None = None, stop: threading.Event | None = None, **options: Any
    ) -> Tally:
        options = {"composer_for": lambda _connection, issue: Composer(issue).message, "now": lambda: self.now, **options}
        return send_issues(IssueLedger(self.engine, config or settings(), **options), transport, stop)

    def write(self, statement: Any) -> None:
        with database.writing(self.engine) as connection:
            connection.execute(statement)

    def row(self, subscriber: int, issue: int = 1) -> Any:
        d = deliveries.c
        with database.reading(self.engine) as connection:
            found = connection.execute(sa.select(deliveries).where(d.issue == issue, d.subscriber == subscriber)).first()
        assert found is not None
        return found

    def issue(self, key: int = 1) -> Any:
        with database.reading(self.engine) as connection:
            return connection.execute(sa.select(issues).where(issues.c.key == key)).one()

    def counts(self, issue: int | None = None) -> dict[str, int]:
        """Without what is 0."""
        with database.reading(self.engine) as connection:
            found = issue_status.counts(connection, issue)
        return {name: number for name, number in found.items() if number and name != "issues"}

    def retry(self, **options: Any) -> int:
        with database.writing(self.engine, durable=True) as connection:
            return issue_status.retry(connection, int(self.now), **options)


@dataclass(frozen=True)
class Taken:
    """A message as the server took it."""

    sender: str
    recipient: str
    id: str
    content: bytes
    connection: int
    tls: bool
    user: str


@dataclass
class Server:
    """An aiosmtpd in a thread. `mail`, `rcpt`, `data` may answer instead of it: called with what it is about and a number that
    counts such calls from 1; a text that ends in "!" also cuts the connection, "!" alone cuts it without a word."""

    mail: Answer = lambda _what, _number: None
    rcpt: Answer = lambda _what, _number: None
    data: Answer = lambda _what, _number: None
    offers: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    taken: list[Taken] = field(default_factory=list)
    calls: dict[str, int] = field(default_factory=dict)
    connections: set[int] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def ids(self) -> list[str]:
        return [message.id for message in self.taken]

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}?starttls=0"

    def _answer(self, kind: str, smtp: Any, what: str) -> str:
        with self.lock:
            self.calls[kind] = self.calls.get(kind, 0) + 1
            number = self.calls[kind]
        said = getattr(self, kind)(what, number) or ""
        if said.endswith("!"):
            smtp.transport.write(said[:-1].encode() + (b"\r\n" if said != "!" else b""))
            smtp.transport.close()
        return said.rstrip("!")

    async def handle_EHLO(self, _smtp: Any, session: Any, _envelope: Any, hostname: str, responses: list[str]) -> list[str]:
        session.host_name = hostname
        self.connections.add(session.peer[1])
        return [*responses[:-1], *(f"250-{offer}" for offer in self.offers), responses[-1]]

    async def handle_MAIL(self, smtp: Any, _session: Any, envelope: Any, address: str, options: list[str]) -> str:
        said = self._answer("mail", smtp, address)
        if not said:
            envelope.mail_from, envelope.mail_options = address, options
        return said or "250 OK"

    async def handle_RCPT(self, smtp: Any, _session: Any, envelope: Any, address: str, _options: list[str]) -> str:
        said = self._answer("rcpt", smtp, address)
        if not said:
            envelope.rcpt_tos.append(address)
        return said or "250 OK"

    async def handle_DATA(self, smtp: Any, session: Any, envelope: Any) -> str:
        found = re.search(rb"^Message-ID: (\S+)", envelope.content, re.MULTILINE)
        id = found[1].decode() if found else ""
        said = self._answer("data", smtp, id)
        if not said.startswith(("4", "5")):
            user = session.auth_data.login.decode() if session.auth_data else ""
            tls = session.ssl is not None or "ssl_context" in self.options
            one = Taken(envelope.mail_from, envelope.rcpt_tos[0], id, envelope.content, session.peer[1], tls, user)
            self.taken.append(one)
        return said or "250 OK"


@contextlib.contextmanager
def serving(**options: Any) -> Iterator[Server]:
    server = Server(**options)
    controller = Controller(server, hostname="127.0.0.1", port=server.port, **server.options)
    controller.start()
    try:
        yield server
    finally:
        controller.stop()


def log_in(user: bytes, password: bytes) -> Any:
    """An authenticator of aiosmtpd that knows one user."""

    def check(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        right = (data.login, data.password) == (user, password)
        return AuthResult(success=right, handled=False, auth_data=data if right else None)

    return check


def smtp(*urls: str, connections: int = 2, per_connection: int = 100, patience: float = 0.2) -> Smtp:
    return Smtp(parse_servers(" ".join(urls)), connections=connections, per_connection=per_connection, patience=patience)


class Recorder(PerMessageTransport):
    """A transport for tests of the dispatcher alone: says to each message what `answer` says, in order."""

    concurrency = 1

    def __init__(self, answer: Callable[[Message], Outcome] = lambda _message: Outcome("sent", "250 ok", "body")) -> None:
        self.answer = answer
        self.sent: list[str] = []

    async def check(self) -> str:
        return "a recorder"

    async def send(self, message: Message) -> Outcome:
        outcome = self.answer(message)
        self.sent.append(message.message_id)
        return outcome
