"""The shape of the real archive, 7,976 articles of ten years, and outlines of stores of any size that have it.

`archive-shape.tsv` counts, without names: articles of each term, terms per article, articles per month, percentiles of the
bytes of bodies as HTML. A larger store is as if several such archives were one: as many times the articles in each of the same
months. The house's own terms (tags, categories, reviewers, selectors) then have so many times the articles; of authors and
translators there are so many times as many, each with as many articles as before. A smaller one has fewer of everything.

Each term is at work for a while, longer the more articles it has; who wrote what and which terms go together is chance, the
same each time.
"""

from __future__ import annotations

import calendar
import functools
import itertools
import math
import random
from bisect import bisect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

ARCHIVE = 7_976
#: Facets of which a larger archive has more terms.
_PEOPLE = ("author", "translator")
SOURCE = Path(__file__).with_name("archive-shape.tsv")
#: Bytes of a body above the last but one percentile: a Pareto tail, which ends where the archive's largest body does.
_TAIL = 0.95
#: A term of so many articles is at work all the time, one of half as many half of it. Chosen so that a static tree of the
#: archive's size has about as many files as that of the archive: 18,627 and 18,731.
_STEADY = 85


@dataclass(frozen=True, slots=True)
class Shape:
    """`terms`: of each facet, articles by rank; `slots`: articles by their number of terms; `bodies`: (share, bytes)."""

    terms: Mapping[str, Sequence[int]]
    slots: Mapping[str, Sequence[int]]
    months: Mapping[str, int]
    bodies: Sequence[tuple[float, int]]


@dataclass(frozen=True, slots=True)
class Outline:
    """What an article is to be like. `terms`: names of each facet; `size`: bytes of its body as HTML."""

    when: datetime
    terms: Mapping[str, Sequence[str]]
    size: int


@functools.cache
def of_archive() -> Shape:
    rows = [line.split("\t") for line in SOURCE.read_text("utf-8").splitlines()[1:]]
    found: dict[str, dict[str, list[int]]] = {}
    for kind, name, _number, count in rows:  # in order: ranks, numbers of terms and percentiles are without a gap
        found.setdefault(kind, {}).setdefault(name, []).append(int(count))
    months = {month: count for month, (count,) in found["month"].items()}
    slots = {
        facet: [0] * int(next(row[2] for row in rows if row[:2] == ["terms-per-article", facet])) + counts
        for facet, counts in found["terms-per-article"].items()
    }
    bodies = [(int(row[2]) / 100, int(row[3])) for row in rows if row[0] == "body-bytes"]
    return Shape(found["term"], slots, months, bodies)


def scaled(articles: int) -> Shape:
    """The shape of a store of so many articles: counts of months, of articles by their terms, and of each term."""
    archive, factor = of_archive(), articles / ARCHIVE
    slots = {facet: _times(counts, factor) for facet, counts in archive.slots.items()}
    terms = {}
    for facet, counts in archive.terms.items():
        whole = int(factor) if facet in _PEOPLE else 0
        found = sorted(filter(None, [*list(counts) * whole, *_times(counts, factor - whole)]), reverse=True)
        found[0] += sum(number * count for number, count in enumerate(slots[facet])) - sum(found)  # what rounding took
        terms[facet] = found
    months = dict(zip(archive.months, _times(list(archive.months.values()), factor), strict=True))
    return Shape(terms, slots, months, archive.bodies)


def _times(counts: Sequence[int], factor: float) -> list[int]:
    """Each count times `factor`, rounded so that every beginning of the list has its share."""
    sums = [round(factor * part) for part in itertools.accumulate(counts)]
    return [after - before for before, after in itertools.pairwise([0, *sums])]


def outlines(articles: int) -> list[Outline]:
    """Of every article of a store, oldest first; the same each time."""
    shape, chance = scaled(articles), random.Random(articles)
    given = {facet: _given(facet, shape, articles, chance) for facet in shape.terms}
    sizes = [body_size(shape, (number + 0.5) / articles) for number in range(articles)]
    chance.shuffle(sizes)
    dates = _dates(shape.months)
    return [
        Outline(when, {facet: given[facet][number] for facet in given}, size)
        for number, (when, size) in enumerate(zip(dates, sizes, strict=True))
    ]


def _dates(months: Mapping[str, int]) -> Iterator[datetime]:
    for month, count in months.items():
        first = datetime.strptime(month, "%Y-%m")
        days = calendar.monthrange(first.year, first.month)[1]
        for number in range(count):
            yield first + timedelta(seconds=int((number + 0.5) / count * days * 86_400))


def body_size(shape: Shape, share: float) -> int:
    """Bytes of the body that is larger than this share of all (0 to 1)."""
    shares = [one for one, _size in shape.bodies]
    after = min(bisect(shares, share), len(shares) - 1)
    (low, smaller), (high, larger) = shape.bodies[after - 1 : after + 1]
    if low < _TAIL:
        return round(smaller + (larger - smaller) * (share - low) / (high - low))
    rarest = (1 - low) * ARCHIVE  # of so many articles one is the largest
    power = math.log(larger / smaller) / math.log(rarest)
    return min(larger, round(smaller * math.pow((1 - low) / (1 - share), power)))


# -- terms of articles -----------------------------------------------------


def _given(facet: str, shape: Shape, articles: int, chance: random.Random) -> list[list[str]]:
    """The terms of each article: as many as the shape says, none twice, each term while it is at work."""
    numbers = [number for number, count in enumerate(shape.slots[facet]) for _article in range(count)]
    chance.shuffle(numbers)
    moments = sorted(
        (begins + chance.random() * lasts, rank)
        for rank, count in enumerate(shape.terms[facet])
        for begins, lasts in [_at_work(count, chance)]
        for _article in range(count)
    )
    ranks = [rank for _moment, rank in moments]
    held = [ranks[slice(*ends)] for ends in itertools.pairwise(itertools.accumulate(numbers, initial=0))]
    _part_twins(held, chance)
    return [[term_name(facet, rank) for rank in sorted(one)] for one in held]


def _at_work(count: int, chance: random.Random) -> tuple[float, float]:
    """(begin, length) as shares of the archive's years, of a term of so many articles."""
    lasts = min(1.0, count / _STEADY)
    return chance.random() * (1 - lasts), lasts


def _part_twins(held: list[list[int]], chance: random.Random) -> None:
    """Where an article has a term twice, exchange one of them with an article of about the same time."""
    for number, ranks in enumerate(held):
        far = 10
        while twin := next((place for place, rank in enumerate(ranks) if rank in ranks[:place]), None):
            far += 1
            other = held[min(max(number + chance.randint(-far, far), 0), len(held) - 1)]
            place = chance.randrange(len(other)) if other else 0
            if other and other[place] not in ranks and ranks[twin] not in other:
                ranks[twin], other[place] = other[place], ranks[twin]


# -- names -----------------------------------------------------------------


def term_name(facet: str, rank: int) -> str:
    """An invented name, the same each time: tags are words of the trade in both scripts, people have numbers."""
    if facet != "tag":
        return f"{_CALLED[facet]}{rank + 1:03}"
    if rank < len(_WORDS):
        return _WORDS[rank]
    one, other = divmod(rank - len(_WORDS), len(_WORDS) - 1)
    first, second = _WORDS[one], [word for word in _WORDS if word != _WORDS[one]][other]
    return f"{first} {second}" if (first + second).isascii() else f"{first}{second}"


_CALLED = {
    "author": "Author ",
    "translator": "translator-",
    "reviewer": "reviewer-",
    "selector": "selector-",
    "category": "栏目",
}
_WORDS = (
    "Linux", "开源", "Ubuntu", "命令行", "内核", "Docker", "Python", "安全", "容器", "systemd", "编程", "存储", "网络",
    "Fedora", "虚拟化", "桌面", "Kubernetes", "数据库", "编辑器", "Vim", "浏览器",
    "社区", "Git", "日志", "监控", "邮件", "Nginx", "压缩",
)  # fmt: skip
