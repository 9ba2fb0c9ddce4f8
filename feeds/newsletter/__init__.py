"""Digests by e-mail: subscribers, issues, messages, delivery, bounces. Reads articles through `catalog.queries` only.

| package | what |
|---|---|
| `subscribers` | sign-up, confirmation, preferences, unsubscribing, import |
| `issues` | what is due; an issue and its deliveries, written in one transaction |
| `messages` | templates, encoded fragments, headers, MIME, DKIM; confirmations and receipts |
| `delivery` | send queue, retries, outbox of single messages |
| `transports` | SMTP, Maildir, and how one is chosen |
| `bounces` | bounce sources, the parser of reports, booking |

`digests` holds the use cases of operator and clock.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Self

import sqlalchemy as sa

from .. import database

if TYPE_CHECKING:
    from ..config.environment import Environment
    from ..config.models import Config
    from ..runtime import Runtime
    from ..tokens import Tokens
    from .messages.transactional import TransactionalComposer


@dataclass(frozen=True)
class NewsletterContext:
    """Hold what the newsletter's use cases need, for one configuration. Cheap to make; `now` is UTC seconds everywhere."""

    engine: sa.Engine
    environment: Environment
    config: Config
    tokens: Tokens

    @classmethod
    def of(cls, runtime: Runtime, config: Config) -> Self:
        """Return the context of this process, with tokens of its secret."""
        return cls(runtime.engine, runtime.environment, config, runtime.tokens())

    def reading(self) -> contextlib.AbstractContextManager[sa.Connection]:
        """Open a snapshot."""
        return database.reading(self.engine)

    def writing(self) -> contextlib.AbstractContextManager[sa.Connection]:
        """Open a transaction that survives a power cut: consent cannot be made again."""
        return database.writing(self.engine, durable=True)

    @cached_property
    def composer(self) -> TransactionalComposer:
        """Return the composer of confirmations and receipts; the operator's templates come first."""
        from .messages.templates import template_folders  # templates and MIME are loaded where mail is made
        from .messages.transactional import TransactionalComposer

        return TransactionalComposer(self.config, template_folders(self.environment.root))
