"""The page of who shows what agrees with the readers that are here; and the judge behind it can say no."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .interoperability import PAGE, TRANSPORT, _mark, differences, facts_of, page, read_page
from .readers import READERS, Reader, Seen
from .served import Served, serving


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("served") / "site") as started:
        yield started


@pytest.mark.interop
@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_the_page_says_what_a_reader_shows(
    reader: Reader, served: Served, tool: Callable[[str], str], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    for name in reader.tools:
        tool(name)
    if "npm" in reader.tools:
        (tmp_path / "node_modules").symlink_to(request.getfixturevalue("npm_packages") / "node_modules")
    folder = tmp_path / reader.name
    folder.mkdir()
    found = differences(read_page(PAGE.read_text("utf-8")), facts_of(reader, served, folder))
    assert not found, f"{reader.name} {reader.version()} shows other things than the page says: make interop\n" + "\n".join(
        found
    )


def test_the_page_names_every_reader_and_every_row_of_each_table() -> None:
    facts = read_page(PAGE.read_text("utf-8"))
    assert {name for _table, _row, name in facts} == {reader.name for reader in READERS}
    assert [row for table, row, name in facts if (table, name) == ("Transport", "newsboat")] == list(TRANSPORT)
    for table in ("Atom", "RSS", "JSON Feed"):
        assert {"title", "id", "link", "full text", "authors"} <= {row for where, row, _name in facts if where == table}


def test_what_every_reader_of_atom_and_rss_must_show() -> None:
    facts = read_page(PAGE.read_text("utf-8"))
    for (table, row, name), cell in facts.items():
        if table in ("Atom", "RSS") and row in ("title", "title with `<b>` in it", "id", "link", "full text"):
            assert cell == "yes", (table, row, name)
        if table in ("Atom", "RSS") and row in ("translators", "original", "picture"):
            assert cell in ("yes", "in the text"), (table, row, name)


def test_a_page_is_read_back_as_it_was_written_and_a_difference_is_named() -> None:
    facts = {
        (table, row, name): f"{row} {name}"
        for table in ("Atom", "RSS", "JSON Feed", "Transport")
        for row in "ab"
        for name in ("sfeed", "reader")
    }
    assert read_page(page(facts, {"sfeed": "1.7"})) == facts
    assert read_page(page(facts, {"sfeed": "99"})) == facts
    told = differences(
        facts, {("Atom", "a", "sfeed"): "other", **{key: cell for key, cell in facts.items() if key[1:] == ("b", "sfeed")}}
    )
    assert told == [
        "Atom, a, sfeed: the page says 'a sfeed', now 'other'",
        *(f"{table}, a, sfeed: the page says 'a sfeed', now None" for table in ("JSON Feed", "RSS", "Transport")),
    ]


@pytest.mark.parametrize(
    ("said", "seen", "text", "mark"),
    [
        (["甲", "乙"], ["甲", "乙"], "", "yes"),
        (["甲", "甲"], ["甲"], "", "yes"),
        (["甲", "乙"], ["甲, 乙"], "", "yes"),
        (["甲", "乙"], ["甲"], "", "first"),
        (["甲", "乙"], ["乙"], "<p>甲、乙</p>", "last"),
        (["甲", "乙"], [], "<p>译者：甲、乙</p>", "in the text"),
        (["甲", "乙"], [], "<p>译者：甲</p>", "no"),
        (["甲"], ["乙"], "", "no"),
        (["<p>甲 <b>乙</b></p>"], ["<p>甲\n<strong>乙</strong></p>"], "", "yes"),
        (["<p>甲</p>"], ["<p>乙</p>"], "", "no"),
        (["a <b> c"], ["a  c"], "", "no"),
        (["https://a.example/?b=1&c=2"], [], '<a href="https://a.example/?b=1&amp;c=2">', "in the text"),
    ],
)
def test_a_value_is_judged_by_what_the_reader_has(said: list[str], seen: list[str], text: str, mark: str) -> None:
    assert _mark(said, seen, text) == mark


def test_a_reader_that_shows_nothing_reads_nothing(served: Served, tmp_path: Path) -> None:
    blind = Reader("blind", (), lambda: "0", lambda folder, url: Seen(complaint="what is that?"), fetches=False)
    assert {cell for (table, _row, _name), cell in facts_of(blind, served, tmp_path).items() if table != "Transport"} == {"–"}
