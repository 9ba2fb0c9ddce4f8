"""An article as an entry of a feed: the one model that all formats write. Pure.

Every byte of an entry is a function of the article and the configuration, so that nobody's read items come back unread.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from .. import addresses
from ..config import Config
from ..model import FACETS, PEOPLE, Article, Feed, Term


@dataclass(frozen=True, slots=True)
class Person:
    name: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Category:
    term: str
    scheme: str


@dataclass(frozen=True, slots=True)
class Enclosure:
    url: str
    type: str


@dataclass(frozen=True, slots=True)
class Entry:
    """`content` is HTML with the visible byline, empty in a summary feed; `summary` is plain text."""

    id: str
    url: str
    title: str
    summary: str
    content: str
    published: datetime
    updated: datetime
    authors: tuple[Person, ...]
    translators: tuple[Person, ...]
    credits: tuple[tuple[str, tuple[Person, ...]], ...]
    categories: tuple[Category, ...]
    via: str
    enclosure: Enclosure | None
    comments: int


def entry_of(config: Config, feed: Feed, article: Article) -> Entry:
    full = feed.content == "full"
    terms = _by_facet(article)
    people = {role: tuple(Person(term.name, term_url(config, term)) for term in terms.get(role, ())) for role in PEOPLE}
    return Entry(
        id=addresses.article_id(config.site.id_authority, article.id),
        url=article.url,
        title=article.title,
        summary=article.summary if full else _with_note(config, article.summary, people["translator"]),
        content=f"{article.html.rstrip()}\n{_byline(config, people, article.original)}".strip() if full else "",
        published=article.published,
        updated=article.updated,
        authors=tuple(Person(person.name) for person in people["author"]),
        translators=people["translator"],
        credits=tuple((role, people[role]) for role in _ROLES if people[role]),
        categories=tuple(
            Category(term.name, f"{config.site.base_url}/{FACETS[facet].plural}/")
            for facet in ("tag", "category")
            for term in terms.get(facet, ())
        ),
        via=article.original,
        enclosure=_enclosure(article.picture),
        comments=article.comments,
    )


def _by_facet(article: Article) -> dict[str, list[Term]]:
    found: dict[str, list[Term]] = {}
    for term in article.terms:
        found.setdefault(term.facet, []).append(term)
    return found


_ROLES = ("selector", "translator", "reviewer")


def term_url(config: Config, term: Term) -> str:
    """The page of a term, or "" where it has none."""
    return f"{config.site.base_url}/{addresses.encode(term.path)}" if config.has_feed(term.facet, term.path) else ""


def _byline(config: Config, people: Mapping[str, tuple[Person, ...]], original: str) -> str:
    """Few readers show contributors, so the content says who translated, and from what."""
    parts = [
        _label(config, role) + _join(config, [_linked(person) for person in people[role]])
        for role in ("author", "translator")
        if people[role]
    ]
    if original:
        word = "原文：" if config.chinese else "Original: "
        host = urlsplit(original).hostname or original
        parts.append(f'{word}<a href="{html.escape(original)}">{html.escape(host)}</a>')
    return f"<p>{' · '.join(parts)}</p>" if parts else ""


def _label(config: Config, facet: str) -> str:
    return f"{FACETS[facet].zh}：" if config.chinese else f"{FACETS[facet].en}: "


def _join(config: Config, names: list[str]) -> str:
    return ("、" if config.chinese else ", ").join(names)


def _linked(person: Person) -> str:
    name = html.escape(person.name)
    return f'<a href="{html.escape(person.url)}">{name}</a>' if person.url else name


def _with_note(config: Config, summary: str, translators: tuple[Person, ...]) -> str:
    if not translators:
        return summary
    note = _label(config, "translator") + _join(config, [person.name for person in translators])
    return f"{summary}（{note}）" if config.chinese else f"{summary} ({note})"


#: Fixed, because the tables of the operating system differ from one machine to the next.
_PICTURES = {"png": "image/png", "gif": "image/gif", "webp": "image/webp", "svg": "image/svg+xml", "avif": "image/avif"}


def _enclosure(url: str) -> Enclosure | None:
    extension = urlsplit(url).path.rpartition(".")[2].lower()
    return Enclosure(url, _PICTURES.get(extension, "image/jpeg")) if url else None
