"""Describe a store: which kind it is and why, what each of its files is, and what its configuration lacks. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..model import FACETS, ParsedArticle, Problem
from . import addresses
from .parse import ParsedFile, ParseSettings

if TYPE_CHECKING:
    from ..config.models import Site

#: How many addresses are shown for comparison with those of the site.
SAMPLES = 5
#: What a file can be, in the order in which it is told.
STATES = ("published", "page", "withheld", "ignored", "quarantined")
#: Names of the fields of a file as `feeds check --json` has them, with the facet of each.
_NAMES = {facet.plural if name != "tag" else "tags": name for name, facet in FACETS.items()}


@dataclass(frozen=True, slots=True)
class StoreFile:
    """One file: its verdict, what in its header could not be used, and the article that it is (without body)."""

    path: str
    state: str
    reason: str
    notices: tuple[str, ...] = ()
    article: ParsedArticle | None = None
    aliases: tuple[str, ...] = ()

    @classmethod
    def of(cls, file: ParsedFile) -> StoreFile:
        """Return what is kept of a file that was parsed."""
        if isinstance(file.result, Problem):
            return cls(file.path, "quarantined", file.result.reason, file.notices)
        article = replace(file.result, html="") if file.result is not None else None
        return cls(file.path, file.verdict.state, file.verdict.reason, file.notices, article, file.aliases)

    def as_row(self, site: Site) -> dict[str, Any]:
        """Return the row of `feeds check --json`: times in UTC, names as written, null for what the file does not say."""
        row: dict[str, Any] = {"state": self.state, "reason": self.reason or None}
        if self.notices:
            row["notices"] = list(self.notices)
        if (article := self.article) is not None:
            languages = article.names.get("language", ())
            row |= {
                "title": article.title,
                "date": _utc(article.published),
                "updated": _utc(article.updated) if article.updated != article.published else None,
                "link": link_of(site, article),
                **{plural: list(article.names.get(name, ())) for plural, name in _NAMES.items() if name != "language"},
                "language": languages[0] if languages else None,
                "picture": addresses.picture_url(site, article.picture, link_of(site, article)) or None,
                "original": article.original or None,
                "id": article.id,
                "aliases": list(self.aliases),
            }
        return row


def link_of(site: Site, article: ParsedArticle) -> str:
    """Return the address of an article as feeds have it."""
    return addresses.article_url(site, article.url, article.permalink, article.id)


def _utc(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class Portrait:
    """A store as the program sees it. `unread` counts files by suffixes that the kind does not read."""

    settings: ParseSettings
    files: tuple[StoreFile, ...]
    unread: Mapping[str, int]

    @classmethod
    def of(cls, settings: ParseSettings, files: Iterable[StoreFile], unread: Mapping[str, int]) -> Portrait:
        """Return the portrait of the files of a store, by path."""
        return cls(settings, tuple(sorted(files, key=lambda file: file.path)), unread)

    def count(self, state: str) -> Counter[str]:
        """Return how many files of one state there are, by reason."""
        return Counter(file.reason for file in self.files if file.state == state)

    def samples(self, site: Site) -> list[str]:
        """Return a few addresses of articles, of different folders where there are such."""
        found: dict[str, str] = {}
        for file in reversed(self.files):
            if file.article is not None:
                found.setdefault(file.path.rpartition("/")[0] if len(found) < SAMPLES else "", link_of(site, file.article))
        rest = [link_of(site, file.article) for file in self.files if file.article is not None]
        return list(dict.fromkeys([*found.values(), *rest]))[:SAMPLES]

    def terms(self, facet: str) -> Counter[str]:
        """Return how many articles have each name of a facet."""
        articles = [file.article for file in self.files if file.article is not None]
        return Counter(name for article in articles for name in article.names.get(facet, ()))

    def advice(self) -> list[str]:
        """Return the lines of site.yaml that would say what the store does not, each with why."""
        site = self.settings.site
        hidden = {
            "store.site": "site: https://example.org   # where the articles are read",
            "store.permalink": "permalink: /:year/:month/:slug/   # how the site makes addresses",
            "store.timezone": "timezone: Europe/Berlin   # zone of dates that name none",
        }
        return [f"{key}: {line}" for key, line in hidden.items() if key in site.missing]

    def as_json(self, site: Site) -> dict[str, Any]:
        """Return the portrait for programs."""
        found = self.settings.site
        return {
            "kind": found.kind,
            "why": found.why,
            "base_url": f"{found.base_url}/" if found.base_url else None,
            "timezone": found.timezone or self.settings.timezone,
            "counts": {state: sum(self.count(state).values()) for state in STATES},
            "unread": dict(self.unread),
            "missing": list(found.missing),
            "files": {file.path: file.as_row(site) for file in self.files},
        }
