"""Make feeds of the catalog: which feeds there are, their states, their documents, and what pages show of them.

feeds (definitions, archive periods) -> feed_states (digests and ETags, written by the rescan) -> documents (bytes in a format)
-> lookup (what an address means) -> pages (what web pages show). `editions` records which generation of the catalog is
published. Invariant: articles are read through `catalog` only; nothing here knows HTTP or mail.
"""
