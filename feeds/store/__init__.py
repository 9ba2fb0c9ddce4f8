"""The store: a folder of Markdown files, perhaps in a git repository -> parsed articles. Nothing here knows of an index.

`git` pulls the repository and reads dates, `walk` finds what changed, `parser_pool` has files parsed in processes with limits.
`kinds` is the table of what generators of sites mean by an article; `generators` finds the kind of a store and reads what its
site says. `parse` turns one file into an article: `places` (its path), `frontmatter` and `headers`, `fields`, `verdict` (is it
published), `links` (its address, and those in it), `bodies` and `markdown`. `portrait` tells an operator what a store is.
"""
