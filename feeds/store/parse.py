"""Parse the files of the store: one file -> a verdict, and a ParsedArticle or a Problem, whatever the file contains.

The way of a file: `places` (what its path says), `frontmatter` (header and body), `fields` (what the header says), `verdict`
(is it published), `permalinks` (its address), `dialects` and `markdown` (its body). Articles are made safe here, once.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
import re
import stat
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import PurePosixPath
from urllib.parse import urlsplit

import deflate

from .. import urls
from ..model import ParsedArticle, Problem
from . import addresses, markdown
from .assets.opening import Asset
from .bodies.public_source import public_source
from .dates import EARLIEST, LATEST, find_zone
from .fields import MAX_SUMMARY, MAX_TITLE, NO_DATE, Fields, read_fields, zone_of
from .frontmatter import BadFrontMatter, Source, read_source, select_forms
from .header_text import plain_summary
from .headers import details
from .headers.lookup import text_of
from .kinds import GeneratorSite, Place, StoreKind
from .names import MAX_NAME
from .parse_settings import ParseSettings
from .parsed import UNDATED, UNSETTLED_NS, FileDates, ParsedFile, Reading
from .places import place_of
from .search_words import article_words
from .verdict import Verdict, judge
from .walk import UNSETTLED, file_stamp

#: HTML may be so many times as long as a file may be.
_MAX_GROWTH = 8
#: Characters that all links together may grow by, as each is written out with its base; and those of a base besides what the
#: file says.
MAX_LINK_GROWTH, _SITE_ADDRESS = 8_000_000, 40

# -- files -----------------------------------------------------------------


def parse_file(settings: ParseSettings, path: str, now_ns: int, dates: FileDates = UNDATED) -> ParsedFile:
    """Parse one file. `now_ns` (nanoseconds, UTC) decides whether it is settled, and what is under embargo.

    `path` begins with the prefix of the store, and so do all paths of `dates`.
    """
    try:
        descriptor = os.open(settings.file(path), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            regular = stat.S_ISREG(status.st_mode)  # it may have been replaced since the walk
            data = file.read(settings.max_bytes + 1) if regular else b""
            fault = "" if regular else "not a file any more"
    except OSError as error:
        fault = f"cannot be read: {error.strerror or type(error).__name__}"
    if fault:
        problem = Problem(path, 0, 0, fault, "unreadable")
        return ParsedFile(path, UNSETTLED, problem, settled=False, verdict=Verdict("quarantined", fault), seen=dates.seen)
    read = parse_article(settings, path, data, status.st_mtime, dates, now=now_ns // 1_000_000_000)
    is_settled = now_ns - status.st_mtime_ns > UNSETTLED_NS
    stamp, known = file_stamp(status), (read.verdict, read.seen, read.names_id, read.notices, read.aliases, read.unused)
    article = read.result
    words = article_words(article.title, article.summary, article.html) if isinstance(article, ParsedArticle) else ""
    return ParsedFile(path, stamp, article, is_settled, *known, read.page, read.assets, words)


def parse_article(
    settings: ParseSettings, path: str, data: bytes, mtime: float, dates: FileDates = UNDATED, *, now: int
) -> Reading:
    """Parse the bytes of the file at `path` as they count at `now` (UTC seconds). Total: never raises for what is in `data`.

    Git's dates, then `mtime` (seconds) where the file was never seen before, are the last fallbacks for an article without any
    date.
    """
    try:
        below, bundles = path, dates.bundles
        if folder := settings.folder:
            below, bundles = path.removeprefix(folder), frozenset(one.removeprefix(folder) for one in bundles)
        place = place_of(settings.site, below, bundles)
        if place.state in ("ignored", "withheld"):
            return Reading(None, Verdict("ignored" if place.state == "ignored" else "withheld", place.reason), dates.seen)
        text = _decode(settings, path, data)
        return _read(settings, place, text, mtime, dates, now)
    except BadFrontMatter as error:
        problem = Problem(path, error.line, error.column, error.reason, error.kind)
    except markdown.TooComplex as error:
        problem = Problem(path, 0, 0, str(error))
    except MemoryError:  # a fault of the process, which has a limit of it
        raise
    except Exception as error:  # the message could quote the file, the type cannot
        problem = Problem(path, 0, 0, f"could not be read ({type(error).__name__})")
    return Reading(problem, Verdict("quarantined", problem.reason), dates.seen)


def _decode(settings: ParseSettings, path: str, data: bytes) -> str:
    """Return the text of a file with LF line ends. Raises BadFrontMatter."""
    if len(data) > settings.max_bytes:
        raise BadFrontMatter(0, 0, f"larger than {settings.max_bytes} bytes", "oversized")
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
        raise BadFrontMatter(line, column, "not UTF-8", "encoding") from None


def _read(settings: ParseSettings, place: Place, text: str, mtime: float, dates: FileDates, now: int) -> Reading:
    """Read header and body, judge, and make the article of what is published. Raises BadFrontMatter and TooComplex."""
    site, kind = settings.site, settings.kind
    source = read_source(text, place.path, select_forms(kind.headers, settings.kinds))
    fields = read_fields(site, kind, place, source, settings.timezone, dict(site.fields))
    verdict = _judge(settings, place, fields, now)
    if verdict.state == "quarantined":
        raise BadFrontMatter(1, 1, verdict.reason)
    known = tuple(notice for notice in fields.notices if notice != NO_DATE)
    is_page = verdict.state == "page" and _is_shown(settings, verdict)
    if verdict.state != "published" and not is_page:
        return Reading(None, verdict, dates.seen, notices=known)
    published, seen = fields.date or _commit_date(dates.first), None
    if published is None:
        # Not the file's time once more: a touch, a copy or a fresh clone moves no article.
        seen = min(max(int(mtime), 0), now, int(LATEST.timestamp())) if dates.seen is None else dates.seen
        published = datetime.fromtimestamp(seen, UTC)
    article, notices, assets = _article(settings, place, source, fields, dates, published, now)
    if is_page:
        return Reading(None, verdict, seen, notices=(*known, *notices), page=article, assets=assets)
    names_id = (site.option("identity") or kind.identity) == "name" or bool(fields.id)
    if NO_DATE in fields.notices:
        notices = (
            f"{NO_DATE}: {'first committed' if seen is None else 'first seen'} {published:%Y-%m-%d}, which counts",
            *notices,
        )
    return Reading(article, verdict, seen, names_id, (*known, *notices), fields.aliases, fields.unused, assets=assets)


#: Reasons of pages that list others, and mean nothing without their generator.
_LISTS = ("section", "folder", "home")


def _is_shown(settings: ParseSettings, verdict: Verdict) -> bool:
    """Return whether a page is published, by the reason for which it is no article."""
    return settings.pages and verdict.reason not in (*_LISTS, settings.kind.index)


def _judge(settings: ParseSettings, place: Place, fields: Fields, now: int) -> Verdict:
    future = "hold" if settings.holds_future else "publish"
    return judge(place, fields, settings.kind, datetime.fromtimestamp(now, UTC), future=future)


# -- articles --------------------------------------------------------------


def article_name(path: str) -> str:
    """Return the name that an article has by its file; of `hello/index.md`, a folder that is one article, the folder's counts.

    >>> article_name("2020/hello.MD"), article_name("2020/hello/Index.md")
    ('hello', 'hello')
    """
    file = PurePosixPath(path)
    return file.parent.name if file.stem.lower() in ("index", "_index") and file.parent.name else file.stem


def article_id(site: GeneratorSite, kind: StoreKind, place: Place, fields: Fields, known_as: str) -> str:
    """Return the id of an article: its own, the one that its file has always had, else one made of its path and language.

    One that is made begins with the prefix of the store. What another generator calls an id (`guid`) counts for a new file
    alone, so that no article changes its id.
    """
    written = (fields.id, known_as) if "id" in kind.fields.get("id", ()) else (known_as, fields.id)
    if id := next((id for one in written if (id := markdown.one_line(one)[:MAX_NAME])), ""):
        return id
    if (site.option("identity") or kind.identity) == "name":
        made = article_name(place.path)
    else:
        made = place.stem + (f"@{place.language}" if place.language not in ("", site.language) else "")
    return markdown.one_line(f"{site.prefix}/{made}" if site.prefix else made)[:MAX_NAME] or place.path


def with_id(article: ParsedArticle, id: str, *, published: int | None = None) -> ParsedArticle:
    """Return an article with another id, and another time of publication (UTC seconds) if given."""
    when = article.published if published is None else datetime.fromtimestamp(published, UTC)
    changed = dataclasses.replace(article, id=id, url=_page(id), published=when, updated=max(when, article.updated))
    return _sealed(changed)


def _name_of(place: Place, known_as: str) -> str:
    """Return the name of a file in the spelling that it had first, where only its case has changed since."""
    name, known = article_name(place.path), known_as.rpartition("/")[2]
    return known if urls.fold(known) == urls.fold(name) else name


def _id_prefix(id: str) -> str:
    """Return what ids of places in an article begin with, so that readers may show it beside others."""
    return f"a{hashlib.sha256(id.encode('utf-8', 'replace')).hexdigest()[:7]}-"


def _page(id: str) -> str:
    return f"/articles/{urls.encode(urls.slug(id))}"


#: What few articles say is in the digests of those alone, so that no other article is another one for it.
_SELDOM: Mapping[str, object] = {
    one.name: one.default if one.default_factory is dataclasses.MISSING else one.default_factory()
    for one in dataclasses.fields(ParsedArticle)
    if one.default is not dataclasses.MISSING or one.default_factory is not dataclasses.MISSING
}


def _sealed(article: ParsedArticle) -> ParsedArticle:
    """Return an article with the digest of all that it says."""
    shown = "\0".join(str(getattr(article, name)) for name in ParsedArticle.__slots__ if name not in ("digest", *_SELDOM))
    shown += f"\0{article.translation}" if article.translation else ""
    said = {name: getattr(article, name) for name in _SELDOM if name not in ("translation", "source", "changes")}
    shown += "".join(f"\0{name} {value}" for name, value in said.items() if value != _SELDOM[name])
    return dataclasses.replace(article, digest=hashlib.sha256(shown.encode()).hexdigest()[:32])


def _article(
    settings: ParseSettings,
    place: Place,
    source: Source,
    fields: Fields,
    dates: FileDates,
    published: datetime,
    now: int,
) -> tuple[ParsedArticle, tuple[str, ...], tuple[Asset, ...]]:
    """Return the article, what its address lacks and its body leaves out, and the files that it refers to."""
    site, kind = settings.site, settings.kind
    id = article_id(site, kind, place, fields, dates.known_as)
    # The archive's is joined with `article_url` as it is written.
    permalink, lacks = (fields.address, ()) if kind.name == "archive" else _site_address(settings, place, source, fields)
    permalink = permalink if len(permalink) <= MAX_NAME else ""
    links = _Links(settings, place, permalink, now) if _has_links(kind, fields) else None
    if site.prefix and site.base_url and permalink.startswith("/") and kind.name != "archive":
        permalink = site.base_url + permalink  # other stores have other sites
    is_html = place.path.lower().endswith((".html", ".htm"))
    body, left_out = _plain_body(settings, place, fields, permalink, fields.body)
    rendered = markdown.render_body(body, links.resolve if links else None, is_html=is_html, prefix=_id_prefix(id))
    html = links.with_sizes(rendered.html) if links else rendered.html
    page = _page(id)
    _check_growth(settings, html, page, permalink)
    summary = markdown.shorten(plain_summary(fields.summary, html), MAX_SUMMARY)
    if not summary and fields.excerpt:
        opening, _ = _plain_body(settings, place, fields, permalink, fields.excerpt)
        summary = markdown.excerpt(markdown.render_html(opening, is_html=is_html))
    said = details.with_media(fields.details, rendered.media) if rendered.media else fields.details
    article = _sealed(
        ParsedArticle(
            id=id,
            url=page,
            permalink=permalink,
            title=markdown.shorten(fields.title, MAX_TITLE) or _name_of(place, dates.known_as) or id,
            summary=summary or markdown.excerpt(html),
            html=html,
            published=published,
            updated=max(published, fields.updated or _commit_date(dates.last) or published),
            original=fields.original,
            picture=links.picture(fields.cover or _opening_picture(kind, fields)) if links else _picture(fields.cover),
            comments=_comments(source),
            editor_choice=text_of(source.fields.get("editorchoice")).lower() in _YES,
            names=fields.names,
            digest="",
            translation=fields.translation,
            changes=rendered.changes,
            in_feeds=details.in_feeds(fields.flags),
            in_digests=details.in_digests(fields.flags),
            pinned=fields.pinned,
            part=fields.part,
            source=b"" if is_html else bytes(deflate.zlib_compress(public_source(body, html).encode(), 1)),
            details=details.locate(settings, place, said, links.picture if links else _picture),
        )
    )
    files, unpublished = (links.assets, links.notices) if links else ((), ())
    mended = (f"{what} ({count})" if count > 1 else what for what, count in rendered.changes.items())
    return article, (*lacks, *left_out, *mended, *unpublished), files


def _has_links(kind: StoreKind, fields: Fields) -> bool:
    """Return whether an article may refer to others, or to files beside it."""
    is_beside = bool(fields.cover) and not fields.cover.startswith(("http:", "https:", "/"))
    return kind.name != "archive" or is_beside or _BESIDE.search(fields.body) is not None


def _comments(source: Source) -> int:
    """Return how many comments the archive says that an article has."""
    count = source.fields.get("count")
    number = count.get("commentnum") if isinstance(count, dict) else None
    return int(number) if isinstance(number, str) and re.fullmatch(r"[0-9]{1,9}", number) else 0


#: What an article of the archive has that refers to a file beside it, or contains a picture.
_BESIDE = re.compile(
    r"data:image/|\]\(\s*<?(?![A-Za-z][\w+.-]*:|[/#?)])|\b(?:src|href|poster|data)\s*=\s*[\"']?(?![A-Za-z][\w+.-]*:|[/#?\"'])"
    r"|^ {0,3}\[[^\]\n]+\]:[ \t]*<?(?![A-Za-z][\w+.-]*:|[/#?\s])",
    re.MULTILINE,
)
_YES = ("true", "yes", "on", "1")
#: How many links of one article to other articles are followed to their files, and how much of such a file is read.
_MAX_FOLLOWED, _MAX_HEADER = 100, 65_536


_OPENING_PICTURE = re.compile(r"\s*!\[[^\]\n]*\]\(<?([^\s()<>]+)")


def _opening_picture(kind: StoreKind, fields: Fields) -> str:
    """Return the picture that a translation begins with, which stands for it: these files have no field for one."""
    match = _OPENING_PICTURE.match(fields.body) if kind.name == "lctt" else None
    return match[1] if match else ""


# Patterns of addresses, links and dialects take long to compile: a process that parses an archive does without.


def _site_address(settings: ParseSettings, place: Place, source: Source, fields: Fields) -> tuple[str, tuple[str, ...]]:
    """Return the address of an article on its site, by the patterns of its generator, and what it lacks, in words."""
    from .links.permalinks import NO_VALUE, find_address

    site, kind = settings.site, settings.kind
    zone = find_zone(zone_of(site, kind, place, settings.timezone))
    found = find_address(site, kind, place, fields, zone=zone, header=source.fields)
    return found.path, tuple(f"{token} {NO_VALUE}" for token in found.unknown)


def _plain_body(
    settings: ParseSettings, place: Place, fields: Fields, permalink: str, body: str
) -> tuple[str, tuple[str, ...]]:
    """Return a body, or a part of it, without the dialects of its generator, and what is left out, in words."""
    site, passes = settings.site, settings.kind.passes
    if not passes:
        return body, ()
    from .bodies.dialects import BodyContext, plain_markdown

    link = site.base_url + permalink if site.base_url and permalink.startswith("/") else permalink
    values = {"site.title": site.option("title"), "site.url": site.base_url, "page.title": fields.title}
    is_mdx = site.kind == "docusaurus" or place.path.lower().endswith(".mdx")
    context = BodyContext(is_mdx, link, site.base_url, urlsplit(site.base_url).path, values)
    plain = plain_markdown(body, passes, context)
    return plain.body, plain.notices


class _Links:
    """What the links and pictures of one article lead to, by the rules of its generator; the archive's stay as they are."""

    def __init__(self, settings: ParseSettings, place: Place, address: str, now: int) -> None:
        from .assets.finding import AssetFinder
        from .links.references import resolve_reference

        self.settings, self.now = settings, now
        self._is_archive = settings.kind.name == "archive"
        self._find = functools.partial(resolve_reference, settings.site, settings.kind, place, address)
        self._followed: dict[str, str] = {}
        self._files = AssetFinder(settings, place, address, now * 1_000_000_000)

    @property
    def assets(self) -> tuple[Asset, ...]:
        """The files that the article refers to."""
        return tuple(self._files.assets)

    @property
    def notices(self) -> tuple[str, ...]:
        """Which files are not published, and why."""
        return self._files.notices()

    def with_sizes(self, html: str) -> str:
        """Return HTML with width and height of the pictures that are published here."""
        from .bodies.picture_sizes import with_sizes

        sizes = {addresses.HERE + address: size for address, size in self._files.sizes.items()}
        return with_sizes(html, sizes) if sizes else html

    def resolve(self, written: str, is_picture: bool) -> str:
        """Return an address: absolute, or marked as relative to that of the article or of this service."""
        site = self.settings.site
        if self._is_archive:
            if file := self._files.address(written, self._find(written, is_picture), is_picture=is_picture):
                return addresses.HERE + file
            rooted = is_picture and written.startswith("/") and not written.startswith("//")
            return f"{addresses.PICTURE if rooted else addresses.RELATIVE}{written}"
        found = self._find(written, is_picture)
        if file := self._files.address(written, found, is_picture=is_picture):
            return addresses.HERE + file
        if found.kind == "absolute":
            return f"https:{found.path}" if found.path.startswith("//") else found.path
        if found.kind == "article" and (address := self._address_of(found.path)):
            is_whole = "://" in address or address.startswith(addresses.HERE)
            return (address if is_whole else f"{addresses.RELATIVE}{address}") + found.mark
        if found.kind == "site" and is_picture and not site.base_url:  # `image_url` may know
            return f"{addresses.PICTURE}{found.path}" if found.path.startswith("/") else found.path
        return f"{addresses.RELATIVE}{found.path if found.kind == 'site' else written}"

    def picture(self, written: str) -> str:
        """Return the picture that stands for the article: absolute, marked as relative to it or here, or for `image_url`."""
        found = self._find(written, True)
        if file := self._files.address(written, found, is_picture=True):
            return addresses.HERE + file
        if self._is_archive:
            return _picture(written)
        if found.kind == "site" and self.settings.site.base_url:
            return f"{addresses.RELATIVE}{found.path}"
        return _picture(found.path) if found.kind in ("site", "absolute") else ""

    def _address_of(self, path: str) -> str:
        """Return the address of another article of the store, from the root of the host; "" where that is not known."""
        if path not in self._followed and len(self._followed) < _MAX_FOLLOWED:
            self._followed[path] = _find_address(self.settings, path, self.now)
        return self._followed.get(path, "")


def _find_address(settings: ParseSettings, path: str, now: int) -> str:
    """Return where the article in a file of the store has its page: on the site, from the root of the host; or here, marked.

    "" where it has none, or cannot be read.

    Of what is withheld at `now` (UTC seconds) nothing is said, as an address can be made of the title.
    """
    site, kind = settings.site, settings.kind
    root = os.path.realpath(settings.root)
    target = os.path.realpath(os.path.join(root, path))
    if os.path.commonpath([root, target]) != root or not target.lower().endswith(kind.suffixes):
        return ""
    if not os.path.isfile(target):
        return ""
    try:
        with open(target, "rb") as file:
            text = file.read(_MAX_HEADER).decode("utf-8-sig", "replace").replace("\r\n", "\n")
        place = place_of(site, path)
        source = read_source(text, path, select_forms(kind.headers, settings.kinds))
        fields = read_fields(site, kind, place, source, settings.timezone, dict(site.fields))
        verdict = _judge(settings, place, fields, now)
    except (OSError, BadFrontMatter):
        return ""
    if verdict.state != "published" and not (verdict.state == "page" and (site.base_url or _is_shown(settings, verdict))):
        return ""
    if not site.base_url:
        return addresses.HERE + _page(article_id(site, kind, place, fields, ""))
    address, _ = _site_address(settings, place, source, fields)
    return urlsplit(site.base_url).path + address if address.startswith("/") else address


def _picture(reference: str) -> str:
    """Return the address of a picture, or what `image_url` makes one of; "" for what never is one."""
    absolute = urls.absolute_url(reference, "")
    made = absolute or any(urls.absolute_url(reference, f"{scheme}://host/") for scheme in ("https", "http"))
    return absolute or (reference if made and reference else "")


def _check_growth(settings: ParseSettings, html: str, page: str, permalink: str) -> None:
    """Raise TooComplex for a body that would be too long with all addresses written out."""
    relative = html.count(addresses.RELATIVE)
    growth = relative * (max(len(page), len(urls.encode(permalink))) + _SITE_ADDRESS) if relative else 0
    if growth > MAX_LINK_GROWTH:
        raise markdown.TooComplex(f"links that are more than {MAX_LINK_GROWTH} characters long with the address of the article")
    if len(html) > _MAX_GROWTH * settings.max_bytes:
        raise markdown.TooComplex(f"more than {_MAX_GROWTH * settings.max_bytes} bytes as HTML")


def _commit_date(seconds: int | None) -> datetime | None:
    """A commit can claim any time; the bounds are those of all dates."""
    if seconds is None or not EARLIEST.timestamp() <= seconds < LATEST.timestamp():
        return None
    return datetime.fromtimestamp(seconds, UTC)
