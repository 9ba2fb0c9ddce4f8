"""Pages for people over a large store: what is transferred, and how long the service takes to make them.

Each page is asked of the application in this process, whole: routing, the catalog, the template, compression. Time is that
of the processor, the median of each page; of several pages of a kind the slowest counts, of searches the middle one. The
directory has 700 terms, of a store of its own; pages of terms are those with most articles, and some in the middle. Pictures
are not counted: they are on another host. A page is measured again and again in one edition of the catalog, so cards,
statistics of terms and the text of searches are in memory.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from werkzeug.test import Client

from feeds import urls
from feeds.runtime import Runtime
from feeds.syndication import pages
from feeds.web.app import create_app

from . import shape
from .bench import Bench, Site
from .figures import Figure, middle, spread

BOUND_MS, BOUND_KB = 20.0, 60.0
#: Of those that readers ask for most.
_TIGHTER = {"tag": 10.0}
_TERMS = 700
_BROWSER = {"Accept-Encoding": "gzip, deflate, br", "Accept-Language": "zh-CN,zh;q=0.9"}


def measure(bench: Bench) -> Iterator[Figure]:
    site = bench.site("main", bench.store(bench.articles)).catalogued()
    yield from _measured(bench, site, _addresses(site))
    many = bench.site("terms", _many_terms(bench.folder / f"store-{_TERMS}-terms")).catalogued()
    yield from _measured(bench, many, {"directory of 700 terms": ["/tags/"], "the same by name": ["/tags/?sort=name"]})


def _addresses(site: Site) -> dict[str, list[str]]:
    """The pages of each kind that have most to show, and some in the middle."""
    runtime = site.runtime()
    tags, people = (runtime.read(pages.most_used_terms, 10_000)[facet] for facet in ("tag", "translator"))
    chosen = [*tags[:5], *tags[40:45]], [*people[:5], *people[40:45]]
    found = [[f"/{urls.encode(term.path)}" for term in terms] for terms in chosen]
    articles = _articles(runtime)
    runtime.close()
    words = [tags[0].name, tags[10].name, people[0].name, "内核", "docker 容器", "no such words"]
    return {
        "home": ["/"],
        "tag": found[0],
        "translator": found[1],
        "article": articles,
        "search": [f"/search?q={urls.encode(word)}" for word in words],
    }


def _articles(runtime: Runtime) -> list[str]:
    """Of all ages; the site that is measured shows its articles itself."""
    with runtime.reading() as connection:
        ids = connection.exec_driver_sql("SELECT id FROM articles ORDER BY position").scalars().all()
    return [f"/articles/{id}" for id in ids[:: len(ids) // 20]]


def _measured(bench: Bench, site: Site, asked: dict[str, list[str]]) -> Iterator[Figure]:
    runtime = site.runtime()
    client = Client(create_app(runtime.environment))
    runtime.close()
    for name, addresses in asked.items():
        taken: dict[str, list[float]] = {page: [] for page in addresses}
        sizes: dict[str, int] = {}
        for _round in range(bench.rounds(15)):
            for page in addresses:
                began = time.process_time()
                answered = client.get(page, headers=_BROWSER)
                taken[page].append(1000 * (time.process_time() - began))
                if answered.status_code != 200:
                    raise RuntimeError(f"{page} answered {answered.status_code}")
                sizes[page] = len(answered.data)
        usual = {page: middle(times) for page, times in taken.items()}
        slowest = max(usual, key=lambda page: usual[page])
        counts = middle(list(usual.values())) if name == "search" else usual[slowest]
        note = f"of {len(addresses)} ({spread(usual.values())}); the slowest is {unquote(slowest)}"
        yield Figure(f"page: {name}", counts, "ms CPU", _TIGHTER.get(name, BOUND_MS), note=note)
        yield Figure(f"page: {name}, transferred", max(sizes.values()) / 1000, "KB", BOUND_KB, note="brotli, without pictures")


def _many_terms(folder: Path) -> Path:
    """One article for each term."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(_TERMS):
        path = folder / f"{number + 1}.md"
        if not path.exists():
            name = shape.term_name("tag", number)
            path.write_text(f"---\ntitle: 第 {number} 篇\ndate: 2020-01-01\ntags: [{name}]\n---\n正文\n", "utf-8")
    return folder
