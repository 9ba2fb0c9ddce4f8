"""Describe a store in a few lines, however large it is: for `feeds check` and `feeds init`."""

from __future__ import annotations

import datetime
import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..model import FACETS

if TYPE_CHECKING:
    from ..config.models import Site
    from ..store.portrait import Portrait

#: So many names are shown of each kind, the commonest ones.
_SHOWN = 6
#: What a file can be, as it is called here.
_STATES = {
    "published": "articles",
    "page": "pages",
    "withheld": "withheld",
    "ignored": "ignored",
    "quarantined": "quarantined",
}


def portrait_lines(portrait: Portrait, site: Site) -> Iterator[str]:
    """Yield the lines that show a publisher at a glance whether a store was understood."""
    found = portrait.settings.site
    yield summary_line(portrait)
    roots = list(dict.fromkeys(f"{root.path or '.'}/" for root in found.roots))
    read = f" ({', '.join(found.sources[:3])})" if found.sources else ""
    yield _row("content", ", ".join(roots[:_SHOWN]) + _more(len(roots)) + read)
    yield from _states(portrait)
    for name, facet in FACETS.items():
        if terms := portrait.terms(name):
            yield _row(facet.plural, f"{len(terms)}: {_counted(terms)}")
    yield _row("time zone", f"{portrait.timezone} (of dates that name none)")
    yield from _links(portrait, site)
    if unused := portrait.unused():
        yield _row("not used", f"header fields {_counted(unused)}")
    places, articles = portrait.changed()
    if places:
        counted = f"{places} place{'s' if places > 1 else ''} in {articles} article{'s' if articles > 1 else ''}"
        yield _row("bodies", f"{counted} left out or mended, article by article: feeds check --verbose")
    for notice, number in _top(portrait.notices()):
        yield _row("noticed", f"{notice} ({number} article{'s' if number > 1 else ''})")
    for line, why in portrait.mend(site):
        yield _row("missing", f"{why}. In site.yaml:")
        yield f"    {line}"


def _states(portrait: Portrait) -> Iterator[str]:
    """Yield how many files are what, and why; each reason of quarantine stands with its file below."""
    for state, words in _STATES.items():
        # Files with other suffixes have a line of their own.
        reasons = Counter({reason: n for reason, n in portrait.count(state).items() if not reason.startswith("no article: ")})
        if state in ("published", "quarantined"):
            yield _row(words, str(reasons.total()))
        elif reasons:
            named = _named(Counter({reason: number for reason, number in reasons.items() if reason not in ("", state)}))
            yield _row(words, f"{reasons.total()}{f': {named}' if named else ''}")
    if portrait.unread:
        yield _row("not read", _named(Counter(dict(portrait.unread))))


def summary_line(portrait: Portrait) -> str:
    """Return the kind of a store, its prefix, and why it is taken for that."""
    found = portrait.settings.site
    name = f"store {found.prefix}" if found.prefix else "store"
    return f"{name}: {found.kind} ({found.why})" if found.why else f"{name}: {found.kind}"


def short_lines(portrait: Portrait) -> Iterator[str]:
    """Yield the kind of a store, and what is in it, in two lines."""
    yield summary_line(portrait)
    counts = {words: portrait.count(state).total() for state, words in _STATES.items()}
    said = ", ".join(f"{number} {words.rstrip('s') if number == 1 else words}" for words, number in counts.items() if number)
    base = portrait.settings.site.base_url
    yield f"  {said or 'no articles'}{f'; they are read at {base}/' if base else ''}"


def proposals(portrait: Portrait) -> dict[str, str]:
    """Return answers to the questions of `feeds init` by what the store is: its own title, address, time zone and language.

    Without any, the title is the folder's name, and the language that of most titles.
    """
    found, settings = portrait.settings.site, portrait.settings
    titles = [article.title for _path, article in itertools.islice(portrait.articles, 200)]
    language = found.language or ("zh-CN" if sum(map(_is_chinese, titles)) * 2 > len(titles) else "en")
    chinese = language.lower().startswith("zh")
    said = {
        "title": found.option("title") or Path(settings.root).resolve().name,
        "language": language,
        "timezone": found.timezone or ("Asia/Shanghai" if chinese else "UTC"),
        "site": found.base_url,
        "image_url": "",
    }
    host = urlsplit(found.base_url).hostname or ""
    said["sender"] = f"digest@{host}" if "." in host else "digest@example.org"
    return said | {"id_authority": f"{host or 'localhost'},{datetime.datetime.now(datetime.UTC).year}"}


def _is_chinese(text: str) -> bool:
    return any("\u4e00" <= letter <= "\u9fff" for letter in text) and not any("\u3040" <= letter <= "\u30ff" for letter in text)


def _links(portrait: Portrait, site: Site) -> Iterator[str]:
    """Yield a few addresses of articles, for comparison with those that the site has."""
    if samples := portrait.samples(site):
        base = portrait.settings.site.base_url
        yield _row(
            "links", f"compare them with those of {base}/" if base else "to pages of this service, unless the store says more"
        )
        for path, link in samples.items():
            yield f"    {link}  <- {path}"


def _row(name: str, text: str) -> str:
    return f"  {name:<12} {text}"


def _top(names: Counter[str]) -> list[tuple[str, int]]:
    return sorted(names.items(), key=lambda pair: (-pair[1], pair[0]))[:_SHOWN]


def _counted(names: Counter[str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in _top(names)) + _more(len(names))


def _named(reasons: Counter[str]) -> str:
    return ", ".join(f"{number} {reason}" for reason, number in _top(reasons)) + _more(len(reasons))


def _more(number: int) -> str:
    return f" and {number - _SHOWN} more" if number > _SHOWN else ""
