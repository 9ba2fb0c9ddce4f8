"""Sign up with double opt-in: a form, a message that asks for confirmation, a subscriber once the link in it is used.

The answer to a sign-up never tells whether an address is known. `find_confirmation` only reads; `confirm` acts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
import structlog

from ... import selections as grammar
from ...database.tables import subscribers, subscriptions, suppressions
from .. import NewsletterContext
from ..messages.transactional import enqueue
from .email_address import EmailAddress, parse_address
from .preferences import WishError, make_receipt, spell_select, validate_settings, validate_wish
from .records import Subscriber, Wish, add_wishes, find_by_key, find_by_mailbox
from .signup_requests import (
    ConfirmationRequest,
    RequestedSubscription,
    exceeded_limit,
    find_request,
    insert_requests,
    mark_used,
    network_prefix,
    new_request,
    purge_requests,
    serialise,
)
from .unsubscribe import LIFTED, suppression_reason

log: Any = structlog.get_logger("feeds.consent")
#: Of one form: more is no reader's wish.
MAX_FORM_WISHES = 60
PROOF_BITS = 18


@dataclass(frozen=True, slots=True)
class SignupForm:
    """What a form holds, as it was sent. `selects`: texts of selections, none for all articles; `day` None for the usual one.

    `ip` is kept as a salted hash of its network only; "" where no network is counted. `stamp` and `proof` are the form's
    signed time and the answer to it, where newsletter.signup asks for work.
    """

    address: str
    selects: Sequence[str]
    frequency: str
    day: int | None = None
    timezone: str = ""
    language: str = ""
    ip: str = ""
    stamp: str = ""
    proof: str = ""


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What a confirmation link is about. `state`: open | done. `token`: of the subscriber's own links, once it is done."""

    state: str
    language: str
    wishes: tuple[Wish, ...] = ()
    day: int = 0
    timezone: str = ""
    token: str = ""


# -- signing up ------------------------------------------------------------


def form_timestamp(context: NewsletterContext, now: int) -> str:
    """Return a signed time for a sign-up form."""
    return context.tokens.timestamp("signup", now)


def form_age(context: NewsletterContext, stamp: str, now: int) -> int | None:
    """Return how many seconds ago the form was shown; None for a stamp that is not ours."""
    return context.tokens.timestamp_age("signup", stamp, now)


def sign_up(context: NewsletterContext, form: SignupForm, now: int) -> None:
    """Ask for confirmation by mail. Silent about whether the address is known, suppressed or over a limit.

    Raises EmailAddressError and WishError, whose texts repeat only what was typed.
    """
    config = context.config
    address = parse_address(form.address)
    if len(form.selects) > MAX_FORM_WISHES or sum(map(len, form.selects)) > 4 * grammar.MAX_LENGTH:
        raise WishError("select", f"at most {MAX_FORM_WISHES} selections at a time")
    settings = validate_settings(config, form.day, form.timezone, form.language)
    wishes = [validate_wish(config, form.frequency, spell_select(context, text)) for text in form.selects or [""]]
    if config.newsletter.signup.proof_of_work and not is_proof_of_work(form.stamp, form.address.strip(), form.proof):
        raise WishError("proof", "the proof of work is missing")
    requested = RequestedSubscription(address.address, tuple(dict.fromkeys(wishes)), settings, "web")
    if held := request_confirmation(context, address, requested, form.ip, now):
        log.info("signup_held", limit=held)


def request_confirmation(
    context: NewsletterContext, address: EmailAddress, requested: RequestedSubscription, ip: str, now: int
) -> str:
    """Mail a confirmation link. Return why nothing was sent (a limit, "suppressed"), or "". Without `ip` no limit holds."""
    hashed, prefix = context.tokens.salted(address.mailbox), network_prefix(ip)
    network = context.tokens.salted(f"network:{prefix}") if prefix else ""
    token, row = new_request(context, requested, hashed, network, now)
    message = context.composer.confirmation(address, token, requested.settings.language, now)
    with context.writing() as connection:
        serialise(connection)
        purge_requests(connection, now)
        if suppression_reason(connection, hashed) not in ("", *LIFTED):
            return "suppressed"
        if ip and (held := exceeded_limit(connection, context.config.newsletter.signup, hashed, network, now)):
            return held
        insert_requests(connection, [row])
        enqueue(connection, [message], now)
    return ""


def is_proof_of_work(stamp: str, address: str, answer: str) -> bool:
    """Return whether `answer` makes a hash that begins with PROOF_BITS zero bits: about a quarter of a million tries.

    The address is part of it, so that one proof is good for one address.
    """
    if not answer.isascii() or not answer.isdecimal() or len(answer) > 12:
        return False
    digest = hashlib.sha256(f"{stamp}:{address}:{answer}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> (32 - PROOF_BITS) == 0


# -- confirming ------------------------------------------------------------


def find_confirmation(context: NewsletterContext, token: str, now: int) -> Confirmation | None:
    """Return what a link asks to confirm, or that it is done. None for a link that does not work (any more)."""
    with context.reading() as connection:
        request = find_request(context, connection, token, now)
        return _describe(context, connection, request) if request else None


def _describe(context: NewsletterContext, connection: sa.Connection, request: ConfirmationRequest) -> Confirmation | None:
    if request.state == "open" and (requested := request.requested):
        settings = requested.settings
        return Confirmation("open", settings.language, requested.wishes, settings.day, settings.timezone)
    known = find_by_key(connection, request.subscriber) if request.state == "used" else None
    if known is None or known.status != "active":
        return None
    # Links that were revoked since are not given away again.
    token = context.tokens.preferences(known.key, known.version) if known.version == request.version else ""
    return Confirmation("done", known.language, token=token)


def confirm(context: NewsletterContext, token: str, now: int) -> Confirmation | None:
    """Enter the subscriber of a confirmation link, and mail a receipt. Idempotent. None where there is nothing to confirm."""
    with context.writing() as connection:
        serialise(connection)  # a double click is two requests at once
        request = find_request(context, connection, token, now)
        if request is None or request.state != "open" or request.requested is None:
            return _describe(context, connection, request) if request else None
        entered = enter_subscriber(context, connection, request.requested, now, now)
        if entered is None:
            return None
        mark_used(connection, request, entered, now)
        enqueue(connection, [make_receipt(context, connection, entered, now)], now)
        return Confirmation("done", entered.language, token=context.tokens.preferences(entered.key, entered.version))


def enter_subscriber(
    context: NewsletterContext, connection: sa.Connection, requested: RequestedSubscription, confirmed: int, now: int
) -> Subscriber | None:
    """Record consent given at `confirmed`: of a new subscriber, or of a known one. None where the suppression list forbids it.

    What an active subscriber wants is added to what is there; one who had left or bounced starts again with just these wishes,
    and the suppression of "unsubscribed" and "bounced" is lifted. One of "complained" or "operator" is never lifted here.
    """
    address = parse_address(requested.address)
    mailbox_hash = context.tokens.salted(address.mailbox)
    if suppression_reason(connection, mailbox_hash) not in ("", *LIFTED):
        return None
    connection.execute(sa.delete(suppressions).where(suppressions.c.mailbox_hash == mailbox_hash))
    known = find_by_mailbox(connection, address.mailbox)
    row = subscriber_row(address, requested, confirmed)
    if known is None:
        row |= {"version": 1, "created": now, "bounced_at": 0}
        made = connection.execute(sa.insert(subscribers).values(row)).inserted_primary_key
        assert made is not None
        key = int(made[0])
    else:
        key = known.key
        if known.status != "active":
            connection.execute(sa.update(subscribers).where(subscribers.c.key == key).values(row))
            connection.execute(sa.delete(subscriptions).where(subscriptions.c.subscriber == key))
    # What was on offer then and is not now would never be due.
    wishes = [one for one in requested.wishes if one.frequency in context.config.newsletter.frequencies]
    add_wishes(connection, key, wishes, requested.settings, now)
    return find_by_key(connection, key)


def subscriber_row(address: EmailAddress, requested: RequestedSubscription, confirmed: int) -> dict[str, Any]:
    """Return the columns of an active subscriber that consent sets."""
    row = {"address": address.address, "mailbox": address.mailbox, "timezone": requested.settings.timezone}
    row |= {"language": requested.settings.language, "source": requested.source, "status": "active", "reason": ""}
    return row | {"confirmed": confirmed, "ended": None, "bounce_score": 0}
