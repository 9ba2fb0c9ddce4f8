"""Bounces: where reports come from (`sources`), what a message says (`parser`), what follows from it (`booking`).

This module is the interface for packages that bring a source of their own: a mailbox to be polled, or a webhook of a mail
provider. Which subscriber a report is about is decided by signed tokens alone, never by an address in it; a report without a
valid token changes nothing, and the same report changes nothing a second time.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from ...errors import FeedsError

#: `noted`: refused for a reason that is not the address's fault (policy, authentication, size). `none`: no bounce at all, such
#: as a vacation reply. `unknown`: an operator has to look at it.
Kind = Literal["hard", "soft", "noted", "complaint", "none", "unknown"]
#: Entry points of this group are factories of sources.
GROUP = "feeds.bounces"


class MailboxError(FeedsError):
    """The mailbox cannot be opened or read; its text holds no password."""


class WebhookError(FeedsError):
    """A webhook's request is refused with this HTTP `status`: 400 for a body it cannot read, 403 for a wrong signature."""

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, slots=True)
class BounceReport:
    """One event: a delivery that failed or was delayed, a complaint, an automatic reply.

    `id` is the same for the same event, however often it is reported; begin it with the source's name. `status`: an enhanced
    code (RFC 3463) or "". `tokens` may be bounce tokens, the likeliest first; a delivery's token is the plus part of its
    envelope sender, and its ENVID. `unsubscribe_tokens` and `link_tokens` may be tokens to unsubscribe: of a message to the
    address that unsubscribes, and of the List-Unsubscribe field of a message that was complained about. `recipients` are the
    addresses that the report came to. `name` is what the source itself calls the message, for `settle` and for the operator.
    """

    id: str
    kind: Kind
    status: str = ""
    diagnostic: str = ""
    tokens: tuple[str, ...] = ()
    unsubscribe_tokens: tuple[str, ...] = ()
    link_tokens: tuple[str, ...] = ()
    recipients: frozenset[str] = frozenset()
    name: str = ""


class BounceSource(Protocol):
    """Interface between booking and a place that reports come from. Inherit from it, and override one half.

    A mailbox overrides `poll`, and `settle` to let go of what is booked; it is polled every minute, by one process at a time. A
    webhook overrides `receive`; it is called, in any worker process, with what is posted to `/bounces/<name>`.

    A package registers a factory, called with (`Config`, `Environment`), which returns None where nothing is configured:

        [project.entry-points."feeds.bounces"]
        acme = "feeds_acme:AcmeBounces.configured"

    >>> import json
    >>> class AcmeBounces(BounceSource):
    ...     name = "acme"
    ...
    ...     @classmethod
    ...     def configured(cls, config, environment):
    ...         return cls()
    ...
    ...     def receive(self, headers, body):
    ...         if headers.get("x-acme-key") != "a secret":
    ...             raise WebhookError("wrong key", 403)
    ...         for event in json.loads(body):
    ...             kind = "hard" if event["permanent"] else "soft"
    ...             yield BounceReport(f"acme:{event['id']}", kind, event["code"], tokens=(event["envid"],))
    >>> body = b'[{"id": 7, "permanent": true, "code": "5.1.1", "envid": "4.12.0123456789abcdef0123"}]'
    >>> [report] = AcmeBounces().receive({"x-acme-key": "a secret"}, body)
    >>> report.id, report.kind
    ('acme:7', 'hard')
    """

    #: For the operator: which mailbox, which account. Without passwords.
    name: str

    def poll(self) -> Generator[Sequence[BounceReport]]:
        """Yield what has come, in batches, each report once. Closed when the service stops. Raises MailboxError."""
        yield from ()

    def settle(self, booked: Sequence[BounceReport], kept: Sequence[BounceReport]) -> None:
        """Remove what is `booked` and flag what is `kept` for the operator's eye. Called after each batch is committed."""

    def receive(self, headers: Mapping[str, str], body: bytes) -> Iterable[BounceReport]:
        """Return the events of one request, whose headers have names in lower case. Raises WebhookError."""
        raise WebhookError("this source has no webhook", 404)
