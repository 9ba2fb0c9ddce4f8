"""The grammar of selections: one canonical text each, bounds that are said in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds import selections
from feeds.errors import SelectionError
from feeds.model import FACETS, Selection

names = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=8)
clauses = st.dictionaries(st.sampled_from(sorted(FACETS)), st.lists(names, min_size=1, max_size=3).map(tuple), max_size=2)
wanted = st.builds(Selection, clauses, clauses, clauses)


@given(wanted)
def test_the_canonical_text_means_the_same_and_is_its_own_canonical_text(selection: Selection) -> None:
    text = selections.canonical(selection)
    again = selections.parse(text)
    assert isinstance(again, Selection)
    assert selections.canonical(again) == text
    assert text.isascii()


@given(wanted, st.randoms())
def test_another_order_of_the_same_terms_has_the_same_canonical_text(selection: Selection, random: object) -> None:
    def shuffled(part: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        facets = list(part)
        random.shuffle(facets)  # type: ignore[attr-defined]
        return {facet: tuple(reversed(part[facet])) for facet in facets}

    other = Selection(*(shuffled(dict(part)) for part in (selection.any, selection.all, selection.none)))
    folded = [text.casefold() for text in (selections.canonical(selection), selections.canonical(other))]
    assert sorted(folded[0].split("&")) == sorted(folded[1].split("&"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("colour=red", "is no facet"),
        ("tag=", "names nothing"),
        ("tag=%00", "names nothing"),
        ("tag=%FF", "is no selection"),
        ("tag", "is no selection"),
        ("&".join(f"tag={number}" for number in range(51)), "more than 50 terms"),
        ("tag=" + "x" * 2000, "longer than 2000 characters"),
        ("&".join(f"all-tag={number}" for number in range(13)), "more than 12 clauses"),
        ("feed=kernel&tag=Linux", "stands alone"),
    ],
    ids=lambda value: value[:24],
)
def test_what_is_no_selection_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(SelectionError, match=reason):
        selections.parse(text)


@given(st.text(max_size=80))
def test_any_text_is_a_selection_or_is_refused(text: str) -> None:
    try:
        selections.parse(text)
    except SelectionError as error:
        assert str(error)


@pytest.mark.parametrize(
    ("text", "page"),
    [
        ("", ("all", "")),
        ("tag=TCP%2FIP", ("tags/TCP~2FIP", "")),
        ("all-translator=geekpi", ("translators/geekpi", "")),
        ("author=Ada", ("select", "author=Ada")),
        ("tag=B&tag=A", ("select", "tag=A&tag=B")),
        ("tag=A&not-tag=B", ("select", "tag=A&not-tag=B")),
    ],
)
def test_a_selection_leads_to_the_page_that_shows_it(text: str, page: tuple[str, str]) -> None:
    found = selections.parse(text)
    assert isinstance(found, Selection)
    assert selections.page(found, facets=("tag", "translator"), builder=True) == page
    assert selections.page(found, facets=("tag", "translator"), builder=False) == (page if page[0] != "select" else ("", ""))
