"""Which articles are related: judged by hand on real ones, and the same whatever happened to the store before."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from feeds.catalog import queries, subjects
from feeds.catalog.related import RelatedArticles, Snapshot, related_articles
from feeds.database.tables import articles

JUDGED = Path(__file__).with_name("related.tsv")


def answers(site: Any) -> dict[str, list[str]]:
    """Ids of related articles by the id of each article, asked one by one."""
    with site.runtime.reading() as connection:
        rows = connection.execute(sa.select(articles.c.key, articles.c.position, articles.c.id)).all()
        ids = {row.key: row.id for row in rows}
        return {row.id: [ids[key] for key in related_articles(connection, row.key, row.position)] for row in rows}


@pytest.fixture(scope="module")
def real(corpus: Path, prepared: Any) -> Any:
    def fill(site: Any) -> None:
        site.settle("site.yaml", store=str(corpus), article_url="")
        site.rescan()

    return prepared(fill)


@pytest.mark.corpus
def test_of_what_is_named_beside_sixty_real_articles_most_is_related(real: Any) -> None:
    """What nobody has judged yet counts for neither side, and is little."""
    found, good, bad, unknown = answers(real), 0, 0, 0
    lines = [line.split("\t") for line in JUDGED.read_text("utf-8").splitlines() if not line.startswith("#")]
    assert len(lines) == 60
    for id, related, unrelated in lines:
        for other in found[id]:
            good += other in related.split()
            bad += other in unrelated.split()
            unknown += other not in f"{related} {unrelated}".split()
    assert good / (good + bad) >= 0.85, (good, bad)
    assert unknown <= (good + bad) // 10


@pytest.mark.corpus
def test_no_real_article_is_alone_that_shares_a_tag_with_few(real: Any) -> None:
    found = answers(real)
    with real.runtime.reading() as connection:
        everything = queries.select(connection, real.runtime.edition().config.site, queries.Clauses(), queries.Window())
    number = Counter(term.name for article in everything for term in article.of("tag"))
    few = {name for name, count in number.items() if 2 <= count <= len(everything) // 20}
    alone = [article.id for article in everything if few & {term.name for term in article.of("tag")} and not found[article.id]]
    assert len(few) > 50 and alone == []


WORDS = ["Rust", "防火墙", "内核", "Vim", "备份", "awk", "编辑器", "Docker"]


def write(site: Any, number: int, choice: random.Random) -> None:
    named = [f"{choice.choice(WORDS)}{choice.choice(['与', ' and ', '的'])}{choice.choice(WORDS)}" for _ in range(2)]
    site.write(
        f"{number}.md",
        title=named[0],
        summary=named[1],
        tags=choice.sample(["a", "b", "c", "d", "e"], choice.randint(0, 2)),
        translator=choice.choice(["", "geekpi", "wxy"]),
        fromurl=choice.choice(["", "https://one.example/1", "https://www.two.example/2"]),
        date=f"20{choice.randint(10, 12)}-0{choice.randint(1, 9)}-1{choice.randint(0, 9)} 00:00:00",
        **choice.choice([{}, {}, {"lang": "en"}, {"lang": "zh"}]),
    )


def test_after_any_change_the_answers_are_those_of_a_first_rescan_and_those_for_all_at_once(new_site: Any) -> None:
    choice, site = random.Random(7), new_site()
    site.settle("site.yaml", article_url="")
    numbers = list(range(1, 61))
    for number in numbers:
        write(site, number, choice)
    followed, snapshot = RelatedArticles(), Snapshot()
    for _round in range(6):
        for number in choice.sample(numbers, choice.choice([1, 1, 3, 12])):
            path = site.store / f"{number}.md"
            if choice.random() < 0.3 and path.exists():
                path.unlink()
            else:
                write(site, number, choice)
        site.rescan(accept_removals=True)
        found = answers(site)
        with site.runtime.reading() as connection:
            snapshot.refresh(connection, [])
            followed.refresh(connection, snapshot)
        ids = {key: heading.id for key, heading in snapshot.articles.items()}
        assert {ids[key]: [ids[other] for other in near] for key, near in followed.by_article.items()} == found
        fresh = new_site()
        fresh.settle("site.yaml", article_url="")
        for path in site.store.iterdir():
            fresh.write(path.name, path.read_bytes())
        fresh.rescan()
        assert answers(fresh) == found and any(found.values())


def test_articles_are_related_within_their_language(site: Any) -> None:
    for number, language in enumerate(["en", "en", "zh", "zh", ""]):
        site.write(f"{number}.md", id=number, tags=["Rust"], lang=language)
    for number in range(5, 20):
        site.write(f"{number}.md", id=number, tags=[])
    site.rescan()
    found = answers(site)
    assert (found["0"], found["1"], found["2"], found["3"]) == (["1"], ["0"], ["3"], ["2"])


def test_parts_of_a_series_are_related_and_so_are_articles_without_tags_on_one_subject(site: Any) -> None:
    for number in range(30):
        site.write(f"{number}.md", id=number, tags=["Linux"], title=f"第 {number} 篇")
    site.write("a.md", id="a", tags=[], title="配置防火墙", series="网络")
    site.write("b.md", id="b", tags=[], title="选择编辑器", series="网络")
    site.write("c.md", id="c", tags=[], title="防火墙入门")
    site.rescan()
    found = answers(site)
    assert found["b"] == ["a"] and set(found["a"]) == {"b", "c"} and found["c"] == ["a"]
    assert found["3"] == [], "what all share relates none"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("如何使用", []),
        ("ＬＩＮＵＸ　内核", ["linux", "内核"]),
        ("C++ vs. C#, a to z 2014", ["c++", "c#"]),
        ("Don’t panic: naïve café", ["don’t", "panic", "naïve", "café"]),
        ("Ядро ядро", ["ядро"]),
        ("", []),
    ],
)
def test_words_are_those_that_say_what_a_text_is_about(text: str, words: list[str]) -> None:
    assert subjects.words_of(text) == words


def test_a_text_of_any_length_has_few_numbers() -> None:
    assert (
        len(subjects.subject_of("防火墙" * 5000 + " ".join(map(str, range(10**5, 10**5 + 999))), "文" * 9999, "http://[")) < 150
    )
