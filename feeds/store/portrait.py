"""Describe a store: which kind it is and why, what each of its files is, and what its configuration lacks. Pure."""

from __future__ import annotations

import itertools
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..model import FACETS, ParsedArticle, Problem
from ..resources import flow_text
from . import addresses
from .headers.lookup import squash
from .kinds import KINDS
from .parse_settings import ParseSettings
from .parsed import ParsedFile

if TYPE_CHECKING:
    from ..config.models import Site

#: How many addresses are shown for comparison with those of the site.
SAMPLES = 5
#: What a file can be, in the order in which it is told.
STATES = ("published", "page", "withheld", "ignored", "quarantined")
#: What the end of a notice counts, places or dates, which differs from file to file.
_OWN_END = re.compile(r" \((?:line )?\d+\)$| \d{4}-\d\d-\d\d(?:, which counts)?$")
#: Names of the fields of a file as `feeds check --json` has them, with the facet of each.
_NAMES = {facet.plural if name != "tag" else "tags": name for name, facet in FACETS.items()}


@dataclass(frozen=True, slots=True)
class StoreFile:
    """One file: its verdict, what could not be used of it, and the article that it is, without its texts."""

    path: str
    state: str
    reason: str
    notices: tuple[str, ...] = ()
    article: ParsedArticle | None = None
    aliases: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()

    @classmethod
    def of(cls, file: ParsedFile) -> StoreFile:
        """Return what is kept of a file that was parsed."""
        if isinstance(file.result, Problem):
            return cls(file.path, "quarantined", file.result.reason, file.notices)
        article = replace(file.result, html="", summary="") if file.result is not None else None
        unused = tuple(map(sys.intern, file.unused))  # the same few in all files
        return cls(file.path, file.verdict.state, file.verdict.reason, file.notices, article, file.aliases, unused)

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
                **({"changes": dict(article.changes)} if article.changes else {}),
                "aliases": list(self.aliases),
            }
        return row


def shared_notice(notice: str) -> str:
    """Return a notice without what differs from file to file.

    >>> shared_notice("date cannot be read (line 3)"), shared_notice("no date: first seen 2024-05-06, which counts")
    ('date cannot be read', 'no date: first seen')
    >>> shared_notice("<iframe>: a link instead (3)")
    '<iframe>: a link instead'
    """
    return _OWN_END.sub("", notice)


def link_of(site: Site, article: ParsedArticle) -> str:
    """Return the address of an article as feeds have it."""
    return addresses.article_url(site, article.url, article.permalink, article.id)


def _utc(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


#: Header fields that are often called otherwise than any kind expects, as `squash` spells them.
_LIKELY: Mapping[str, frozenset[str]] = {
    "tag": frozenset("keyword keywords label labels topic subjects".split()),
    "translator": frozenset("translation translationby trans translate 翻译 譯者".split()),
    "author": frozenset("by byline writer writers creator creators 作者".split()),
    "original": frozenset("source origin sourceurl originurl originalurl link 原文".split()),
    "date": frozenset(
        "time datetime timestamp posted postdate postedat publishtime publishedon publicationdate createdat createddate "
        "creationdate creationtime 日期".split()
    ),
}


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

    @property
    def timezone(self) -> str:
        """The zone of dates that name none."""
        own = "UTC" if self.settings.kind.zone == "utc" else self.settings.timezone
        return self.settings.site.timezone or own

    @property
    def articles(self) -> Iterator[tuple[str, ParsedArticle]]:
        """Path and article of each file that is published."""
        return ((file.path, file.article) for file in self.files if file.article is not None)

    def count(self, state: str) -> Counter[str]:
        """Return how many files of one state there are, by reason."""
        return Counter(file.reason for file in self.files if file.state == state)

    def samples(self, site: Site) -> dict[str, str]:
        """Return path -> address of a few articles, of different folders where there are such."""
        found: dict[str, tuple[str, ParsedArticle]] = {}
        for path, article in self.articles:
            found.setdefault(path.rpartition("/")[0], (path, article))
            if len(found) == SAMPLES:
                break
        chosen = dict(itertools.islice(itertools.chain(found.values(), self.articles), 2 * SAMPLES))
        return {path: link_of(site, article) for path, article in itertools.islice(chosen.items(), SAMPLES)}

    def terms(self, facet: str) -> Counter[str]:
        """Return how many articles have each name of a facet."""
        return Counter(name for _path, article in self.articles for name in article.names.get(facet, ()))

    def notices(self) -> Counter[str]:
        """Return how many articles have each notice, whatever its line."""
        return Counter(shared_notice(notice) for file in self.files if file.article for notice in dict.fromkeys(file.notices))

    def changed(self) -> tuple[int, int]:
        """Return how many places of bodies were left out or mended, and in how many articles."""
        counts = [sum(article.changes.values()) for _path, article in self.articles if article.changes]
        return sum(counts), len(counts)

    def undated(self) -> int:
        """Return how many articles are dated by nothing but the moment when they were first seen."""
        return sum(number for notice, number in self.notices().items() if notice in ("no date", "no date: first seen"))

    def unused(self) -> Counter[str]:
        """Return how many articles have each header field that nothing reads."""
        return Counter(name for file in self.files if file.article is not None for name in file.unused)

    # -- what is missing -------------------------------------------------------

    def mend(self, site: Site) -> list[tuple[str, str]]:
        """Return lines of site.yaml that would say what the store does not, each with why."""
        found = self.settings.site
        store = site.store_with(found.prefix)
        wanted: dict[str, Any] = {}
        reasons = []
        examples: dict[str, Any] = {
            "site": "https://example.org",
            "timezone": self.settings.timezone,
            "permalink": _example(found.kind),
        }
        examples["exclude"] = ["Private/**"]
        words = {
            "site": "where its articles are read",
            "timezone": "the zone of its dates",
            "permalink": "how it makes addresses",
            "exclude": "what its own code leaves out",
        }
        hidden = [key.removeprefix("store.") for key in found.missing]
        for name in [name for name in hidden if name in examples and not getattr(store, name)]:
            wanted[name] = examples[name]
            reasons.append(f"its configuration does not say {words[name]}")
        for name, header in self._likely_fields():
            wanted["fields"] = {**dict(store.fields), **wanted.get("fields", {}), name: [header]}
            reasons.append(f"{header} may be the {name} of articles, and nothing reads it")
        if folder := self._outside():
            wanted["include"] = [*store.include, f"{folder}/**"]
            reasons.append(f"no file is an article, and most lie in {folder}")
        plain = type(store)(path=store.path)
        said = {name: getattr(store, name) for name in type(store).model_fields if getattr(store, name) != getattr(plain, name)}
        line = flow_text({"path": store.path, **said, **wanted})
        of_several = len(site.stores) > 1
        lines = [(f"  - {line}" if of_several else f"store: {line}", "; ".join(reasons))] if wanted else []
        undated = self.undated()
        if undated and not site.store_git.dates:
            why = f"{undated} article{'s have' if undated > 1 else ' has'} no date; in a git checkout, the first commit has one"
            lines.append((f"store_git: {flow_text({'dates': True})}", why))
        return lines

    def _likely_fields(self) -> Iterator[tuple[str, str]]:
        """Yield what no article has, and a header field of at least a tenth of them that is probably meant for it."""
        number, unused = sum(self.count("published").values()), self.unused()
        for wanted, names in _LIKELY.items():
            if wanted == "date":
                is_there = not self.undated()
            elif wanted == "original":
                is_there = any(article.original for _path, article in self.articles)
            else:
                is_there = bool(self.terms(wanted))
            named = [name for name, count in unused.most_common() if squash(name) in names and count * 10 >= number]
            if named and not is_there:
                yield wanted, named[0]

    def _outside(self) -> str:
        """Return the folder in which most of the texts lie where none of them is an article; "" else."""
        if any(self.articles):
            return ""
        kind = self.settings.kind
        inner = len(self.settings.folder)
        outer = [file.path[inner:] for file in self.files if file.state == "page" or file.reason == kind.outside]
        folders = Counter(path.partition("/")[0] for path in outer if "/" in path)
        return next(iter(folders.most_common(1)), ("", 0))[0]

    def as_json(self, site: Site) -> dict[str, Any]:
        """Return the portrait for programs."""
        found = self.settings.site
        return {
            **({"prefix": found.prefix} if found.prefix else {}),
            "kind": found.kind,
            "why": found.why,
            "base_url": f"{found.base_url}/" if found.base_url else None,
            "timezone": self.timezone,
            "counts": {state: sum(self.count(state).values()) for state in STATES},
            "reasons": {state: dict(self.count(state)) for state in STATES if any(self.count(state))},
            "unread": dict(self.unread),
            "facets": {facet.plural: len(self.terms(name)) for name, facet in FACETS.items()},
            "languages": dict(self.terms("language")),
            "samples": self.samples(site),
            "notices": dict(self.notices()),
            "unused": dict(self.unused()),
            "missing": list(found.missing),
            "mend": [line for line, _why in self.mend(site)],
            "files": {file.path: file.as_row(site) for file in self.files},
        }


def _example(kind: str) -> str:
    """Return a pattern of addresses as a site of that kind may have it."""
    return KINDS[kind].address if ":" in KINDS[kind].address else "/:year/:month/:slug/"
