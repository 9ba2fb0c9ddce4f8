"""Actions of the operator: each changes something, or looks up a person, and is noted in the audit log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from .. import audit_log, rescan
from ..config.models import Config
from ..newsletter import NewsletterContext, digests
from ..newsletter.issues.preview import PreviewRequest
from ..newsletter.subscribers import importer
from ..newsletter.subscribers.email_address import mask_address, parse_address
from ..runtime import Runtime
from ..syndication import editions
from . import custom_feeds
from .custom_feeds import Draft, FeedForm, FeedsFile

#: Test messages an hour.
TESTS = 10


@dataclass(frozen=True, slots=True)
class Operator:
    """Who acts, and when: the operator's address `ip`, of which the log keeps only the network, and `now` in UTC seconds."""

    runtime: Runtime
    ip: str
    now: int

    def note(self, event: str, details: str) -> None:
        """Write an entry of the audit log."""
        self.runtime.write(audit_log.note, self.now, event, details, self.ip)

    @property
    def feeds_file(self) -> FeedsFile:
        """The site's feeds.yaml."""
        return FeedsFile(self.runtime.engine, self.runtime.environment)


def find_subscriber(operator: Operator, config: Config, address: str) -> dict[str, Any] | None:
    """Return what is stored about the subscriber of an address. Raises EmailAddressError."""
    found = importer.find_subscriber(NewsletterContext.of(operator.runtime, config), address)
    operator.note("look-up", mask_address(address.strip()))
    return found


def accept_removals(operator: Operator, mark: str) -> bool:
    """Let the articles that `mark` names go with the next rescan; False where others are held by now."""

    def accept(connection: sa.Connection) -> bool:
        stored = editions.load_state(connection)
        accepted = rescan.accept_hold(stored, mark)
        if accepted:
            editions.save_state(connection, accepted)
            held = rescan.RemovalHold.from_state(stored)
            audit_log.note(connection, operator.now, "removals", str(held.articles if held else 0), operator.ip)
        return bool(accepted)

    return operator.runtime.write(accept)


def change_issue(operator: Operator, config: Config, action: str, id: str) -> None:
    """Pause, resume, cancel, retry or retry-failed an issue of the newsletter. Raises AddressError."""
    context = NewsletterContext.of(operator.runtime, config)
    if action in ("retry", "retry-failed"):
        digests.retry(context, id, failed=action == "retry-failed", now=operator.now)
    else:
        digests.change_status(context, id, action, operator.now)
    operator.note(action, id)


def send_test_message(operator: Operator, config: Config, address: str, frequency: str, language: str) -> bool:
    """Send the newest digest to `address` only; False after TESTS messages within the hour. Raises FeedsError."""
    parse_address(address)  # other text goes into no log

    def count(connection: sa.Connection) -> bool:
        if audit_log.count(connection, "test", operator.now - 3600) >= TESTS:
            return False
        audit_log.note(connection, operator.now, "test", mask_address(address.strip()), operator.ip)
        return True

    if not operator.runtime.write(count):
        return False
    wanted = PreviewRequest(frequency, config.site.timezone, language=language)
    digests.send_test(NewsletterContext.of(operator.runtime, config), address, wanted, operator.now)
    return True


def save_feed(operator: Operator, mark: str, form: FeedForm, draft: Draft) -> Config:
    """Write a feed into feeds.yaml, as `FeedsFile.save` does, and return the configuration of the next rescan."""
    made = operator.feeds_file.save(
        mark, lambda config, text: custom_feeds.with_feed(config, text, form, draft.selection), operator.now
    )
    operator.note("feed-changed" if form.former else "feed-added", form.name)
    return made


def remove_feed(operator: Operator, mark: str, name: str, *, gone: bool) -> None:
    """Take a feed out of feeds.yaml; `gone` retires its address. Raises EditError, ConfigError."""
    operator.feeds_file.save(mark, lambda config, text: custom_feeds.without_feed(config, text, name, gone=gone), operator.now)
    operator.note("feed-removed", name)


def undo_last_change(operator: Operator, mark: str) -> None:
    """Restore feeds.yaml as it was before the last change. Raises EditError."""
    operator.feeds_file.undo(mark)
    operator.note("undo", custom_feeds.FILE)
