"""The catalog: an index of the articles in the database. It knows nothing of feeds, mail or HTTP.

A changed file goes `store.walk` -> `store.parse` (by `store.frontmatter` and `store.markdown`) -> `ingest`. `terms` and
`bitmaps` write what belongs to articles; `queries`, `related` (with a snapshot of all articles) and `search` answer.
"""
