"""A feed's `updated` and Last-Modified never go back, whatever a checkout or an old copy makes of the store.

Random histories: a store goes to any of its earlier or later states, a rescan after each, often within one second.
"""

from __future__ import annotations

import email.utils
import re
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from feeds.feed_formats import load_formats
from feeds.static.export import Options
from feeds.static.site_files import Exporter
from feeds.syndication import lookup
from tests.examples import some

PATHS = [f"{number}.md" for number in range(1, 7)]
#: Published in four months, edited then or later: an older state of a file is one with an older `updated`.
FIELDS = st.fixed_dictionaries(
    {
        "tags": st.lists(st.sampled_from(["Linux", "内核", "AI"]), max_size=2, unique=True),
        "translator": st.sampled_from(["", "wxy", "geekpi"]),
        "date": st.sampled_from(["2020-01-31 23:59:59", "2020-02-01 00:00:00", "2020-03-01 07:00:00", "2021-01-01 00:00:00"]),
        "updated": st.sampled_from(["", "2020-06-01 00:00:00", "2021-06-01 00:00:00", "2022-06-01 00:00:00"]),
        "title": st.sampled_from(["甲", "乙"]),
    }
)
COMMITS = st.lists(st.dictionaries(st.sampled_from(PATHS), FIELDS, max_size=6), min_size=2, max_size=4)
SELECTIONS = ("tag=AI&tag=Linux", "tag=AI&translator=wxy", "not-tag=Linux")
SETTINGS = """\
all: {limit: 3, archive: year}
facets: {tag: {limit: 2, archive: month}, translator: {limit: 2}}
feeds: [{name: kernel, title: Kernel, select: {tag: [内核]}}]
"""


def check_out(site: Any, commit: dict[str, dict[str, Any]]) -> None:
    shutil.rmtree(site.store)
    site.store.mkdir()
    for path, fields in commit.items():
        site.write(path, **fields)


def documents(site: Any) -> Iterator[tuple[str, lookup.Document]]:
    """(path or query with the extension of a format, document) of all feeds, selections and archive documents."""
    edition, read = site.runtime.edition(), site.runtime.read
    paths = [state.path for state, _selection in read(lookup.list_feeds)]
    for format in load_formats().values():
        found = [(path, read(lookup.find_document, edition, path, format)) for path in paths]
        for path, document in list(found):
            for name in set(re.findall(rb"/archive/([0-9-]+)\.", document.body)):
                archived = f"{path}/archive/{name.decode()}"
                found.append((archived, read(lookup.find_document, edition, archived, format)))
        for text in SELECTIONS:
            try:
                found.append((text, read(lookup.find_selection_document, edition, text, format)))
            except lookup.AddressError:
                continue  # none of its terms is in use now
        yield from (
            (f"{path} {format.extension}", document) for path, document in found if isinstance(document, lookup.Document)
        )


def updated(document: lookup.Document) -> float | None:
    """What the document itself says, in UTC seconds; None for a format without a date of its own."""
    assert document.body is not None
    if document.format.extension == ".atom":
        return datetime.fromisoformat(etree.fromstring(document.body).findtext("{*}updated") or "").timestamp()
    if document.format.extension == ".rss":
        text = etree.fromstring(document.body).findtext("channel/lastBuildDate") or ""
        return email.utils.parsedate_to_datetime(text).timestamp()
    return None


@settings(max_examples=some(12, least=3))
@given(commits=COMMITS, walk=st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=2, max_size=6))
def test_neither_goes_back_in_any_history_and_an_etag_has_one_body(
    new_site: Any, commits: list[dict[str, dict[str, Any]]], walk: list[tuple[int, bool]]
) -> None:
    site = new_site()
    site.set("feeds.yaml", SETTINGS)
    shown: dict[str, tuple[float, int]] = {}
    bodies: dict[tuple[str, str], bytes] = {}
    for number, same_second in walk:
        check_out(site, commits[number % len(commits)])
        site.rescan(site.now if same_second else None, accept_removals=True)
        for address, document in documents(site):
            says, before = updated(document) or 0, shown.get(address, (0, 0))
            assert says >= before[0], address
            assert document.changed >= before[1], address
            shown[address] = says, document.changed
            assert bodies.setdefault((address, document.digest), document.body or b"") == document.body, address


def test_a_store_that_only_goes_forward_shows_the_newest_of_its_articles(site: Any) -> None:
    """What was shown before decides nothing but where a date went back, so that bytes and ETags are those of the articles."""
    site.write("1.md", tags=["Linux"], date="2020-01-01 00:00:00")
    site.write("2.md", tags=["AI"], date="2020-01-02 00:00:00")
    site.rescan()
    before = {address: (document.digest, document.body) for address, document in documents(site)}
    site.write("3.md", tags=["内核"], date="2020-01-03 00:00:00")
    site.rescan()
    after = {address: (document.digest, document.body) for address, document in documents(site)}
    same = {address for address in before if before[address] == after[address]}
    assert {"tags/Linux .atom", "tags/AI .rss", "tag=AI&tag=Linux .atom"} <= same


def test_articles_say_of_themselves_what_their_files_say(site: Any) -> None:
    site.write("1.md", tags=["Linux"], date="2020-01-01 00:00:00", updated="2022-01-01 00:00:00")
    site.rescan()
    site.write("1.md", tags=["Linux"], date="2020-01-01 00:00:00", updated="2020-01-01 00:00:00")
    site.rescan()
    feed = etree.fromstring(dict(documents(site))["tags/Linux .atom"].body or b"")
    assert (feed.findtext("{*}updated") or "").startswith("2021-12-31T16")
    assert (feed.findtext("{*}entry/{*}updated") or "").startswith("2019-12-31T16")


def test_an_export_that_only_writes_what_changed_shows_what_a_whole_one_does(site: Any, tmp_path: Path) -> None:
    """Archive documents of another term show the `updated` of an article that went from the same month."""
    site.set("feeds.yaml", SETTINGS)
    for number in range(1, 7):
        site.write(
            f"{number}.md", tags=["AI" if number % 2 else "Linux"], date=f"2020-01-0{number} 00:00:00", updated="2020-02-01"
        )
    site.write("7.md", tags=["内核"], date="2020-01-20 00:00:00", updated="2022-01-01 00:00:00")
    exporter, part, whole = Exporter(site.runtime), tmp_path / "part", tmp_path / "whole"
    for step in range(3):
        site.rescan(accept_removals=True)
        exporter.export(str(part), Options())
        Exporter(site.runtime).export(str(whole), Options(full=True))
        assert documents_of(part) == documents_of(whole), step
        if step == 0:
            before = etree.fromstring((part / "tags" / "AI" / "archive" / "2020-01.atom").read_bytes())
            (site.store / "7.md").unlink()
        elif step == 1:
            after = etree.fromstring((part / "tags" / "AI" / "archive" / "2020-01.atom").read_bytes())
            assert (after.findtext("{*}updated") or "") >= (before.findtext("{*}updated") or "")
            site.write("7.md", tags=["内核"], date="2020-01-20 00:00:00", updated="2021-01-01 00:00:00")


def documents_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.suffix in (".atom", ".rss")
    }
