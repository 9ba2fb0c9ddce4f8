"""Bounce sources: a Maildir of this machine, an IMAP mailbox, and those of installed packages.

A message that could not be booked is flagged (the star of mail readers) and not offered again until the flag is taken off.
Every other one is offered until it is removed. Other programs may write to and read a mailbox at the same time.
"""

from __future__ import annotations

import contextlib
import imaplib
import ipaddress
import os
import ssl
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit

from ...config.environment import Environment
from ...config.models import Config
from ...plugins import find_plugins, load_plugin
from ...private_files import make_private_folder
from . import GROUP, BounceReport, BounceSource, MailboxError
from .parser import MAX_BYTES, parse_report

Factory = Callable[[Config, Environment], BounceSource | None]
BATCH = 100
TIMEOUT_SECONDS = 30.0
_EXPECTED = "FEEDS_IMAP_URL: expected an address such as imaps://user:password@host/INBOX"


def factories() -> Mapping[str, Factory]:
    """Return the factory of every kind of source by its name: our own, then those of installed packages.

    Raises MailboxError, which names the package, where one cannot be loaded.
    """
    found: dict[str, Factory] = {"maildir": Maildir.configured, "imap": Imap.configured}
    for plugin in find_plugins(GROUP):
        try:
            found.setdefault(plugin.name, load_plugin(plugin))
        except Exception as error:  # another package's code may raise anything
            raise MailboxError(plugin.fault(error)) from None
    return found


# -- Maildir ---------------------------------------------------------------


class Maildir(BounceSource):
    """A folder as https://cr.yp.to/proto/maildir.html has it; a flagged message lies in cur/ with the flag F."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = str(folder)
        self._seen: dict[str, Path] = {}

    @classmethod
    def configured(cls, config: Config, environment: Environment) -> Self | None:
        """Return the Maildir of `bounces.maildir`."""
        folder = config.newsletter.bounces.maildir
        return cls(environment.root / Path(folder).expanduser()) if folder else None

    def poll(self) -> Generator[Sequence[BounceReport]]:
        self._seen = {path.name.partition(":2,")[0]: path for path in (*self._list("new"), *self._list("cur"))}
        names = [name for name, path in self._seen.items() if "F" not in path.name.partition(":2,")[2]]
        for start in range(0, len(names), BATCH):
            yield [report for name in names[start : start + BATCH] if (report := self._read(name)) is not None]

    def _list(self, place: str) -> list[Path]:
        try:
            found = sorted(name for name in os.listdir(self.folder / place) if not name.startswith("."))
        except FileNotFoundError:
            return []  # no mail has come yet
        except OSError as error:
            raise MailboxError(f"{self.folder / place}: {error.strerror}") from None
        return [self.folder / place / name for name in found]

    def _read(self, name: str) -> BounceReport | None:
        path = self._find(name)
        try:
            if path is None or not path.is_file():
                return None
            with path.open("rb") as file:
                return replace(parse_report(file.read(MAX_BYTES)), name=name)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise MailboxError(f"{path}: {error.strerror}") from None

    def _find(self, name: str) -> Path | None:
        """Return where a message is now: another reader may have moved it from new/ to cur/, or changed its flags."""
        if (seen := self._seen.get(name)) is not None and seen.exists():
            return seen
        return next((path for path in self._list("cur") if path.name.partition(":2,")[0] == name), None)

    def settle(self, booked: Sequence[BounceReport], kept: Sequence[BounceReport]) -> None:
        for report in booked:
            if (path := self._find(report.name)) is not None:
                path.unlink(missing_ok=True)
        make_private_folder(self.folder / "cur")
        for report in kept:
            if (path := self._find(report.name)) is not None:
                flags = "".join(sorted({*path.name.partition(":2,")[2], "F"}))
                path.rename(self.folder / "cur" / f"{report.name}:2,{flags}")


# -- IMAP ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Account:
    """What an address such as imaps://user:password@host/INBOX names. Its text leaves the password out."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    folder: str
    security: str

    @classmethod
    def parse(cls, url: str) -> Account:
        """Parse `imaps:`, `imap:` with STARTTLS (`?starttls=1`), or plain `imap:` on this machine. Raises MailboxError."""
        try:
            parts = urlsplit(url)
            port = parts.port or (993 if parts.scheme == "imaps" else 143)
        except ValueError:
            raise MailboxError(_EXPECTED) from None
        if parts.scheme not in ("imap", "imaps") or not parts.hostname or not parts.username:
            raise MailboxError(_EXPECTED)
        security = "tls" if parts.scheme == "imaps" else "no"
        if security == "no" and parse_qs(parts.query).get("starttls") == ["1"]:
            security = "starttls"
        is_local = parts.hostname == "localhost"
        with contextlib.suppress(ValueError):  # a name, and no address
            is_local = is_local or ipaddress.ip_address(parts.hostname).is_loopback
        if security == "no" and not is_local:
            raise MailboxError("FEEDS_IMAP_URL: a password goes to another machine by imaps:// or with ?starttls=1 only")
        user, password = unquote(parts.username), unquote(parts.password or "")
        return cls(parts.hostname, port, user, password, unquote(parts.path.strip("/")) or "INBOX", security)

    def __str__(self) -> str:
        return f"{self.folder} of {self.user} on {self.host}"


class Imap(BounceSource):
    """One mailbox, selected while `poll` runs. Messages are named by their UIDs, which hold for the session.

    Not by imap-tools: it fetches whole messages where we read MAX_BYTES of each, and its EXPUNGE removes what others marked.
    """

    def __init__(self, account: Account) -> None:
        self.account = account
        self.name = str(account)
        self._session: imaplib.IMAP4
        self._has_uidplus = False

    @classmethod
    def configured(cls, config: Config, environment: Environment) -> Self | None:
        """Return the mailbox of FEEDS_IMAP_URL. Raises MailboxError."""
        url = environment.imap_url.get_secret_value()
        return cls(Account.parse(url)) if url else None

    def poll(self) -> Generator[Sequence[BounceReport]]:
        account, context = self.account, ssl.create_default_context()
        kind = partial(imaplib.IMAP4_SSL, ssl_context=context) if account.security == "tls" else imaplib.IMAP4
        with self._faults():
            self._session = kind(account.host, account.port, timeout=TIMEOUT_SECONDS)
            if account.security == "starttls":
                self._session.starttls(context)
        try:
            with self._faults():
                self._session.login(account.user, account.password)
                folder = account.folder.replace("\\", "\\\\").replace('"', '\\"')
                if self._session.select(f'"{folder}"')[0] != "OK":
                    raise MailboxError(f"{account}: no such mailbox")
                _status, said = self._session.capability()  # after the login: before it, servers tell less
            self._has_uidplus = b"UIDPLUS" in b" ".join(part for part in said if isinstance(part, bytes)).upper().split()
            found = self._uid("SEARCH", "UNFLAGGED UNDELETED")
            names = b" ".join(part for part in found if isinstance(part, bytes)).decode("ascii", "replace").split()
            for start in range(0, len(names), BATCH):
                some = names[start : start + BATCH]
                fetched = [(name, self._uid("FETCH", name, f"(BODY.PEEK[]<0.{MAX_BYTES}>)")) for name in some]
                # Another reader may have removed a message: then there is no part with its bytes.
                raw = [(name, part[1]) for name, parts in fetched for part in parts if isinstance(part, tuple)]
                yield [replace(parse_report(text), name=name) for name, text in raw]
        finally:
            with contextlib.suppress(OSError, imaplib.IMAP4.error):
                self._session.logout()

    def settle(self, booked: Sequence[BounceReport], kept: Sequence[BounceReport]) -> None:
        """Remove just these where the server can do that (RFC 4315); elsewhere they stay marked as deleted."""
        if booked:
            names = ",".join(report.name for report in booked)
            self._uid("STORE", names, "+FLAGS.SILENT", r"(\Seen \Deleted)")
            if self._has_uidplus:
                self._uid("EXPUNGE", names)
        if kept:
            self._uid("STORE", ",".join(report.name for report in kept), "+FLAGS.SILENT", r"(\Flagged)")

    def _uid(self, command: str, *words: str) -> list[bytes | tuple[bytes, bytes] | None]:
        with self._faults():
            status, data = self._session.uid(command, *words)
        if status != "OK":
            raise MailboxError(f"{self.account}: {command} was refused")
        return data

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        """Raise refusals of the server and the network's as MailboxError, without the password."""
        try:
            yield
        except (OSError, imaplib.IMAP4.error, UnicodeError) as error:
            said = str(error.args[-1] if error.args else error)
            said = said.replace(self.account.password, "***") if self.account.password else said
            raise MailboxError(f"{self.account}: {' '.join(said.split())[:200]}") from None
