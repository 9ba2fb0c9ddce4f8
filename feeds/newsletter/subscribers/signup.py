"""Sign up with double opt-in: a form, a message that asks for confirmation, a subscriber once the link in it is used.

The answer to a sign-up never tells whether an address is known. `find_confirmation` only reads; `confirm` acts.

Against subscription bombing, one mailbox, one network and all of them together may cause only so many confirmations; where all
together have, each network still has its share. They are counted in the table `requests`, so the limits hold for all processes
together, and a form's stamp is good for one sign-up. The table keeps salted hashes of networks, tokens and addresses; the
address itself only until its request is confirmed, refused or expired. A used link says whom it made.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
import structlog

from ... import selections as grammar
from ...config.models import SignupLimits
from ...database.tables import requests, subscribers, subscriptions, suppressions
from ...fair_share import is_within_share
from ...tokens import Purpose, Tokens
from .. import NewsletterContext
from ..messages.transactional import ConfirmationLinks, enqueue
from . import departures
from .email_address import EmailAddress, counted_mailbox, parse_address
from .preferences import WishError, make_receipt, own_links, spell_select, validate_settings, validate_wish
from .records import Settings, Subscriber, Wish, add_wishes, find_by_key, find_by_mailbox
from .suppression import suppression_reason

log: Any = structlog.get_logger("feeds.consent")
#: Of one form: more is no reader's wish.
MAX_FORM_WISHES = 60
PROOF_BITS = 18
#: Suppressions that fresh consent lifts. What people complained of and what the operator decided stays.
LIFTED = ("unsubscribed", "bounced")
DAY = 86400
#: What `requests.wanted` says of a sign-up that the owner of the address did not make: it blocks the next ones.
REFUSED = "refused"
REFUSED_DAYS = 30
#: How long a request is remembered after its link has expired.
PURGE_DAYS = 7
_LOCK = 0x6665656473  # a number of our own among PostgreSQL's advisory locks


@dataclass(frozen=True, slots=True)
class RequestedSubscription:
    """What somebody signed up for. `address` as typed; `source` says where."""

    address: str
    wishes: tuple[Wish, ...]
    settings: Settings
    source: str

    @classmethod
    def from_json(cls, text: str) -> RequestedSubscription:
        """Parse the text of `requests.wanted`, which `new_request` writes."""
        found = json.loads(text)
        return cls(found["address"], tuple(Wish(*one) for one in found["wishes"]), Settings(*found["chosen"]), found["source"])


@dataclass(frozen=True, slots=True)
class ConfirmationRequest:
    """`state`: open | used | expired | refused. `requested` of an open one; `subscriber`, `version`, `used` of a used one."""

    token_hash: str
    mailbox_hash: str
    state: str
    requested: RequestedSubscription | None = None
    subscriber: int = 0
    version: int = 0
    used: int = 0


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
    if held := request_confirmation(context, address, requested, now, ip=form.ip, stamp=form.stamp):
        log.info("signup_held", limit=held)


def make_stamp(tokens: Tokens, ip: str, now: int) -> str:
    """Return what a form carries: when it was shown, signed for the visitor's network, and different for each form."""
    nonce = secrets.token_hex(8)
    return f"{nonce}.{tokens.timestamp(f'signup:{nonce}:{network_prefix(ip)}', now)}"


def stamp_age(tokens: Tokens, stamp: str, ip: str, now: int) -> int | None:
    """Return how many seconds ago a stamp was made for this network; None for any other text."""
    nonce, _dot, timestamp = stamp.partition(".")
    return tokens.timestamp_age(f"signup:{nonce}:{network_prefix(ip)}", timestamp, now)


def request_confirmation(
    context: NewsletterContext,
    address: EmailAddress,
    requested: RequestedSubscription,
    now: int,
    *,
    ip: str = "",
    stamp: str = "",
) -> str:
    """Mail a confirmation link. Return why nothing was sent (a limit, "suppressed"), or "". Without `ip` no limit holds.

    The same `stamp` again sends nothing ("repeated"), and raises WishError where it was used for another address.
    """
    hashes = hash_client(context, address, ip)
    hashed = hashes["mailbox_hash"]
    # The request is named after the stamp, under the secret: so a stamp can have one request, and nobody can guess its name.
    name = context.tokens.salted(f"request:{stamp}") if stamp else ""
    links, row = new_request(context, requested, hashes, now, name)
    message = context.composer.confirmation(address, links, requested.settings.language, now)
    with context.writing() as connection:
        serialise(connection)
        purge_requests(connection, now)
        used = connection.execute(sa.select(requests.c.mailbox_hash).where(requests.c.token_hash == row["token_hash"])).scalar()
        if used == hashed:
            return "repeated"
        if used is not None:
            raise WishError("form", "this form was sent before, with another address")
        if suppression_reason(connection, hashed) not in ("", *LIFTED):
            return "suppressed"
        if ip and (held := exceeded_limit(connection, context.config.newsletter.signup, hashes, now)):
            return held
        connection.execute(sa.insert(requests).values(row))
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
    token = own_links(context, known, request.used).preferences if known.version == request.version else ""
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
        # The address goes from the row: what remains is which subscriber the link made.
        row = sa.update(requests).where(requests.c.token_hash == request.token_hash)
        connection.execute(row.values(used=now, wanted=json.dumps([entered.key, entered.version])))
        enqueue(connection, [make_receipt(context, connection, entered, now)], now)
        return Confirmation("done", entered.language, token=own_links(context, entered, now).preferences)


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
    lift_suppression(connection, address.mailbox, mailbox_hash, now)
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


def lift_suppression(connection: sa.Connection, mailbox: str, mailbox_hash: str, now: int) -> None:
    """Take an address off the suppression list: its owner wants mail again. Call it for a reason in LIFTED only."""
    connection.execute(sa.delete(suppressions).where(suppressions.c.mailbox_hash == mailbox_hash))
    departures.record_return(connection, mailbox, mailbox_hash, now)


def subscriber_row(address: EmailAddress, requested: RequestedSubscription, confirmed: int) -> dict[str, Any]:
    """Return the columns of an active subscriber that consent sets."""
    row = {"address": address.address, "mailbox": address.mailbox, "timezone": requested.settings.timezone}
    row |= {"language": requested.settings.language, "source": requested.source, "status": "active", "reason": ""}
    return row | {"confirmed": confirmed, "ended": None, "bounce_score": 0}


# -- rate limits -----------------------------------------------------------


def network_prefix(ip: str) -> str:
    """Return the /24 of an IPv4 address, the /48 of an IPv6 address; "" for any other text.

    >>> network_prefix("192.0.2.7"), network_prefix("2001:db8:1:2::3"), network_prefix("unknown")
    ('192.0.2.0/24', '2001:db8:1::/48', '')
    """
    try:
        address = ipaddress.ip_address(ip.strip().partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return str(ipaddress.ip_network((address, 24 if address.version == 4 else 48), strict=False))


def hash_client(context: NewsletterContext, address: EmailAddress, ip: str) -> dict[str, str]:
    """Return the columns of `requests` that the limits count, all salted hashes; `network` is "" where it is not known."""
    prefix, hashed = network_prefix(ip), context.tokens.salted
    own = {"mailbox_hash": hashed(address.mailbox), "counted": hashed(counted_mailbox(address.mailbox))}
    return own | {"network": hashed(f"network:{prefix}") if prefix else ""}


def serialise(connection: sa.Connection) -> None:
    """Let no other transaction count until this one ends. SQLite has one writer at a time anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))


def exceeded_limit(connection: sa.Connection, settings: SignupLimits, row: Mapping[str, str], now: int) -> str:
    """Return the name of the limit that one more sign-up would break, or "". Call `serialise` before, insert the row after.

    `row` has what `hash_client` returns. Where the network is not known, only the other limits hold.
    """
    c, network = requests.c, row["network"]

    def count(*where: sa.ColumnElement[bool]) -> int:
        return int(connection.execute(sa.select(sa.func.count()).select_from(requests).where(*where)).scalar() or 0)

    mine = sa.or_(c.mailbox_hash == row["mailbox_hash"], c.counted == row["counted"])
    if count(mine, c.wanted == REFUSED, c.expires > now):
        return "refused"
    if count(mine, c.created > now - DAY) >= settings.per_address_a_day:
        return "per_address_a_day"
    # Requests before the last confirmation of the address do not count.
    confirmed = int(connection.execute(sa.select(sa.func.max(c.used)).where(mine)).scalar() or -1)
    if count(mine, c.used.is_(None), c.created > confirmed) >= settings.per_address:
        return "per_address"
    if network and count(c.network == network, c.created > now - 3600) >= settings.per_network_an_hour:
        return "per_network_an_hour"
    # What an operator imports has no network, and leaves readers their room.
    lately = sa.select(c.network, sa.func.count()).where(c.network != "", c.created > now - 60).group_by(c.network)
    used = {key: int(number) for key, number in connection.execute(lately)}
    return "" if is_within_share(used, network, settings.per_minute) else "per_minute"


def purge_requests(connection: sa.Connection, now: int) -> None:
    """Forget an address that did not confirm with its link; the hashes, which the limits count, PURGE_DAYS later."""
    c = requests.c
    unused = sa.and_(c.used.is_(None), c.expires <= now, c.wanted.not_in(("", REFUSED)))
    connection.execute(sa.update(requests).where(unused).values(wanted=""))
    before = now - PURGE_DAYS * DAY
    connection.execute(sa.delete(requests).where(c.created < before, c.expires < before))


# -- requests that wait for their confirmation -----------------------------


def new_request(
    context: NewsletterContext, requested: RequestedSubscription, hashes: Mapping[str, str], now: int, name: str = ""
) -> tuple[ConfirmationLinks, dict[str, Any]]:
    """Return the tokens for the mail, and the row to insert. The links work for `newsletter.confirm_hours`."""
    name = name or secrets.token_hex(16)
    row: dict[str, Any] = {"token_hash": context.tokens.salted(name), **hashes}
    row |= {"used": None, "created": now, "expires": now + context.config.newsletter.confirm_hours * 3600}
    settings, wishes = requested.settings, [[one.frequency, one.select] for one in requested.wishes]
    chosen = [settings.day, settings.timezone, settings.language]
    wanted = {"address": requested.address, "wishes": wishes, "chosen": chosen, "source": requested.source}
    row["wanted"] = json.dumps(wanted, ensure_ascii=False)
    tokens = context.tokens
    return ConfirmationLinks(tokens.request("confirm", name), tokens.request("refuse", name)), row


def find_refusal(context: NewsletterContext, connection: sa.Connection, token: str, now: int) -> ConfirmationRequest | None:
    """Return the request of a token that says "that was not me": mails of versions before have the other token for it."""
    found = find_request(context, connection, token, now, "refuse")
    return found or find_request(context, connection, token, now)


def find_request(
    context: NewsletterContext, connection: sa.Connection, token: str, now: int, purpose: Purpose = "confirm"
) -> ConfirmationRequest | None:
    """Return the request of a token; None for one that was not signed here for this, or is too old to be remembered."""
    # The row says whether the link still works; the signature's own time only bounds how long it is looked up.
    longest = context.config.newsletter.confirm_hours * 3600 + (REFUSED_DAYS + PURGE_DAYS) * DAY
    name = context.tokens.read_request(purpose, token, longest)
    query = sa.select(requests).where(requests.c.token_hash == context.tokens.salted(name or ""))
    row = connection.execute(query).first() if name is not None else None
    if row is None:
        return None
    hashes = (row.token_hash, row.mailbox_hash)
    if row.used is not None:
        subscriber, version = json.loads(row.wanted or "[0, 0]")
        return ConfirmationRequest(*hashes, "used", subscriber=subscriber, version=version, used=row.used)
    if row.wanted == REFUSED:
        return ConfirmationRequest(*hashes, "refused")
    if not row.wanted or row.expires <= now:
        return ConfirmationRequest(*hashes, "expired")
    return ConfirmationRequest(*hashes, "open", RequestedSubscription.from_json(row.wanted))


def pending_wishes(connection: sa.Connection, mailbox_hashes: Sequence[str], now: int) -> dict[str, set[Wish]]:
    """Return what these addresses have already been asked to confirm, by hash."""
    c = requests.c
    query = sa.select(c.mailbox_hash, c.wanted).where(
        c.mailbox_hash.in_(mailbox_hashes), c.used.is_(None), c.expires > now, c.wanted.not_in(("", REFUSED))
    )
    found: dict[str, set[Wish]] = {}
    for mailbox_hash, wanted in connection.execute(query):
        found.setdefault(mailbox_hash, set()).update(RequestedSubscription.from_json(wanted).wishes)
    return found
