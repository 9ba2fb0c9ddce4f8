"""What a selection of five clauses costs before anything is rendered: its terms looked up, its articles found, its ETag known.

The selections are those that hurt: of the terms that have most articles, also where few or no articles fit them all.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from feeds.errors import AddressError
from feeds.feed_formats import load_formats
from feeds.model import Selection
from feeds.runtime import Runtime
from feeds.selections import canonical, clauses, parse
from feeds.syndication import lookup, pages
from feeds.syndication.lookup import Elsewhere

from .bench import Bench
from .figures import Figure, middle

BOUNDS_MS = (10.0, 15.0)
_CLAUSES = 5


def measure(bench: Bench) -> Iterator[Figure]:
    sizes = (bench.articles, bench.growing[-1])
    stores = (("main", bench.store(sizes[0])), ("growth", bench.store(sizes[1], short=True)))
    for size, (name, store), bound in zip(sizes, stores, BOUNDS_MS, strict=True):
        runtime = bench.site(name, store).catalogued().runtime()
        spent = {text: _spent(runtime, text, bench.rounds(15)) for text in _selections(runtime)}
        runtime.close()
        slowest = max(spent, key=lambda text: spent[text])
        usual = middle(list(spent.values()))
        note = f"{len(spent)} selections of {_CLAUSES} clauses, their median {usual:.1f} ms; the slowest: {slowest[:60]}…"
        yield Figure(f"a selection, {size:,} articles", spent[slowest], "ms CPU", bound, note=note)


def _spent(runtime: Runtime, text: str, rounds: int) -> float:
    edition = runtime.edition()
    found = []
    for _round in range(rounds):
        before = time.process_time()
        try:
            answered = runtime.read(
                lookup.find_selection_document, edition, text, load_formats()["atom"], known=lambda _state: True
            )
        except AddressError:
            raise RuntimeError(f"no article has any of {text}") from None
        found.append(1000 * (time.process_time() - before))
        if isinstance(answered, Elsewhere):
            raise RuntimeError(f"{text} is not canonical")
    return middle(found)


def _selections(runtime: Runtime) -> list[str]:
    tags = [term.name for term in runtime.read(pages.suggest_terms, "tag", "")]
    people = [term.name for term in runtime.read(pages.suggest_terms, "translator", "")]
    some, everyone = tuple(tags), tuple(people)
    rare = tuple(term.name for term in runtime.read(pages.most_used_terms, 10_000)["tag"][-4:])
    found = (
        Selection({"tag": some[:3], "translator": everyone[:3]}, {"tag": some[:2]}, {"tag": some[4:5]}),
        Selection({"tag": some}, {"tag": (some[0], some[3])}, {"tag": some[1:3], "translator": everyone[:2]}),
        Selection({"tag": some[:4], "translator": everyone}, {"tag": some[:3]}),
        Selection({"tag": some[:2], "translator": everyone[:1]}, {"tag": some[5:7]}, {"tag": rare}),
        Selection({"translator": everyone[:4]}, {"tag": some[:4]}),
        Selection({"tag": (*some, *rare), "translator": everyone}, {"tag": some[:1]}, {"tag": rare[:1], "translator": ("x",)}),
    )
    if {clauses(one) for one in found} != {_CLAUSES}:
        raise RuntimeError("not all of them have five clauses")
    return [_canonical(runtime, canonical(one)) for one in found]


def _canonical(runtime: Runtime, text: str) -> str:
    answered = runtime.read(
        lookup.find_selection_document,
        runtime.edition(),
        canonical(parse(text)),
        load_formats()["atom"],
        known=lambda _state: True,
    )
    return str(answered.query) if isinstance(answered, Elsewhere) else text
