"""Read pelicanconf.py and publishconf.py: the site's address, folders, zone, patterns of addresses, and what is inherited."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from ..kinds import ContentRoot, Defaults, GeneratorSite
from .code_files import CodeFiles
from .literals import Value, text_of, texts_of, titled
from .site_values import base_path, below, site_address

#: Settings that are options of the site under their own names.
_OPTIONS = (
    *("ARTICLE_LANG_URL", "PAGE_URL", "PAGE_LANG_URL", "USE_FOLDER_AS_CATEGORY", "DEFAULT_CATEGORY", "DEFAULT_DATE"),
    *("SLUGIFY_SOURCE", "SLUGIFY_USE_UNICODE", "SLUGIFY_PRESERVE_CASE", "RELATIVE_URLS"),
)
_GROUP = re.compile(r"\(\?P<(date|slug|category|lang)>")


def read_pelican(root: str) -> GeneratorSite:
    """Return what the configuration of Pelican in a folder says; what is set for publishing counts before the rest."""
    files = CodeFiles(root)
    known = dict(files.python("pelicanconf.py"))
    for name in ("publishconf.py",):
        if files.is_file(name):
            known.update((key, value) for key, value in files.python(name).items() if key.isupper())
    usual = "content" if files.is_folder("content") else ""  # the folder that its makefile names
    content = below("", text_of(known.get("PATH", usual)))
    base = site_address(known.get("SITEURL"))
    future = known.get("WITH_FUTURE_DATES")
    zone = text_of(known.get("TIMEZONE", "UTC"))
    return GeneratorSite(
        "pelican",
        root=root,
        base_url=base,
        base_path=base_path(known.get("SITEURL")),
        timezone=zone,
        language=text_of(known.get("DEFAULT_LANG")) or "en",
        roots=tuple(_roots(known, content)),
        permalinks=tuple((("", url),) if (url := text_of(known.get("ARTICLE_URL"))) else ()),
        future=future if isinstance(future, bool) else None,
        defaults=tuple(_defaults(known, content)),
        exclude=tuple(_excluded(known, content)),
        name_dates=tuple(_name_dates(text_of(known.get("FILENAME_METADATA")))),
        static=(content,),
        options=(
            *titled(known, "SITENAME"),
            *((name, _as_text(known[name])) for name in _OPTIONS if _as_text(known.get(name))),
        ),
        missing=tuple(_missing(known, base, zone)),
        sources=tuple(files.sources),
        faults=tuple(files.faults),
    )


def _as_text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value) if isinstance(value, (str, int)) else ""


def _missing(known: Mapping[str, Value], base: str, zone: str) -> Iterator[str]:
    if not base:
        yield "store.site"
    if "ARTICLE_URL" in known and not isinstance(known["ARTICLE_URL"], str):
        yield "store.permalink"
    if not zone:
        yield "store.timezone"


def _roots(known: Mapping[str, Value], content: str) -> Iterator[ContentRoot]:
    """Yield the folders of articles and of pages; both are paths below PATH."""
    articles, pages = known.get("ARTICLE_PATHS"), known.get("PAGE_PATHS")
    for path in texts_of(articles) or ("",):
        yield ContentRoot(below(content, path), "article")
    for path in texts_of(pages) if isinstance(pages, list) else ("pages",):
        if below("", path) or not texts_of(articles):
            yield ContentRoot(below(content, path), "page", prefix="pages")


def _excluded(known: Mapping[str, Value], content: str) -> Iterator[str]:
    """Yield globs of what is no article: excluded folders, ignored files, the site that was built, its themes."""
    for path in texts_of(known.get("ARTICLE_EXCLUDES")):
        yield f"/{below(content, path)}/**"
    yield from texts_of(known.get("IGNORE_FILES"))
    for name, usual in (("OUTPUT_PATH", "output"), ("THEME", "")):
        path = text_of(known.get(name, usual))
        if (folder := below("", path)) and folder != content and not path.startswith("/"):
            yield f"/{folder}/**"


def _defaults(known: Mapping[str, Value], content: str) -> Iterator[Defaults]:
    """Yield what headers inherit: the author, DEFAULT_METADATA, the folder as category, and EXTRA_PATH_METADATA."""
    general = {"author": known.get("AUTHOR"), **_mapping(known.get("DEFAULT_METADATA"))}
    date = known.get("DEFAULT_DATE")
    if isinstance(date, list) and 3 <= len(date) <= 6 and all(type(part) is int for part in date):
        general["date"] = "-".join(f"{part:02}" for part in date[:3]) + "".join(
            f"{mark}{part:02}" for mark, part in zip(" ::", (*date[3:], 0), strict=False) if len(date) > 3
        )
    if values := _texts(general):
        yield Defaults("", "", values)
    if known.get("USE_FOLDER_AS_CATEGORY", True) is not False:
        for path in texts_of(known.get("ARTICLE_PATHS")):
            if folder := below(content, path):
                for suffix in ("md", "markdown", "mkd", "mdown"):
                    yield Defaults(f"{folder}/*.{suffix}", "", (("category", folder.rpartition("/")[2]),))
    for path, extra in list(_mapping(known.get("EXTRA_PATH_METADATA")).items())[:1000]:
        values = _texts({key: value for key, value in _mapping(extra).items() if key.lower() not in ("path", "save_as")})
        if values and "\0" not in path:
            yield Defaults(below(content, path), "", values)


def _mapping(value: Value) -> dict[str, Value]:
    return value if isinstance(value, dict) else {}


def _texts(values: Mapping[str, Value]) -> tuple[tuple[str, str], ...]:
    found = ((key, "\n".join(texts_of(value)) or _as_text(value)) for key, value in values.items())
    return tuple((key, text) for key, text in found if text)


def _name_dates(pattern: str) -> Iterator[str]:
    r"""Yield the pattern of dates in names that FILENAME_METADATA comes to; its own is not run, for it may take for ever.

    >>> list(_name_dates(r"(?P<date>\d{4}-\d{2}-\d{2})_(?P<slug>.*)"))
    ['(?:^|/)(?P<year>\\d{4})-(?P<month>\\d\\d)-(?P<day>\\d\\d)[-_. ]*(?P<rest>[^/]+)?$']
    """
    if [name for name in _GROUP.findall(pattern) if name in ("date", "slug")][:1] == ["date"]:
        yield r"(?:^|/)(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)[-_. ]*(?P<rest>[^/]+)?$"
