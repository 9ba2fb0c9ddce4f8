"""Searches over a large store: the processor's time of a hundred of them, and how large the index is.

Words are taken by how many articles have them: the commonest, some of each rarity, pairs of words, a phrase, a word that no
article has. Each is asked of the search itself, without template and compression, which `pages` measures.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import sqlalchemy as sa

from feeds.database.tables import bodies, postings
from feeds.syndication.searches import SearchCache, search_page

from .bench import Bench
from .figures import Figure, middle

_WORDS = 100
_OTHERS = ["内核", "docker 容器", '"操作系统"', "如何在 ubuntu 安装", "的", "a", "no such words", "kernal", "內核", "node.js"]
_PAIR, _COUNT = postings.c.word, sa.func.sum(sa.func.length(postings.c.articles))
_BY_COUNT = sa.select(_PAIR).where(~_PAIR.startswith("="), ~_PAIR.startswith("~")).group_by(_PAIR).order_by(_COUNT.desc())


def measure(bench: Bench) -> Iterator[Figure]:
    site = bench.site("main", bench.store(bench.articles)).catalogued()
    runtime = site.runtime()
    with runtime.reading() as connection:
        words = list(connection.scalars(_BY_COUNT))
        size = sa.func.length(sa.cast(postings.c.word, sa.LargeBinary)) + sa.func.length(postings.c.articles)
        index = connection.scalar(sa.select(sa.func.sum(size))) or 0
        text = connection.scalar(sa.select(sa.func.sum(sa.func.length(sa.cast(bodies.c.html, sa.LargeBinary))))) or 1
    some = _WORDS - len(_OTHERS) - 30
    asked = [*words[:30], *words[30 : 30 + 40 * some : 40], *_OTHERS]
    config, kept = runtime.edition().config, SearchCache()
    usual = {}
    for word in asked:
        taken = []
        for _round in range(bench.rounds(5)):
            began = time.process_time()
            runtime.read(search_page, config, word, {}, 1, kept)
            taken.append(1000 * (time.process_time() - began))
        usual[word] = middle(taken)
    runtime.close()
    slowest = max(usual, key=lambda word: usual[word])
    yield Figure("search: the middle one", middle(usual.values()), "ms CPU", 20.0, note=f"of {len(usual)}")
    yield Figure("search: the slowest", usual[slowest], "ms CPU", 60.0, note=slowest)
    yield Figure("search: the index, by the bodies", index / text, "of their bytes", 1.2, note=f"{index / 1e6:.1f} MB")
