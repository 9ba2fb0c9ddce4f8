"""Messages as files of a Maildir: what a newcomer looks at instead of a mailbox.

A file's name is made of the Message-ID, so a message that is sent again replaces itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from ...config.environment import Environment
from ...config.models import Config
from ...errors import TransportError
from ...model import Message, Outcome
from .base import PerMessageTransport

_UNSAFE = re.compile(r"[^A-Za-z0-9@._+-]+")


def file_name(message: Message) -> str:
    """Return the Message-ID where it can be a file name (a colon begins a mail reader's flags), else a hash of it.

    >>> file_name(Message("a@example.org", "b@example.org", "<weekly-1.7@example.org>", b""))
    'weekly-1.7@example.org'
    """
    id = message.message_id.strip("<>")
    if _UNSAFE.search(id) or id.startswith(".") or not 0 < len(id) <= 200:
        return hashlib.sha256(id.encode()).hexdigest()
    return id


@dataclass(slots=True)
class Maildir(PerMessageTransport):
    """Transport that writes each message as a file of `folder`, as at most `concurrency` rows are recorded as being sent."""

    folder: Path
    concurrency: int = 10
    #: Names of messages that a mail reader has moved to cur/, as the last check found them.
    _read: set[str] = field(default_factory=set, init=False, repr=False)
    #: The next sync of the folder, shared by all messages that are renamed before it begins.
    _syncing: asyncio.Task[None] | None = field(default=None, init=False, repr=False)

    @classmethod
    def configured(cls, config: Config, environment: Environment) -> Maildir:
        """Return the transport of newsletter.yaml's `maildir`."""
        return cls(environment.root / config.newsletter.maildir, config.newsletter.connections)

    async def check(self) -> str:
        """Make the folders where they are missing. Raises TransportError if that fails or nothing can be written there."""
        try:
            for name in ("tmp", "new", "cur"):
                (self.folder / name).mkdir(parents=True, exist_ok=True)
            if not os.access(self.folder / "new", os.W_OK):
                raise PermissionError(13, "not writable")
            self._read = {name.partition(":")[0] for name in os.listdir(self.folder / "cur")}
        except OSError as error:
            raise TransportError(f"{self.folder}: {error.strerror}") from None
        return f"{self.folder}: messages become files in it"

    async def send(self, message: Message) -> Outcome:
        """Write the envelope as two header lines, then the message with the line ends of this system, as in every Maildir.

        It is on disk when this returns. A full disk is not the message's fault: it is retried.
        """
        name = file_name(message)
        if name in self._read:
            return Outcome("sent", "already read", "body")
        head = f"Return-Path: <{message.sender}>\r\nDelivered-To: {message.recipient}\r\n"
        try:
            with open(self.folder / "tmp" / name, "wb") as file:
                file.write((head.encode() + message.data).replace(b"\r\n", b"\n"))
                file.flush()
                os.fsync(file.fileno())
            (self.folder / "tmp" / name).replace(self.folder / "new" / name)
            self._syncing = self._syncing or asyncio.create_task(self._sync_folder())
            await asyncio.shield(self._syncing)
        except OSError as error:
            return Outcome("retry", error.strerror or "cannot be written")
        return Outcome("sent", f"new/{name}", "body")

    async def _sync_folder(self) -> None:
        self._syncing = None
        descriptor = os.open(self.folder / "new", os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
