"""OPML 2.0: lists of feeds to take into a reader at once. Pure.

Written so that w3c/feedvalidator has nothing to say: no `docs`, which it does not know, and groups that have a text and nothing
else. The specification asks for an outline in every body (http://opml.org/spec2.opml), so an empty list has one without a feed.
"""

from __future__ import annotations

import email.utils
from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa
from lxml import etree

from .. import urls
from ..config.models import Config
from ..model import FACETS, Facet, FeedState
from . import documents

MEDIA_TYPE = "text/x-opml"


def render(config: Config, title: str, states: Iterable[FeedState], *, nested: bool) -> bytes:
    """One outline for each feed; `nested` groups them by facet."""
    rows = list(states)
    root = etree.Element("opml", version="2.0")
    head = etree.SubElement(root, "head")
    etree.SubElement(head, "title").text = title
    if rows:
        etree.SubElement(head, "dateModified").text = _date(max(row.updated for row in rows))
    etree.SubElement(head, "ownerName").text = config.site.title
    body = etree.SubElement(root, "body")
    groups: dict[str, etree._Element] = {}
    for row in rows:
        _outline(config, _group(config, body, groups, row) if nested else body, row)
    if not rows:
        etree.SubElement(body, "outline", text=title)  # a body has at least one
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)


def _group(config: Config, body: etree._Element, groups: dict[str, etree._Element], row: FeedState) -> etree._Element:
    folder = row.path.partition("/")[0] if "/" in row.path else ""
    if not folder:
        return body
    if folder not in groups:
        facet = next((facet for facet in FACETS.values() if facet.plural == folder), None)
        name = (facet.zh if config.chinese else facet.en) if facet else config.site.title
        groups[folder] = etree.SubElement(body, "outline", text=name)
    return groups[folder]


def _outline(config: Config, parent: etree._Element, row: FeedState) -> None:
    page = f"{config.site.base_url}/{urls.encode(row.path)}"
    attributes = {"type": "rss", "text": row.title, "title": row.title, "xmlUrl": page + ".atom", "htmlUrl": page}
    etree.SubElement(parent, "outline", {**attributes, "language": config.site.language})


def _date(when: datetime) -> str:
    return email.utils.format_datetime(when)


def document(connection: sa.Connection, config: Config, facet: Facet | None) -> bytes:
    """Return the list of all feeds, or of the feeds of one facet."""
    rows = documents.states(connection)
    title = config.site.title
    if facet is not None:
        rows = [row for row in rows if row.path.startswith(facet.plural + "/")]
        title = f"{title} · {facet.zh if config.chinese else facet.en}"
    return render(config, title, rows, nested=facet is None)
