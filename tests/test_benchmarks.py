"""The page of benchmarks is what was measured, whatever is measured again, and its plots are drawn from the same numbers.

The stores that are measured have the shape of the real archive.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import page, plots, results, shape, soak, stores
from benchmarks.__main__ import MEASURES
from benchmarks.bench import Bench
from benchmarks.figures import Absent, Figure
from benchmarks.results import Run
from feeds.model import ParsedArticle
from feeds.store.parse import parse_article
from feeds.store.parse_settings import ParseSettings

HOLDS = Figure("one change, rescan", 0.09, "s CPU", 0.15, note="one of 16000 articles")
MISSES = Figure("cold rescan", 9.0, "s", 8.0)
BESIDE = Figure("304, against bare Flask", 4.0, "x", 2.0, at_least=True, sides=(("feeds", 36_000.0), ("bare Flask", 9_000.0)))
ZERO = Figure("soak: errors", 0, "", 0)
SVG = "{http://www.w3.org/2000/svg}"


def run(measure: str, *found: Figure | Absent, at: str = "2026-01-05T08:00Z") -> Run:
    return Run(measure, f"What {measure} does.", at, 33.0, "2 cores", {"Python": "3.11", "Hugo": "0.111"}, found)


@pytest.fixture
def kept() -> list[Run]:
    lines = {"parent": [(1.0, 50.0), (2.0, 51.0)], "worker 1": [(1.0, 90.0), (2.0, 99.0)]}
    missing = Absent("hugo", "not measured: hugo is not installed", failed=False)
    return [
        run("cold", MISSES),
        run("hugo", missing),
        run("change", HOLDS),
        run("throughput", BESIDE),
        replace(run("soak", ZERO), series=lines),
    ]


def written(folder: Path, runs: Sequence[Run]) -> dict[str, bytes]:
    """Every file of the page, by its path."""
    page.write(folder / "benchmarks.md", runs)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_what_is_kept_is_read_as_it_was_and_gives_the_same_page_again(tmp_path: Path, kept: list[Run]) -> None:
    results.save(tmp_path / "results.json", kept)
    read = results.load(tmp_path / "results.json")
    assert list(read) == ["cold", "hugo", "change", "throughput", "soak"]
    assert written(tmp_path / "one", kept) == written(tmp_path / "two", list(read.values()))


def test_the_page_says_of_each_figure_what_it_is_when_it_was_measured_and_how_to_repeat_it(
    tmp_path: Path, kept: list[Run]
) -> None:
    text = written(tmp_path, kept)["benchmarks.md"].decode()
    for section in kept:
        part = text.partition(f"\n## {section.measure}\n")[2].partition("\n## ")[0]
        assert f"`python -m benchmarks --only {section.measure}`" in part and "measured 2026-01-05 08:00 UTC" in part
        assert all(result.name in part for result in section.results)
    assert "| cold rescan | 9 s | <= 8 s | 1.12 | NO |" in text and "- Does not hold: cold rescan." in text
    assert "- Without a number: hugo." in text
    assert "Python 3.11, Hugo 0.111" in text


def test_a_measure_that_runs_again_takes_the_place_of_its_results_and_of_no_others(tmp_path: Path, kept: list[Run]) -> None:
    again = run("cold", replace(MISSES, measured=7.0), at="2026-02-02T10:00Z")
    both = results.merged({one.measure: one for one in kept}, [again], list(MEASURES))
    text = written(tmp_path, both)["benchmarks.md"].decode()
    assert "| cold rescan | 7 s |" in text and "measured 2026-02-02 10:00 UTC" in text
    assert "| one change, rescan | 0.09 s CPU |" in text and text.count("measured 2026-01-05 08:00 UTC") == len(kept) - 1


def test_results_stand_in_the_order_in_which_they_are_measured_and_those_of_no_measure_go(kept: list[Run]) -> None:
    found = results.merged({"forgotten": run("forgotten", HOLDS)}, reversed(kept), list(MEASURES))
    assert [one.measure for one in found] == ["cold", "hugo", "change", "throughput", "soak"]


def test_results_in_another_form_are_none(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text('{"figures": []}')
    assert results.load(tmp_path / "results.json") == {} == results.load(tmp_path / "missing.json")


def test_each_measure_tells_in_its_first_words_what_it_does() -> None:
    import sys

    for name, measure in MEASURES.items():
        assert (sys.modules[measure.__module__].__doc__ or "").strip(), name


def test_where_machines_differ_the_page_says_what_was_measured_where(tmp_path: Path, kept: list[Run]) -> None:
    text = written(tmp_path, [replace(kept[0], machine="64 cores"), *kept[1:]])["benchmarks.md"].decode()
    assert "- cold: 64 cores; Python 3.11" in text and "- hugo, change, throughput, soak: 2 cores; " in text


# -- stores --------------------------------------------------------------------


def counted(names: Iterable[str]) -> list[int]:
    """Articles of each term, by rank."""
    return sorted(Counter(names).values(), reverse=True)


def test_a_store_of_the_archives_size_has_its_very_counts() -> None:
    archive, found = shape.of_archive(), shape.outlines(shape.ARCHIVE)
    assert sum(map(len, archive.terms.values())) == 2_403
    for facet, counts in archive.terms.items():
        assert counted(name for one in found for name in one.terms[facet]) == list(counts), facet
        assert Counter(len(one.terms[facet]) for one in found) == Counter(dict(enumerate(archive.slots[facet])))
        assert all(len(set(one.terms[facet])) == len(one.terms[facet]) for one in found)
    assert Counter(f"{one.when:%Y-%m}" for one in found) == archive.months
    assert [one.when for one in found] == sorted(one.when for one in found)
    sizes = sorted(one.size for one in found)
    for share, size in archive.bodies:
        assert sizes[min(int(share * len(sizes)), len(sizes) - 1)] == pytest.approx(size, rel=0.05), share


def test_a_store_that_is_twice_as_large_has_terms_of_the_house_twice_as_often_and_twice_as_many_people() -> None:
    archive, twice = shape.of_archive(), shape.scaled(2 * shape.ARCHIVE)
    for facet, counts in archive.terms.items():
        doubled = [*counts, *counts] if facet in ("author", "translator") else [2 * count for count in counts]
        assert list(twice.terms[facet]) == sorted(doubled, reverse=True), facet
    assert twice.months == {month: 2 * count for month, count in archive.months.items()}


@given(st.integers(200, 40_000))
def test_a_store_of_any_size_has_as_many_terms_as_its_articles_have(articles: int) -> None:
    found = shape.scaled(articles)
    assert sum(found.months.values()) == articles
    for facet, counts in found.terms.items():
        assert sum(found.slots[facet]) == articles
        assert sum(counts) == sum(number * count for number, count in enumerate(found.slots[facet]))
        assert min(counts) > 0 and max(counts) <= articles - found.slots[facet][0]


def test_what_is_written_is_read_as_it_was_outlined() -> None:
    settings = ParseSettings("", "Asia/Shanghai", 2**20)
    outlines, sizes = shape.outlines(400), []
    for number, (path, text) in enumerate(stores.written(400)):
        read = parse_article(settings, path, text.encode(), 0.0, now=2_000_000_000).result
        assert isinstance(read, ParsedArticle), read
        outline = outlines[number]
        assert {facet: set(names) for facet, names in read.names.items()} == {
            facet: set(names) for facet, names in outline.terms.items() if names
        }
        assert read.id == str(stores.FIRST_ID + number) and path == f"{outline.when:%Y/%m}/{read.id}.md"
        sizes.append(len(read.html.encode()))
    for share, size in shape.of_archive().bodies[2:-2]:
        assert sorted(sizes)[int(share * len(sizes))] == pytest.approx(size, rel=0.15), share


def test_a_store_is_made_once_and_again_where_it_would_be_another(tmp_path: Path) -> None:
    folder = stores.build(tmp_path / "store", 200, short=True)
    files = sorted(folder.rglob("*.md"))
    assert len(files) == 200
    files[0].unlink()
    assert len(list(stores.build(folder, 200, short=True).rglob("*.md"))) == 199
    assert len(list(stores.build(folder, 201, short=True).rglob("*.md"))) == 201


# -- plots ---------------------------------------------------------------------


def drawn(svg: bytes | str, kind: str) -> list[ElementTree.Element]:
    return [found for found in ElementTree.fromstring(svg).iter(SVG + kind)]


def test_a_bar_is_as_long_as_its_figures_share_of_the_bound_and_shows_whether_it_holds(tmp_path: Path, kept: list[Run]) -> None:
    files = written(tmp_path, kept)
    found = drawn(files["pictures/benchmarks/bounds.svg"], "rect")
    assert [bar.get("class") for bar in found] == ["bad", "good", "good"]
    cold, change, throughput = (float(bar.get("width") or 0) for bar in found)
    assert cold / change == pytest.approx(1.125 / 0.6, rel=0.01)
    assert throughput / change == pytest.approx(0.5 / 0.6, rel=0.01), "at least 2, and it is 4: half of what it may be"


def test_peers_stand_beside_the_service_and_memory_is_a_line_for_each_process(tmp_path: Path, kept: list[Run]) -> None:
    files = written(tmp_path, kept)
    feeds, flask = (float(bar.get("width") or 0) for bar in drawn(files["pictures/benchmarks/peers.svg"], "rect"))
    assert feeds / flask == pytest.approx(4.0, rel=0.01)
    assert len(drawn(files["pictures/benchmarks/soak.svg"], "polyline")) == 2
    assert all(f"]({name})" in files["benchmarks.md"].decode() for name in files if name.endswith(".svg"))


def test_a_plot_of_what_is_measured_no_more_goes(tmp_path: Path, kept: list[Run]) -> None:
    written(tmp_path, kept)
    assert list(written(tmp_path, kept[:1])) == ["benchmarks.md", "pictures/benchmarks/bounds.svg"]


NUMBER = st.floats(0, 1e9)
LABEL = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs", "Cn"]), max_size=90)


@given(
    st.lists(st.builds(plots.Bar, LABEL, NUMBER, LABEL)),
    st.dictionaries(LABEL, st.lists(st.tuples(NUMBER, NUMBER), min_size=1)),
)
def test_any_names_and_numbers_make_a_picture(rows: list[plots.Bar], series: dict[str, list[tuple[float, float]]]) -> None:
    assert len(drawn(plots.bars("<title>", rows), "rect")) == len(rows)
    assert len(drawn(plots.lines("a & b", series, "MB"), "polyline")) == len(series)


def test_pictures_are_readable_on_light_and_on_dark(tmp_path: Path, kept: list[Run]) -> None:
    for name, content in written(tmp_path, kept).items():
        if name.endswith(".svg"):
            assert b"prefers-color-scheme: dark" in content and not re.search(rb"\b(href|script)\b", content)


# -- memory --------------------------------------------------------------------


def test_growth_is_of_the_end_against_what_comes_after_the_first_fifth() -> None:
    filling = [(float(second), min(100.0, 50.0 + 3 * second), 0.0) for second in range(100)]
    assert soak.grown(filling, 100, 1) == (1.0, 100.0, 100.0)
    leaking = [(float(second), 100.0 + second, 0.0) for second in range(100)]
    assert soak.grown(leaking, 100, 1)[0] == pytest.approx(194.5 / 125, rel=0.01)


def test_a_process_that_was_not_there_all_the_time_has_no_growth() -> None:
    with pytest.raises(RuntimeError, match="ended or began"):
        soak.grown([(float(second), 100.0, 0.0) for second in range(50)], 100, 1)


def test_a_soak_that_is_too_short_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEEDS_SOAK_SECONDS", "5")
    with pytest.raises(soak.NotMeasured):
        list(soak.measure(Bench(tmp_path)))
