"""Write articles for programs: as Markdown with a header, and as JSON-LD (https://schema.org/Article).

Only what pages and feeds show is in them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from .. import urls
from ..catalog import queries
from ..config.models import Config
from ..licences import read_licence
from ..model import FACETS, PEOPLE, Article, Details, Term

MARKDOWN, EXTENSION = "text/markdown", ".md"


def markdown_of(connection: sa.Connection, config: Config, article: Article) -> str:
    """Return an article as Markdown, its fields in front: the source of its body, or its HTML, which Markdown may hold."""
    key = queries.article_key(connection, article.id) if article.position else None
    body = queries.article_sources(connection, [key]).get(key) if key else None
    header = "".join(f"{name}: {_json(value)}\n" for name, value in _header(config, article).items() if value or value == 0)
    return f"---\n{header}---\n\n{(body or article.html).strip()}\n"


def _header(config: Config, article: Article) -> dict[str, object]:
    """The fields of an article that its page shows, too. Values are JSON, which YAML reads as it is."""
    details, names = article.details, {facet: [term.name for term in article.of(facet)] for facet in FACETS}
    return {
        "title": article.title,
        "url": article.url,
        **({"date": article.published.isoformat(), "updated": article.updated.isoformat()} if article.position else {}),
        **{facet: ", ".join(names[facet]) for facet in PEOPLE},
        "tags": names["tag"],
        "category": ", ".join(names["category"]),
        "series": ", ".join(names.get("series", ())),
        "part": article.part_number,
        "language": article.language or config.site.language,
        "original": article.original,
        "licence": _licence(config, details),
        "summary": article.summary,
    }


def _licence(config: Config, details: Details) -> str:
    """The address of an article's licence, or of the site's; else what is said of it."""
    return details.licence_url or details.licence or read_licence(config.site.rights).url or config.site.rights


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def linked_data(config: Config, article: Article, translations: Iterable[Article]) -> Mapping[str, Any]:
    """Return what a page says of its article in JSON-LD, ready for JSON; a page of the store is a WebPage."""
    people = {facet: [_person(config, term) for term in article.of(facet)] for facet in PEOPLE}
    original = {"@type": "CreativeWork", "url": article.original} if article.original else None
    translated = bool(people["translator"])
    found: dict[str, Any] = {
        "@context": "https://schema.org",
        "@type": "Article" if article.position else "WebPage",
        "@id": article.url,
        "url": article.url,
        "mainEntityOfPage": article.url,
        "headline": article.title,
        "description": article.summary,
        **(
            {"datePublished": article.published.isoformat(), "dateModified": article.updated.isoformat()}
            if article.position
            else {}
        ),
        "inLanguage": article.language or config.site.language,
        "author": people["author"],
        "translator": people["translator"],
        "translationOfWork": original if translated else None,
        "isBasedOn": None if translated else article.original,
        "workTranslation": [{"@type": "Article", "url": one.url, "inLanguage": one.language} for one in translations],
        "keywords": [term.name for term in article.of("tag")],
        "articleSection": [term.name for term in article.of("category")],
        "isPartOf": [{"@type": "CreativeWorkSeries", "name": term.name} for term in article.of("series")],
        "position": article.part_number,
        "image": article.picture,
        "license": _licence(config, article.details),
        "commentCount": article.comments or None,
        "discussionUrl": article.details.discussion,
        "publisher": {"@type": "Organization", "name": config.site.title, "url": f"{config.site.base_url}/"},
    }
    return {name: value for name, value in found.items() if value or value == 0}


def _person(config: Config, term: Term) -> dict[str, str]:
    page = f"{config.site.base_url}/{urls.encode(term.path)}" if config.has_feed(term.facet, term.path) else ""
    return {"@type": "Person", "name": term.name} | ({"url": page} if page else {})
