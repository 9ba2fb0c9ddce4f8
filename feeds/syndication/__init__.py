"""Catalog -> feeds. Law: reads articles through `library.catalog` only; knows nothing of HTTP or mail.

Reading order: definitions (which feeds there are) -> documents (their state, their bytes) -> entries (an article as an entry)
-> formats (Atom, RSS, JSON Feed) -> opml, websub; leaves (the static tree's nouns) -> manifest, redirects -> export -> folder,
bucket.
"""
