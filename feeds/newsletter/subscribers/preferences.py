"""Validate what subscribers choose, and serve the page where they change it, with previews.

The links of that page stand in every digest, and digests are forwarded: it shows and changes what comes, how often and when,
and every change can be undone. What is the owner's alone is in `owner`. Functions that only read never change anything: mail
programs open links by themselves.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import sqlalchemy as sa

from ... import i18n, urls
from ... import selections as grammar
from ...catalog import queries
from ...config.models import Config
from ...errors import AddressError, FeedsError
from ...model import FREQUENCIES, Message, Selection, Term
from ...syndication import feeds
from .. import NewsletterContext
from ..issues import preview
from ..issues.preview import UpcomingDigest
from ..messages.templates import template_folders
from ..messages.transactional import OwnLinks, describe_schedule, enqueue
from .choices import PastChoices, change_choices, load_past
from .email_address import mask_address, parse_address
from .records import Settings, Subscriber, Subscription, Wish, find_by_preferences, subscriptions_of

if TYPE_CHECKING:
    from ..messages.composer import MessagePreview

#: Of one subscriber; nobody reads a digest of more sections.
MAX_WISHES = 100
TOP_TERMS = 24


class WishError(FeedsError):
    """A choice that is not available. `field`: select | frequency | day | timezone | language | proof; `value`: what of it."""

    def __init__(self, field: str, reason: str, value: str = "") -> None:
        super().__init__(reason)
        self.field, self.value = field, value


# -- choices ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Offers:
    """What a form offers: named feeds as (selection, title), the most used terms of each facet."""

    named: tuple[tuple[str, str], ...]
    terms: Mapping[str, Sequence[Term]]


def load_offers(context: NewsletterContext) -> Offers:
    """Return what there is to choose from now."""
    config = context.config
    named = tuple((grammar.canonical(feed.name), feed.title) for feed in config.feeds.feeds)
    with context.reading() as connection:
        facets = feeds.enabled_facets(config)
        return Offers(named, {facet: feeds.offered_terms(connection, config, facet, TOP_TERMS) for facet in facets})


def offered_frequencies(config: Config) -> list[str]:
    """Return the frequencies on offer, the most frequent first."""
    return [name for name in FREQUENCIES if name in config.newsletter.frequencies]


def usual_frequency(config: Config) -> str:
    """Return the frequency of a subscriber who does not choose: weekly, if it is offered."""
    return "weekly" if "weekly" in config.newsletter.frequencies else offered_frequencies(config)[0]


def usual_day(config: Config) -> int:
    """Return the day of weekly digests of a subscriber who does not choose: 0 (Monday) to 6."""
    return config.newsletter.cron("weekly").day if "weekly" in config.newsletter.frequencies else 0


def schedule_words(config: Config, language: str, frequency: str, day: int) -> str:
    """Return how often and when, in words; "" for a frequency that is not offered any more."""
    return describe_schedule(config, language, frequency, day) if frequency in config.newsletter.frequencies else ""


def select_title(config: Config, select: str, *, chinese: bool) -> str:
    """Return the title of a selection."""
    found = grammar.parse(select)
    if isinstance(found, Selection):
        return grammar.title(found, chinese=chinese)
    named = config.named(found)
    return named.title if named else found


def canonical_select(config: Config, text: str) -> str:
    """Return the canonical text of a selection, "" for all articles. Raises WishError. Terms need not exist."""
    try:
        found = grammar.parse(text.strip())
    except AddressError as error:
        raise WishError("select", str(error)) from None
    if isinstance(found, str) and config.named(found) is None:
        raise WishError("select", f"no feed is called {found[:80]!r}", found)
    return grammar.canonical(found)


def unknown_names(connection: sa.Connection, config: Config, selects: Iterable[str]) -> list[str]:
    """Return names in selections that are no term and no feed (yet), such as "tag Linus", each once, in their order.

    Raises SelectionError.
    """
    aliases, found = feeds.aliases_of(config), dict[str, None]()
    for select in selects:
        wanted = grammar.parse(select)
        if isinstance(wanted, Selection):
            found |= dict.fromkeys(f"{facet} {name}" for facet, name in queries.respell(connection, aliases, wanted).unknown)
        elif config.named(wanted) is None:
            found[f"feed {wanted}"] = None
    return list(found)


def spell_select(context: NewsletterContext, select: str) -> str:
    """Return the canonical text of a selection in the catalog's own spelling. Raises WishError for terms that do not exist.

    So nobody can put words of his own into what somebody else is asked to confirm.
    """
    found = grammar.parse(canonical_select(context.config, select))
    if not isinstance(found, Selection):
        return grammar.canonical(found)
    aliases = feeds.aliases_of(context.config)
    spelled: list[dict[str, tuple[str, ...]]] = []
    with context.reading() as connection:
        for clauses in (found.any, found.all, found.none):
            spelled.append(dict.fromkeys(clauses, ()))
            for facet, name in ((facet, name) for facet, names in clauses.items() for name in names):
                term = queries.term_at(connection, aliases, facet, urls.slug(name))
                if term is None:
                    raise WishError("select", f"no {facet} is called {name[:80]!r}", name)
                spelled[-1][facet] += (term.term.name,)
    return grammar.canonical(Selection(*spelled))


def validate_wish(config: Config, frequency: str, text: str) -> Wish:
    """Return a wish with a canonical selection. Raises WishError. Terms need not exist: an article may bring them later."""
    if frequency not in config.newsletter.frequencies:
        offered = ", ".join(offered_frequencies(config))
        raise WishError("frequency", f"{frequency[:40]!r} is no frequency on offer; expected {offered}")
    return Wish(frequency, canonical_select(config, text))


def validate_settings(config: Config, day: int | None, timezone: str, language: str) -> Settings:
    """Return settings, the site's own where a value is missing. Raises WishError."""
    if day is not None and not 0 <= day <= 6:
        raise WishError("day", "a day of the week is 0 (Monday) to 6")
    zone = timezone.strip() or config.site.timezone
    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        reason = f"no time zone is called {zone[:60]!r}; expected a name such as Asia/Shanghai"
        raise WishError("timezone", reason) from None
    tag = language.strip() or config.site.language
    spoken = next((known for known in i18n.LANGUAGES if tag.lower().split("-")[0] == known.split("-")[0]), None)
    if spoken is None:
        raise WishError("language", f"{tag[:20]!r} is no language of the digests; expected {' or '.join(i18n.LANGUAGES)}")
    return Settings(usual_day(config) if day is None else day, zone, spoken)


# -- the subscriber's own page ---------------------------------------------


@dataclass(frozen=True, slots=True)
class Preferences:
    """All that a subscriber can see and change by the link of a mail. The address is masked; `past`: the newest first."""

    subscriber: Subscriber
    subscriptions: tuple[Subscription, ...]
    day: int
    past: tuple[PastChoices, ...] = ()

    @property
    def wishes(self) -> list[Wish]:
        """Return every selection with its frequency."""
        return [Wish(one.frequency, select) for one in self.subscriptions for select in one.selects]


@dataclass(frozen=True, slots=True)
class PreferenceChanges:
    """What the form of a subscriber's page holds, as it was sent. `wishes`: (frequency, selection)."""

    wishes: Sequence[tuple[str, str]]
    day: int | None = None
    timezone: str = ""
    language: str = ""


def find_preferences(context: NewsletterContext, token: str, now: int) -> Preferences | None:
    """Return None for a link that is too old, was revoked or is not ours, and where the subscriber has left."""
    with context.reading() as connection:
        known = find_by_preferences(connection, context.tokens, token, now)
        return _load(context, connection, known, now) if known else None


def _load(context: NewsletterContext, connection: sa.Connection, known: Subscriber, now: int) -> Preferences:
    found, past = subscriptions_of(connection, known.key), load_past(connection, known.key, now)
    day = next((one.day for one in found if one.day >= 0), usual_day(context.config))
    return Preferences(_masked(known), tuple(found), day, tuple(past))


def _masked(known: Subscriber) -> Subscriber:
    return replace(known, address=mask_address(known.address), mailbox="")


def save_preferences(context: NewsletterContext, token: str, changes: PreferenceChanges, now: int) -> bool:
    """Store just these wishes. Return False for a link that does not work. Raises WishError."""
    config, found = context.config, find_preferences(context, token, now)
    own = {wish.select for wish in found.wishes} if found else set()
    settings = validate_settings(config, changes.day, changes.timezone, changes.language)
    wanted: dict[Wish, None] = {}
    for frequency, select in changes.wishes:
        kept = select
        with suppress(WishError):
            kept = canonical_select(config, select)
        # What the subscriber has already stays, whatever became of its terms, or of a feed that the operator has taken away.
        if kept in own and frequency in config.newsletter.frequencies:
            wanted[Wish(frequency, kept)] = None
        else:
            wanted[validate_wish(config, frequency, spell_select(context, select))] = None
    if not wanted:
        raise WishError("select", "nothing is chosen; to get no more mail, unsubscribe")
    if len(wanted) > MAX_WISHES:
        raise WishError("select", f"at most {MAX_WISHES} selections")
    return _change(context, token, list(wanted), settings, now)


def restore_choices(context: NewsletterContext, token: str, until: int, now: int) -> bool:
    """Bring back the choices that were changed at `until`; False where nothing was. Can be undone, too. Raises WishError."""
    found = find_preferences(context, token, now)
    past = next((one for one in found.past if one.until == until), None) if found else None
    if past is None:
        return False
    kept = past.settings
    settings = validate_settings(context.config, kept.day, kept.timezone, kept.language)
    return _change(context, token, list(past.wishes), settings, now)


def _change(context: NewsletterContext, token: str, wishes: list[Wish], settings: Settings, now: int) -> bool:
    """Change the choices of a link's subscriber, who is told by mail, once a day at most."""
    with context.writing() as connection:
        known = find_by_preferences(connection, context.tokens, token, now)
        if known is None:
            return False
        loaded = _load(context, connection, known, now)
        before = PastChoices(now, tuple(loaded.wishes), Settings(loaded.day, known.timezone, known.language))
        if change_choices(connection, known.key, before, wishes, settings, now):
            # In the language of before: that may have been changed as well.
            enqueue(connection, [make_receipt(context, connection, known, now, is_changed=True)], now)
    return True


def make_receipt(
    context: NewsletterContext, connection: sa.Connection, subscriber: Subscriber, now: int, *, is_changed: bool = False
) -> Message:
    """Return the message with a subscriber's own links and what the subscriber gets; `is_changed`: since just now."""
    wanted: dict[str, list[str]] = {}
    language, chinese = i18n.match_language(subscriber.language), subscriber.language == "zh-CN"
    for one in subscriptions_of(connection, subscriber.key):
        titles = [select_title(context.config, select, chinese=chinese) for select in one.selects]
        wanted[schedule_words(context.config, language, one.frequency, one.day) or one.frequency] = titles
    links = own_links(context, subscriber, now)
    return context.composer.receipt(parse_address(subscriber.address), links, language, wanted, now, is_changed=is_changed)


def own_links(context: NewsletterContext, subscriber: Subscriber, now: int) -> OwnLinks:
    """Return the tokens of the links that stand in a mail made `now`."""
    tokens = context.tokens
    return OwnLinks(tokens.preferences(subscriber.key, subscriber.version, now), tokens.unsubscribe(subscriber.key))


def preview_digests(context: NewsletterContext, token: str, now: int, language: str) -> list[UpcomingDigest] | None:
    """Return the next digests as they would be now. None for a link that does not work."""
    with context.reading() as connection:
        known = find_by_preferences(connection, context.tokens, token, now)
        return preview.upcoming_digests(connection, context.config, known, now, language) if known else None


def preview_message(context: NewsletterContext, token: str, frequency: str, now: int) -> MessagePreview | None:
    """Return the next message itself. None for a link that does not work, and for a digest that the subscriber has not.

    It shows no more than the link may: the address is masked, and its links work as long as this one.
    """
    with context.reading() as connection:
        known = find_by_preferences(connection, context.tokens, token, now)
        found = preview.upcoming_message(connection, context.config, _masked(known), frequency, now) if known else None
    if found is None:
        return None
    from ..messages.composer import DigestComposer  # few pages compose mail

    content, recipient = found
    _subscriber, _version, issued = context.tokens.read_preferences(token, now) or (0, 0, 0)
    folders = template_folders(context.environment.root)
    return DigestComposer(context.config, content, context.tokens, folders).preview(recipient, issued)
