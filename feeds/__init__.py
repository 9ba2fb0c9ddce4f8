"""Feeds and newsletters for a folder of articles.

The two ways through the house, each a straight line:

    rescan   store -> library.sweep -> reading (frontmatter, body) -> intake -> catalog -> syndication.documents.refresh
    request  GET -> web.lane | web.feeds -> service.document -> library.catalog.select -> syndication.formats -> 200 | 304

Reading order: model, addresses, config, database; then the packages, each of which opens with its own order:
library (files -> catalog), syndication (catalog -> feeds), web (HTTP); then service (use cases), schedule (the clock),
cli (the operator's verbs).

Who may import whom: cli, web, schedule -> service -> library | syndication -> database, config -> model, addresses -> errors.
Departments do not import each other, but for reading: syndication asks library.catalog.
"""
