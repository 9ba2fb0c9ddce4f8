"""Files -> catalog. Law: nothing here knows of feeds, mail or HTTP; `catalog` is the only door the other departments use.

Reading order: sweep (which files changed) -> frontmatter, body, reading (one file -> ParsedArticle or Problem) -> intake and
vocabulary (rows) -> scan (the whole way, in one transaction) -> catalog (what readers ask).
"""
