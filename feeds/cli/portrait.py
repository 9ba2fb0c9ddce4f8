"""Describe a store in a few lines, however large it is: for `feeds check` and `feeds init`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..model import FACETS

if TYPE_CHECKING:
    from ..config.models import Site
    from ..store.portrait import Portrait

#: So many names are shown of each kind, the commonest ones.
_SHOWN = 6
#: What a file can be, as it is called here.
_STATES = {
    "published": "articles",
    "page": "pages",
    "withheld": "withheld",
    "ignored": "ignored",
    "quarantined": "quarantined",
}


def portrait_lines(portrait: Portrait, site: Site) -> Iterator[str]:
    """Yield the lines that show a publisher at a glance whether a store was understood."""
    found = portrait.settings.site
    yield summary_line(portrait)
    roots = list(dict.fromkeys(f"{root.path or '.'}/" for root in found.roots))
    yield _row(
        "content",
        ", ".join(roots[:_SHOWN]) + _more(len(roots)) + (f" ({', '.join(found.sources[:3])})" if found.sources else ""),
    )
    for state, words in _STATES.items():
        reasons = portrait.count(state)
        if reasons or state in ("published", "quarantined"):
            # Each reason of quarantine stands with its file below.
            named = _named(
                Counter(
                    {
                        reason: number
                        for reason, number in reasons.items()
                        if reason not in ("", state) and state != "quarantined"
                    }
                )
            )
            yield _row(words, f"{sum(reasons.values())}{f': {named}' if named else ''}")
    if portrait.unread:
        yield _row("not read", _named(Counter(dict(portrait.unread))))
    for name, facet in FACETS.items():
        if terms := portrait.terms(name):
            yield _row(
                facet.plural,
                f"{len(terms)}: {', '.join(f'{term} {number}' for term, number in _top(terms))}{_more(len(terms))}",
            )
    yield _row("time zone", f"{portrait.timezone} (of dates that name none)")
    yield from _links(portrait, site)
    if unused := portrait.unused():
        yield _row(
            "not used", f"header fields {', '.join(f'{name} {number}' for name, number in _top(unused))}{_more(len(unused))}"
        )
    for notice, number in portrait.notices().most_common(_SHOWN):
        yield _row("noticed", f"{notice} ({number} article{'s' if number > 1 else ''})")
    for line, why in portrait.mend(site):
        yield _row("missing", f"{why}. In site.yaml:")
        yield f"    {line}"


def summary_line(portrait: Portrait) -> str:
    """Return the kind of a store, and why it is taken for that."""
    found = portrait.settings.site
    return f"store: {found.kind} ({found.why})" if found.why else f"store: {found.kind}"


def _links(portrait: Portrait, site: Site) -> Iterator[str]:
    """Yield a few addresses of articles, for comparison with those that the site has."""
    if samples := portrait.samples(site):
        base = portrait.settings.site.base_url
        yield _row(
            "links", f"compare them with those of {base}/" if base else "to pages of this service, unless the store says more"
        )
        for path, link in samples.items():
            yield f"    {link}  <- {path}"


def _row(name: str, text: str) -> str:
    return f"  {name:<12} {text}"


def _top(names: Counter[str]) -> list[tuple[str, int]]:
    return sorted(names.items(), key=lambda pair: (-pair[1], pair[0]))[:_SHOWN]


def _named(reasons: Counter[str]) -> str:
    return ", ".join(f"{number} {reason}" for reason, number in _top(reasons)) + _more(len(reasons))


def _more(number: int) -> str:
    return f" and {number - _SHOWN} more" if number > _SHOWN else ""
