"""The store: a folder of Markdown files, perhaps in a git repository -> parsed articles. Nothing here knows of an index.

`git` pulls the repository and reads dates, `walk` finds what changed, `parser_pool` has files parsed in processes with limits,
`parse` turns one file into an article by `frontmatter` and `markdown`.
"""
