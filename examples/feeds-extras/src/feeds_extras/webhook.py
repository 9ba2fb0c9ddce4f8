"""Take bounces and complaints from a webhook at /bounces/extras: JSON, signed with HMAC-SHA-256 of EXTRAS_WEBHOOK_KEY.

    [{"id": "e1", "event": "bounced", "code": "5.1.1", "text": "no such user", "envelope_id": "..."}]

`envelope_id` is the ENVID that the message was sent with (RFC 3461), or the part behind `+` of its envelope sender.
"""

from __future__ import annotations

import hmac
import json
import os
from collections.abc import Iterable, Mapping

from feeds.config.environment import Environment
from feeds.config.models import Config
from feeds.newsletter.bounces import BounceReport, BounceSource, Kind, WebhookError

_KINDS: dict[str, Kind] = {"bounced": "hard", "delayed": "soft", "complained": "complaint"}


class SignedWebhook(BounceSource):
    """The source that events are posted to. Nothing of a request is believed before its signature is."""

    name = "extras"

    def __init__(self, key: bytes) -> None:
        self.key = key

    @classmethod
    def configured(cls, config: Config, environment: Environment) -> SignedWebhook | None:
        """Return the source, or None where no key is set."""
        key = os.environ.get("EXTRAS_WEBHOOK_KEY", "")
        return cls(key.encode()) if key else None

    def receive(self, headers: Mapping[str, str], body: bytes) -> Iterable[BounceReport]:
        """Return the events of one request. Raises WebhookError: 403 for a wrong signature, 400 for another body."""
        expected = hmac.digest(self.key, body, "sha256").hex()
        if not hmac.compare_digest(headers.get("x-extras-signature", "").encode(), expected.encode()):
            raise WebhookError("wrong signature", 403)
        try:
            return [self._report(event) for event in json.loads(body)]
        except (ValueError, KeyError, TypeError) as error:
            raise WebhookError(f"not a list of events: {type(error).__name__}") from None

    def _report(self, event: Mapping[str, str]) -> BounceReport:
        return BounceReport(
            id=f"extras:{event['id']}",
            kind=_KINDS.get(event["event"], "none"),
            status=event.get("code", ""),
            diagnostic=event.get("text", ""),
            tokens=(event["envelope_id"],),
        )
