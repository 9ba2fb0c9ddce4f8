"""Which articles a reader gets, under which headings."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from feeds.model import Issue, IssueContent, Section
from feeds.newsletter.issues.sections import arrange_sections

ISSUE = Issue(1, "weekly-2026-01-05", "weekly", 0, "Asia/Shanghai")


def content(found: dict[tuple[int, int], tuple[int, ...]]) -> IssueContent:
    return IssueContent(ISSUE, (), found, {})


def test_sections_stand_in_the_readers_order() -> None:
    made = content({(0, 1): (0, 3), (0, 2): (1,), (0, 5): (2,)})
    assert [section.selection for section in arrange_sections(made, 0, (5, 1, 2), 30)] == [5, 1, 2]
    assert [section.selection for section in arrange_sections(made, 0, (2, 5), 30)] == [2, 5]


def test_an_article_appears_once_in_its_first_section() -> None:
    made = content({(0, 1): (0, 1, 2), (0, 2): (1, 2, 3)})
    assert arrange_sections(made, 0, (1, 2), 30) == (Section(1, (0, 1, 2)), Section(2, (3,)))
    assert arrange_sections(made, 0, (2, 1), 30) == (Section(2, (1, 2, 3)), Section(1, (0,)))


def test_a_section_without_news_is_left_out() -> None:
    made = content({(0, 1): (0, 1), (0, 2): (0, 1), (1, 3): (5,)})
    assert arrange_sections(made, 0, (2, 3, 1, 4), 30) == (Section(2, (0, 1)),)
    assert arrange_sections(made, 1, (2, 3, 1, 4), 30) == (Section(3, (5,)),)


def test_a_selection_named_twice_is_one_section() -> None:
    assert arrange_sections(content({(0, 1): (0,)}), 0, (1, 1), 30) == (Section(1, (0,)),)


def test_a_limit_is_shared_evenly_and_what_is_left_goes_to_those_in_front() -> None:
    made = content({(0, 1): tuple(range(20)), (0, 2): (20, 21), (0, 3): tuple(range(30, 40))})
    found = arrange_sections(made, 0, (1, 2, 3), 11)
    assert [(len(section.ranks), section.more) for section in found] == [(5, 15), (2, 0), (4, 6)]
    assert found[0].ranks == (0, 1, 2, 3, 4)


def test_a_section_that_the_limit_leaves_nothing_for_is_still_counted() -> None:
    made = content({(0, 1): (0, 1), (0, 2): (2,), (0, 3): (3, 4)})
    assert arrange_sections(made, 0, (1, 2, 3), 2) == (Section(1, (0,), 1), Section(2, (2,)), Section(3, (), 2))


ranks = st.lists(st.integers(0, 40), max_size=15, unique=True).map(lambda found: tuple(sorted(found)))


@given(
    found=st.dictionaries(st.tuples(st.integers(0, 1), st.integers(1, 6)), ranks, max_size=8),
    reach=st.integers(0, 1),
    chosen=st.lists(st.integers(1, 7), max_size=7),
    limit=st.integers(0, 50),
)
def test_nothing_is_lost_and_nothing_comes_twice(
    found: dict[tuple[int, int], tuple[int, ...]], reach: int, chosen: list[int], limit: int
) -> None:
    made = arrange_sections(content(found), reach, chosen, limit)
    wanted = {rank for key in chosen for rank in found.get((reach, key), ())}
    shown = [rank for section in made for rank in section.ranks]
    assert len(shown) == len(set(shown)) == min(limit, len(wanted))
    assert set(shown) <= wanted
    assert sum(len(section.ranks) + section.more for section in made) == len(wanted)
    assert all(list(section.ranks) == sorted(section.ranks) for section in made)
    assert all(section.ranks or section.more for section in made)
    assert [section.selection for section in made] == [
        key for key in dict.fromkeys(chosen) if key in {s.selection for s in made}
    ]
    # Fair: nobody has two more than a neighbour whose articles are left out.
    for one in made:
        assert not one.more or all(len(other.ranks) <= len(one.ranks) + 1 for other in made)
