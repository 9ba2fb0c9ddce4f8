"""The newsletter: sign up, confirm, preferences, unsubscribe, previews and past issues, webhooks. GET only shows; POST acts.

Pages under a token belong to one subscriber: they are cached nowhere, send no referrer, are not indexed, need no cookie.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, quote

from flask import Blueprint, Response, abort, g, redirect, request
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as Answer

from ... import i18n, urls
from ...model import FACETS
from ...newsletter import NewsletterContext
from ...newsletter.bounces import WebhookError, booking
from ...newsletter.issues import archive
from ...newsletter.subscribers import choices, owner, preferences, signup, unsubscribe
from ...newsletter.subscribers.email_address import EmailAddressError
from ...newsletter.subscribers.owner import AddressChange
from ...newsletter.subscribers.preferences import PreferenceChanges, Preferences, WishError
from ...newsletter.subscribers.records import Subscriber
from ...newsletter.subscribers.signup import Confirmation, SignupForm
from ...newsletter.subscribers.unsubscribe import UnsubscribeLink
from ..application import Application, application
from ..origin import from_anywhere, refuse_other_sites
from ..rate_limit import Networks, client_address, format_address
from . import made_on_request, render_page
from .language import COOKIE, words

blueprint = Blueprint("subscriptions", __name__)
preview_blueprint = Blueprint("coming", __name__)
archive_blueprint = Blueprint("digests", __name__)

#: Nobody fills in a form faster, or leaves it open for longer (in seconds).
FASTEST, SLOWEST = 2, 86400
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_FACET_WORDS = {
    word.casefold(): facet.name for facet in FACETS.values() for word in (facet.name, facet.plural, facet.zh, facet.en)
}
#: A message brings its own styles, and neither scripts nor forms.
_MESSAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src http: https: data:; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'none'"
)


def newsletter_context() -> NewsletterContext:
    """Return the context of the newsletter's use cases, or abort with 404 where there is no newsletter."""
    app = application()
    if not app.config.newsletter.enabled:
        abort(404)
    return NewsletterContext.of(app.runtime, app.config)


def use_language(language: str) -> None:
    """Show the page in the subscriber's language of digests, unless the switch says another one."""
    if language in i18n.LANGUAGES and COOKIE not in request.cookies:
        g.language = language


def private_page(template: str, status: int, **values: Any) -> Answer:
    """Render a page that belongs to one subscriber."""
    # `renewed` is what templates of versions before know of `sent`.
    known = {"sent": "confirmation", "renewed": values.get("sent") == "links", "erased": False, "returned": False}
    return private(render_page(template, status, **{**known, **values}))


def private(response: Answer) -> Answer:
    """Mark a response as one subscriber's: not cached, not indexed, its address told to no other site."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "same-origin"  # without a referrer, its own forms would have no Origin either
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    return response


@dataclass(frozen=True, slots=True)
class FormFields:
    """The fields of the sign-up form: `selects` are ticked selections, `more` are typed ones, one a line."""

    email: str = ""
    selects: tuple[str, ...] = ()
    more: str = ""
    frequency: str = ""
    day: str = ""
    timezone: str = ""
    language: str = ""

    @classmethod
    def of(cls, values: MultiDict[str, str]) -> FormFields:
        """Return the fields of a query or a form."""
        names = ("email", "more", "frequency", "day", "timezone", "language")
        return cls(selects=tuple(values.getlist("select")), **{name: values.get(name, "") for name in names})

    def selections(self) -> list[str]:
        """Return the ticked selections and the typed ones."""
        return [*(text for text in self.selects if text.strip()), *parse_lines(self.more)]


def parse_lines(text: str) -> list[str]:
    """Parse typed selections, one a line.

    >>> parse_lines("Linux\\n translator: geekpi\\ntag=Linux&all-tag=AI")
    ['tag=Linux', 'translator=geekpi', 'tag=Linux&all-tag=AI']
    """
    found = []
    for line in filter(None, map(str.strip, text.splitlines())):
        word, colon, name = line.replace("：", ":", 1).partition(":")
        facet = _FACET_WORDS.get(word.strip().casefold())
        if line.partition("=")[0].rpartition("-")[2] in (*FACETS, "feed"):
            found.append(line)
        else:
            found.append(f"{facet}={quote(name.strip())}" if colon and facet and name.strip() else f"tag={quote(line)}")
    return found


@blueprint.get("/subscribe")
def show_signup() -> Answer:
    """The form to subscribe by mail; `?select=tag%3DLinux` fills it in."""
    context, form = newsletter_context(), FormFields.of(request.args)
    return _form_page(context, replace(form, email="", selects=tuple(_spell_all(context, form.selects))), {})


def _spell_all(context: NewsletterContext, selects: Sequence[str]) -> list[str]:
    """Return selections in their canonical spelling, without those that are unknown or empty."""
    found: list[str] = []
    for text in selects[:20]:
        with contextlib.suppress(WishError):
            found.append(preferences.spell_select(context, text))
    return list(dict.fromkeys(filter(None, found)))


@blueprint.post("/subscribe")
def submit_signup() -> Answer:
    """Sign up: a message that asks for confirmation goes out.

    The same answer whether the address is known or not. Small forms on other pages have no stamp: the whole form comes first.
    """
    context, now = newsletter_context(), int(time.time())
    form, stamp = FormFields.of(request.form), request.form.get("stamp", "")
    if not stamp:
        return _form_page(context, replace(form, selects=tuple(_spell_all(context, form.selects))), {})
    if request.form.get("website"):  # a field that people do not see
        return private_page("subscribed.html", 200)
    ip = _visitor(context)
    age = signup.stamp_age(context.tokens, stamp, ip, now)
    if age is None or not FASTEST <= age <= SLOWEST:
        return _form_page(context, form, _describe(WishError("form", "the stamp is not of this form")), 400)
    try:
        language, proof = form.language or g.language, request.form.get("proof", "")
        wanted = (form.selections(), form.frequency, _weekday(form.day), form.timezone)
        signup.sign_up(context, SignupForm(form.email, *wanted, language, ip, stamp, proof), now)
    except (EmailAddressError, WishError) as error:
        return _form_page(context, form, _describe(error), 400)
    return private_page("subscribed.html", 200, hours=context.config.newsletter.confirm_hours)


def _visitor(context: NewsletterContext) -> str:
    address = client_address(request.environ, Networks(context.config.site.trusted_proxies))
    return format_address(address) or "0.0.0.0"  # noqa: S104  # only a hash of its network is kept


def _weekday(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) == 1 else None


def _describe(error: EmailAddressError | WishError) -> dict[str, str]:
    """Return what is wrong, in the reader's language, under the name of the field."""
    if isinstance(error, EmailAddressError):
        texts = {
            "empty": words("Please write your e-mail address."),
            "international": words(
                "Addresses with such letters before the @ cannot be reached from here. Please use another one."
            ),
        }
        return {"email": texts.get(error.kind, words("This is no e-mail address that mail can be sent to."))}
    if error.field == "select" and error.value:
        return {"select": words("Nothing here is called “%(name)s”.") % {"name": error.value[:80]}}
    texts = {
        "form": words("Please look at it once more and press the button again."),
        "proof": words("Your browser has not done the calculation that keeps robots out. It needs JavaScript for that."),
        "frequency": words("Please choose how often."),
        "timezone": words("No time zone has this name."),
    }
    return {error.field: texts.get(error.field, words("This choice is not available. Please choose again."))}


def _form_page(context: NewsletterContext, form: FormFields, errors: dict[str, str], status: int = 200) -> Answer:
    config = context.config
    frequency = form.frequency or preferences.usual_frequency(config)
    return private_page(
        "subscribe.html",
        status,
        form=replace(form, frequency=frequency, timezone=form.timezone or config.site.timezone),
        errors=errors,
        stamp=signup.make_stamp(context.tokens, _visitor(context), int(time.time())),
        proof=config.newsletter.signup.proof_of_work,
        **_choices(context, form.selects),
    )


def _choices(context: NewsletterContext, chosen: Sequence[str]) -> dict[str, Any]:
    """Return what forms offer. `groups`: (heading, [(selection, title, number of articles)]), first the `chosen` ones."""
    offers, chinese = preferences.load_offers(context), g.language == "zh-CN"
    groups = [(words("Selected feeds"), [(select, title, 0) for select, title in offers.named])]
    for name, terms in offers.terms.items():
        heading = FACETS[name].zh if chinese else FACETS[name].plural.capitalize()
        groups.append((heading, [(f"{name}={quote(term.name, safe='')}", term.name, term.articles) for term in terms]))
    shown = {select for _heading, rows in groups for select, _title, _articles in rows}
    others = [(text, _title_of(context)(text), 0) for text in _spell_all(context, chosen) if text not in shown]
    return {
        "groups": [(heading, rows) for heading, rows in [(words("Chosen"), others), *groups] if rows],
        "frequencies": [
            (name, preferences.schedule_words(context.config, g.language, name, preferences.usual_day(context.config)))
            for name in preferences.offered_frequencies(context.config)
        ],
        "days": list(enumerate(map(words, DAYS))),
        "usual_day": preferences.usual_day(context.config),
        "zones": i18n.list_zones(g.language),
        "city": lambda name: i18n.format_zone(name, g.language),
        "languages": {"zh-CN": "简体中文", "en": "English"},
    }


def _title_of(context: NewsletterContext) -> Callable[[str], str]:
    return lambda select: preferences.select_title(context.config, select, chinese=g.language == "zh-CN")


@blueprint.get("/confirm/<token>")
def show_confirmation(token: str) -> Answer:
    """What a link of a confirmation is about; the button on it confirms."""
    context, now = newsletter_context(), int(time.time())
    if (change := owner.find_address_change(context, token, now)) is not None:
        return _address_page(change)
    return _confirmation_page(context, signup.find_confirmation(context, token, now))


@blueprint.post("/confirm/<token>")
def submit_confirmation(token: str) -> Answer:
    """Confirm a subscription, or a new address of one."""
    context, now = newsletter_context(), int(time.time())
    if (change := owner.confirm_address(context, token, now)) is not None:
        return _address_page(change)
    return _confirmation_page(context, signup.confirm(context, token, now))


def _address_page(change: AddressChange) -> Answer:
    use_language(change.language)
    return private_page("address.html", 200, change=change)


def _confirmation_page(context: NewsletterContext, found: Confirmation | None) -> Answer:
    if found is None:
        return private_page("link.html", 404)
    use_language(found.language)
    wanted: dict[str, list[str]] = {}
    for wish in found.wishes:
        schedule = preferences.schedule_words(context.config, g.language, wish.frequency, found.day)
        wanted.setdefault(schedule, []).append(_title_of(context)(wish.select))
    return private_page("confirm.html", 200, found=found, wanted=wanted, city=i18n.format_zone(found.timezone, g.language))


@blueprint.get("/preferences/<token>")
def show_preferences(token: str) -> Answer:
    """The page of a link: what comes, how often, when; of the owner's link: the address, data, erasing everything."""
    context, now = newsletter_context(), int(time.time())
    if (known := owner.find_owner(context, token, now)) is not None:
        return _owner_page(context, token, known, {})
    return _preferences_page(context, token, preferences.find_preferences(context, token, now), {})


@blueprint.get("/preferences/<token>/data.json")
def own_data(token: str) -> Answer:
    """All that is kept about a subscriber, to take along: for the owner's link alone."""
    found = owner.export_own_data(newsletter_context(), token, int(time.time()))
    if found is None:
        return private_page("link.html", 404)
    body = json.dumps(found, ensure_ascii=False, indent=2) + "\n"
    response = Response(body, content_type="application/json; charset=utf-8")
    response.headers["Content-Disposition"] = 'attachment; filename="subscription.json"'
    return private(response)


def _owner_page(context: NewsletterContext, token: str, known: Subscriber, errors: dict[str, str], status: int = 200) -> Answer:
    use_language(known.language)
    own = owner.preferences_link(context, known, int(time.time()))
    email = request.form.get("email", "")
    return private_page("owner.html", status, known=known, token=token, own=own, errors=errors, email=email)


def _save_owner(context: NewsletterContext, token: str, known: Subscriber, now: int) -> Answer:
    """Do what the owner's page asks for; `action`: address, revoke (new links by mail), erase (with `sure`)."""
    use_language(known.language)
    form, action = request.form, request.form.get("action", "")
    if action == "erase" and form.get("sure") == "yes":
        owner.erase_by_owner(context, token, now)
        return private_page("unsubscribe.html", 200, found=UnsubscribeLink("gone", g.language), erased=True)
    if action == "revoke":
        owner.revoke_links(context, token, now)
        return private_page("subscribed.html", 200, sent="links")
    errors = {"erase": words("Tick the box first: this cannot be undone.")} if action == "erase" else {}
    if action == "address":
        try:
            owner.request_address(context, token, form.get("email", ""), _visitor(context), now)
            return private_page("subscribed.html", 200, sent="address")
        except EmailAddressError as error:
            errors = _describe(error)
    return _owner_page(context, token, known, errors, 400)


@blueprint.post("/preferences/<token>")
def save_preferences(token: str) -> Answer:
    """Change them; `action`: save (or none), restore (what was until `until`), link (mail the owner's link)."""
    context, now = newsletter_context(), int(time.time())
    if (known := owner.find_owner(context, token, now)) is not None:
        return _save_owner(context, token, known, now)
    found = preferences.find_preferences(context, token, now)
    if found is None:
        return private_page("link.html", 404)
    use_language(found.subscriber.language)
    form, action = request.form, request.form.get("action", "save")
    if action == "link":
        owner.request_link(context, token, now)
        return private_page("subscribed.html", 200, sent="owner")
    if action == "restore":
        until = form.get("until", "")
        is_back = False
        with contextlib.suppress(WishError):  # of a time zone that is gone
            is_back = until.isdecimal() and preferences.restore_choices(context, token, int(until[:12]), now)
        return private(redirect(f"/preferences/{quote(token)}?saved={'1' if is_back else ''}", 303))
    if action in ("revoke", "erase"):  # of a page of versions before: both need the owner's link now
        return _preferences_page(context, token, found, {"link": words("For this you need a link that we email to you.")}, 403)
    wishes = [pair for pair in zip(form.getlist("how"), form.getlist("wish"), strict=False) if pair[0]]
    wishes += [(form.get("frequency", ""), select) for select in FormFields.of(form).selections()]
    try:
        changes = PreferenceChanges(wishes, _weekday(form.get("day", "")), form.get("timezone", ""), form.get("language", ""))
        preferences.save_preferences(context, token, changes, now)
    except WishError as error:
        fault = {"select": words("Nothing is chosen. To get no more mail, unsubscribe.")} if not wishes else _describe(error)
        return _preferences_page(context, token, found, fault, 400)
    return private(redirect(f"/preferences/{quote(token)}?saved=1", 303))


def _preferences_page(
    context: NewsletterContext, token: str, found: Preferences | None, errors: dict[str, str], status: int = 200
) -> Answer:
    if found is None:
        return private_page("link.html", 404)
    use_language(found.subscriber.language)
    return private_page(
        "preferences.html",
        status,
        found=found,
        token=token,
        errors=errors,
        title_of=_title_of(context),
        leave=context.tokens.unsubscribe(found.subscriber.key),
        keep_days=choices.KEEP_DAYS,
        past=[(one, i18n.format_day(datetime.fromtimestamp(one.until, context.config.zone), g.language)) for one in found.past],
        rhythm_of=lambda name, day: preferences.schedule_words(context.config, g.language, name, day),
        form=FormFields.of(request.form),
        typed=request.form.getlist("how"),
        **_choices(context, ()),
    )


@blueprint.get("/unsubscribe/<token>")
def show_unsubscribe(token: str) -> Answer:
    """What a link to unsubscribe is about; the button on it unsubscribes. From the page of choices, 303 to the link."""
    context, now = newsletter_context(), int(time.time())
    if (own := preferences.find_preferences(context, token, now)) and context.tokens.read_unsubscribe(token) is None:
        return private(redirect(f"/unsubscribe/{context.tokens.unsubscribe(own.subscriber.key)}", 303))
    return _unsubscribe_page(unsubscribe.find_unsubscribe_link(context, token, now))


@blueprint.post("/unsubscribe/<token>")
@from_anywhere
def submit_unsubscribe(token: str) -> Answer:
    """Unsubscribe, by one click of a mail program (RFC 8058) or by the button of the page."""
    context, now = newsletter_context(), int(time.time())
    # RFC 8058's body comes as a form of either kind or, with another content type or none, as plain text.
    body = request.get_data(cache=True, parse_form_data=False)
    said = request.form.get("List-Unsubscribe", "").strip()
    if not request.form and len(body) <= 200:
        said = parse_qs(body.decode("utf-8", "replace").strip()).get("List-Unsubscribe", [""])[0]
    if said.casefold() == "one-click":
        return _unsubscribe_page(unsubscribe.unsubscribe(context, token, "one-click", now))
    refuse_other_sites()  # the rest is the page's
    if request.form.get("link") == "yes" and owner.request_link(context, token, now):
        return private_page("subscribed.html", 200, sent="owner")
    if request.form.get("confirm") == "yes":
        return _unsubscribe_page(unsubscribe.unsubscribe(context, token, request.form.get("reason", ""), now))
    return _unsubscribe_page(unsubscribe.find_unsubscribe_link(context, token, now))


def _unsubscribe_page(found: UnsubscribeLink | None) -> Answer:
    if found is None:
        return private_page("link.html", 404)
    use_language(found.language)
    until = i18n.format_day(datetime.fromtimestamp(max(found.until - 1, 0), application().config.zone), g.language)
    return private_page("unsubscribe.html", 200, found=found, until=until)


@blueprint.get("/undo/<token>")
def show_undo(token: str) -> Answer:
    """What a link that brings a subscription back is about; the button on it does so."""
    context, now = newsletter_context(), int(time.time())
    return _undo_page(unsubscribe.undo_unsubscribing(context, token, now, look=True))


@blueprint.post("/undo/<token>")
def submit_undo(token: str) -> Answer:
    """Bring a subscription back, with all its choices."""
    return _undo_page(unsubscribe.undo_unsubscribing(newsletter_context(), token, int(time.time())))


def _undo_page(found: UnsubscribeLink | None) -> Answer:
    if found is None or found.state == "gone":
        return _unsubscribe_page(found)
    use_language(found.language)
    return private_page("confirm.html", 200, found=Confirmation("done", found.language), returned=True)


@blueprint.post("/bounces/<name>")
@from_anywhere
def receive_bounces(name: str) -> Answer:
    """Take the events of a mail provider, for a bounce source that an installed package brings; 404 for any other name."""
    context = newsletter_context()
    if (source := booking.find_webhook(context, name)) is None:
        abort(404)
    try:
        booking.receive(context, source, dict(request.headers), request.get_data(), int(time.time()))
    except WebhookError as error:
        return private(Response(f"{error}\n", error.status, content_type="text/plain; charset=utf-8"))
    return private(Response(status=204, content_type="text/plain; charset=utf-8"))


@preview_blueprint.get("/preferences/<token>/next")
def next_digests(token: str) -> Answer:
    """A subscriber's next digests, as they would be now."""
    context = newsletter_context()
    now = int(time.time())
    found = preferences.find_preferences(context, token, now)
    if found is None:
        return private_page("link.html", 404)
    use_language(found.subscriber.language)
    coming = preferences.preview_digests(context, token, now, g.language) or []
    names = [one.frequency for one in coming]
    rhythms = {name: preferences.schedule_words(context.config, g.language, name, found.day) for name in names}
    return private_page("coming.html", 200, coming=coming, rhythms=rhythms, token=token)


@preview_blueprint.get("/preferences/<token>/next/<frequency>")
def as_mail(token: str, frequency: str) -> Answer:
    """One of them, as the message itself."""
    found = preferences.preview_message(newsletter_context(), token, frequency, int(time.time()))
    if found is None:
        return private_page("link.html", 404)
    response = private(Response(found.html, content_type="text/html; charset=utf-8"))
    response.headers["Content-Security-Policy"] = _MESSAGE_POLICY
    return response


# -- past issues: a list, a page for each, a feed of them -------------------

#: Selections that the address of one digest may name.
MAX_SELECTIONS = 200


def _newsletter_app() -> Application:
    """Return the application, or abort with 404 where there is no newsletter."""
    app = application()
    if not app.config.newsletter.enabled:
        abort(404)
    return app


@archive_blueprint.get("/digests")
def redirect_to_archive() -> Answer:
    """301 to `/digests/`."""
    return redirect("/digests/", 301)


@archive_blueprint.get("/digests/")
@archive_blueprint.get("/digests/page/<int:number>")
def archive_page(number: int | None = None) -> Answer:
    """Past digests, newest first; older pages are numbered from the oldest."""
    app = _newsletter_app()
    page = (app.runtime.read(archive.archive_page, number) if number != 0 else None) or abort(404)
    path = "digests/" if number is None else urls.page_path("digests", number)
    return _archive_response("digests.html", path, rows=page.rows, number=page.number, older=page.older, newer=page.newer)


@archive_blueprint.get("/digests/<id>")
def issue_page(id: str) -> Answer:
    """One digest."""
    # `?reach=0&s=3.17` are the selections of a message's "read in browser" link: numbers of selections, not of readers.
    app = _newsletter_app()
    keys = [int(key) for key in request.args.get("s", "").split(".") if key.isdecimal() and len(key) < 10][:MAX_SELECTIONS]
    reach = request.args.get("reach", 0, type=int)
    found = app.runtime.read(archive.issue_page, app.config, id, reach=reach, keys=keys, language=g.language) or abort(404)
    return _archive_response("digest.html", f"digests/{found.issue.id}", page=found)


@archive_blueprint.get("/digests.atom")
def archive_feed() -> Answer:
    """Past digests as an Atom feed."""
    app = _newsletter_app()
    response = made_on_request(app.runtime.read(archive.archive_feed, app.config), "application/atom+xml; charset=utf-8")
    sent = len(response.get_data()) if response.status_code == 200 and request.method == "GET" else 0
    app.limiter.count(("digests", "atom"), response.status_code, sent, request.environ, app.edition)
    return response


def _archive_response(template: str, path: str, **values: Any) -> Answer:
    site = application().config.site
    links = [("application/atom+xml", site.title, f"{site.base_url}/digests.atom")]
    return render_page(template, autodiscovery=links, canonical=f"{site.base_url}/{path}", **values)
