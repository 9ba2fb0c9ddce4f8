"""Render a feed as an HTML page with the microformat h-feed (https://microformats.org/wiki/h-feed), for IndieWeb readers."""

from __future__ import annotations

from html import escape

from feeds.feed_formats import Content, Entry


class Microformats:
    """The format at `.mf2.html`. The module's `render` is pure: the same content gives the same bytes."""

    name, extension, media_type, label = "mf2", ".mf2.html", "text/html", "h-feed"

    def render(self, content: Content) -> bytes:
        """Return the page: one h-entry for each entry of the feed."""
        lines = [
            "<!doctype html>",
            f'<html lang="{escape(content.language)}"><head><meta charset="utf-8"><title>{escape(content.title)}</title>',
            f'<link rel="self" href="{escape(content.address)}"></head>',
            f'<body class="h-feed"><h1><a class="p-name u-url" href="{escape(content.page)}">{escape(content.title)}</a></h1>',
            *(_entry(entry) for entry in content.entries),
            "</body></html>",
        ]
        return "\n".join(lines).encode()


def _entry(entry: Entry) -> str:
    authors = "".join(f'<span class="p-author h-card">{escape(person.name)}</span> ' for person in entry.authors)
    tags = "".join(f'<span class="p-category">{escape(category.term)}</span> ' for category in entry.categories)
    return (
        f'<article class="h-entry"><h2><a class="p-name u-url" href="{escape(entry.url)}">{escape(entry.title)}</a></h2>'
        f'<data class="u-uid" value="{escape(entry.id)}"></data>{authors}'
        f'<time class="dt-published" datetime="{entry.published.isoformat()}">{entry.published:%Y-%m-%d}</time> {tags}'
        f'<div class="e-content">{entry.content or escape(entry.summary)}</div></article>'  # content is sanitised already
    )
