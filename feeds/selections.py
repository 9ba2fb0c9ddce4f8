"""Selections as text: the grammar of `/select`, of `select` in CSV files, and of what subscribers want. Pure.

`tag=Linux&tag=Ubuntu&all-tag=AI&translator=geekpi&not-tag=Windows`: `tag` any of, `all-tag` each of, `not-tag` none of; so for
every facet; all must hold. `feed=kernel` is a feed that the operator named. One selection has one canonical text.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from urllib.parse import parse_qsl, quote

from . import urls
from .errors import SelectionError
from .model import FACETS, Selection

MAX_LENGTH = 2000
MAX_TERMS = 50
MAX_CLAUSES = 12
NAMED = "feed"


def parse(text: str) -> Selection | str:
    """A selection, or the name of a feed. Raises SelectionError that says what was expected."""
    if len(text) > MAX_LENGTH:
        raise SelectionError(f"the selection is longer than {MAX_LENGTH} characters")
    if text.count("&") >= MAX_TERMS:
        raise SelectionError(f"the selection has more than {MAX_TERMS} terms")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), errors="strict", max_num_fields=MAX_TERMS)
    except ValueError:
        raise SelectionError(f"{text[:80]!r} is no selection; expected for example tag=Linux&translator=geekpi") from None
    if any(key == NAMED for key, _name in pairs):
        return _named(pairs)
    modes: dict[str, dict[str, list[str]]] = {"": {}, "all": {}, "not": {}}
    for key, name in pairs:
        mode, _, facet = key.rpartition("-")
        if facet not in FACETS or mode not in modes:
            raise SelectionError(
                f"{key[:40]!r} is no facet; expected one of {', '.join(FACETS)}, or all-tag, not-tag and the like"
            )
        if not name.strip() or not urls.is_text(name):
            raise SelectionError(f"{key}= names nothing")
        modes[mode].setdefault(facet, []).append(name.strip())
    found = Selection(*({facet: tuple(names) for facet, names in modes[mode].items()} for mode in ("", "all", "not")))
    if clauses(found) > MAX_CLAUSES:
        raise SelectionError(f"the selection has more than {MAX_CLAUSES} clauses that must hold")
    return found


def clauses(wanted: Selection) -> int:
    """How many conditions must hold: a facet with any of some names is one, each name of `all`, a facet with `not`."""
    return len(wanted.any) + sum(map(len, wanted.all.values())) + len(wanted.none)


def _named(pairs: list[tuple[str, str]]) -> str:
    if len(pairs) != 1 or not pairs[0][1].strip():
        raise SelectionError("feed= names one feed of the operator and stands alone")
    return pairs[0][1].strip()


def canonical(wanted: Selection | str) -> str:
    """The one text of a selection: facets in order, names by their folded spelling, `not` at the end."""
    if isinstance(wanted, str):
        return f"{NAMED}={quote(wanted, safe='')}"
    return "&".join(f"{key}={quote(name, safe='')}" for key, name in _pairs(wanted))


def _pairs(wanted: Selection) -> Iterator[tuple[str, str]]:
    for facet in FACETS:
        yield from ((facet, name) for name in _ordered(wanted.any, facet))
        yield from ((f"all-{facet}", name) for name in _ordered(wanted.all, facet))
    for facet in FACETS:
        yield from ((f"not-{facet}", name) for name in _ordered(wanted.none, facet))


def _ordered(clauses: Mapping[str, tuple[str, ...]], facet: str) -> list[str]:
    unique = {urls.fold(name): name for name in reversed(clauses.get(facet, ()))}
    return [unique[folded] for folded in sorted(unique)]


def title(wanted: Selection, *, chinese: bool) -> str:
    """What it selects, in words: `Linux、Ubuntu · 译者：geekpi · 不含 Windows`. The empty selection is all articles."""
    comma, colon = ("、", "：") if chinese else (", ", ": ")
    parts = []
    for facet in FACETS.values():
        label = "" if facet.name == "tag" else (facet.zh if chinese else facet.en) + colon
        if some := _ordered(wanted.any, facet.name):
            parts.append(label + comma.join(some))
        if every := _ordered(wanted.all, facet.name):
            parts.append(label + " + ".join(every))
    without = [name for facet in FACETS for name in _ordered(wanted.none, facet)]
    if without:
        parts.append(("不含 " if chinese else "without ") + comma.join(without))
    return " · ".join(parts) or ("全部文章" if chinese else "All articles")


def page(wanted: Selection, *, facets: Collection[str], builder: bool) -> tuple[str, str]:
    """Path and query of the page for exactly this selection: a term's own, or the builder's; "" and "" where there is none.

    `facets` are those whose terms have pages; `builder`: whether any selection has one.
    """
    if not clauses(wanted):
        return "all", ""
    pairs = wanted.pairs()
    if len(pairs) == 1 and not wanted.none and pairs[0][0] in facets:
        return urls.term_path(*pairs[0]), ""
    return ("select", canonical(wanted)) if builder else ("", "")
