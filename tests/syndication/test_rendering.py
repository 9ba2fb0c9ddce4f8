"""ETags change with the code that writes feeds, and only with it: nobody has to remember to raise anything."""

from __future__ import annotations

import shutil
from importlib.metadata import version
from pathlib import Path

import pytest

from feeds.syndication import feed_states
from tests.test_laws import MODULES, ours
from tools import rendering as tool

PACKAGE = Path(feed_states.__file__).resolve().parents[1]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The sources that decide the bytes of feeds, with their record, as `make rendering` leaves them."""
    for name in (*feed_states.SOURCES, feed_states.RECORD):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(PACKAGE / name, tmp_path / name)
    (tmp_path / feed_states.RECORD).write_text(f"id 7\nsources {feed_states.source_hash(tmp_path)}\n")
    return tmp_path


def test_the_record_is_about_the_present_sources_and_documents() -> None:
    record = (PACKAGE / feed_states.RECORD).read_text()
    assert record == tool.record(record), "run `make rendering`: it proves the golden documents equal, and ETags stay"
    assert record.startswith(f"id {feed_states.rendering()}\n")


def test_no_module_of_ours_that_decides_is_left_out() -> None:
    decisive = {"formats", "model", "selections", "syndication", "urls"}
    names = {name for name in MODULES if f"{name.replace('.', '/')}.py" in feed_states.SOURCES}
    reached = {other for name in names for other in ours(name) if other.partition(".")[0] in decisive}
    assert {other for other in reached if MODULES[other].name != "__init__.py"} <= names


def test_the_key_of_recorded_sources_is_written_as_it_always_was() -> None:
    libraries = [version(name) for name in ("feedgen", "lxml", "brotli", "deflate")]
    assert feed_states.versions() == "/".join((feed_states.rendering(), version("feeds"), *libraries))


@pytest.mark.parametrize("name", feed_states.SOURCES)
def test_a_change_of_any_source_changes_the_key_by_itself(copy: Path, name: str) -> None:
    assert feed_states.rendering(copy) == "7"
    (copy / name).write_bytes((PACKAGE / name).read_bytes() + b"\n# changed\n")
    changed = feed_states.rendering(copy)
    assert changed not in ("7", "") and changed == feed_states.source_hash(copy)[:16]
    (copy / name).write_bytes((PACKAGE / name).read_bytes())
    assert feed_states.rendering(copy) == "7"


def test_the_id_stays_with_equal_golden_documents_and_is_raised_with_others() -> None:
    same = tool.documents_hash()
    assert tool.record(f"id 4\nsources old\ndocuments {same}\n").startswith("id 4\nsources ")
    assert tool.record("id 4\nsources old\ndocuments other\n").startswith("id 5\nsources ")
