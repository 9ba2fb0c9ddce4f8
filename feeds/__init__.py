"""Feeds and newsletters for a folder of articles.

The ways through the house, each a straight line:

    rescan   store -> library.sweep -> reading (frontmatter, body) -> intake -> catalog -> syndication.documents.refresh
    request  GET -> web.lane | web.feeds -> service.document -> library.catalog.select -> syndication.formats -> 200 | 304
    audience GET -> web.turnstile (counted, or refused) -> web.tally -> audience.records -> feeds status, /metrics
    export   catalog -> service.tree (leaves and marks) -> syndication.export -> web.still (what differs) -> folder | bucket
    digest   tick -> newsletter.issues.plan (issue and deliveries, one transaction) -> deliver (claim, compose, hand over, mark)
             -> sent | retry | failed | uncertain
    push     POST /hub -> web.hub -> websub.asking -> request; clock -> websub.courier: verify -> subscription; look -> deliver
    console  form -> web.operator -> service.console -> edits (one entry of feeds.yaml) -> sheets (checked, replaced) -> rescan

Reading order: model, addresses, selections, config, database, origins, edits; then the packages, each of which opens with its
own order: library (files -> catalog), syndication (catalog -> feeds), newsletter (catalog -> mail), audience (requests ->
numbers), web (HTTP); then service (use cases), schedule (the clock), cli (the operator's verbs).

Who may import whom: cli, web, schedule -> service -> library | syndication | newsletter | audience -> measures -> database,
config, selections -> addresses, model -> errors. Departments do not import each other, but for reading: syndication and
newsletter ask library.catalog.
"""
