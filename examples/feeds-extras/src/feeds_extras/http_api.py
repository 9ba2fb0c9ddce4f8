"""Send mail through an HTTP API: POST of JSON with the whole message, a bearer key, and answers by status.

`transport: extras` in newsletter.yaml; EXTRAS_MAIL_URL and EXTRAS_MAIL_KEY in the environment.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import urllib.error
import urllib.request

from feeds.config.environment import Environment
from feeds.config.models import Config
from feeds.errors import TransportError
from feeds.model import Message, Outcome
from feeds.newsletter.transports.base import PerMessageTransport, one_line

TIMEOUT_SECONDS = 30.0


class HttpApi(PerMessageTransport):
    """Send each message with one request; `concurrency` requests at the same time."""

    def __init__(self, url: str, key: str, concurrency: int = 10) -> None:
        self.url, self.key, self.concurrency = url, key, concurrency

    @classmethod
    def configured(cls, config: Config, environment: Environment) -> HttpApi:
        """Return the transport of the environment. Raises TransportError where a variable is missing."""
        try:
            return cls(os.environ["EXTRAS_MAIL_URL"], os.environ["EXTRAS_MAIL_KEY"], config.newsletter.connections)
        except KeyError as missing:
            raise TransportError(f"`transport: extras` needs {missing.args[0]} in the environment") from None

    async def check(self) -> str:
        """Ask the API without sending anything."""
        status, text = await asyncio.to_thread(self._request, "GET", None)
        if status != 200:
            raise TransportError(f"{self.url}: answered {status}: {text}")
        return f"{self.url}: ready"

    async def send(self, message: Message) -> Outcome:
        """Post one message. 422 refuses the recipient; 429 and 5xx are tried again later; 401 and 403 stop the run."""
        sent = {"from": message.sender, "to": message.recipient, "mime": base64.b64encode(message.data).decode()}
        status, text = await asyncio.to_thread(self._request, "POST", json.dumps(sent).encode())
        if status in (401, 403):
            raise TransportError(f"{self.url}: the key is refused ({status})")
        if status == 429 or status >= 500:
            return Outcome("retry", text, "data")
        if status == 422:
            return Outcome("failed", f"550 5.1.1 {text}", "recipient")  # in SMTP's words, which bounces are booked by
        return Outcome("sent" if status < 300 else "failed", text, "body")

    def _request(self, method: str, body: bytes | None) -> tuple[int, str]:
        """Return status and one line of the answer. Raises TransportError where there was no connection."""
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.url, body, headers, method=method)  # noqa: S310  # the operator names the address
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
                return answer.status, one_line(f"{answer.status} {answer.read(500).decode('utf-8', 'replace')}")
        except urllib.error.HTTPError as error:
            return error.code, one_line(f"{error.code} {error.read(500).decode('utf-8', 'replace')}")
        except urllib.error.URLError as error:
            if isinstance(error.reason, ConnectionRefusedError):
                raise TransportError(f"{self.url}: no connection") from None
            raise  # nobody knows whether the message was taken
