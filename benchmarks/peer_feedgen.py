"""The same entries by feedgen as its README shows it: a Flask view makes the document at each request, from a list in memory.

Nothing is kept or compressed; Werkzeug hashes what was made and decides between 200 and 304.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from feedgen.feed import FeedGenerator
from flask import Flask, Response, request
from werkzeug.wrappers import Response as Answer


def create() -> Flask:
    kept = json.loads(Path(os.environ["BENCH_ENTRIES"]).read_text("utf-8"))
    app = Flask(__name__, static_folder=None)

    @app.get("/feed")
    def feed() -> Answer:
        made = FeedGenerator()
        made.id(kept["feed_url"])
        made.title(kept["title"])
        made.link(href=kept["home_page_url"], rel="alternate")
        made.link(href=kept["feed_url"], rel="self")
        made.language("zh-CN")
        made.updated(max(item["date_modified"] for item in kept["items"]))
        for item in kept["items"]:
            entry = made.add_entry(order="append")
            entry.id(item["id"])
            entry.title(item["title"])
            entry.link(href=item["url"])
            entry.author([{"name": author["name"]} for author in item.get("authors", [])])
            entry.published(item["date_published"])
            entry.updated(item["date_modified"])
            entry.category([{"term": tag} for tag in item.get("tags", [])])
            entry.content(item["content_html"], type="html")
        answered = Response(made.atom_str(), content_type="application/atom+xml; charset=utf-8")
        answered.add_etag()
        return answered.make_conditional(request)

    return app
