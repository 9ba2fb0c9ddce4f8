"""Files -> catalog. Law: nothing here knows of feeds, mail or HTTP; `catalog` is the only door the other departments use.

Reading order: git, pull (a store in git is brought up to date) -> sweep (which files changed) -> history, dating (what git says
of their dates) -> frontmatter, body, reading (one file -> ParsedArticle or Problem) -> intake and vocabulary (rows) -> scan
(the whole way, in one transaction) -> catalog (what readers ask).
"""
