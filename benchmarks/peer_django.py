"""The same entries by Django's syndication framework, as its documentation shows it, from a list in memory.

The middleware that compresses and the one that answers 304 are on, in the order that Django asks for. `/feed` makes the
document at each request, also for a 304: its ETag is a hash of what was made.
"""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.contrib.syndication.views import Feed
from django.core.handlers.wsgi import WSGIHandler
from django.core.wsgi import get_wsgi_application
from django.urls import path
from django.utils.feedgenerator import Atom1Feed

Item = dict[str, Any]


class Entries(Feed):
    feed_type = Atom1Feed
    language = "zh-CN"

    def __init__(self, kept: dict[str, Any]) -> None:
        self.kept = kept
        self.title, self.link = kept["title"], kept["home_page_url"]
        self.subtitle = kept.get("description", "")

    def items(self) -> list[Item]:
        return list(self.kept["items"])

    def item_title(self, item: Item) -> str:
        return str(item["title"])

    def item_description(self, item: Item) -> str:
        return str(item["content_html"])

    def item_link(self, item: Item) -> str:
        return str(item["url"])

    def item_guid(self, item: Item) -> str:
        return str(item["id"])

    def item_author_name(self, item: Item) -> str:
        return ", ".join(author["name"] for author in item.get("authors", []))

    def item_pubdate(self, item: Item) -> datetime:
        return datetime.fromisoformat(item["date_published"])

    def item_updateddate(self, item: Item) -> datetime:
        return datetime.fromisoformat(item["date_modified"])

    def item_categories(self, item: Item) -> list[str]:
        return list(item.get("tags", []))


urlpatterns: list[Any] = []


def create() -> WSGIHandler:
    settings.configure(
        SECRET_KEY="benchmark",
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        INSTALLED_APPS=["django.contrib.syndication"],
        MIDDLEWARE=["django.middleware.gzip.GZipMiddleware", "django.middleware.http.ConditionalGetMiddleware"],
        USE_TZ=True,
    )
    django.setup(set_prefix=False)
    kept = json.loads(Path(os.environ["BENCH_ENTRIES"]).read_text("utf-8"))
    urlpatterns[:] = [path("feed", Entries(kept))]
    return get_wsgi_application()
