"""The predicate for a single article and the catalog's index give the same answer to every selection."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from feeds.catalog import queries
from feeds.catalog.ingest import Ingest, IngestOptions
from feeds.catalog.sort_key import Window
from feeds.config.models import Site
from feeds.database import tables
from feeds.model import ParsedArticle, Selection
from feeds.selections import Aliases, condition, matches, term_keys
from feeds.store.parsed import ParsedFile
from feeds.store.walk import FileChanges
from tests.examples import some

NAMES = ["Linux", "linux", "LINUX", "内核", "Straße", "STRASSE", "K8s", "Kubernetes", "é", "e\u0301", "云"]
FACETS = ["tag", "translator", "category"]
TERMS = st.dictionaries(st.sampled_from(FACETS), st.lists(st.sampled_from(NAMES), min_size=1, max_size=4).map(tuple))
CLAUSES = st.dictionaries(
    st.sampled_from([*FACETS, "author"]),
    st.lists(st.sampled_from([*NAMES, " K8S ", "没有这个"]), max_size=3).map(tuple),
    max_size=2,
)
#: An alias leads to a later name of the list, so that none goes in a circle.
ALIASES = st.dictionaries(
    st.sampled_from(FACETS),
    st.sampled_from(
        [{}, {"K8s": "Kubernetes"}, {"K8s": "Kubernetes", "Kubernetes": "云"}, {"linux": "LINUX", "内核": "Linux"}]
    ),
)


def parsed(number: int, names: dict[str, tuple[str, ...]]) -> ParsedArticle:
    when = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=20 * (number // 2))
    plain = dict.fromkeys(("permalink", "title", "summary", "html", "original", "picture"), "")
    return ParsedArticle(
        id=str(number), url="", published=when, updated=when, comments=0, editor_choice=False, names=names, digest="", **plain
    )


@settings(max_examples=some(60))
@given(
    aliases=ALIASES,
    former=ALIASES,
    names=st.lists(TERMS, max_size=12),
    wanted=st.lists(st.builds(Selection, CLAUSES, CLAUSES, CLAUSES), min_size=10, max_size=10),
    left_out=st.sets(st.integers(0, 11)),
)
def test_an_article_matches_where_the_catalog_selects_it(
    aliases: dict[str, dict[str, str]],
    former: dict[str, dict[str, str]],
    names: list[dict[str, tuple[str, ...]]],
    wanted: list[Selection],
    left_out: set[int],
) -> None:
    """Also after aliases have changed and articles have gone."""
    engine = sa.create_engine("sqlite://")
    tables.metadata.create_all(engine)
    before, after = Aliases.from_config(former), Aliases.from_config(aliases)
    files = [ParsedFile(f"{number}.md", 1, parsed(number, terms)) for number, terms in enumerate(names)]
    with engine.begin() as connection:
        first = Ingest(connection, before, IngestOptions(now=0), FileChanges(tuple(file.path for file in files), (), 0))
        first.put(files)
        first.finish(len(files))
        gone = [file.path for file in files if int(file.path[:-3]) in left_out]
        drafts = [dataclasses.replace(file, result=None) for file in files if file.path in gone]
        second = Ingest(connection, after, IngestOptions(now=1, arrival=1), FileChanges(tuple(gone), (), 0))
        second.rejoin(before)
        second.put(drafts)
        second.finish(len(files))
        articles = queries.select(connection, Site(), queries.Clauses(), Window())
        assert len(articles) == len(files) - len(gone)
        for selection in wanted:
            clauses = queries.resolve(connection, after, selection)
            expected = [one.id for one in articles if matches(condition(selection, after), term_keys(one))]
            assert [one.id for one in queries.select(connection, Site(), clauses, Window())] == expected
            assert [one.id for one in queries.select(connection, Site(), clauses, Window(3))] == expected[:3]
            assert queries.count(connection, clauses) == len(expected)
    engine.dispose()
