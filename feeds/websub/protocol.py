"""What the hub says to callbacks, and what follows from their answers. Pure; times are UTC seconds."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from urllib.parse import urlencode

from ..config.models import WebSub

#: A challenge is all that an answer to verification may hold.
MAX_ANSWER = 1024
#: How often a callback that does not answer at all is asked to confirm, and how long after the time before.
VERIFICATIONS = 3
VERIFY_AGAIN = (10, 60)
#: Seconds from the first failure of a callback to the next try, and at most between two.
FIRST_RETRY = 30
LAST_RETRY = 6 * 3600


@dataclass(frozen=True, slots=True)
class Payload:
    """A topic's document as it is delivered."""

    digest: str
    content_type: str
    links: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """Of a callback. `status` is 0 where there was none; then `problem` says why."""

    status: int
    body: bytes = b""
    problem: str = ""

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def words(self) -> str:
        return self.problem or f"answered {self.status}"


@dataclass(frozen=True, slots=True)
class Record:
    """Of a callback: `attempts` at the delivery that is owed, `failures` in a row and since when."""

    attempts: int = 0
    failures: int = 0
    failing_since: int | None = None


@dataclass(frozen=True, slots=True)
class Again:
    """Failed; to be tried again at `due`, or not before the feed changes (None)."""

    due: int | None


@dataclass(frozen=True, slots=True)
class End:
    """The subscription is over. `denied`: the subscriber is told."""

    reason: str
    denied: bool = False


def with_query(callback: str, **parameters: object) -> str:
    """The callback with `hub.*` parameters behind its own (section 5.1.1)."""
    added = urlencode({f"hub.{name}": value for name, value in parameters.items()})
    joint = "?" if "?" not in callback else "" if callback.endswith(("?", "&")) else "&"
    return callback + joint + added


def is_confirmed(answer: Answer, challenge: str) -> bool:
    """Section 5.3.1: 2xx and the challenge, nothing else."""
    return answer.ok and hmac.compare_digest(answer.body, challenge.encode())


def verify_again(answer: Answer, attempts: int, now: int) -> int | None:
    """When to ask once more: an answer is final, silence is not. `attempts` are those before this one."""
    if answer.status or attempts + 1 >= VERIFICATIONS:
        return None
    return now + VERIFY_AGAIN[attempts]


def signature(secret: str, body: bytes) -> str:
    """X-Hub-Signature (section 7.1)."""
    return f"sha256={hmac.new(secret.encode(), body, 'sha256').hexdigest()}"


def back_off(failures: int, key: int) -> int:
    """Seconds until the next try after so many failures in a row; subscriptions of one host do not all come back at once."""
    delay: int = min(FIRST_RETRY * 4 ** min(failures - 1, 10), LAST_RETRY)
    return delay + key * 7919 % (delay // 5 + 1)


def after_failure(answer: Answer, record: Record, *, key: int, now: int, settings: WebSub) -> Again | End:
    """What a delivery that failed leads to. `record` is what there was before it."""
    if answer.status == 410:
        return End("the subscriber answered 410")
    lasted = now - (now if record.failing_since is None else record.failing_since)
    if record.failures + 1 >= settings.drop_after_failures and lasted >= settings.drop_after_hours * 3600:
        return End(f"{record.failures + 1} failures in a row, the last: {answer.words}", denied=True)
    if record.attempts + 1 >= settings.max_attempts:
        return Again(None)
    return Again(now + back_off(record.failures + 1, key))
