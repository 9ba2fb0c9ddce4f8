"""Feeds and newsletters for a folder of articles.

The ways through the code, each a straight line:

    rescan   store.walk -> store.parse (places, frontmatter, fields, verdict, links, bodies, markdown) -> catalog.ingest
             -> syndication.feed_states
    request  GET -> web.fast_path | web.views.feeds -> syndication.lookup -> catalog.queries -> feed_formats -> 200 | 304
    export   static.site_files (files and marks) -> static.export -> static.render, static.pages (what differs)
             -> static.targets
    digest   tick -> newsletter.issues.planning (issue and deliveries, one transaction) -> newsletter.delivery.dispatcher
             (claim, compose, hand over, mark) -> sent | retry | failed | uncertain
    push     POST /hub -> web.views.hub -> websub.requests -> request; clock -> websub.worker: verify -> subscription -> deliver
    console  form -> web.console -> admin.actions -> config.edit (one entry of feeds.yaml) -> rescan

Reading order: model, urls, selections, feed_formats, config, database; then the packages, each opens with what it does:
store (files -> articles), catalog (articles -> index), syndication (index -> feeds), newsletter (index -> mail), websub (push),
audience (requests -> numbers), static (the site as files); then rescan, check, monitoring, admin (use cases), web and cli
(doors), scheduler and worker (processes). `runtime` is the context that doors hand on.

Who may import whom is drawn in docs/design.md and held by tests/test_laws.py: a package imports from the floors below its own.
"""
