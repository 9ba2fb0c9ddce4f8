"""Where reports arrive: a Maildir of this machine or an IMAP mailbox. Messages are offered in batches and leave when told.

A message that nobody could book is flagged (the star of mail readers) and not offered again: take the flag off to have it read
once more. Every other message is offered until it is removed.
"""

from __future__ import annotations

import contextlib
import imaplib
import ipaddress
import os
import ssl
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from ...config.environment import Environment
from ...config.models import Newsletter
from ...errors import FeedsError
from .parse import MAX_BYTES

Answer = TypeVar("Answer")
BATCH = 100
TIMEOUT_SECONDS = 30.0


class MailboxError(FeedsError):
    """The mailbox cannot be opened or read; its text holds no password."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A message of a mailbox: `name` is the mailbox's own word for it, `raw` its first reports.MAX_BYTES."""

    name: str
    raw: bytes


class Mailbox(Protocol):
    """Somebody else may write to it and read it at the same time."""

    def batches(self) -> Iterator[Sequence[Letter]]:
        """Messages not flagged, each once, at most BATCH at a time."""

    def remove(self, letters: Sequence[Letter]) -> None:
        """For good. One that is not there any more is no error."""

    def flag(self, letters: Sequence[Letter]) -> None:
        """For the eye of a person, and not to be offered again."""


@contextlib.contextmanager
def open_mailboxes(settings: Newsletter, environment: Environment) -> Iterator[list[tuple[str, Mailbox]]]:
    """Every mailbox that is configured, with its name for the operator. Raises MailboxError."""
    with contextlib.ExitStack() as stack:
        found: list[tuple[str, Mailbox]] = []
        if settings.bounces.maildir:
            folder = environment.root / Path(settings.bounces.maildir).expanduser()
            found.append((str(folder), Maildir(folder)))
        if environment.imap_url:
            account = Account.parse(environment.imap_url.get_secret_value())
            found.append((str(account), stack.enter_context(Imap.open(account))))
        yield found


# -- Maildir ---------------------------------------------------------------


class Maildir:
    """https://cr.yp.to/proto/maildir.html; a flagged message lies in cur/ with the flag F."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._seen: dict[str, Path] = {}

    def batches(self) -> Iterator[Sequence[Letter]]:
        self._seen = {_unique(path.name): path for path in (*self._listed("new"), *self._listed("cur"))}
        for names in _batched([name for name, path in self._seen.items() if "F" not in _flags(path.name)]):
            letters = [self._letter(name) for name in names]
            yield [letter for letter in letters if letter is not None]

    def _listed(self, place: str) -> list[Path]:
        try:
            found = sorted(name for name in os.listdir(self.folder / place) if not name.startswith("."))
        except FileNotFoundError:
            return []  # no mail has come yet
        except OSError as error:
            raise MailboxError(f"{self.folder / place}: {error.strerror}") from None
        return [self.folder / place / name for name in found]

    def _letter(self, name: str) -> Letter | None:
        path = self._path(name)
        try:
            if path is None or not path.is_file():
                return None
            with path.open("rb") as file:
                return Letter(name, file.read(MAX_BYTES))
        except OSError as error:
            if isinstance(error, FileNotFoundError):
                return None
            raise MailboxError(f"{path}: {error.strerror}") from None

    def _path(self, name: str) -> Path | None:
        """Where a message is now: another reader may have moved it from new/ to cur/, or changed its flags."""
        if (seen := self._seen.get(name)) is not None and seen.exists():
            return seen
        return next((path for path in self._listed("cur") if _unique(path.name) == name), None)

    def remove(self, letters: Sequence[Letter]) -> None:
        for letter in letters:
            if (path := self._path(letter.name)) is not None:
                path.unlink(missing_ok=True)

    def flag(self, letters: Sequence[Letter]) -> None:
        (self.folder / "cur").mkdir(parents=True, exist_ok=True)
        for letter in letters:
            if (path := self._path(letter.name)) is not None:
                flags = "".join(sorted({*_flags(path.name), "F"}))
                path.rename(self.folder / "cur" / f"{letter.name}:2,{flags}")


def _batched(names: Sequence[str]) -> Iterator[Sequence[str]]:
    return (names[start : start + BATCH] for start in range(0, len(names), BATCH))


def _unique(name: str) -> str:
    return name.partition(":2,")[0]


def _flags(name: str) -> str:
    return name.partition(":2,")[2]


# -- IMAP ------------------------------------------------------------------


@dataclass(frozen=True, slots=True, repr=False)
class Account:
    """What an address such as imaps://user:password@host/INBOX names. Its text leaves the password out."""

    host: str
    port: int
    user: str
    password: str
    folder: str
    secured: str

    @classmethod
    def parse(cls, url: str) -> Account:
        """`imaps:`, `imap:` with STARTTLS (`?starttls=1`), or plain `imap:` on this machine. Raises MailboxError."""
        try:
            parts = urlsplit(url)
            port = parts.port or (993 if parts.scheme == "imaps" else 143)
        except ValueError:
            raise MailboxError(_EXPECTED) from None
        if parts.scheme not in ("imap", "imaps") or not parts.hostname or not parts.username:
            raise MailboxError(_EXPECTED)
        user, password = unquote(parts.username), unquote(parts.password or "")
        return cls(parts.hostname, port, user, password, unquote(parts.path.strip("/")) or "INBOX", _secured(parts))

    def __str__(self) -> str:
        return f"{self.folder} of {self.user} on {self.host}"

    def __repr__(self) -> str:
        return f"<Account {self}>"


_EXPECTED = "FEEDS_IMAP_URL: expected an address such as imaps://user:password@host/INBOX"


def _secured(parts: SplitResult) -> str:
    """tls | starttls | no"""
    if parts.scheme == "imaps":
        return "tls"
    if parse_qs(parts.query).get("starttls") == ["1"]:
        return "starttls"
    if not _is_loopback(parts.hostname or ""):
        raise MailboxError("FEEDS_IMAP_URL: a password goes to another machine by imaps:// or with ?starttls=1 only")
    return "no"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Imap:
    """One mailbox, selected. Messages are named by their UIDs, which hold for the session."""

    def __init__(self, session: imaplib.IMAP4, account: Account) -> None:
        self._session = session
        self._account = account
        self._expunges = False

    @classmethod
    @contextlib.contextmanager
    def open(cls, account: Account) -> Iterator[Imap]:
        """Raises MailboxError."""
        session = _told(account, lambda: _connect(account))
        try:
            yield _told(account, lambda: cls(session, account)._select())
        finally:
            with contextlib.suppress(OSError, imaplib.IMAP4.error):
                session.logout()

    def _select(self) -> Imap:
        self._session.login(self._account.user, self._account.password)
        folder = self._account.folder.replace("\\", "\\\\").replace('"', '\\"')
        status, _data = self._session.select(f'"{folder}"')
        if status != "OK":
            raise MailboxError(f"{self._account}: no such mailbox")
        _status, said = self._session.capability()  # after the login: before it, servers tell less
        self._expunges = b"UIDPLUS" in b" ".join(part for part in said if isinstance(part, bytes)).upper().split()
        return self

    def batches(self) -> Iterator[Sequence[Letter]]:
        found = self._ask("SEARCH", "UNFLAGGED UNDELETED")
        names = b" ".join(part for part in found if isinstance(part, bytes)).decode("ascii", "replace").split()
        for some in _batched(names):
            letters = [self._letter(name) for name in some]
            yield [letter for letter in letters if letter is not None]

    def _letter(self, name: str) -> Letter | None:
        for part in self._ask("FETCH", name, f"(BODY.PEEK[]<0.{MAX_BYTES}>)"):
            if isinstance(part, tuple):
                return Letter(name, part[1])
        return None  # somebody else removed it

    def remove(self, letters: Sequence[Letter]) -> None:
        """Only these leave the mailbox, where the server can do that (RFC 4315); elsewhere they stay marked as deleted."""
        if letters:
            names = ",".join(letter.name for letter in letters)
            self._ask("STORE", names, "+FLAGS.SILENT", r"(\Seen \Deleted)")
            if self._expunges:
                self._ask("EXPUNGE", names)

    def flag(self, letters: Sequence[Letter]) -> None:
        if letters:
            self._ask("STORE", ",".join(letter.name for letter in letters), "+FLAGS.SILENT", r"(\Flagged)")

    def _ask(self, command: str, *words: str) -> list[bytes | tuple[bytes, bytes] | None]:
        status, data = _told(self._account, lambda: self._session.uid(command, *words))
        if status != "OK":
            raise MailboxError(f"{self._account}: {command} was refused")
        return data


def _connect(account: Account) -> imaplib.IMAP4:
    context = ssl.create_default_context()
    if account.secured == "tls":
        return imaplib.IMAP4_SSL(account.host, account.port, ssl_context=context, timeout=TIMEOUT_SECONDS)
    session = imaplib.IMAP4(account.host, account.port, timeout=TIMEOUT_SECONDS)
    if account.secured == "starttls":
        session.starttls(context)
    return session


def _told(account: Account, ask: Callable[[], Answer]) -> Answer:
    """What the server answers; its refusals and the network's as a MailboxError."""
    try:
        return ask()
    except (OSError, imaplib.IMAP4.error) as error:
        said = str(error.args[-1] if error.args else error)
        said = said.replace(account.password, "***") if account.password else said
        raise MailboxError(f"{account}: {' '.join(said.split())[:200]}") from None
