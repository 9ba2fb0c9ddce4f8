"""The configuration: what an operator sets, in files and in the environment.

`models` says which settings there are, `load` reads the files into a `Config`, `environment` the variables FEEDS_*, `edit`
changes one feed in feeds.yaml, `init` writes the files of a new site, `sources` lists every setting with where it comes from.
"""
