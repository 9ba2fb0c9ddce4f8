"""What a good document keeps to, as functions over rendered feeds: each yields what breaks it, and nothing if all is well.

A1-A12 are RFC 4287's, R1-R10 those of RSS 2.0 and the RSS Advisory Board's profile, P1-P4 RFC 5005's, J1-J6 JSON Feed 1.1's, O1
OPML 2.0's. V1-V6 is what w3c/feedvalidator remarks beyond them (its messages are named), told by this project's own means.
"""

from __future__ import annotations

import email.utils
import functools
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
from lxml import etree

NAMES = {
    "a": "http://www.w3.org/2005/Atom",
    "content": "http://purl.org/rss/1.0/modules/content/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "xml": "http://www.w3.org/XML/1998/namespace",
}
ATOM = f"{{{NAMES['a']}}}"
ENCODED = f"{{{NAMES['content']}}}encoded"
#: Registered at IANA, of those that a feed may want.
RELATIONS = {
    *("alternate self via enclosure related hub license replies".split()),
    *("current first last next previous prev-archive next-archive".split()),
}
_URL_PART = r"(?:[A-Za-z0-9/?:@!$&'()*+,;=._~-]|%[0-9A-Fa-f]{2})*"
#: RFC 3986: UriNotIri, InvalidUriChar. Brackets belong around an IPv6 address only.
ASCII_URL = re.compile(rf"https?://(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=@%-]+){_URL_PART}(?:#{_URL_PART})?")
IRI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+")
MEDIA_TYPE = re.compile(r"[a-z]+/[a-z0-9.+-]+")
LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
RFC822 = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d (GMT|[+-]\d{4})")
ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+( \(.*\))?")
SCHEMA = json.loads(Path(__file__).with_name("jsonfeed-1.1.schema.json").read_text("utf-8"))
FINE_BYTES = 250_000  # JSON Feed: "under 100K is ideal, and 250K is fine"; for the demo's twenty articles


@dataclass(frozen=True)
class Document:
    """`address` is where it is served, and `data` what is answered there."""

    address: str
    data: bytes

    @cached_property
    def root(self) -> Any:
        return etree.fromstring(self.data)

    @cached_property
    def channel(self) -> Any:
        return self.root[0]

    @cached_property
    def feed(self) -> Any:
        return json.loads(self.data)

    @property
    def atom_entries(self) -> list[Any]:
        return list(self.root.iterfind(f"{ATOM}entry"))

    @property
    def rss_items(self) -> list[Any]:
        return list(self.channel.iterfind("item"))


Rule = Callable[[Document], Iterator[str]]
#: Format -> name -> rule. The name begins with the line of the checklist.
RULES: dict[str, dict[str, Rule]] = {"atom": {}, "rss": {}, "json": {}, "opml": {}}


def rule(*formats: str) -> Callable[[Rule], Rule]:
    def keep(made: Rule) -> Rule:
        for format in formats:
            RULES[format][made.__name__] = made
        return made

    return keep


def faults(format: str, document: Document, without: Iterable[str] = ()) -> list[str]:
    """`line: what is wrong` of every rule of the format."""
    chosen = {name: check for name, check in RULES[format].items() if line(name) not in without}
    return [f"{document.address}: {name}: {fault}"[:300] for name, check in chosen.items() for fault in check(document)]


def line(name: str) -> str:
    """`a1_required_elements` -> `A1`."""
    return name.partition("_")[0].upper()


def history(client: Any, base: str, format: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    """Address and bytes of every archive behind a feed, newest first; `client` is Werkzeug's."""
    while address := _older(data, format):
        answered = client.get(address.removeprefix(base))
        assert answered.status_code == 200, address
        data = answered.data
        yield address, data


def _older(data: bytes, format: str) -> str:
    if format == "json":
        return str(json.loads(data).get("next_url", ""))
    links = etree.fromstring(data).iter(f"{ATOM}link")
    return next((link.get("href") for link in links if link.get("rel") == "prev-archive"), "")


# -- Atom: RFC 4287 --------------------------------------------------------


@rule("atom")
def a1_elements_are_there_once(document: Document) -> Iterator[str]:
    yield from _counted(document.root, ("id", "title", "updated"), ("generator", "icon", "logo", "rights", "subtitle"))
    for entry in document.atom_entries:
        yield from _counted(entry, ("id", "title", "updated"), ("content", "published", "rights", "source", "summary"))


def _counted(element: Any, once: Iterable[str], at_most_once: Iterable[str]) -> Iterator[str]:
    count = Counter(child.tag for child in element)
    yield from (f"{count[ATOM + name]} times {name}" for name in once if count[ATOM + name] != 1)
    yield from (f"{count[ATOM + name]} times {name}" for name in at_most_once if count[ATOM + name] > 1)


@rule("atom")
def a2_everything_has_an_author_with_a_name(document: Document) -> Iterator[str]:
    if document.root.find(f"{ATOM}author") is None:
        for entry in document.atom_entries:
            if entry.find(f"{ATOM}author") is None and entry.find(f"{ATOM}source/{ATOM}author") is None:
                yield "an entry without author in a feed without author"
    for person in document.root.iter(f"{ATOM}author", f"{ATOM}contributor"):
        if len(person.findall(f"{ATOM}name")) != 1 or not person.findtext(f"{ATOM}name").strip():
            yield "a person without a name"


@rule("atom")
def a3_a_feed_links_to_itself_and_alternates_differ(document: Document) -> Iterator[str]:
    if len(_links(document.root, "self")) != 1:
        yield "not one link to itself"
    for element in (document.root, *document.atom_entries):
        kinds = [(link.get("type"), link.get("hreflang")) for link in _links(element, "alternate")]
        if len(set(kinds)) < len(kinds):
            yield "DuplicateAtomLink"


def _links(element: Any, rel: str) -> list[Any]:
    return [link for link in element.findall(f"{ATOM}link") if link.get("rel", "alternate") == rel]


@rule("atom")
def a4_an_entry_has_content_or_is_elsewhere(document: Document) -> Iterator[str]:
    for entry in document.atom_entries:
        content = entry.find(f"{ATOM}content")
        if content is None and not _links(entry, "alternate"):
            yield "neither content nor an alternate link"
        if content is not None and not _is_text(content) and entry.find(f"{ATOM}summary") is None:
            yield "content elsewhere or in base64, and no summary"


def _is_text(content: Any) -> bool:
    kind = content.get("type", "text")
    return content.get("src") is None and (
        kind in ("text", "html", "xhtml") or kind.startswith("text/") or kind.endswith("xml")
    )


@rule("atom")
def a5_ids_are_absolute(document: Document) -> Iterator[str]:
    for element in document.root.iter(f"{ATOM}id"):
        if not IRI.fullmatch(element.text or ""):
            yield f"id {element.text!r}"


@rule("atom")
def a6_text_has_no_elements(document: Document) -> Iterator[str]:
    for name in ("title", "subtitle", "summary", "rights", "content"):
        for element in document.root.iter(ATOM + name):
            kind, children = element.get("type", "text"), [child.tag for child in element]
            if kind in ("text", "html") and children:
                yield f"{name} of type {kind} with elements in it"
            if kind == "xhtml" and children != ["{http://www.w3.org/1999/xhtml}div"]:
                yield f"{name} of type xhtml that is not one div"


@rule("atom")
def a7_dates_are_rfc_3339_and_in_order(document: Document) -> Iterator[str]:
    for element in document.root.iter(f"{ATOM}updated", f"{ATOM}published"):
        if not RFC3339.fullmatch(element.text or ""):
            yield f"date {element.text!r}"
            return
    for entry in document.atom_entries:
        dates = [entry.findtext(ATOM + name) for name in ("published", "updated")]
        if dates[0] and datetime.fromisoformat(dates[1]) < datetime.fromisoformat(dates[0]):
            yield "updated before it was published"


@rule("atom")
def a8_an_enclosure_says_how_long_and_of_what_type_it_is(document: Document) -> Iterator[str]:
    for entry in document.atom_entries:
        for link in _links(entry, "enclosure"):
            if not link.get("length", "").isdecimal() or not MEDIA_TYPE.fullmatch(link.get("type", "")):
                yield f"enclosure {dict(link.attrib)}"


@rule("atom")
def a9_references_are_absolute_and_the_language_is_said(document: Document) -> Iterator[str]:
    for link in document.root.iter(f"{ATOM}link"):
        if not ASCII_URL.fullmatch(link.get("href", "")):
            yield f"link to {link.get('href')!r}"
    for element in document.root.iter(f"{ATOM}icon", f"{ATOM}logo", f"{ATOM}uri"):
        if not ASCII_URL.fullmatch(element.text or ""):
            yield f"{element.tag} {element.text!r}"
    for category in document.root.iter(f"{ATOM}category"):
        if not category.get("term") or not ASCII_URL.fullmatch(category.get("scheme", "")):
            yield f"category {dict(category.attrib)}"
    if not LANGUAGE.fullmatch(document.root.get(f"{{{NAMES['xml']}}}lang", "")):
        yield "no language"


@rule("atom")
def a10_a_source_is_a_feed_and_an_original_is_elsewhere(document: Document) -> Iterator[str]:
    for source in document.root.iter(f"{ATOM}source"):
        yield from _counted(source, ("id", "title", "updated"), ())
    for entry in document.atom_entries:
        own = {link.get("href") for link in _links(entry, "alternate")}
        if own & {link.get("href") for link in _links(entry, "via")}:
            yield "an entry that is its own original"


@rule("atom")
def a11_an_id_appears_twice_only_with_another_date(document: Document) -> Iterator[str]:
    versions = [(entry.findtext(f"{ATOM}id"), entry.findtext(f"{ATOM}updated")) for entry in document.atom_entries]
    yield from (f"twice {id}" for (id, _updated), times in Counter(versions).items() if times > 1)


_ATOM_ELEMENTS = set(
    "feed entry id title updated published author contributor name uri email link generator icon logo subtitle rights summary "
    "content category source".split()
)


@rule("atom")
def a12_extensions_are_foreign_and_relations_registered(document: Document) -> Iterator[str]:
    for element in document.root.iter("*"):
        if not element.tag.startswith("{"):
            yield f"{element.tag} is in no namespace"
        elif element.tag.startswith(ATOM) and element.tag.removeprefix(ATOM) not in _ATOM_ELEMENTS:
            yield f"{element.tag} is not Atom's"
    for link in document.root.iter(f"{ATOM}link"):
        rel = link.get("rel", "alternate")
        if rel not in RELATIONS and not IRI.fullmatch(rel):
            yield f"UnregisteredAtomLinkRel: {rel}"


# -- RSS 2.0 and the profile -----------------------------------------------


@rule("rss")
def r1_a_channel_has_what_it_must_have(document: Document) -> Iterator[str]:
    if (document.root.tag, document.root.get("version")) != ("rss", "2.0") or [c.tag for c in document.root] != ["channel"]:
        yield "not one channel of RSS 2.0 in no namespace"
    count = Counter(child.tag for child in document.channel)
    for name in ("title", "link", "description"):
        if count[name] != 1 or not document.channel.findtext(name).strip():
            yield f"not one {name}"


_PLAIN = set("title link guid category comments enclosure pubDate author source".split())


@rule("rss")
def r2_an_item_says_something_and_core_elements_hold_text(document: Document) -> Iterator[str]:
    for item in document.rss_items:
        count = Counter(child.tag for child in item if not child.tag.startswith("{"))
        if not item.findtext("title") and not item.findtext("description"):
            yield "neither title nor description"
        yield from (f"{name} is not RSS's" for name in set(count) - _PLAIN - {"description"})
        yield from (
            f"{name} {times} times" for name, times in count.items() if times > 1 and name not in ("category", "enclosure")
        )
        yield from (f"{child.tag} with elements in it" for child in item if len(child))


@rule("rss")
def r3_plain_text_is_escaped_once_and_in_hexadecimal(document: Document) -> Iterator[str]:
    """feedvalidator: CharacterData. `&lt;b>` in a title is a tag to some readers, `&#x3C;b>` to none."""
    head = document.data.partition(b"<item>")[0]
    for found in (*re.findall(rb"<title>([^<]*)", document.data), *re.findall(rb"<description>([^<]*)", head)):
        if re.search(rb"&(lt|amp);", found):
            yield found.decode()


@rule("rss")
def r4_dates_are_rfc_822_with_four_digit_years(document: Document) -> Iterator[str]:
    for element in document.root.iter("pubDate", "lastBuildDate"):
        if not RFC822.fullmatch(element.text or "") or not _weekday_fits(element.text):
            yield f"{element.tag} {element.text!r}"


def _weekday_fits(text: str) -> bool:
    return email.utils.parsedate_to_datetime(text).strftime("%a") == text[:3]


@rule("rss")
def r5_guids_are_unique_and_links_only_if_they_say_so(document: Document) -> Iterator[str]:
    guids = [item.find("guid") for item in document.rss_items]
    if None in guids:
        yield "an item without guid"
        return
    yield from (f"twice {text}" for text, times in Counter(guid.text for guid in guids).items() if times > 1)
    for guid in guids:
        if guid.get("isPermaLink", "true") != "false" and not ASCII_URL.fullmatch(guid.text or ""):
            yield f"a permanent link {guid.text!r}"


@rule("rss")
def r6_one_enclosure_with_all_that_belongs_to_it(document: Document) -> Iterator[str]:
    for item in document.rss_items:
        found = item.findall("enclosure")
        if len(found) > 1:
            yield "several enclosures"
        for enclosure in found:
            if not enclosure.get("length", "").isdecimal() or not MEDIA_TYPE.fullmatch(enclosure.get("type", "")):
                yield f"enclosure {dict(enclosure.attrib)}"


@rule("rss")
def r7_elements_for_addresses_hold_addresses(document: Document) -> Iterator[str]:
    for element in document.root.iter("author", "managingEditor", "webMaster"):
        if not ADDRESS.fullmatch(element.text or ""):
            yield f"{element.tag} {element.text!r}"


@rule("rss")
def r8_addresses_are_absolute_and_ascii(document: Document) -> Iterator[str]:
    """feedvalidator: UriNotIri, an error."""
    found = [element.text for element in document.root.iter("link", "url", "docs", "comments")]
    found += [link.get("href") for link in document.root.iter(f"{ATOM}link")]
    found += [element.get("url") for element in document.root.iter("enclosure", "source")]
    yield from (f"address {url!r}" for url in found if not ASCII_URL.fullmatch(url or ""))


@rule("rss")
def r9_content_follows_the_description(document: Document) -> Iterator[str]:
    for item in document.rss_items:
        order = [child.tag for child in item]
        if ENCODED in order and "description" in order and order.index(ENCODED) < order.index("description"):
            yield "content before description"


@rule("rss")
def r10_a_channel_links_to_itself_and_categories_name_their_scheme(document: Document) -> Iterator[str]:
    own = [link for link in document.channel.findall(f"{ATOM}link") if link.get("rel") == "self"]
    if [link.get("type") for link in own] != ["application/rss+xml"]:
        yield "not one link to itself"
    yield from (f"ttl {ttl.text!r}" for ttl in document.channel.iter("ttl") if not (ttl.text or "").isdecimal())
    for category in document.root.iter("category"):
        if not ASCII_URL.fullmatch(category.get("domain", "")):
            yield f"category {category.text!r} of no scheme"


# -- history: RFC 5005 -----------------------------------------------------

_FH = "{http://purl.org/syndication/history/1.0}"
_PAGES = {"first", "last", "next", "previous", "prev-archive", "next-archive"}


def _head(document: Document) -> Any:
    """The element that the feed's own links are in."""
    return document.root if document.root.tag == f"{ATOM}feed" else document.channel


def _relations(element: Any) -> dict[str, str]:
    return {link.get("rel", "alternate"): link.get("href") for link in element.findall(f"{ATOM}link")}


@rule("atom", "rss")
def p1_a_complete_feed_has_no_further_pages(document: Document) -> Iterator[str]:
    if _head(document).find(f"{_FH}complete") is not None:
        yield from (f"FeedRelInCompleteFeed: {rel}" for rel in _relations(_head(document)) if rel in _PAGES)


@rule("atom", "rss")
def p3_an_archive_leads_to_the_feed_and_the_feed_only_back(document: Document) -> Iterator[str]:
    """feedvalidator: MissingCurrentInArchive."""
    found = _relations(_head(document))
    if _head(document).find(f"{_FH}archive") is None:
        if "next-archive" in found:
            yield "next-archive in what is no archive"
    elif found.get("current") in (None, found.get("self")):
        yield "an archive that does not lead to the current feed"
    if found.get("self") in [found.get(rel) for rel in ("prev-archive", "next-archive")]:
        yield "an archive before or after itself"


@rule("atom", "rss")
def p4_history_is_the_feeds_and_no_entrys(document: Document) -> Iterator[str]:
    """feedvalidator: FeedHistoryRelInEntry."""
    for entry in document.root.iter(f"{ATOM}entry", "item"):
        yield from (f"{rel} in an entry" for rel in _relations(entry) if rel in _PAGES | {"current"})


# -- JSON Feed 1.1 ---------------------------------------------------------

_VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


@rule("json")
def j1_it_keeps_to_the_schema(document: Document) -> Iterator[str]:
    """What of J1-J5 a schema can say; `test_jsonfeed.py` breaks it in every place."""
    yield from (f"{fault.json_path}: {fault.message[:150]}" for fault in _VALIDATOR.iter_errors(document.feed))


_HTML_IN_TEXT = re.compile(r"</?(p|div|br|a|img|span|li|ul|ol|h[1-6])\b[^<]*>", re.IGNORECASE)


@rule("json")
def j2_ids_are_unique_and_html_stays_where_it_belongs(document: Document) -> Iterator[str]:
    count = Counter(item["id"] for item in document.feed["items"])
    yield from (f"twice {id}" for id, times in count.items() if times > 1)
    for item in document.feed["items"]:
        for key in ("summary", "content_text"):
            if _HTML_IN_TEXT.search(item.get(key, "")):
                yield f"HTML in {key} of {item['id']}"


@rule("json")
def j3_an_original_is_elsewhere_and_dates_are_in_order(document: Document) -> Iterator[str]:
    for item in document.feed["items"]:
        if item.get("external_url") == item["url"]:
            yield f"{item['id']} is its own original"
        if _when(item.get("date_modified")) < _when(item.get("date_published")):
            yield f"{item['id']} was changed before it was published"


def _when(text: str | None) -> float:
    try:
        return datetime.fromisoformat(text or "").timestamp()
    except ValueError:
        return 0


@rule("json")
def j4_the_next_page_is_another_one(document: Document) -> Iterator[str]:
    if document.feed.get("next_url") == document.feed["feed_url"]:
        yield "next_url is feed_url"


@rule("json")
def j5_no_key_has_a_dot(document: Document) -> Iterator[str]:
    yield from (f"key {key!r}" for key in _keys(document.feed) if "." in key)


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    for inner in value if isinstance(value, list) else ():
        yield from _keys(inner)


@rule("json")
def j6_it_is_utf_8_and_of_a_fine_size(document: Document) -> Iterator[str]:
    if document.data.startswith(b"\xef\xbb\xbf") or re.search(rb"(?<!\\)\\u[4-9]", document.data):
        yield "not plain UTF-8"
    if len(document.data) > FINE_BYTES:
        yield f"{len(document.data)} bytes"


# -- OPML 2.0 --------------------------------------------------------------

_HEAD = {"title", "dateCreated", "dateModified", "ownerName", "ownerEmail", "ownerId"}


@rule("opml")
def o1_every_outline_has_a_text_and_every_feed_its_address(document: Document) -> Iterator[str]:
    """feedvalidator: UndefinedElement (it does not know `docs`), MissingOutlineType (a title belongs to a feed)."""
    if (document.root.tag, document.root.get("version")) != ("opml", "2.0"):
        yield "not OPML 2.0"
    heads = [child.tag for child in document.root.find("head")]
    yield from (f"{name} in the head" for name in {*heads} - _HEAD)
    yield from (f"twice {name}" for name, times in Counter(heads).items() if times > 1)
    if document.root.find("body/outline") is None:
        yield "a body without outlines"
    for outline in document.root.iter("outline"):
        if not outline.get("text"):
            yield "an outline without text"
        if outline.get("type") is None and {*outline.attrib} != {"text"}:
            yield "a folder that is more than a text"
        if outline.get("type") == "rss" and not (outline.get("title") and ASCII_URL.fullmatch(outline.get("xmlUrl", ""))):
            yield f"a feed without title or address: {dict(outline.attrib)}"


# -- what feedvalidator remarks beside -------------------------------------


def _texts(document: Document) -> Iterator[str]:
    """All plain text of a document in XML."""
    for element in document.root.iter("{*}title", "{*}name", "{*}subtitle", "{*}summary", "{*}creator", "{*}contributor"):
        yield element.text or ""
    yield from (outline.get("text", "") for outline in document.root.iter("outline"))


@rule("atom", "rss", "opml")
def v1_no_plain_text_looks_like_markup(document: Document) -> Iterator[str]:
    """ContainsHTML, ContainsUndeclaredHTML, NotHtml: some readers would interpret it, others strip it."""
    yield from (f"markup in {text!r}" for text in _texts(document) if re.search(rf"</({_WORDS})>|<({_WORDS})?$", text))


_SAFE = set(
    "a abbr acronym aside b bdi blockquote br caption cite code col colgroup data dd del details dfn div dl dt em figcaption "
    "figure h1 h2 h3 h4 h5 h6 hr i img ins kbd li mark ol p pre q rp rt ruby s samp small span strike strong sub summary sup "
    "table tbody td tfoot th thead time tr tt u ul var wbr".split()
)
_WORDS = "|".join(sorted(_SAFE | {"script", "style", "font", "center"}))
_VOID = {"br", "hr", "img", "wbr", "col"}


class _Content(HTMLParser):
    """Notes what a reader's sanitiser would stumble on."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _SAFE:
            self.found.append(f"SecurityRisk, NotHtml: {tag}")
        for name, value in attrs:
            if name == "style" or name.startswith("on"):
                self.found.append(f"DangerousStyleAttr, SecurityRiskAttr: {name}")
            if name in ("href", "src") and not IRI.fullmatch(value or ""):
                self.found.append(f"ContainsRelRef: {value!r}")
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID and (not self.open or self.open.pop() != tag):
            self.found.append(f"NotHtml: </{tag}> closes nothing")


@functools.cache  # one article is in many feeds
def _of_content(text: str) -> tuple[str, ...]:
    parser = _Content()
    parser.feed(text)
    parser.close()
    return (*parser.found, *(f"NotHtml: <{tag}> stays open" for tag in parser.open))


@rule("atom", "rss")
def v2_content_is_safe_and_its_references_absolute(document: Document) -> Iterator[str]:
    """SecurityRisk, SecurityRiskAttr, DangerousStyleAttr, NotHtml; ContainsRelRef, of which it is silent in Atom."""
    for element in document.root.iter(f"{ATOM}content", ENCODED):
        yield from _of_content(element.text or "")


@rule("json")
def v2_html_is_safe_and_its_references_absolute(document: Document) -> Iterator[str]:
    for item in document.feed["items"]:
        yield from _of_content(item.get("content_html", ""))


@rule("atom", "rss", "json", "opml")
def v3_no_character_is_broken(document: Document) -> Iterator[str]:
    """BadCharacters: C1 controls and U+FFFD are what a wrong decoding leaves behind."""
    text = document.data.decode("utf-8")
    if text.startswith("{"):
        text = "".join(_strings(document.feed))
    found = re.findall("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffd\ufffe\uffff]", unescape(text))
    yield from (f"U+{ord(character):04X}" for character in found)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _strings(inner)


@rule("atom")
def v4_no_two_entries_changed_in_the_same_second(document: Document) -> Iterator[str]:
    """DuplicateUpdated: readers that sort by it would put them in any order."""
    count = Counter(entry.findtext(f"{ATOM}updated") for entry in document.atom_entries)
    yield from (f"{times} entries of {date}" for date, times in count.items() if times > 1)


@rule("atom", "rss")
def v5_it_links_to_where_it_is(document: Document) -> Iterator[str]:
    """SelfDoesntMatchLocation."""
    own = [link.get("href") for link in _links(_head(document), "self")]
    if own != [document.address]:
        yield f"says that it is {own}"


@rule("json")
def v5_the_feed_url_is_where_it_is(document: Document) -> Iterator[str]:
    if document.feed["feed_url"] != document.address:
        yield f"says that it is {document.feed['feed_url']}"


@rule("atom", "rss")
def v6_no_element_is_empty(document: Document) -> Iterator[str]:
    """NotBlank, MissingTextualContent. Those of RFC 5005 are marks."""
    for element in document.root.iter("*"):
        if not element.tag.startswith(_FH) and not len(element) and not element.attrib and not (element.text or "").strip():
            yield f"an empty {element.tag}"


LINES: Mapping[str, tuple[str, ...]] = {format: tuple(line(name) for name in rules) for format, rules in RULES.items()}
