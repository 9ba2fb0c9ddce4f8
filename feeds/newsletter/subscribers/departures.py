"""The list of departures: who left, was refused or came back, by salted hash, in a file that outlives the database.

Each line is JSON. The first has the salt; each other one an event: `who` (hash of the mailbox with that salt), `hash` (as in
the table `suppressions`), `what`, `at` (UTC seconds). The order of lines is the order of events, whatever clocks say. A
departure is written before its transaction is committed, a return only afterwards: after a crash in between the list says that
somebody left who asked to, and never that somebody came back who did not. Reading drops lines that a power cut has torn.
"""

from __future__ import annotations

import fcntl
import hmac
import json
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import structlog

from ... import database, private_files
from ...database.tables import subscribers, suppressions

log: Any = structlog.get_logger("feeds.consent")
#: Bytes from which the list is written again with the last word about each address, whenever it has doubled since.
COMPACT_BYTES = 1 << 20
#: What `Departure.what` may be, besides a status that ends a subscription (the strongest last): `active` is a return; `links`:
#: links were revoked; `refused`: the owner of the address did not sign up.
ERASED, ACTIVE, LINKS, REFUSED = "erased", "active", "links", "refused"
ENDS = ("bounced", "unsubscribed", "complained", "operator")


@dataclass(frozen=True, slots=True)
class Departure:
    """One event. `mailbox` is never written; `hash` is `Tokens.salted(mailbox)`; `version` is what links need since."""

    what: str
    at: int
    mailbox: str = ""
    hash: str = ""
    version: int = 0


@dataclass(slots=True)
class Standing:
    """What the list says of one address in the end. `at`: the latest time of any event; `reason`: why it left, or "".

    `erased`, `refused`: when that was, 0 for never; `order`: the line of the last event.
    """

    hash: str = ""
    reason: str = ""
    at: int = 0
    returned: bool = False
    erased: int = 0
    refused: int = 0
    version: int = 0
    order: int = 0

    def follow(self, event: dict[str, Any], order: int) -> None:
        """Take in the next event."""
        what, at = str(event["what"]), int(event["at"])
        self.hash, self.at, self.order = str(event.get("hash", "")) or self.hash, max(self.at, at), order
        self.version = max(self.version, int(event.get("version", 0)))
        if what == REFUSED:
            self.refused = at
        elif what == ACTIVE:
            self.returned, self.reason = True, ""
        elif what == ERASED or what in ENDS:
            self.erased = max(at, 1) if what == ERASED else self.erased
            self.returned, self.reason = False, max(self.reason, "unsubscribed" if what == ERASED else what, key=strength)

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield the fewest events that say the same."""
        if self.erased:
            yield {"what": ERASED, "at": self.erased}
            if self.reason == "bounced":  # a weaker end than that: there was a return in between
                yield {"what": ACTIVE, "at": self.erased}
        if self.version:
            yield {"what": LINKS, "at": self.at, "version": self.version}
        if self.refused:
            yield {"what": REFUSED, "at": self.refused}
        if self.reason or self.returned:
            yield {"what": self.reason or ACTIVE, "at": self.at}


def strength(status: str) -> int:
    """Return how much an end counts: what people say counts for more than what machines report. 0 for none."""
    return ENDS.index(status) + 1 if status in ENDS else 0


@dataclass(slots=True)
class History:
    """The whole list: by `who`; by `hash` for addresses that no subscriber had any more when the list was begun."""

    salt: str = ""
    standings: dict[str, Standing] = field(default_factory=dict)

    def find(self, mailbox: str, hashes: Iterable[str]) -> Standing | None:
        """Return what is known of an address; `hashes`: `Tokens.salted` of it with each secret there was."""
        known = (self.standings.get(key) for key in (_who(self.salt, mailbox), *hashes))
        return max((one for one in known if one is not None), key=lambda one: one.order, default=None)


def _who(salt: str, mailbox: str) -> str:
    return hmac.digest(salt.encode(), mailbox.encode(), "sha256").hex()[:40]


def read(path: Path) -> History:
    """Return the list of a file; an empty one where there is none. Raises OSError for a file that cannot be read."""
    history = History()
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return history
    for order, line in enumerate(lines):
        with suppress(ValueError, TypeError, KeyError, AttributeError):
            event = json.loads(line)
            if "salt" in event:
                history.salt = history.salt or str(event["salt"])
            elif key := str(event.get("who") or event.get("hash") or ""):
                standing = history.standings.setdefault(key, Standing())
                standing.follow(event, order)
                if "who" not in event:  # a hash was all that the database had: of somebody who was erased
                    standing.erased = max(standing.at, 1)
    return history


def record(connection: sa.Connection, event: Departure) -> None:
    """Write a departure to the list of this connection's database, if it has one: before the transaction is committed.

    Leaving works where the list cannot be written: the log says so.
    """
    path = connection.get_execution_options().get("departures")
    if path is None:
        return
    try:
        _append(Path(path), [event], connection)
    except OSError as error:
        log.error("departure_not_recorded", file=str(path), fault=error.strerror)


def record_return(connection: sa.Connection, mailbox: str, mailbox_hash: str, at: int) -> None:
    """Write that a person is back, once the transaction is committed. One who never left stays out of the list."""
    path = connection.get_execution_options().get("departures")
    if path is None:
        return

    def write() -> None:
        try:
            if read(Path(path)).find(mailbox, (mailbox_hash,)) is not None:
                _append(Path(path), [Departure(ACTIVE, at, mailbox, mailbox_hash)])
        except OSError as error:
            log.error("return_not_recorded", file=str(path), fault=error.strerror)

    database.after_commit(connection, write)


def begin(connection: sa.Connection) -> None:
    """Begin the list of this connection's database, if it has none, with everyone who has left so far."""
    path = connection.get_execution_options().get("departures")
    if path is not None and not Path(path).exists():
        _append(Path(path), [], connection)


def _append(path: Path, events: Iterable[Departure], known: sa.Connection | None = None) -> None:
    """Append events, durably. A new list begins with all ends that the database of `known` has."""
    private_files.make_private_folder(path.parent)
    descriptor = _open_locked(path)
    try:
        size = os.fstat(descriptor).st_size
        salt, compact = _first_line(descriptor)
        data = b"\n" if size and os.pread(descriptor, 1, size - 1) != b"\n" else b""  # a power cut tore the last line
        if not salt:
            salt = secrets.token_hex(16)
            data += _line({"salt": salt})
            events = [*(_ended(known) if known is not None else ()), *events]
        for event in events:
            line = {name: value for name, value in asdict(event).items() if value and name != "mailbox"}
            data += _line({"who": _who(salt, event.mailbox), "at": 0, **line} if event.mailbox else {"at": 0, **line})
        with os.fdopen(os.dup(descriptor), "ab") as file:
            file.write(data)
        os.fsync(descriptor)
        if size + len(data) > max(COMPACT_BYTES, 2 * compact):
            _compact(path)
    finally:
        os.close(descriptor)


def _open_locked(path: Path) -> int:
    """Open the list for one writer: another one may write it again, under the same name."""
    while True:
        descriptor = private_files.open_private(path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.stat(path), os.fstat(descriptor)):
                return descriptor
        os.close(descriptor)


def _first_line(descriptor: int) -> tuple[str, int]:
    """Return the salt, and how long the list was when it was last written again; "" and 0 for a list that has not begun."""
    with suppress(ValueError, TypeError, KeyError):
        first = json.loads(os.pread(descriptor, 200, 0).split(b"\n")[0])
        return str(first["salt"]), int(first.get("bytes", 0))
    return "", 0


def _compact(path: Path) -> None:
    history = read(path)
    lines = []
    for key, standing in sorted(history.standings.items(), key=lambda item: item[1].order):
        name = {"hash": key} if key == standing.hash else {"who": key, "hash": standing.hash}
        lines += [_line({**name, **event}) for event in standing.events()]
    data = b"".join(lines)
    private_files.write_private(path, _line({"salt": history.salt, "bytes": len(data)}) + data)


def _line(values: dict[str, Any]) -> bytes:
    return json.dumps(values).encode() + b"\n"


def _ended(connection: sa.Connection) -> Iterator[Departure]:
    """Yield all ends that a database knows: first the hashes, which is all that is left of those who were erased."""
    for mailbox_hash, reason, since in connection.execute(sa.select(suppressions)):
        yield Departure(reason, since, hash=mailbox_hash)
    s = subscribers.c
    for status, ended, mailbox in connection.execute(sa.select(s.status, s.ended, s.mailbox).where(s.status != ACTIVE)):
        yield Departure(status, ended or 0, mailbox)
