"""Make the address of an article as its generator does, from what its path, its header and the site's configuration say. Pure.

An address begins with "/" and is relative to the site's `base_url`, whose own path is no part of it. `references` says what the
links and pictures of a body lead to.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import posixpath
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, timedelta, timezone, tzinfo
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_plus

from ..kinds import GeneratorSite, Place, StoreKind
from .javascript import ASTRO, ELEVENTY, VUE, astro_path, docusaurus_path, eleventy_path, vue_path
from .slugs import hexo_slug, hugo_path, jekyll_slug, pelican_slug, quartz_path
from .url_patterns import (
    DATE_TOKENS,
    MAX_ADDRESS,
    Subject,
    Tokens,
    Unknown,
    expand,
    header_text,
    header_value,
    option_map,
    unix_seconds,
)

if TYPE_CHECKING:
    from ..fields import Fields

_EMPTY: Mapping[str, object] = MappingProxyType({})
_SAFE = "/-._~!$&'()*+,;=:@"


@dataclass(frozen=True, slots=True)
class Address:
    """The path of an article, "" where none is known, and the tokens of its pattern for which there is no value."""

    path: str = ""
    unknown: tuple[str, ...] = ()


#: What is said of a token for which an article has no value.
NO_VALUE = "in the pattern of addresses has no value"


def address_of(
    site: GeneratorSite,
    kind: StoreKind,
    place: Place,
    fields: Fields,
    *,
    zone: tzinfo,
    header: Mapping[str, object] = _EMPTY,
) -> str:
    """Return the path of an article from the root of `base_url`, percent-encoded; absolute where its header says it; or "".

    `zone` is that of dates in addresses; Hugo and Pelican use the one in which a date is written. `header` has all fields, for
    patterns that name one, and for the zone of the date.
    """
    return find_address(site, kind, place, fields, zone=zone, header=header).path


def find_address(
    site: GeneratorSite,
    kind: StoreKind,
    place: Place,
    fields: Fields,
    *,
    zone: tzinfo,
    header: Mapping[str, object] = _EMPTY,
) -> Address:
    """Return the address as `address_of` does, and what it lacks."""
    if fields.address.startswith(("http://", "https://")) and kind.name != "astro":
        return Address(fields.address if len(fields.address) <= MAX_ADDRESS else "")
    one = Subject(site, kind, place, fields, header, None, _tokens(kind.name))
    with contextlib.suppress(OverflowError):  # the first day of all, in another zone
        when = fields.date.astimezone(_written_zone(one) or zone) if fields.date else None
        one = dataclasses.replace(one, when=when)
    try:
        path = _MAKERS.get(kind.name, _plain)(one)
    except Unknown as unknown:
        return Address("", (str(unknown),))
    return Address(encode_path(path))


_OFFSET = re.compile(r":\d\d(?:\.\d+)?\s*(?:(Z|UTC|GMT)|([+-])(\d\d):?(\d\d))(?:\s+[A-Z]{3,5})?$")


def _written_zone(one: Subject) -> tzinfo | None:
    """Return the zone in which the header writes the date, where the generator's addresses keep it."""
    if one.kind.name not in ("hugo", "pelican"):
        return None
    names = (*one.site.date_fields, *one.kind.fields.get("date", ("date",)))
    text = next(filter(None, (header_text(one, name) for name in names)), "")
    match = _OFFSET.search(text[:100].rstrip())
    if match is None or match[1] or int(match[3]) > 23:
        return UTC if match else None
    shift = timedelta(hours=int(match[3]), minutes=int(match[4]))
    return timezone(-shift if match[2] == "-" else shift)


def encode_path(path: str) -> str:
    """Return a path as addresses have it: one slash first, percent-encoded once, "" for none and for what is too long.

    >>> encode_path("a b/中"), encode_path("/caf%C3%A9/100%")
    ('/a%20b/%E4%B8%AD', '/caf%C3%A9/100%25')
    """
    if not path:
        return ""
    path = path.encode("utf-8", "ignore").decode().replace("\\", "/")  # without lone surrogates; as browsers read it
    parts = re.split("(%[0-9A-Fa-f]{2})", "/" + path.lstrip("/"))
    made = "".join(part if at % 2 else quote(part, safe=_SAFE) for at, part in enumerate(parts))
    return made if len(made) <= MAX_ADDRESS else ""


def _required(value: str, token: str) -> str:
    if not value:
        raise Unknown(token)
    return value


def _segment(text: str) -> str:
    return hugo_path(text.replace("/", " ")).strip("-.")


_TOKENS: Tokens = {
    "title": lambda one: _required(_segment(one.fields.title), ":title"),
    "slug": lambda one: one.fields.slug or _segment(one.place.name or one.tail),
    "filename": lambda one: one.tail,
    "name": lambda one: one.place.name or one.tail,
    "path": lambda one: one.place.stem,
    "section": lambda one: one.place.section,
    "sections": lambda one: one.folder,
    "category": lambda one: next(iter(one.names("category")), ""),
    "categories": lambda one: "/".join(one.names("category")),
    "collection": lambda one: one.root.collection or one.place.section,
    "lang": lambda one: one.language.code,
    "language": lambda one: one.language.code,
    "author": lambda one: next(iter(one.names("author")), ""),
    "id": lambda one: _required(one.fields.id, ":id"),
    "output_ext": lambda one: ".html",
}


# -- Hugo ------------------------------------------------------------------------


def _hugo(one: Subject) -> str:
    prefix = f"/{one.language.prefix}" if one.language.prefix else ""
    if own := one.fields.address:
        path = expand(one, own.replace(r"\:", "\0")).replace("\0", ":") if ":" in own else own
        if not path.endswith("/") and ("." not in path or ("address", ("path",)) in one.site.fields):  # Zola's are folders
            path += "/"
        return path if path.startswith("/") else f"{prefix}/{path}"
    section = one.place.section or "/"
    names = (section, section.partition("/")[0], "")
    if pattern := one.pattern(*(f"{one.language.code}:{name}" for name in names), *names):
        path = unquote_plus(expand(one, pattern.replace(r"\:", "")))
    else:
        path = "/".join(filter(None, (one.folder, one.fields.slug.strip("-") or one.tail)))
    # A blank before what is left out at the end becomes a hyphen before the slash.
    path = posixpath.normpath("/" + hugo_path(f"{path.strip('/')}/", one.site.keep_case)).strip("/")
    ugly = one.site.ugly or one.place.section in one.site.ugly_sections
    return prefix + re.sub("/{2,}", "/", f"/{path}{'.html' if ugly and path else '/'}")


def _hugo_slug(one: Subject, *fallbacks: str) -> str:
    return _hugo_part(one, next(filter(None, (one.fields.slug.strip("-"), *fallbacks)), ""))


def _hugo_part(one: Subject, text: str) -> str:
    """Return a text as a part of a path; without an empty fragment at its end."""
    return hugo_path(text, one.site.keep_case).removesuffix("#")


def _hugo_sections(one: Subject) -> str:
    """Return the folders above that are sections: the first one, and those that have an `_index.md` where that is known.

    A pattern for all sections is not Hugo's own: there every folder counts.
    """
    folders = one.folder.split("/")
    if not any(name for name, _pattern in one.site.permalinks):
        return one.folder
    known = one.site.option("sections").split("\n")
    return "/".join(folder for at, folder in enumerate(folders) if not at or "/".join(folders[: at + 1]) in known)


_HUGO: Tokens = {
    "title": lambda one: _hugo_part(one, one.fields.title),
    "slug": lambda one: _hugo_slug(one, one.fields.title),
    "filename": lambda one: _hugo_part(one, one.tail),
    "contentbasename": lambda one: _hugo_part(one, one.tail),
    "slugorfilename": lambda one: _hugo_slug(one, one.tail),
    "slugorcontentbasename": lambda one: _hugo_slug(one, one.tail),
    "sections": _hugo_sections,
    "name": lambda one: _hugo_slug(one, one.place.name, one.tail),  # Zola's
}


# -- Jekyll ----------------------------------------------------------------------

_STYLES = {
    "date": "/:categories/:year/:month/:day/:title:output_ext",
    "pretty": "/:categories/:year/:month/:day/:title/",
    "ordinal": "/:categories/:year/:y_day/:title:output_ext",
    "weekdate": "/:categories/:year/W:week/:short_day/:title:output_ext",
    "none": "/:categories/:title:output_ext",
}


def _jekyll(one: Subject) -> str:
    style = one.pattern("posts")
    folders = one.below_root.split("/")[:-1]
    collection = "posts" if "_posts" in folders or "_drafts" in folders else one.root.collection
    if own := one.fields.address:
        pattern = own
    elif collection == "posts":
        pattern = _STYLES.get(style or "date", style)
    elif collection and (named := dict(one.site.permalinks).get(collection)):
        pattern = _STYLES.get(named, named)
    else:
        ending = "/" if style == "pretty" or style.endswith("/") else ":output_ext"
        index = not collection and one.place.path.rpartition("/")[2].startswith("index.")
        pattern = "/:path/" if index else f"/{':collection/' if collection else ''}:path{ending}"
    path = "/" + expand(one, pattern)
    return re.sub("/{2,}", "/", path.replace("..", "/").replace("./", ""))


def _jekyll_categories(one: Subject) -> tuple[str, ...]:
    """Return the categories in lower case, each once: the folders above `_posts`, then those of the header."""
    above = one.below_root.partition("_posts/")[0] if "_posts/" in one.below_root else ""
    left_out = {one.site.option("collections_dir"), one.site.option("source"), "_drafts", ""}
    folders = [folder for folder in above.split("/") if folder not in left_out]
    return tuple(dict.fromkeys(name.lower() for name in (*folders, *one.names("category"))))


def _jekyll_title(one: Subject, *, pretty: bool) -> str:
    names = (one.fields.slug, one.place.name, one.tail)
    return next(filter(None, (jekyll_slug(name, pretty=pretty, cased=pretty) for name in names)), "")


_JEKYLL: Tokens = {
    "title": lambda one: _jekyll_title(one, pretty=True),
    "slug": lambda one: _jekyll_title(one, pretty=False),
    "name": lambda one: jekyll_slug(one.tail),
    "basename": lambda one: one.tail,
    "path": lambda one: re.sub(r"\.[^./]*$", "", one.below_root) if one.root.collection else one.place.stem,
    "categories": lambda one: "/".join(_jekyll_categories(one)),
    "slugified_categories": lambda one: "/".join(map(jekyll_slug, _jekyll_categories(one))),
}


# -- Hexo ------------------------------------------------------------------------


def _hexo(one: Subject) -> str:
    if one.place.state == "page":
        path = one.fields.address or re.sub(r"\.[^./]*$", ".html", one.below_root)
    else:
        path = one.fields.address or expand(one, one.pattern("posts") or one.kind.address)
        if one.site.option("post_asset_folder").lower() == "true" and not path.endswith(("/", ".html")):
            path += "/"
    if one.site.option("trailing_index").lower() == "false":
        path = re.sub(r"(^|/)index\.html$", r"\1", path)
    if one.site.option("trailing_html").lower() == "false" and not path.endswith("/index.html"):
        path = path.removesuffix(".html")
    return path


_NEW_POST = {"year": r"\d{4}", "month": r"\d\d", "day": r"\d\d", "i_month": r"\d\d?", "i_day": r"\d\d?", "hash": "[0-9a-f]{12}"}


@functools.lru_cache(maxsize=8)
def _new_post_pattern(form: str) -> re.Pattern[str] | None:
    """Return what finds the title in a file's path by Hexo's `new_post_name`; None where that names no title once."""
    parts = re.split(r":(\w*[^_\W])", form[:200].rpartition(".")[0] or form[:200])
    if parts[1::2].count("title") != 1:
        return None
    made = (f"({'?P<title>' if name == 'title' else ''}{_NEW_POST.get(name, '.+?')})" for name in parts[1::2][:8])
    return re.compile("".join(re.escape(text) + next(made, "") for text in parts[::2][:9]))


def _hexo_title(one: Subject) -> str:
    """Return the path below `_posts`; of a name that follows `new_post_name`, the part that is the title."""
    pattern = _new_post_pattern(one.site.option("new_post_name") or ":title.md")
    match = pattern.fullmatch(one.place.stem) if pattern and len(one.place.stem) <= 500 else None
    return match["title"] if match else one.place.stem


def _hexo_hash(one: Subject) -> str:
    if one.when is None:
        raise Unknown(":hash")
    return hashlib.sha1(
        f"{_hexo_title(one)}{unix_seconds(one.when)}".encode("utf-8", "replace"), usedforsecurity=False
    ).hexdigest()[:12]


def _hexo_category(one: Subject) -> str:
    """Return the slug of the last category with those above it, else the default one."""
    listed = header_value(one, "categories") or header_value(one, "category") or list(one.names("category"))
    names = listed if isinstance(listed, list) else [listed]
    if any(isinstance(name, list) for name in names):
        names = names[-1] if isinstance(names[-1], list) else names[-1:]
    mapped = option_map(one.site, "category_map")
    return (
        "/".join(hexo_slug(mapped.get(str(name), str(name))) for name in names)
        or one.site.option("default_category")
        or "uncategorized"
    )


_HEXO: Tokens = {
    "title": _hexo_title,
    "slug": _hexo_title,
    "name": lambda one: _hexo_title(one).rpartition("/")[2],
    "post_title": lambda one: hexo_slug(one.fields.title).lower(),
    "category": _hexo_category,
    "hash": _hexo_hash,
    "lang": lambda one: header_text(one, "lang") or option_map(one.site, "permalink_defaults").get("lang") or one.language.code,
    "id": lambda one: _required("", ":id"),
}


# -- the others ------------------------------------------------------------------


def _pelican(one: Subject) -> str:
    if one.fields.address:
        return one.fields.address
    language = (one.fields.language or one.place.language).casefold()
    other = bool(language and one.site.language) and language != one.site.language.casefold()
    if one.place.state == "page":
        names, default = ("PAGE_LANG_URL", "pages/{slug}-{lang}.html") if other else ("PAGE_URL", "pages/{slug}.html")
        return expand(one, one.site.option(names) or default)
    if other:
        return expand(one, one.site.option("ARTICLE_LANG_URL") or dict(one.site.permalinks).get("lang") or "{slug}-{lang}.html")
    return expand(one, one.pattern() or "{slug}.html")


def _pelican_slug(one: Subject, text: str) -> str:
    options = (one.site.option(name).lower() == "true" for name in ("SLUGIFY_USE_UNICODE", "SLUGIFY_PRESERVE_CASE"))
    return pelican_slug(unicodedata.normalize("NFC", text), unicode=next(options), keep_case=next(options))


def _pelican_own_slug(one: Subject) -> str:
    by_name = one.site.option("SLUGIFY_SOURCE").lower() == "basename"
    return one.fields.slug or _required(_pelican_slug(one, one.tail if by_name else one.fields.title), "{slug}")


_PELICAN: Tokens = {
    "slug": _pelican_own_slug,
    "lang": lambda one: one.fields.language or one.place.language or one.site.language or "en",
    "category": lambda one: _pelican_slug(one, next(iter(one.names("category")), "")),
    "author": lambda one: _pelican_slug(one, next(iter(one.names("author")), "")),
}


def _plain(one: Subject) -> str:
    if one.fields.address:
        return one.fields.address
    pattern = one.pattern(one.place.section)
    return expand(one, pattern) if pattern else ""


_OBSIDIAN: Tokens = {
    "path": lambda one: quartz_path(one.place.stem) if one.site.option("slugs") == "quartz" else one.place.stem,
}

_MAKERS: Mapping[str, Callable[[Subject], str]] = {
    "hugo": _hugo,
    "jekyll": _jekyll,
    "hexo": _hexo,
    "docusaurus": docusaurus_path,
    "astro": astro_path,
    "eleventy": eleventy_path,
    "vuepress": vue_path,
    "vitepress": vue_path,
    "pelican": _pelican,
}
_OWN_TOKENS: Mapping[str, Tokens] = {
    "hugo": _HUGO,
    "jekyll": _JEKYLL,
    "hexo": _HEXO,
    "astro": ASTRO,
    "eleventy": ELEVENTY,
    "vuepress": VUE,
    "vitepress": VUE,
    "pelican": _PELICAN,
    "obsidian": _OBSIDIAN,
}


@functools.cache
def _tokens(kind: str) -> Tokens:
    return {**_TOKENS, **_OWN_TOKENS.get(kind, {})}


def token_names(kind: str) -> tuple[str, ...]:
    """Return the names of the tokens that patterns of a kind may have, besides header fields."""
    return (*_tokens(kind), *DATE_TOKENS)
