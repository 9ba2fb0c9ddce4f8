"""Subscribers as CSV: consent comes along, nobody is revived, faults are named by their place, twice is as once."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from feeds.cli import main
from feeds.config.models import Config
from feeds.database import tables
from feeds.newsletter.subscribers import importer, owner, records, signup, suppression, unsubscribe
from feeds.newsletter.subscribers.importer import ImportFaults, ImportOptions, ImportReport, Row
from tests.examples import FULL

from .club import NOW, Club

HEADER = "email,frequency,select,timezone,language,confirmed_at,source\r\n"
WHEN = "2024-05-01T08:00:00+08:00"


@pytest.fixture
def club(site: Any) -> Club:
    return Club(site)


def load(club: Club, text: str | bytes, now: int = NOW, **options: Any) -> ImportReport:
    data = text if isinstance(text, bytes) else (HEADER + text).encode()
    return importer.import_csv(club.context, io.BytesIO(data), "people.csv", now, ImportOptions(**options))


def faults(club: Club, text: str | bytes) -> list[str]:
    before = club.everything()
    with pytest.raises(ImportFaults) as found:
        load(club, text)
    assert club.everything() == before
    return [str(fault) for fault in found.value.faults]


# -- what comes in ---------------------------------------------------------


def test_rows_with_a_date_of_consent_are_subscribers_at_once(club: Club) -> None:
    report = load(
        club,
        f"Ada@Example.org,daily,tag=Linux&tag=Ubuntu,Europe/Berlin,en,{WHEN},fair\r\n"
        f"ada@example.org,weekly,translator=geekpi,,,{WHEN},fair\r\n"
        f"bob@example.org,,,,,2024-05-01,\r\n",
    )
    assert (report.rows, report.subscribers, report.added, report.confirmations) == (3, 2, 3, 0)
    assert club.wanted() == {
        "Ada@Example.org": {"daily": ["tag=Linux&tag=Ubuntu"], "weekly": ["translator=geekpi"]},
        "bob@example.org": {"weekly": [""]},
    }
    ada, bob = records.list_subscribers(club.context.engine)
    assert (ada["timezone"], ada["language"], ada["confirmed"], ada["source"]) == (
        "Europe/Berlin",
        "en",
        "2024-05-01T00:00:00+00:00",
        "fair",
    )
    assert (bob["timezone"], bob["language"], bob["source"]) == ("Asia/Shanghai", "zh-CN", "import")
    assert bob["confirmed"] == "2024-04-30T16:00:00+00:00", "a date without a zone is the site's"
    assert club.letters() == []
    assert {row[0] for row in club.rows(sa.select(tables.subscriptions.c.since))} == {NOW}


def test_rows_without_one_are_asked_once_for_all_they_want(club: Club) -> None:
    text = "a@example.org,daily,tag=Linux,,en,,\r\nb@example.org,,,,,,\r\na@example.org,weekly,tag=AI,,,,\r\n"
    report = load(club, text)
    assert (report.confirmations, report.subscribers) == (2, 0) and club.wanted() == {}
    assert [letter["To"] for letter in club.letters()] == ["a@example.org", "b@example.org"]
    assert "Somebody, probably you" in club.letters()[0].get_body(("plain",)).get_content()
    again = load(club, text, now=NOW + 60)
    assert (again.confirmations, again.unchanged) == (0, 3) and len(club.letters()) == 2
    from .club import link

    assert signup.confirm(club.context, link(club.letters()[0], "confirm"), NOW + 100) is not None
    assert club.wanted() == {"a@example.org": {"daily": ["tag=Linux"], "weekly": ["tag=AI"]}}
    assert load(club, text, now=NOW + 200).unchanged == 3


def test_the_limits_of_the_web_neither_hold_back_an_import_nor_suffer_from_it(club: Club) -> None:
    load(club, "".join(f"a{number}@example.org,,,,,,\r\n" for number in range(100)))
    assert len(club.letters()) == 100
    club.sign_up()
    assert len(club.letters()) == 101


def test_the_same_file_twice_is_as_once(club: Club) -> None:
    text = f"a@example.org,daily,tag=Linux,,,{WHEN},x\r\na@example.org,daily,tag=AI,,,{WHEN},x\r\nb@example.org,,,,,,x\r\n"
    load(club, text)
    before = club.everything()
    report = load(club, text, now=NOW + 100)
    assert (report.added, report.subscribers, report.confirmations, report.unchanged) == (0, 0, 0, 3)
    assert club.everything() == before


def test_an_import_adds_to_what_is_there_and_takes_nothing_away(club: Club) -> None:
    club.join("reader@example.org", "tag=Ubuntu", timezone="Europe/Berlin", language="en")
    load(club, f"READER@example.org,weekly,tag=Linux,America/New_York,zh-CN,{WHEN},\r\n")
    (row,) = records.list_subscribers(club.context.engine)
    assert club.wanted() == {"reader@example.org": {"weekly": ["tag=Ubuntu", "tag=Linux"]}}
    assert (row["timezone"], row["language"], row["source"]) == ("Europe/Berlin", "en", "web")


# -- who stays out ---------------------------------------------------------


@pytest.mark.parametrize("how", ["unsubscribed", "erased", "bounced", "complained"])
@pytest.mark.parametrize("consent", [WHEN, ""])
def test_an_import_never_revives_anybody(club: Club, how: str, consent: str) -> None:
    token = club.join()
    if how == "unsubscribed":
        unsubscribe.unsubscribe(club.context, club.leaving(), "", NOW + 100)
    elif how == "erased":
        owner.erase_by_owner(club.context, club.owner_link(token), NOW + 700)
    else:
        with club.site.runtime.engine.begin() as connection:
            suppression.end_subscription(connection, 1, how, "", NOW, club.site.runtime.tokens().salted("reader@example.org"))
    before = club.everything()
    report = load(club, f"\r\nReader@EXAMPLE.org,,,,,{consent},\r\n" * 2)
    assert club.everything() == before
    assert report.suppressed_rows == [3, 5] and (report.added, report.confirmations) == (0, 0)


# -- faults ----------------------------------------------------------------


def test_every_fault_is_named_by_file_line_and_column_and_nothing_is_imported(club: Club) -> None:
    text = (
        f"a@example.org,,,,,{WHEN},\r\n"
        f"no address,,,,,{WHEN},\r\n"
        f"b@example.org,hourly,,,,{WHEN},\r\n"
        f"c@example.org,,tag,,,{WHEN},\r\n"
        f"d@example.org,,feed=none,,,{WHEN},\r\n"
        f"e@example.org,,,Mars/X,,{WHEN},\r\n"
        f"f@example.org,,,,tlh,{WHEN},\r\n"
        "g@example.org,,,,,2999-01-01,\r\n"
        "h@example.org,,,,,yesterday,\r\n"
        f"i@example.org,,,,,{WHEN},x,y\r\n"
        f'"j@example.org","hourly",,,,{WHEN},\r\n'
    )
    found = faults(club, text)
    assert [line.rpartition(": ")[0].split(":")[1:3] for line in found] == [
        ["3", "1"],
        ["4", "15"],
        ["5", "16"],
        ["6", "16"],
        ["7", "17"],
        ["8", "18"],
        ["9", "19"],
        ["10", "19"],
        ["11", "47"],
        ["12", "18"],
    ]
    for line, word in zip(
        found, "email frequency select select timezone language confirmed_at confirmed_at".split(), strict=False
    ):
        assert f": {word}: " in line
    assert all("@example.org" not in line.replace("reader@example.org", "") for line in found), "addresses are not repeated"


def test_faulty_rows_can_be_skipped(club: Club) -> None:
    report = load(club, f"a@example.org,,,,,{WHEN},\r\nbad,,,,,,\r\nb@example.org,,,,,{WHEN},\r\n", skip_faulty=True)
    assert (report.rows, report.subscribers, report.faulty) == (3, 2, 1) and len(report.faults) == 1


def test_a_fault_far_down_takes_back_what_was_written_before(club: Club) -> None:
    text = "".join(f"a{number}@example.org,,,,,{WHEN},\r\n" for number in range(2500))
    (fault,) = faults(club, text + "bad,,,,,,\r\n")
    assert fault.startswith("people.csv:2502:1: ")


def test_only_the_first_faults_are_listed_and_all_are_counted(club: Club) -> None:
    with pytest.raises(ImportFaults) as found:
        load(club, "bad,,,,,,\r\n" * 120)
    assert len(found.value.faults) == 50 and found.value.total == 120
    assert "and 70 more" in str(found.value)


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"email,name\r\na@example.org,x\r\n", "people.csv:1:7: unknown column 'name'"),
        (b"email;frequency\r\n", "people.csv:1:1: unknown column 'email;frequency'"),
        (b"frequency\r\nweekly\r\n", "people.csv:1:1: the column 'email' is missing"),
        (b"", "people.csv:1:1: the column 'email' is missing"),
        (b"email,email\r\n", "people.csv:1:7: the column 'email' is there twice"),
        ("email\r\nä@example.org\r\n".encode("latin-1"), "not UTF-8"),
        (b'email\r\n"a@example.org\r\n', "not CSV"),
        (b"email,day\r\na@example.org,someday\r\n", "people.csv:2:15: day: "),
    ],
)
def test_a_file_of_another_form_is_refused_with_what_was_expected(club: Club, data: bytes, fault: str) -> None:
    assert any(fault in line for line in faults(club, data)), faults(club, data)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_any_line_ends_a_byte_order_mark_and_columns_in_any_order_are_understood(club: Club, end: str, mark: str) -> None:
    lines = [" Confirmed_At , EMAIL", f"{WHEN}, a@example.org ", "", ",", f'"{WHEN}","b@example.org"', ""]
    report = load(club, (mark + end.join(lines)).encode())
    assert report.subscribers == 2 and sorted(club.wanted()) == ["a@example.org", "b@example.org"]


@given(st.binary(max_size=200) | st.text(',"\r\n;ab@.x', max_size=120).map(str.encode))
def test_no_file_whatever_brings_the_reader_to_its_knees(data: bytes) -> None:
    for found in importer.read_csv(io.BytesIO(b"email,select\r\n" + data), "x.csv", Config(), NOW):
        assert isinstance(found, Row) or found.line >= 1


# -- rehearsal, export, size -----------------------------------------------


def test_a_dry_run_says_what_would_be_and_writes_nothing(club: Club) -> None:
    text = f"a@example.org,daily,tag=Linux,,,{WHEN},\r\nb@example.org,,,,,,\r\n"
    before = club.everything()
    dry = load(club, text, dry_run=True)
    assert club.everything() == before
    assert dry.as_json() == load(club, text).as_json()


def test_an_export_is_read_back_into_the_same(club: Club, new_site: Any) -> None:
    club.join("a+b@例子.中国", "tag=Linux", "tag=AI", language="en")
    load(club, f'"c@example.org",daily,"not-tag=a%2Cb&tag=Linux",UTC,en,{WHEN},"a, ""quoted"" fair"\r\n')
    club.join("gone@example.org")
    unsubscribe.unsubscribe(club.context, club.leaving(), "", NOW)
    rows = list(importer.export_csv(club.context))
    assert rows[0] == importer.COLUMNS and {row[0] for row in rows[1:]} == {"a+b@例子.中国", "c@example.org"}
    written = io.StringIO()
    csv.writer(written).writerows(rows)
    other = Club(new_site())
    load(other, written.getvalue().encode(), now=NOW + 100)
    assert other.wanted() == club.wanted()
    assert list(importer.export_csv(other.context)) == rows


def test_a_day_that_somebody_chose_is_a_column_more(club: Club, new_site: Any) -> None:
    club.join("a@example.org", day=4)
    club.join("b@example.org", frequency="daily")
    rows = list(importer.export_csv(club.context))
    assert rows[0] == (*importer.COLUMNS, "day") and [row[-1] for row in rows[1:]] == ["fri", ""]
    written = io.StringIO()
    csv.writer(written).writerows(rows)
    other = Club(new_site())
    load(other, written.getvalue().encode(), now=NOW + 100)
    assert list(importer.export_csv(other.context)) == rows


def test_many_rows_take_little_memory(club: Club) -> None:
    """Twenty thousand, or, where somebody waits, as many as show that only some are held at once."""
    rows = 20_000 if FULL else 4_000

    def lines() -> Any:
        yield HEADER
        for number in range(rows):
            yield f"reader{number}@example.org,,tag=t{number % 600}&translator=x,,,{WHEN},\r\n"

    path = club.site.root / "many.csv"
    path.write_text("".join(lines()))
    with path.open("rb") as file:
        assert importer.import_csv(club.context, file, "many.csv", NOW).subscribers == rows
    tracemalloc.start()
    with path.open("rb") as file:
        assert importer.import_csv(club.context, file, "many.csv", NOW + 1).unchanged == rows
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < rows * 1024, peak


# -- the commands ----------------------------------------------------------


def feeds(club: Club, *words: str) -> Result:
    return CliRunner().invoke(main, ["subscribers", *words, "--config", str(club.site.config_dir)])


def test_add_and_import_say_which_names_are_unknown_and_enter_them(club: Club, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    rows = [("a", "tag=Linux&tag=Linus"), ("b", "not-translator=nobody"), ("c", "tag=Linus"), ("d", "tag=Linux")]
    lines = [f"{name}@example.org,daily,{select},,,{WHEN if name != 'd' else ''}," for name, select in rows]
    file.write_text(HEADER + "\r\n".join(lines) + "\r\n", newline="")
    said = feeds(club, "import", str(file), "--dry-run").stderr
    assert "unknown, as no article has it: tag Linus, translator nobody" in said
    assert json.loads(feeds(club, "import", str(file), "--json").stdout)["unknown"] == ["tag Linus", "translator nobody"]
    told = feeds(club, "add", "e@example.org", "--select", "tag=Linus", "--json", "--confirmed-at", WHEN)
    assert json.loads(told.stdout) == {"status": "confirmed", "unknown": ["tag Linus"]}
    assert "tag Linus" in told.stderr and len(club.wanted()) == 4


def test_the_commands_do_what_they_say(club: Club, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text(HEADER + f"a@example.org,daily,tag=Linux,,,{WHEN},\r\n", newline="")
    dry = feeds(club, "import", str(file), "--dry-run", "--json")
    assert dry.exit_code == 0 and json.loads(dry.stdout)["dry_run"] and club.wanted() == {}
    told = json.loads(feeds(club, "import", str(file), "--json").stdout)
    assert (told["ok"], told["rows"], told["subscribers"], told["suppressed"]) == (True, 1, 1, 0)
    assert json.loads(feeds(club, "add", "b@example.org", "--select", "tag=AI", "--json").stdout) == {"status": "asked"}
    added = feeds(club, "add", "c@example.org", "--frequency", "monthly", "--confirmed-at", WHEN, "--source", "fair")
    assert added.exit_code == 0 and added.stdout == "entered\n"
    listed = json.loads(feeds(club, "list", "--json").stdout)
    assert [row["email"] for row in listed] == ["a@example.org", "c@example.org"]
    assert "monthly: all articles" in feeds(club, "list").stdout
    out = tmp_path / "out.csv"
    assert feeds(club, "export", str(out)).exit_code == 0
    assert out.read_bytes().decode() == feeds(club, "export").stdout_bytes.decode() and out.stat().st_mode & 0o077 == 0
    assert json.loads(feeds(club, "erase", "A@example.org", "--json").stdout) == {"erased": True}
    refused = feeds(club, "add", "a@example.org", "--confirmed-at", WHEN)
    assert refused.exit_code == 1 and "only its owner" in refused.stderr


def test_a_faulty_file_is_exit_status_1_with_every_fault_on_a_line(club: Club, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text(HEADER + "bad,,,,,,\r\na@example.org,hourly,,,,,\r\n", newline="")
    told = feeds(club, "import", str(file))
    assert told.exit_code == 1 and told.stdout == ""
    assert f"feeds: {file}:2:1: email: " in told.stderr and f"feeds: {file}:3:15: frequency: " in told.stderr
    as_json = feeds(club, "import", str(file), "--json")
    assert as_json.exit_code == 1
    answer = json.loads(as_json.stdout)
    assert answer["ok"] is False and [fault["line"] for fault in answer["faults"]] == [2, 3]
    skipped = feeds(club, "import", str(file), "--skip-faulty")
    assert skipped.exit_code == 0 and "skipped" in skipped.stderr
