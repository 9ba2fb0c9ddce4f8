"""What a form asks the hub for (WebSub, section 5.1). Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from ...config import Lease, WebSub
from .callbacks import MAX_LENGTH, Callback, parse

MODES = ("subscribe", "unsubscribe", "publish")
MAX_SECRET = 199
MAX_PUBLISHED = 1000
_UNRESERVED = re.compile(r"%([0-9A-Fa-f]{2})")

Form = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request to subscribe or unsubscribe. `topic` as it was written; `lease` in seconds; `secret` "" for none."""

    mode: str
    topic: str
    callback: Callback
    lease: int
    secret: str


@dataclass(frozen=True, slots=True)
class Published:
    """Someone says that these topics have changed."""

    topics: Sequence[str]


def read(form: Form, settings: WebSub) -> Asked | Published | str:
    """What is asked for, or what is wrong. Parameters that are not known are ignored."""
    mode = _one(form, "hub.mode")
    if mode not in MODES:
        return f"hub.mode must be given once: one of {', '.join(MODES)}"
    if mode == "publish":
        return _published(form)
    topic, callback = _one(form, "hub.topic"), _one(form, "hub.callback")
    if not topic or len(topic) > MAX_LENGTH:
        return f"hub.topic must be given once, with at most {MAX_LENGTH} characters"
    if not callback:
        return "hub.callback must be given once"
    found = parse(callback, private=settings.allow_private_callbacks)
    if isinstance(found, str):
        return found
    if mode == "unsubscribe":  # a lease and a secret may be there and mean nothing
        return Asked(mode, topic, found, 0, "")
    return _subscription(form, topic, found, settings.lease_seconds)


def _subscription(form: Form, topic: str, callback: Callback, bounds: Lease) -> Asked | str:
    wanted = _one(form, "hub.lease_seconds")
    if wanted is None or (wanted and not re.fullmatch(r"0*[1-9][0-9]{0,17}", wanted)):
        return "hub.lease_seconds must be a positive decimal integer"
    secret = _one(form, "hub.secret")
    if secret is None or len(secret.encode()) > MAX_SECRET:
        return f"hub.secret must have at most {MAX_SECRET} bytes"
    if "\0" in secret or "\ufffd" in secret:
        return "hub.secret must be UTF-8 text"
    return Asked("subscribe", topic, callback, lease(int(wanted) if wanted else None, bounds), secret)


def _published(form: Form) -> Published | str:
    topics = [*form.get("hub.url", ()), *form.get("hub.topic", ())]
    if not topics or len(topics) > MAX_PUBLISHED or any(len(topic) > MAX_LENGTH for topic in topics):
        return f"hub.url must be given, at most {MAX_PUBLISHED} times"
    return Published(topics)


def _one(form: Form, name: str) -> str | None:
    """ "" where it is not given, None where it is given more than once."""
    values = form.get(name, ())
    return None if len(values) > 1 else values[0] if values else ""


def lease(wanted: int | None, bounds: Lease) -> int:
    """How long the subscription will hold, in seconds."""
    return bounds.default if wanted is None else min(max(wanted, bounds.min), bounds.max)


def normal(url: str) -> str:
    """Equal for addresses that differ only in needless encoding (RFC 3986, section 6.2.2; WebSub, section 5.1.1)."""
    scheme, separator, rest = quote(url, safe="%:/?#[]@!$&'()*+,;=-._~").partition("://")
    host, slash, path = rest.partition("/")
    return scheme.lower() + separator + host.lower() + slash + _UNRESERVED.sub(_decoded, path)


def _decoded(match: re.Match[str]) -> str:
    character = chr(int(match[1], 16))
    return character if re.fullmatch(r"[A-Za-z0-9._~-]", character) else match[0].upper()
