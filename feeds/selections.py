"""Selections as text: the grammar of `/select`, of `select` in CSV files, and of what subscribers want. Pure.

`tag=Linux&tag=Ubuntu&all-tag=AI&translator=geekpi&not-tag=Windows`: `tag` any of, `all-tag` each of, `not-tag` none of; so for
every facet; all must hold. `feed=kernel` is a feed that the operator named. One selection has one canonical text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import parse_qsl, quote

from . import addresses
from .errors import AddressError
from .model import FACETS, Selection

MAX_LENGTH = 2000
MAX_TERMS = 50
NAMED = "feed"


def parse(text: str) -> Selection | str:
    """A selection, or the name of a feed. Raises AddressError that says what was expected."""
    if len(text) > MAX_LENGTH:
        raise AddressError(f"the selection is longer than {MAX_LENGTH} characters")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), errors="strict", max_num_fields=MAX_TERMS)
    except ValueError:
        raise AddressError(f"{text[:80]!r} is no selection; expected for example tag=Linux&translator=geekpi") from None
    if any(key == NAMED for key, _name in pairs):
        return _named(pairs)
    modes: dict[str, dict[str, list[str]]] = {"": {}, "all": {}, "not": {}}
    for key, name in pairs:
        mode, _, facet = key.rpartition("-")
        if facet not in FACETS or mode not in modes:
            raise AddressError(
                f"{key[:40]!r} is no facet; expected one of {', '.join(FACETS)}, or all-tag, not-tag and the like"
            )
        if not name.strip() or not name.isprintable():
            raise AddressError(f"{key}= names nothing")
        modes[mode].setdefault(facet, []).append(name.strip())
    return Selection(*({facet: tuple(names) for facet, names in modes[mode].items()} for mode in ("", "all", "not")))


def _named(pairs: list[tuple[str, str]]) -> str:
    if len(pairs) != 1 or not pairs[0][1].strip():
        raise AddressError("feed= names one feed of the operator and stands alone")
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
    unique = {addresses.fold(name): name for name in reversed(clauses.get(facet, ()))}
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
