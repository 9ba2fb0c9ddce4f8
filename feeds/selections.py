"""Selections: their text form, their names resolved by aliases, and the predicate that says whether an article matches.

The text form is that of `/select`, of `select` in CSV files and of subscriptions, for example
`tag=Linux&tag=Ubuntu&all-tag=AI&translator=geekpi&not-tag=Windows`: `tag` any of, `all-tag` each of, `not-tag` none of; the
same for every facet; all clauses must hold. `feed=kernel` is a feed that the operator named. Each selection has one canonical
text.

The predicate is for single articles and many selections. Questions to the whole index go to `catalog.queries`; both answer
alike. Everything here is pure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote

from . import urls
from .errors import SelectionError
from .model import FACETS, Article, Selection

MAX_LENGTH = 2000
MAX_TERMS = 50
MAX_CLAUSES = 12
NAMED = "feed"


def parse(text: str) -> Selection | str:
    """Return a selection, or the name of a feed. Raises SelectionError that says what was expected.

    >>> parse("tag=Linux&not-tag=Windows")
    Selection(any={'tag': ('Linux',)}, all={}, none={'tag': ('Windows',)})
    >>> parse("feed=kernel")
    'kernel'
    """
    if len(text) > MAX_LENGTH:
        raise SelectionError(f"the selection is longer than {MAX_LENGTH} characters")
    if text.count("&") >= MAX_TERMS:
        raise SelectionError(f"the selection has more than {MAX_TERMS} terms")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), errors="strict", max_num_fields=MAX_TERMS)
    except ValueError:
        raise SelectionError(f"{text[:80]!r} is no selection; expected for example tag=Linux&translator=geekpi") from None
    if any(key == NAMED for key, _name in pairs):
        if len(pairs) != 1 or not pairs[0][1].strip():
            raise SelectionError("feed= names one feed of the operator and stands alone")
        return pairs[0][1].strip()
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
    """Return how many clauses must hold: a facet with any of some names is one, each name of `all`, a facet with `not`."""
    return len(wanted.any) + sum(map(len, wanted.all.values())) + len(wanted.none)


def canonical(wanted: Selection | str) -> str:
    """Return the one text of a selection: facets in order, names by their folded spelling, `not` at the end.

    >>> canonical(Selection({"author": ("Ada",), "tag": ("Ubuntu", "Linux")}))
    'tag=Linux&tag=Ubuntu&author=Ada'
    """
    if isinstance(wanted, str):
        return f"{NAMED}={quote(wanted, safe='')}"
    parts = [(key, part, facet) for facet in FACETS for key, part in ((facet, wanted.any), (f"all-{facet}", wanted.all))]
    parts += [(f"not-{facet}", wanted.none, facet) for facet in FACETS]
    return "&".join(f"{key}={quote(name, safe='')}" for key, part, facet in parts for name in _ordered(part, facet))


def _ordered(clauses: Mapping[str, tuple[str, ...]], facet: str) -> list[str]:
    unique = {urls.fold(name): name for name in reversed(clauses.get(facet, ()))}
    return [unique[folded] for folded in sorted(unique)]


def title(wanted: Selection, *, chinese: bool) -> str:
    """Return what it selects, in words: `Linux、Ubuntu · 译者：geekpi · 不含 Windows`. The empty selection is all articles."""
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
    """Return path and query of a selection's own page: a term's or the builder's, if `builder`; "" and "" for none.

    `facets` are those whose terms have pages.
    """
    if not clauses(wanted):
        return "all", ""
    pairs = wanted.pairs()
    if len(pairs) == 1 and not wanted.none and pairs[0][0] in facets:
        return urls.term_path(*pairs[0]), ""
    return ("select", canonical(wanted)) if builder else ("", "")


# -- matching --------------------------------------------------------------

TermKey = tuple[str, str]  # facet, folded name


@dataclass(frozen=True, slots=True)
class Aliases:
    """The aliases of the configuration, followed to their ends: facet -> folded spelling -> the name that it stands for."""

    names: Mapping[str, Mapping[str, str]]

    @classmethod
    def from_config(cls, aliases: Mapping[str, Mapping[str, str]]) -> Aliases:
        """Return the aliases of `feeds.yaml`. Raises ValueError where they go in a circle."""
        found: dict[str, dict[str, str]] = {}
        for facet, rows in aliases.items():
            steps = {urls.fold(alias): name for alias, name in rows.items()}
            found[facet] = {alias: urls.follow(steps, name) for alias, name in steps.items()}
        return cls(found)

    def resolve(self, facet: str, name: str) -> str:
        """Return the name that `name` stands for: itself where no alias has this spelling.

        >>> Aliases.from_config({"tag": {"K8s": "Kubernetes"}}).resolve("tag", "k8S")
        'Kubernetes'
        """
        return self.names.get(facet, {}).get(urls.fold(name), name)

    def key(self, facet: str, name: str) -> TermKey:
        """Return the key of the term that a typed name means."""
        return facet, urls.fold(self.resolve(facet, name.strip()))

    def preferred(self, facet: str, folded: str) -> str:
        """Return the operator's own spelling of a term, or "" where no alias leads to it."""
        return next((name for name in self.names.get(facet, {}).values() if urls.fold(name) == folded), "")

    def sources(self, facet: str) -> dict[str, frozenset[str]]:
        """Return the folded spellings that aliases have merged into each term, by the term's folded name."""
        found: dict[str, set[str]] = defaultdict(set)
        for alias, name in self.names.get(facet, {}).items():
            if urls.fold(name) != alias:
                found[urls.fold(name)].add(alias)
        return {target: frozenset(merged) for target, merged in found.items()}


@dataclass(frozen=True, slots=True)
class Condition:
    """A selection with its names resolved: an article needs a term of each group of `some` and no term of `none`."""

    some: tuple[frozenset[TermKey], ...] = ()
    none: frozenset[TermKey] = frozenset()


def condition(wanted: Selection, aliases: Aliases) -> Condition:
    """Return the condition that a selection puts on the terms of an article."""
    some = [frozenset(aliases.key(facet, name) for name in names) for facet, names in wanted.any.items()]
    some += [frozenset((aliases.key(facet, name),)) for facet, names in wanted.all.items() for name in names]
    return Condition(tuple(some), frozenset(aliases.key(facet, name) for facet, names in wanted.none.items() for name in names))


def matches(wanted: Condition, terms: AbstractSet[TermKey]) -> bool:
    """Return whether an article with these terms is in the selection.

    >>> linux_not_windows = condition(Selection({"tag": ("Linux",)}, none={"tag": ("Windows",)}), Aliases({}))
    >>> matches(linux_not_windows, {("tag", "linux"), ("author", "ada")})
    True
    >>> matches(linux_not_windows, {("tag", "linux"), ("tag", "windows")})
    False
    """
    for group in wanted.some:  # twice as fast as `any`: a plan of an issue asks this for each of its articles and selections
        if group.isdisjoint(terms):
            return False
    return wanted.none.isdisjoint(terms)


def term_keys(article: Article) -> frozenset[TermKey]:
    """Return the keys of an article's terms, as `matches` takes them."""
    return frozenset((term.facet, urls.fold(term.name)) for term in article.terms)
