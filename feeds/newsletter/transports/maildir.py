"""Messages as files of a Maildir: what a newcomer looks at instead of a mailbox.

A file's name is made of the Message-ID, so a message that is sent again replaces itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from ...model import Message, Outcome
from .base import Desk, Parcel, TransportError

_NAME = re.compile(r"[^A-Za-z0-9@._+-]+")
_FOLDERS = ("tmp", "new", "cur")


def file_name(message: Message) -> str:
    """The Message-ID where it can be a name (no colon: that begins a reader's flags), else a hash of it."""
    id = message.message_id.strip("<>")
    if _NAME.search(id) or id.startswith(".") or not 0 < len(id) <= 200:
        return hashlib.sha256(id.encode()).hexdigest()
    return id


def file_bytes(message: Message) -> bytes:
    """The envelope as two header lines, then the message with the line ends of this system, as in every Maildir."""
    head = f"Return-Path: <{message.sender}>\r\nDelivered-To: {message.recipient}\r\n"
    return (head.encode() + message.data).replace(b"\r\n", b"\n")


@dataclass(frozen=True, slots=True)
class Maildir:
    """The transport. `together` messages are noted as being sent at the same time."""

    folder: Path
    together: int = 10

    async def check(self) -> str:
        self._prepare()
        return f"{self.folder}: messages become files in it"

    async def run(self, desk: Desk) -> None:
        self._prepare()
        read = {name.partition(":")[0] for name in os.listdir(self.folder / "cur")}
        while not desk.finished:
            parcels = self._take(desk)
            begun = [parcel for parcel, yes in zip(parcels, await _begin(desk, parcels), strict=True) if yes]
            for parcel, outcome in self._write_all(begun, read):
                desk.move((parcel, outcome), None, None)
            await asyncio.sleep(0 if parcels else min(desk.pause(), 0.25))

    def _prepare(self) -> None:
        try:
            for name in _FOLDERS:
                (self.folder / name).mkdir(parents=True, exist_ok=True)
            if not os.access(self.folder / "new", os.W_OK):
                raise PermissionError(13, "not writable")
        except OSError as error:
            raise TransportError(f"{self.folder}: {error.strerror}") from None

    def _take(self, desk: Desk) -> list[Parcel]:
        parcels: list[Parcel] = []
        while len(parcels) < self.together and (parcel := desk.take()):
            parcels.append(parcel)
        return parcels

    def _write_all(self, parcels: list[Parcel], read: set[str]) -> list[tuple[Parcel, Outcome]]:
        ended = [(parcel, self._write(parcel.message, read)) for parcel in parcels]
        if parcels:
            _sync(self.folder / "new")
        return ended

    def _write(self, message: Message, read: set[str]) -> Outcome:
        """A full disk is no fault of the message: another time."""
        name = file_name(message)
        if name in read:
            return Outcome("sent", "already read", "body")
        try:
            with open(self.folder / "tmp" / name, "wb") as file:
                file.write(file_bytes(message))
                file.flush()
                os.fsync(file.fileno())
            (self.folder / "tmp" / name).replace(self.folder / "new" / name)
        except OSError as error:
            return Outcome("retry", error.strerror or "cannot be written")
        return Outcome("sent", f"new/{name}", "body")


async def _begin(desk: Desk, parcels: list[Parcel]) -> list[bool]:
    loop = asyncio.get_running_loop()
    noted: list[asyncio.Future[bool]] = [loop.create_future() for _parcel in parcels]
    for parcel, future in zip(parcels, noted, strict=True):
        desk.move(None, parcel, future.set_result)
    return [await future for future in noted]


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
