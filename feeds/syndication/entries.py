"""An article as an entry of a feed: the one model that all formats write. Pure.

Every byte of an entry is a function of the article and the configuration, so that nobody's read items come back unread.
"""

from __future__ import annotations

import html
import mimetypes
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from .. import addresses
from ..config import Config
from ..model import FACETS, Article, Feed, Term


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
    byline = _byline(config, article)
    return Entry(
        id=addresses.article_id(config.site.id_authority, article.id),
        url=article.url,
        title=article.title,
        summary=article.summary if full else _with_note(config, article),
        content=f"{article.html.rstrip()}\n{byline}" if full else "",
        published=article.published,
        updated=article.updated,
        authors=tuple(Person(term.name) for term in article.of("author")),
        translators=_people(config, article, "translator"),
        credits=tuple((role, people) for role in _ROLES if (people := _people(config, article, role))),
        categories=tuple(
            Category(term.name, f"{config.site.base_url}/{FACETS[facet].plural}/")
            for facet in ("tag", "category")
            for term in article.of(facet)
        ),
        via=article.original,
        enclosure=_enclosure(article.picture),
        comments=article.comments,
    )


_ROLES = ("selector", "translator", "reviewer")


def term_url(config: Config, term: Term) -> str:
    """The page of a term, or "" where its facet has none."""
    return f"{config.site.base_url}/{addresses.encode(term.path)}" if config.feeds.facet(term.facet).enabled else ""


def _people(config: Config, article: Article, facet: str) -> tuple[Person, ...]:
    return tuple(Person(term.name, term_url(config, term)) for term in article.of(facet))


def _byline(config: Config, article: Article) -> str:
    """Few readers show contributors, so the content says who translated, and from what."""
    parts = []
    for role in ("author", "translator"):
        if people := _people(config, article, role):
            parts.append(_label(config, role) + _join(config, [_linked(person) for person in people]))
    if article.original:
        word = "原文：" if config.chinese else "Original: "
        host = urlsplit(article.original).hostname or article.original
        parts.append(f'{word}<a href="{html.escape(article.original)}">{html.escape(host)}</a>')
    return f"<p>{' · '.join(parts)}</p>" if parts else ""


def _label(config: Config, facet: str) -> str:
    return f"{FACETS[facet].zh}：" if config.chinese else f"{FACETS[facet].en}: "


def _join(config: Config, names: list[str]) -> str:
    return ("、" if config.chinese else ", ").join(names)


def _linked(person: Person) -> str:
    name = html.escape(person.name)
    return f'<a href="{html.escape(person.url)}">{name}</a>' if person.url else name


def _with_note(config: Config, article: Article) -> str:
    names = [term.name for term in article.of("translator")]
    if not names:
        return article.summary
    note = _label(config, "translator") + _join(config, names)
    return f"{article.summary}（{note}）" if config.chinese else f"{article.summary} ({note})"


def _enclosure(url: str) -> Enclosure | None:
    if not url:
        return None
    guessed = mimetypes.guess_type(urlsplit(url).path)[0] or "image/jpeg"
    return Enclosure(url, guessed if guessed.startswith("image/") else "image/jpeg")
