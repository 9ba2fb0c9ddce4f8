"""Consent: signing up, confirming, changing, leaving, being forgotten. What web and commands call; all of it durable.

Nothing here acts for whoever only looks: `look_at_...`, `preferences`, `export_of` read, and everything that changes has a name
that says so. The answer to a sign-up never tells whether an address is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any, Self

import sqlalchemy as sa
import structlog

from ... import database, i18n, urls
from ... import selections as grammar
from ...catalog import queries
from ...config.environment import Environment
from ...config.models import FREQUENCIES, Config
from ...model import Selection, Term
from ...runtime import Runtime
from ...syndication import feeds, lookup
from ...tokens import Tokens
from ..issues import preview
from ..issues.preview import Coming
from ..messages.templates import template_folders
from ..messages.transactional import TransactionalComposer, describe_schedule, enqueue
from . import importer, records, requests, signup_limits, suppression
from .address import Mailbox, MailboxError
from .address import parse as parse_mailbox
from .importer import ImportFaults, ImportReport
from .records import LANGUAGES, Settings, Subscriber, Subscription, Wish, WishError
from .requests import Asked, Request

if TYPE_CHECKING:
    from ..messages.composer import MessagePreview

log: Any = structlog.get_logger("feeds.consent")
#: Of one form: more is no reader's wish.
MAX_FORM_WISHES = 60
TOP_TERMS = 24


@dataclass(frozen=True, slots=True)
class Signup:
    """What a form holds, as it was sent. `selects`: texts of selections, none for all articles; `day` None for the usual one.

    `ip` is kept as a salted hash of its network only; "" where nobody's network counts. `stamp` and `proof` are the form's
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


@dataclass(frozen=True, slots=True)
class Preferences:
    """All that a subscriber can see and change."""

    subscriber: Subscriber
    subscriptions: tuple[Subscription, ...]
    day: int

    @property
    def wishes(self) -> list[Wish]:
        return [Wish(one.frequency, select) for one in self.subscriptions for select in one.selects]


@dataclass(frozen=True, slots=True)
class Leaving:
    """Whose link to unsubscribe it is. `address` is masked: such links are forwarded. `state`: active | gone."""

    state: str
    language: str
    address: str = ""
    preferences: str = ""


@dataclass(frozen=True, slots=True)
class Offers:
    """What a form offers: named feeds as (selection, title), the most used terms of each facet."""

    named: tuple[tuple[str, str], ...]
    terms: Mapping[str, Sequence[Term]]


@dataclass(frozen=True)
class Consent:
    """Of one configuration; cheap to make. `now` is UTC seconds everywhere."""

    engine: sa.Engine
    environment: Environment
    config: Config
    tokens: Tokens

    @classmethod
    def of(cls, runtime: Runtime, config: Config) -> Self:
        return cls(runtime.engine, runtime.environment, config, runtime.tokens())

    @cached_property
    def messages(self) -> TransactionalComposer:
        return TransactionalComposer(self.config, template_folders(self.environment.root))

    # -- what there is to choose -------------------------------------------

    def offers(self) -> Offers:
        named = tuple((grammar.canonical(feed.name), feed.title) for feed in self.config.feeds.feeds)
        with database.reading(self.engine) as connection:
            facets = feeds.enabled_facets(self.config)
            return Offers(named, {facet: lookup.terms(connection, self.config, facet, TOP_TERMS) for facet in facets})

    def frequencies(self) -> list[str]:
        return [name for name in FREQUENCIES if name in self.config.newsletter.frequencies]

    def usual_day(self) -> int:
        return records.usual_day(self.config)

    def rhythm(self, language: str, frequency: str, day: int) -> str:
        """How often and when, in words; "" for a frequency that is not offered any more."""
        return (
            describe_schedule(self.config, language, frequency, day) if frequency in self.config.newsletter.frequencies else ""
        )

    def title(self, select: str, *, chinese: bool) -> str:
        """What a selection is called."""
        found = grammar.parse(select)
        if isinstance(found, Selection):
            return grammar.title(found, chinese=chinese)
        named = self.config.named(found)
        return named.title if named else found

    def known(self, select: str) -> str:
        """The canonical text of a selection in the catalog's own spelling. Raises WishError for terms that do not exist.

        So nobody can put words of his own into what another one is asked to confirm.
        """
        found = grammar.parse(records.select(self.config, select))
        if not isinstance(found, Selection):
            return grammar.canonical(found)
        with database.reading(self.engine) as connection:
            return grammar.canonical(
                Selection(*(self._spelled(connection, part) for part in (found.any, found.all, found.none)))
            )

    def _spelled(self, connection: sa.Connection, clauses: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
        return {facet: tuple(self._term(connection, facet, name) for name in names) for facet, names in clauses.items()}

    def _term(self, connection: sa.Connection, facet: str, name: str) -> str:
        term = queries.term_at(connection, feeds.aliases_of(self.config), facet, urls.slug(name))
        if term is None:
            raise WishError("select", f"no {facet} is called {name[:80]!r}", name)
        return term.term.name

    # -- signing up --------------------------------------------------------

    def stamp(self, now: int) -> str:
        """A signed time for a form."""
        return signup_limits.stamp(self.tokens, "signup", now)

    def filled_in(self, stamp: str, now: int) -> int | None:
        """How many seconds ago the form was shown; None for a stamp that is not ours."""
        return signup_limits.age(self.tokens, "signup", stamp, now)

    def sign_up(self, signup: Signup, now: int) -> None:
        """Ask for confirmation by mail. Silent about whether the address is known, suppressed or over a limit.

        Raises MailboxError and WishError, which say no more than what was typed.
        """
        mailbox = parse_mailbox(signup.address)
        asked = self._asked(mailbox, signup, "web")
        if self.config.newsletter.signup.proof_of_work and not signup_limits.proven(
            signup.stamp, signup.address.strip(), signup.proof
        ):
            raise WishError("proof", "the proof of work is missing")
        held = self._request(mailbox, asked, signup.ip, now)
        if held:
            log.info("signup_held", limit=held)

    def _asked(self, mailbox: Mailbox, signup: Signup, source: str) -> Asked:
        if len(signup.selects) > MAX_FORM_WISHES or sum(map(len, signup.selects)) > 4 * grammar.MAX_LENGTH:
            raise WishError("select", f"at most {MAX_FORM_WISHES} selections at a time")
        chosen = records.settings(self.config, signup.day, signup.timezone, signup.language)
        wishes = [records.wish(self.config, signup.frequency, self.known(text)) for text in signup.selects or [""]]
        return Asked(mailbox.address, tuple(dict.fromkeys(wishes)), chosen, source)

    def _request(self, mailbox: Mailbox, asked: Asked, ip: str, now: int) -> str:
        """Why nothing was sent; "" if the mail is on its way."""
        hashed = self.tokens.salted(mailbox.mailbox)
        place = signup_limits.network(ip)
        network = self.tokens.salted(f"network:{place}") if place else ""
        token, row = requests.row(self.tokens, asked, hashed, network, hours=self.config.newsletter.confirm_hours, now=now)
        message = self.messages.confirmation(mailbox, token, asked.chosen.language, now)
        with database.writing(self.engine, durable=True) as connection:
            signup_limits.serialise(connection)
            signup_limits.purge(connection, now)
            if records.suppression(connection, hashed) not in ("", *records.LIFTED):
                return "suppressed"
            if ip and (held := signup_limits.exceeded(connection, self.config.newsletter.signup, hashed, network, now)):
                return held
            requests.insert(connection, [row])
            enqueue(connection, [message], now)
        return ""

    # -- confirming --------------------------------------------------------

    def look_at_confirmation(self, token: str, now: int) -> Confirmation | None:
        """What a link asks to confirm, or that it is done. None for a link that does not work (any more)."""
        with database.reading(self.engine) as connection:
            request = self._find(connection, token, now)
            return self._look(connection, request) if request else None

    def _find(self, connection: sa.Connection, token: str, now: int) -> Request | None:
        return requests.find(connection, self.tokens, token, hours=self.config.newsletter.confirm_hours, now=now)

    def _look(self, connection: sa.Connection, request: Request) -> Confirmation | None:
        if request.state == "open" and (asked := request.asked):
            return Confirmation("open", asked.chosen.language, asked.wishes, asked.chosen.day, asked.chosen.timezone)
        if request.state != "used":
            return None
        known = records.by_key(connection, request.subscriber)
        if known is None or known.status != "active":
            return None
        # Links that were revoked since are not given away again.
        token = self.tokens.preferences(known.key, known.version) if known.version == request.version else ""
        return Confirmation("done", known.language, token=token)

    def confirm(self, token: str, now: int) -> Confirmation | None:
        """Consent. A second time it changes nothing. None where there is nothing to confirm.

        What is confirmed is added to what an active subscriber has. One who had left or bounced begins anew, and that
        suppression is lifted; one for a complaint, or of the operator, never is.
        """
        with database.writing(self.engine, durable=True) as connection:
            signup_limits.serialise(connection)  # a double click is two requests at once
            request = self._find(connection, token, now)
            if request is not None and request.state == "open" and request.asked:
                entered = self._enter(connection, request, request.asked, now)
                return Confirmation("done", entered.language, token=self._token(entered)) if entered else None
            return self._look(connection, request) if request else None

    def _enter(self, connection: sa.Connection, request: Request, asked: Asked, now: int) -> Subscriber | None:
        mailbox = parse_mailbox(asked.address)
        entered = self._with_consent(connection, mailbox, asked, now, now)
        if entered is not None:
            requests.use(connection, request, entered, now)
            enqueue(connection, [self._receipt(connection, entered, now)], now)
        return entered

    def _with_consent(
        self, connection: sa.Connection, mailbox: Mailbox, asked: Asked, confirmed: int, now: int
    ) -> Subscriber | None:
        hashed = self.tokens.salted(mailbox.mailbox)
        return records.enter(
            connection,
            mailbox,
            # What was on offer then and is not now would never be due.
            [one for one in asked.wishes if one.frequency in self.config.newsletter.frequencies],
            asked.chosen,
            mailbox_hash=hashed,
            source=asked.source,
            confirmed=confirmed,
            now=now,
        )

    def _token(self, subscriber: Subscriber) -> str:
        return self.tokens.preferences(subscriber.key, subscriber.version)

    def _receipt(self, connection: sa.Connection, subscriber: Subscriber, now: int) -> Any:
        wanted: dict[str, list[str]] = {}
        chinese = subscriber.language == "zh-CN"
        for one in records.subscriptions_of(connection, subscriber.key):
            titles = [self.title(select, chinese=chinese) for select in one.selects]
            wanted[self.rhythm(i18n.match_language(subscriber.language), one.frequency, one.day) or one.frequency] = titles
        mailbox = parse_mailbox(subscriber.address)
        return self.messages.receipt(mailbox, self._token(subscriber), subscriber.language, wanted, now)

    # -- one's own page ----------------------------------------------------

    def preferences(self, token: str) -> Preferences | None:
        """None for a link that was revoked or is not ours, and where the subscriber has left."""
        with database.reading(self.engine) as connection:
            known = self._subscriber(connection, token)
            return self._preferences(connection, known) if known else None

    def coming(self, token: str, now: int, *, chinese: bool) -> list[Coming] | None:
        """The next digests as they would be now. None for a link that does not work."""
        with database.reading(self.engine) as connection:
            known = self._subscriber(connection, token)
            return preview.digests(connection, self.config, known, now, chinese=chinese) if known else None

    def coming_mail(self, token: str, frequency: str, now: int) -> MessagePreview | None:
        """The next message itself. None for a link that does not work, and where there is no such digest."""
        with database.reading(self.engine) as connection:
            known = self._subscriber(connection, token)
            found = preview.content(connection, self.config, known, frequency, now) if known else None
        if found is None:
            return None
        from ..messages.composer import DigestComposer  # what composes mail is of use to few pages

        content, recipient = found
        return DigestComposer(self.config, content, self.tokens, template_folders(self.environment.root)).preview(recipient)

    def _subscriber(self, connection: sa.Connection, token: str) -> Subscriber | None:
        known = self._owner(connection, token)
        return known if known and known.status == "active" else None

    def _owner(self, connection: sa.Connection, token: str) -> Subscriber | None:
        """Whose link it is, whether mail still comes or not."""
        found = self.tokens.read_preferences(token)
        known = records.by_key(connection, found[0]) if found else None
        return known if known and found and known.version == found[1] else None

    def _preferences(self, connection: sa.Connection, known: Subscriber) -> Preferences:
        found = records.subscriptions_of(connection, known.key)
        day = next((one.day for one in found if one.day >= 0), self.usual_day())
        return Preferences(known, tuple(found), day)

    def save_preferences(
        self, token: str, wishes: Sequence[tuple[str, str]], *, day: int | None, timezone: str, language: str, now: int
    ) -> bool:
        """Just these (frequency, selection) from now on. False for a link that does not work. Raises WishError."""
        with database.reading(self.engine) as connection:
            known = self._subscriber(connection, token)
            own = set(self._preferences(connection, known).wishes) if known else set()
        chosen = records.settings(self.config, day, timezone, language)
        wanted = list(dict.fromkeys(self._wanted(own, frequency, select) for frequency, select in wishes))
        if not wanted:
            raise WishError("select", "nothing is chosen; to get no more mail, unsubscribe")
        if len(wanted) > records.MAX_WISHES:
            raise WishError("select", f"at most {records.MAX_WISHES} selections")
        with database.writing(self.engine, durable=True) as connection:
            known = self._subscriber(connection, token)
            if known is not None:
                records.replace(connection, known.key, wanted, chosen, now)
        return known is not None

    def _wanted(self, own: set[Wish], frequency: str, select: str) -> Wish:
        """What somebody has already is kept, whatever became of its terms."""
        selects = {one.select for one in own}
        with suppress(WishError):
            kept = records.select(self.config, select)
            if kept in selects:
                return records.wish(self.config, frequency, kept)
        if select in selects and frequency in self.config.newsletter.frequencies:  # a feed that the operator has taken away
            return Wish(frequency, select)
        return records.wish(self.config, frequency, self.known(select))

    def revoke_links(self, token: str, now: int) -> bool:
        """Links sent so far lead nowhere any more, but for unsubscribing; new ones go to the address, and only there."""
        with database.writing(self.engine, durable=True) as connection:
            known = self._subscriber(connection, token)
            if known is None:
                return False
            records.revoke(connection, known.key)
            renewed = records.by_key(connection, known.key)
            assert renewed is not None
            enqueue(connection, [self._receipt(connection, renewed, now)], now)
        return True

    def export_of(self, token: str) -> dict[str, Any] | None:
        """All that is kept about a subscriber, times in UTC. None for a link that does not work."""
        with database.reading(self.engine) as connection:
            known = self._subscriber(connection, token)
            if known is None:
                return None
            found = {name: value for name, value in asdict(known).items() if name != "key"}
            found["subscriptions"] = [asdict(one) for one in records.subscriptions_of(connection, known.key)]
            return _with_times({**found, **records.history(connection, known.key)})

    # -- leaving -----------------------------------------------------------

    def look_at_leaving(self, token: str, now: int) -> Leaving | None:
        """Whose link it is, also long after. None for what was never a link of ours."""
        with database.reading(self.engine) as connection:
            if (found := self.tokens.read_preferences(token)) is not None:
                known = records.by_key(connection, found[0])
                if known is None or known.status != "active":
                    return Leaving("gone", known.language if known else "")
                own = token if known.version == found[1] else ""
                return Leaving("active", known.language, masked(known.address), own)
            request = self._find(connection, token, now)
        if request is None:
            return None
        language = request.asked.chosen.language if request.asked else ""
        return Leaving("active", language, masked(request.asked.address)) if request.asked else Leaving("gone", language)

    def unsubscribe(self, token: str, reason: str, now: int) -> Leaving | None:
        """Take effect for every message not yet handed over. Any link that was ever sent does; a second time changes nothing.

        With the token of a confirmation it says "that was not me": no link works, and nothing more is sent for a while.
        """
        with database.writing(self.engine, durable=True) as connection:
            if (found := self.tokens.read_preferences(token)) is None:
                return self._refuse(connection, token, now)
            known = records.by_key(connection, found[0])
            if known is None:  # erased
                return Leaving("gone", "")
            hashed = self.tokens.salted(known.mailbox)
            suppression.end(connection, known.key, "unsubscribed", " ".join(reason.split())[:200], now, hashed)
            return Leaving("gone", known.language)

    def _refuse(self, connection: sa.Connection, token: str, now: int) -> Leaving | None:
        request = self._find(connection, token, now)
        if request is None:
            return None
        if request.state == "open":
            requests.refuse(connection, request, now)
        return Leaving("gone", request.asked.chosen.language if request.asked else "")

    def erase(self, token: str, now: int) -> bool:
        """Forget the subscriber of a link; the hash that keeps imports from adding the address stays."""
        with database.writing(self.engine, durable=True) as connection:
            known = self._owner(connection, token)
            return known is not None and self._erase(connection, parse_mailbox(known.address), now)

    def erase_address(self, address: str, now: int) -> bool:
        """The same for the operator. Whether anything was known of the address. Raises MailboxError."""
        with database.writing(self.engine, durable=True) as connection:
            return self._erase(connection, parse_mailbox(address), now)

    def _erase(self, connection: sa.Connection, mailbox: Mailbox, now: int) -> bool:
        return records.erase(connection, mailbox, self.tokens.salted(mailbox.mailbox), now)

    # -- the operator's ----------------------------------------------------

    def add(self, signup: Signup, *, confirmed_at: str, source: str, now: int) -> str:
        """confirmed | asked | suppressed: what became of an address that the operator enters, outside of the limits.

        With `confirmed_at` (ISO 8601) it counts as consent given then, which lifts no suppression. Terms need not exist.
        """
        mailbox = parse_mailbox(signup.address)
        chosen = records.settings(self.config, signup.day, signup.timezone, signup.language)
        wishes = dict.fromkeys(records.wish(self.config, signup.frequency, text) for text in signup.selects or [""])
        asked = Asked(mailbox.address, tuple(wishes), chosen, source)
        if not confirmed_at:
            return "suppressed" if self._request(mailbox, asked, "", now) else "asked"
        when = importer.confirmed_at(self.config, confirmed_at, now)
        if isinstance(when, str):
            raise WishError("confirmed_at", when)
        with database.writing(self.engine, durable=True) as connection:
            if records.suppression(connection, self.tokens.salted(mailbox.mailbox)):
                return "suppressed"
            return "confirmed" if self._with_consent(connection, mailbox, asked, when, now) else "suppressed"

    def import_csv(
        self,
        file: IO[bytes],
        path: str,
        now: int,
        *,
        dry_run: bool = False,
        skip_faulty: bool = False,
        progress: Callable[[int], None] | None = None,
    ) -> ImportReport:
        """All of a file in one transaction, or nothing: raises ImportFaults unless faulty rows are to be skipped.

        `path` is what faults call the file. A dry run does all the work and takes it back.
        """
        rows = importer.read(file, path, self.config, now)
        with suppress(_TakenBack), database.writing(self.engine, durable=True) as connection:
            work = importer.Import(connection, self.config, self.tokens, self.messages, now, skip_faulty)
            report = work.run(rows, progress)
            if dry_run:
                raise _TakenBack
        return report

    def export_csv(self) -> Iterator[tuple[str, ...]]:
        """The header, then a row for each selection of each active subscriber, as `import_csv` reads them."""
        with database.reading(self.engine) as connection:
            yield from importer.export(connection, self.config)

    def everyone(self) -> Iterator[dict[str, Any]]:
        """Every subscriber, also those who have left, in the order in which they came."""
        with database.reading(self.engine) as connection:
            last = 0
            while found := records.some(connection, last, 500):
                for known, wanted in found:
                    yield _listed(known, wanted)
                last = found[-1][0].key

    def found(self, address: str) -> dict[str, Any] | None:
        """All that is kept about one address, for the operator; None where it is not known. Raises MailboxError."""
        mailbox = parse_mailbox(address)
        with database.reading(self.engine) as connection:
            known = records.by_mailbox(connection, mailbox.mailbox)
            reason = records.suppression(connection, self.tokens.salted(mailbox.mailbox))
            if known is None:
                return {"email": mailbox.address, "status": reason, "subscriptions": []} if reason else None
            listed = _listed(known, records.subscriptions_of(connection, known.key))
            return listed | _with_times(records.history(connection, known.key))


class _TakenBack(Exception):
    """Ends a dry run, so that its transaction is rolled back."""


def masked(address: str) -> str:
    """Enough to recognise one's own address by."""
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}***@{domain}"


def _listed(known: Subscriber, wanted: Sequence[Subscription]) -> dict[str, Any]:
    return _with_times(
        {
            "email": known.address,
            "status": known.status,
            "language": known.language,
            "timezone": known.timezone,
            "confirmed": known.confirmed,
            "ended": known.ended,
            "reason": known.reason,
            "source": known.source,
            "subscriptions": [{"frequency": one.frequency, "day": one.day, "select": list(one.selects)} for one in wanted],
        }
    )


_TIMES = {"created", "confirmed", "ended", "since", "covered", "at"}


def _with_times(found: dict[str, Any]) -> dict[str, Any]:
    """Times as ISO 8601, whatever lies how deep."""
    return {name: _readable(value, name) for name, value in found.items()}


def _readable(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return _with_times(value)
    if isinstance(value, list | tuple):
        return [_readable(inner) for inner in value]
    return datetime.fromtimestamp(value, UTC).isoformat() if name in _TIMES and isinstance(value, int) else value


__all__ = [
    "LANGUAGES",
    "Confirmation",
    "Consent",
    "ImportFaults",
    "ImportReport",
    "Leaving",
    "MailboxError",
    "Offers",
    "Preferences",
    "Settings",
    "Signup",
    "Wish",
    "WishError",
]
