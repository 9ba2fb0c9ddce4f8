"""No cell of an exported file is a formula to a spreadsheet, and the importer reads every one back as it was."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import example, given
from hypothesis import strategies as st

from feeds.database.tables import subscribers
from feeds.newsletter.subscribers import importer
from feeds.newsletter.subscribers.importer import armed, disarmed

from .club import NOW, Club


@pytest.fixture
def club(site: Any) -> Club:
    return Club(site)


SIGNS = "=+-@＝＋－＠\t\r\n"
CELLS = st.text(st.sampled_from(f"{SIGNS}';|,\" a1") | st.characters(exclude_categories=["Cs"]), max_size=12)


@given(CELLS)
@example("'=1")
@example(" '=1")
@example("''@x")
@example("a;=1+1;'-2")
@example("+862812345678@example.org")
def test_a_disarmed_cell_is_no_formula_and_is_armed_into_itself(cell: str) -> None:
    shown = disarmed(cell)
    assert armed(shown) == cell
    for separator in (",", ";", "|", "\t"):  # which spreadsheets of other countries take for the comma
        text = io.StringIO()
        csv.writer(text).writerow(["x", shown])
        for part in re.split(rf"[{separator}\r\n]", shown) if separator != "," else [shown]:
            assert not part.strip(" ").startswith(tuple("=+-@＝＋－＠")), (cell, shown)


@given(st.text("abc@.;'", max_size=10).filter(lambda cell: not re.search(rf"(^|[;|])[' ]*[{re.escape(SIGNS)}]", cell)))
def test_a_cell_that_is_no_formula_stays_as_it_is(cell: str) -> None:
    assert disarmed(cell) == cell == armed(cell)


ADDRESSES = [
    "=cmd|x@example.org",
    "+1@example.org",
    "-2@example.org",
    "'=3@example.org",
    "o'neill@example.org",
    "'a@example.org",
]
SOURCES = ['=HYPERLINK("http://192.0.2.1")', "@SUM(1)", "-1", "＝1+1", "a;=1", "'", "'=x", "+1 555 0100", "list, of 2019", ""]


def test_subscribers_are_exported_without_formulas_and_imported_as_they_were(club: Club, new_site: Any) -> None:
    rows = [["email", "confirmed_at", "source"]]
    for number, source in enumerate(SOURCES):
        address = ADDRESSES[number] if number < len(ADDRESSES) else f"reader{number}@example.org"
        rows.append([address, "2020-01-01T00:00:00+00:00", source])
    assert load(club, [[*map(disarmed, row)] for row in rows]) == len(SOURCES)
    exported = list(importer.export_csv(club.context))
    assert not [cell for row in exported for cell in row if cell.startswith(tuple(SIGNS))]
    other = Club(new_site())
    assert load(other, exported) == len(SOURCES) and list(importer.export_csv(other.context)) == exported
    query = sa.select(subscribers.c.address, subscribers.c.source).order_by(subscribers.c.key)
    with other.context.reading() as connection:
        found = [tuple(row) for row in connection.execute(query)]
    assert found == [(address, source or "import") for address, _when, source in rows[1:]]


def load(club: Club, rows: Any) -> int:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return importer.import_csv(club.context, io.BytesIO(text.getvalue().encode()), "people.csv", NOW).subscribers


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_file_that_others_wrote_is_read_as_it_is(club: Club, address: str) -> None:
    """Only an apostrophe before a formula is taken away."""
    assert load(club, [["email", "confirmed_at"], [address, "2020-01-01T00:00:00+00:00"]]) == 1
    (_header, row) = importer.export_csv(club.context)
    assert armed(row[0]) == armed(address)
