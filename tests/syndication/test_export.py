"""The static tree: what the service would answer, written once, touched only where it changes."""

from __future__ import annotations

import gzip
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import brotli
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.test import Client

from feeds.errors import AddressError, FeedsError
from feeds.feed_formats import load_formats
from feeds.static import export, targets
from feeds.static.export import Options
from feeds.static.files import OWN, key_of, path_of
from feeds.static.site_files import Exporter, digest_of_folder
from feeds.static.targets import Manifest
from feeds.syndication import lookup
from feeds.web.app import create_app
from tests import forking
from tests.examples import some

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing in it."""
    return tmp_path_factory.mktemp("place")


@pytest.fixture
def filled(new_site: Callable[..., Any], prepared: Callable[..., Any]) -> Any:
    return new_site(prepared(fill))


def fill(site: Any) -> None:
    """Five articles with pages here, and nothing that needs a service."""
    site.settle("site.yaml", article_url="")
    site.settle("feeds.yaml", select={"enabled": False}, websub={"hub": "none"})
    for number in range(1, 6):
        site.write(f"{number}.md", tags=["Linux", "TCP/IP", "内核"] if number > 1 else ["once"], translator="geekpi")
    site.rescan()


@pytest.fixture
def exported(filled: Any, prepared: Callable[..., Any], place: Path) -> None:
    """`place` is the tree of the filled site, exported before."""
    tree = prepared(fill).root / "tree"
    if not tree.exists():
        run(prepared(fill), tree)
    shutil.copytree(tree, place, dirs_exist_ok=True)


def run(site: Any, folder: Path, *, feeds_only: bool = False, **options: Any) -> export.Report:
    report: export.Report = Exporter(site.runtime, feeds_only=feeds_only).export(str(folder), Options(**options))
    assert not report.faults
    return report


def counts(report: export.Report) -> tuple[int, int, int]:
    return report.written, report.unchanged, report.removed


def files(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """path -> (inode, mtime, bytes) of every file, the export's own, too."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file():
            status = path.stat()
            found[path.relative_to(folder).as_posix()] = (status.st_ino, status.st_mtime_ns, path.read_bytes())
    return found


def tree(folder: Path) -> dict[str, bytes]:
    """path -> bytes of all that is published or told to servers."""
    own = {f"{OWN}/{name}" for name in ("lock", "manifest.db")}
    return {path: data for path, (_inode, _mtime, data) in files(folder).items() if path not in own}


# -- what there is ---------------------------------------------------------


def test_every_document_is_there_with_the_bytes_that_are_served(filled: Any, place: Path, body: Callable[..., bytes]) -> None:
    run(filled, place / "out")
    for state, _selection in filled.runtime.read(lookup.list_feeds):
        for format in load_formats():
            assert (place / "out" / f"{state.path}.{format}").read_bytes() == body(filled.runtime, state.path, format)
    assert (place / "out" / "tags" / "TCP~2FIP.atom").is_file()
    assert {path.name for path in (place / "out").glob("*.opml")} == {"feeds.opml", "tags.opml", "translators.opml"}


@pytest.mark.usefixtures("exported")
def test_every_page_is_there_in_the_sites_own_language(filled: Any, place: Path) -> None:
    client = Client(create_app(filled.environment))
    for address in ("/", "/tags/TCP~2FIP", "/translators/geekpi", "/all", "/about/feeds", "/404.html"):
        file, served = (place / path_of(address)).read_bytes(), client.get(address).data
        assert file.partition(b"<main")[2] == served.partition(b"<main")[2] != b"", address  # search stands above
    for address in ("/tags/", "/translators/"):
        file, served = (place / path_of(address)).read_bytes(), client.get(address).data
        assert file.partition(b'<ul class="directory"')[2] == served.partition(b'<ul class="directory"')[2] != b"", address
    assert (place / "feeds.opml").read_bytes() == client.get("/feeds.opml").data
    for name in ("style.css", "icon.svg", "icon.png"):
        assert (place / "static" / name).read_bytes() == client.get(f"/static/{name}").data


def test_an_article_has_a_page_only_where_it_lives_here(new_site: Callable[..., Any], place: Path) -> None:
    for name, article_url, there in (("here", "", True), ("elsewhere", "https://linux.cn{permalink}", False)):
        site = new_site(article_url=article_url)
        site.write("7.md", title="Seven")
        site.rescan()
        run(site, place / name)
        assert (place / name / "articles" / "7.html").exists() == there


def test_the_whole_history_is_there_where_a_feed_does_not_hold_it(site: Any, place: Path, body: Callable[..., bytes]) -> None:
    facets = {"tag": {"limit": 2, "archive": "month"}, "translator": {"limit": 20}}
    site.settle("feeds.yaml", facets=facets, brotli_archives=True)
    for number in range(1, 9):
        site.write(
            f"{number}.md", tags=["Linux"], translator="geekpi", date=f"2020-{number:02}-01 00:00:00", title=f"T {number}"
        )
    site.rescan()
    run(site, place)
    archive = place / "tags" / "Linux" / "archive"
    assert len(list(archive.iterdir())) == 8 * (len(load_formats()) + 1) * 3
    for format in load_formats():
        written = (archive / f"2020-05.{format}").read_bytes()
        assert written == body(site.runtime, "tags/Linux/archive/2020-05", format)
    assert "T 5" in (archive / "2020-05.html").read_text()
    assert not (place / "translators" / "geekpi" / "archive").exists(), "that feed holds all of it"
    before = files(place)
    site.write("5.md", tags=["Linux"], translator="geekpi", date="2020-05-01 00:00:00", title="Edited")
    site.rescan()
    run(site, place)
    after = files(place)
    changed = {path for path in after if after[path] != before[path] and "/archive/" in path}
    assert {path.rpartition("/")[2].partition(".")[0] for path in changed} == {"2020-05"}


def test_beside_each_file_lie_its_packed_forms(filled: Any, place: Path) -> None:
    run(filled, place)
    plain = [path for path in tree(place) if not path.endswith((".gz", ".br", ".png")) and not path.startswith(OWN)]
    assert len(plain) > 30
    for path in plain:
        data = (place / path).read_bytes()
        assert gzip.decompress((place / f"{path}.gz").read_bytes()) == data
        assert brotli.decompress((place / f"{path}.br").read_bytes()) == data


@pytest.mark.parametrize(
    ("address", "path", "key"),
    [
        ("/", "index.html", "index.html"),
        ("/tags/", "tags/index.html", "tags/index.html"),
        ("/tags/index", "tags/index/index.html", "tags/index"),
        ("/tags/Linux", "tags/Linux.html", "tags/Linux"),
        ("/tags/Node.js", "tags/Node.js.html", "tags/Node.js"),
        ("/tags/Linux.atom", "tags/Linux.atom", "tags/Linux.atom"),
        ("/all/page/3", "all/page/3.html", "all/page/3"),
        ("/404.html", "404.html", "404.html"),
        ("/tags/404", "tags/404.html", "tags/404"),
    ],
)
def test_an_address_has_one_file_and_one_key(address: str, path: str, key: str) -> None:
    assert path_of(address) == path
    assert key_of(path) == key


def test_a_tag_called_index_does_not_take_the_directorys_file(filled: Any, place: Path) -> None:
    filled.write("9.md", tags=["index", "404"], id="index")
    filled.rescan()
    run(filled, place)
    assert "TCP/IP" in (place / "tags" / "index.html").read_text()
    assert "<h1>index</h1>" in (place / "tags" / "index" / "index.html").read_text()
    assert (place / "articles" / "index" / "index.html").is_file()


# -- again -----------------------------------------------------------------


def test_a_second_export_writes_nothing_and_touches_nothing(filled: Any, place: Path) -> None:
    first = run(filled, place)
    before = files(place)
    second = run(filled, place)
    filled.reopen()
    third = run(filled, place)
    assert counts(first) == (second.unchanged, 0, 0) and first.written > 100
    assert counts(second) == counts(third) == (0, first.written, 0)
    assert files(place) == before


@pytest.mark.usefixtures("exported")
def test_only_what_shows_a_change_is_written_again(filled: Any, place: Path) -> None:
    before = files(place)
    filled.write("1.md", tags=["once"], translator="geekpi", title="Edited")
    filled.rescan()
    run(filled, place)
    after = files(place)
    changed = {path for path in after if after[path] != before.get(path) and not path.startswith(".")}
    assert {path for path in changed if path.endswith(".atom")} == {"all.atom", "tags/once.atom", "translators/geekpi.atom"}
    pages = {"index.html", "all.html", "tags/once.html", "translators/geekpi.html"}
    pages |= {"articles/1.html", "articles/2.html"}  # the second names the one before it
    assert {path for path in changed if path.endswith(".html")} == pages


@pytest.mark.usefixtures("exported")
def test_files_of_a_term_that_is_gone_are_removed_and_foreign_files_stay(filled: Any, place: Path) -> None:
    foreign = place / "tags" / "mine.html"
    foreign.write_text("not ours")
    (filled.store / "1.md").unlink()
    filled.rescan()
    report = run(filled, place)
    assert report.removed == (len(load_formats()) + 2) * 3, "three feeds, two pages, each in three codings"
    assert not list(place.glob("*/once*")) and not list(place.glob("articles/1.*"))
    assert foreign.read_text() == "not ours"


@pytest.mark.usefixtures("exported")
def test_folders_that_are_empty_then_go_and_others_stay(filled: Any, place: Path) -> None:
    (place / "translators" / "mine.txt").write_text("mine")
    filled.settle("feeds.yaml", facets={"tag": {"enabled": False}, "translator": {"enabled": False}})
    filled.rescan()
    run(filled, place)
    assert not (place / "tags").exists()
    assert os.listdir(place / "translators") == ["mine.txt"]


def test_a_manifest_that_points_outside_removes_nothing_there(filled: Any, place: Path) -> None:
    import sqlite3

    out, outside = place / "out", place / "precious"
    outside.write_text("mine")
    run(filled, out)
    (place / "linked").mkdir()
    (out / "elsewhere").symlink_to(place / "linked")
    (place / "linked" / "file").write_text("mine")
    connection = sqlite3.connect(out / targets.MANIFEST)
    rows = [(path, "x", "") for path in ("../precious", str(outside), "elsewhere/file")]
    connection.executemany("INSERT INTO files VALUES (?, ?, ?)", rows)
    connection.commit()
    connection.close()
    run(filled, out)
    assert outside.read_text() == (place / "linked" / "file").read_text() == "mine"


@pytest.mark.parametrize("name", ["all.rss", "tags/Linux.html.br", "static/style.css", "articles/3.html.gz"])
@pytest.mark.usefixtures("exported")
def test_a_file_that_someone_deleted_is_written_again(filled: Any, place: Path, name: str) -> None:
    before = tree(place)
    (place / name).unlink()
    assert run(filled, place).written == 1
    assert tree(place) == before


@pytest.mark.usefixtures("exported")
def test_a_file_that_someone_changed_is_put_right_by_a_full_export(filled: Any, place: Path) -> None:
    before = files(place)
    (place / "all.rss").write_text("no feed")
    assert run(filled, place).written == 0, "nobody looks"
    assert run(filled, place, full=True).written == 1
    after = files(place)
    changed = {path for path in after if after[path] != before[path] and not path.startswith(".")}
    assert changed == {"all.rss"} and after["all.rss"][2] == before["all.rss"][2]


@pytest.mark.usefixtures("exported")
def test_without_packed_forms_those_of_before_are_removed(filled: Any, place: Path) -> None:
    before = files(place)
    (place / "mine.gz").write_text("mine")
    run(filled, place, compressed=False)
    after = files(place)
    packed = {path for path in before if path.endswith((".gz", ".br"))}
    assert before.keys() - after.keys() == packed
    assert all(after[path] == before[path] for path in before.keys() - packed if not path.startswith(OWN))
    assert (place / "mine.gz").exists()
    assert counts(run(filled, place, compressed=False))[0] == 0
    run(filled, place)
    assert {path for path in files(place) if path.endswith((".gz", ".br"))} == {*packed, "mine.gz"}


def old_and_new(site: Any) -> None:
    """More articles of one tag than its feed holds, of two years."""
    site.settle("feeds.yaml", facets={"tag": {"limit": 2}, "translator": {"limit": 20}})
    for number in range(1, 7):
        site.write(f"{number}.md", tags=["Linux"], translator="geekpi", date=f"{2018 + number // 4}-01-01 00:00:0{number}")
    site.rescan()


def of_archives(place: Path, suffix: str = "") -> set[str]:
    return {path for path in files(place) if "/archive/" in path and path.endswith(suffix)}


def test_archive_documents_have_br_where_it_is_set_and_changing_that_touches_nothing_else(site: Any, place: Path) -> None:
    old_and_new(site)
    first = run(site, place)
    plain = {path for path in of_archives(place) if path.endswith((".atom", ".rss", ".json"))}
    assert len(plain) == 2 * len(load_formats()) and of_archives(place, ".gz") > {f"{path}.gz" for path in plain}
    assert of_archives(place, ".br") == {f"tags/Linux/archive/{year}.html.br" for year in (2018, 2019)}
    before = files(place)
    site.settle("feeds.yaml", brotli_archives=True)
    site.rescan()
    assert counts(run(site, place)) == (len(plain), first.written, 0)
    added = files(place)
    assert added.keys() - before.keys() == {f"{path}.br" for path in plain}
    assert all(added[path] == before[path] for path in before if not path.startswith(OWN))
    assert counts(run(site, place)) == (0, first.written + len(plain), 0)
    site.settle("feeds.yaml", brotli_archives=False)
    site.rescan()
    assert counts(run(site, place)) == (0, first.written, len(plain))
    after = files(place)
    assert after.keys() == before.keys() and all(after[path] == before[path] for path in before if not path.startswith(OWN))


def test_without_archives_the_documents_and_pages_of_before_are_removed(site: Any, place: Path) -> None:
    old_and_new(site)
    run(site, place)
    assert b"/archive/2019" in (place / "tags" / "Linux.atom").read_bytes()
    before = tree(place).keys()
    site.settle("feeds.yaml", archives=False)
    site.rescan()
    run(site, place)
    assert before - tree(place).keys() == {path for path in before if "/archive/" in path}
    assert not (place / "tags" / "Linux" / "archive").exists()
    assert not any(b"/archive/" in data for path, data in tree(place).items() if path.startswith("tags/Linux."))


def test_what_did_not_change_since_the_last_export_of_a_process_is_not_made_again(filled: Any) -> None:
    files = Exporter(filled.runtime)
    before = {file.path: file for file in files.files()}
    filled.write("1.md", tags=["once"], translator="geekpi", title="Edited")
    filled.rescan()
    after = {file.path: file for file in files.files()}
    assert after["tags/Linux.html"] is before["tags/Linux.html"]
    assert after["articles/1.html"] is not before["articles/1.html"] and after["all.atom"] != before["all.atom"]


@pytest.mark.parametrize("kind", ["web/views/pages.py", "syndication/pages.py", "catalog/*.py", "locale/**/*.po", "urls.py"])
def test_whatever_source_of_the_program_decides_a_page_decides_its_mark(tmp_path: Path, kind: str) -> None:
    program = tmp_path / "feeds"
    shutil.copytree(CHECKOUT / "feeds", program, ignore=shutil.ignore_patterns("__pycache__"))
    before = digest_of_folder(program)
    assert before == digest_of_folder(CHECKOUT / "feeds")
    changed = sorted(program.glob(kind))[0]
    changed.write_bytes(changed.read_bytes() + b"\n")
    assert digest_of_folder(program) != before


@pytest.mark.usefixtures("exported")
def test_an_edit_of_a_template_writes_pages_and_no_feed(filled: Any, place: Path) -> None:
    before = files(place)
    own = filled.root / "templates" / "web"
    own.mkdir(parents=True)
    text = (CHECKOUT / "templates" / "web" / "article.html").read_text("utf-8")
    (own / "article.html").write_text(text.replace("</article>", "<p>ours</p></article>"), "utf-8")
    filled.reopen()
    run(filled, place)
    after = files(place)
    changed = {path for path in after if after[path] != before[path] and not path.startswith(".")}
    assert changed == {f"articles/{number}.html{end}" for number in range(1, 6) for end in ("", ".gz", ".br")}


def test_a_broken_template_is_named_once_and_spoils_nothing_else(filled: Any, place: Path) -> None:
    own = filled.root / "templates" / "web"
    own.mkdir(parents=True)
    (own / "article.html").write_text("<p>{{ article.no_such }}\n{{ 1 / 0 }}")
    report = Exporter(filled.runtime).export(str(place))
    assert set(report.faults) == {f"articles/{number}.html" for number in range(1, 6)}
    assert {reason.partition("article.html")[2] for reason in report.faults.values()} == {
        ":1: UndefinedError: 'feeds.model.Article object' has no attribute 'no_such'"
    }
    assert (place / "all.atom").is_file() and (place / "index.html").is_file()
    (own / "article.html").unlink()
    filled.reopen()
    assert run(filled, place).written == 15


@pytest.mark.usefixtures("exported")
def test_the_time_stamps_of_two_contents_are_never_of_one_second(filled: Any, place: Path) -> None:
    """Web servers make validators of seconds and size."""
    stamps = [(place / "articles" / "1.html").stat().st_mtime]
    for title in ("甲", "乙", "丙"):
        filled.write("1.md", tags=["once"], translator="geekpi", title=title)
        filled.rescan()
        run(filled, place)
        stamps.append((place / "articles" / "1.html").stat().st_mtime)
    assert len({int(stamp) for stamp in stamps}) == 4 and sorted(stamps) == stamps


# -- interrupted, at once, by several --------------------------------------


def test_a_broken_manifest_is_named_and_nothing_is_written(filled: Any, place: Path) -> None:
    out = place / "out"
    (out / OWN).mkdir(parents=True)
    (out / targets.MANIFEST).write_bytes(b"no database" * 100)
    with pytest.raises(FeedsError, match=r"manifest\.db: cannot be used .*; remove it to export everything again"):
        run(filled, out)
    assert os.listdir(out) == [OWN]
    (out / targets.MANIFEST).unlink()
    run(filled, out)


def test_a_folder_in_the_way_is_named(filled: Any, place: Path) -> None:
    (place / "all.atom").mkdir()
    with pytest.raises(FeedsError, match=r"all\.atom: Is a directory"):
        run(filled, place)


def test_before_the_first_rescan_there_is_nothing_to_export_and_nothing_is_made(site: Any, place: Path) -> None:
    with pytest.raises(AddressError, match="nothing is published yet"):
        run(site, place / "out")
    assert not (place / "out").exists()


def test_several_processes_write_what_one_writes(site: Any, place: Path) -> None:
    site.settle("site.yaml", article_url="")
    for number in range(40):
        site.write(f"{number}.md", tags=[f"tag {number}", "Linux"], translator=f"person {number}")
    site.rescan()
    for name, workers in (("one", 1), ("two", 2)):
        run(site, place / name, workers=workers)
    one = tree(place / "one")
    assert len(one) > 40 * 3 * 3 * 3 and one == tree(place / "two")


def test_progress_goes_up_to_all_of_it(filled: Any, place: Path) -> None:
    said: list[tuple[int, int]] = []
    run(filled, place, progress=lambda done, total: said.append((done, total)))
    assert said == sorted(said) and said[-1][0] == said[-1][1] > 30


@pytest.fixture
def large(new_site: Callable[..., Any], prepared: Callable[..., Any]) -> Any:
    """Long enough in the making to be cut off."""
    return new_site(prepared(fill_large))


def fill_large(site: Any) -> None:
    site.settle("site.yaml", article_url="")
    for number in range(60):
        site.write(f"{number}.md", tags=[f"tag {number % 20}", "Linux"], translator=f"person {number % 15}")
    site.rescan()


def start(site: Any, out: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "feeds", "export", "--config", str(site.config_dir), str(out)]
    return forking.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=CHECKOUT, start_new_session=True)


def wait_until(what: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while not what() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)


@pytest.mark.parametrize("files_then", [1, 60, 160])
def test_an_export_that_was_killed_is_completed_by_the_next(large: Any, place: Path, files_then: int) -> None:
    out = place / "out"
    process = start(large, out)
    articles = out / "articles"
    wait_until(lambda: articles.is_dir() and len(os.listdir(articles)) >= files_then, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    large.write("3.md", tags=["Linux"], title="Edited meanwhile")
    large.rescan()
    run(large, out)
    run(large, place / "fresh")
    assert tree(out) == tree(place / "fresh")


@pytest.mark.usefixtures("exported")
def test_what_a_killed_export_wrote_is_not_taken_for_what_was_there_before(
    filled: Any, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An edit, an export cut off after the files and before their marks, the edit taken back."""
    before = tree(place)
    text = (filled.store / "2.md").read_bytes()
    filled.write("2.md", tags=["Linux"], title="Edited")
    filled.rescan()
    with monkeypatch.context() as killed:
        killed.setattr(Manifest, "done", _cut_off)
        with pytest.raises(KeyboardInterrupt):
            run(filled, place)
    assert tree(place) != before
    filled.write("2.md", text)
    filled.rescan()
    run(filled, place)
    assert tree(place) == before


def _cut_off(*_args: object, **_options: object) -> None:
    raise KeyboardInterrupt


def test_two_exports_at_once_do_not_harm_each_other(large: Any, place: Path) -> None:
    out = place / "out"
    both = [start(large, out) for _number in range(2)]
    said = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sum(b" 0 files written" in b" " + out for out, _err in said) == 1, "the second one had nothing left to do"
    run(large, place / "fresh")
    assert tree(out) == tree(place / "fresh")


@pytest.mark.usefixtures("exported")
def test_whoever_reads_the_tree_meanwhile_finds_whole_files(filled: Any, place: Path) -> None:
    sound = {(place / "all.json").read_bytes()}
    ended = threading.Event()
    seen: set[bytes] = set()

    def read() -> None:
        while not ended.is_set():
            seen.add((place / "all.json").read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(4):
        filled.write("1.md", tags=["once"], translator="geekpi", title=f"Edition {number}", body="正文 " * 5000)
        filled.rescan()
        run(filled, place)
        sound.add((place / "all.json").read_bytes())
    ended.set()
    reader.join()
    assert seen <= sound and len(sound) == 5


def test_two_exports_of_equal_stores_are_equal(new_site: Callable[..., Any], place: Path) -> None:
    for name in ("a", "b"):
        site = new_site(article_url="")
        site.write("1.md", tags=["Linux"], translator="geekpi")
        site.rescan()
        run(site, place / name)
    assert tree(place / "a") == tree(place / "b")


# -- any edits -------------------------------------------------------------

NAMES = st.sampled_from(["Linux", "linux", "LINUX", "TCP/IP", "C++", "内核", "index", "a b", ".NET", "rare"])
MOVES = st.sampled_from([{}, {"tags/Linux": "tags/C++"}])
EDITS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(1, 60), st.lists(NAMES, max_size=3), st.sampled_from(["2001", "2010", "2020"])),
        st.tuples(st.just("delete"), st.integers(1, 60)),
        st.tuples(st.just("rename"), st.integers(1, 60)),
        st.tuples(
            st.just("settle"), st.sampled_from([1, 2, 3]), st.booleans(), st.sampled_from([{}, {"tags/Linux": "tags/C++"}])
        ),
        st.tuples(st.just("export")),
    ),
    min_size=1,
    max_size=8,
)


def edit(site: Any, kind: str, *what: Any) -> None:
    if kind == "write":
        number, tags, year = what
        site.write(f"{number}.md", tags=tags, date=f"{year}-01-02 03:04:05", translator="geekpi", title=f"{number} {tags}")
    elif kind == "delete":
        (site.store / f"{what[0]}.md").unlink(missing_ok=True)
    elif kind == "rename" and (site.store / f"{what[0]}.md").exists():
        (site.store / f"{what[0]}.md").rename(site.store / f"renamed-{what[0]}.md")
    elif kind == "settle":
        minimum, translators, moved = what
        facets = {
            "tag": {"min_articles": minimum, "limit": 5},
            "translator": {"enabled": translators},
            "category": {"enabled": True},
        }
        site.settle("feeds.yaml", facets=facets, moved=moved, gone=["tags/C#"])


@settings(max_examples=some(5, least=2))
@given(edits=EDITS)
def test_after_any_edits_the_tree_is_what_a_fresh_export_makes(
    new_site: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory, edits: list[tuple[Any, ...]]
) -> None:
    """With a reader of the catalog that has seen every state, and with one that sees the last one only."""
    site = new_site(article_url="")
    site.settle("feeds.yaml", facets={"tag": {"limit": 5, "archive": "month"}})
    for number in range(1, 45):
        site.write(f"{number}.md", tags=["Linux", "C#"] if number % 3 else ["rare"], date=f"2015-01-01 00:{number:02}:00")
    site.rescan()
    followed, late = tmp_path_factory.mktemp("followed"), tmp_path_factory.mktemp("late")
    run(site, followed)
    run(site, late)
    for step in edits:
        edit(site, *step)
        site.rescan()
        if step[0] == "export":
            run(site, followed)
    run(site, followed)
    site.reopen()
    run(site, late)
    fresh = tmp_path_factory.mktemp("fresh")
    run(site, fresh)
    assert tree(followed) == tree(fresh)
    assert tree(late) == tree(fresh)
    assert counts(run(site, late))[0] == 0


# -- feeds only ------------------------------------------------------------


def test_feeds_alone_are_documents_and_lists_with_the_same_bytes(filled: Any, place: Path) -> None:
    run(filled, place / "whole")
    run(filled, place / "alone", feeds_only=True)
    whole, alone = tree(place / "whole"), tree(place / "alone")
    kinds = {f".{kind}{coding}" for kind in ("atom", "rss", "json", "opml") for coding in ("", ".gz", ".br")}
    assert {"".join(Path(path).suffixes) for path in alone} == kinds
    assert {f"{row.path}.atom" for row, _selection in filled.runtime.read(lookup.list_feeds)} <= alone.keys()
    assert alone.items() <= whole.items()


@pytest.mark.usefixtures("exported")
def test_going_over_to_feeds_alone_takes_the_pages_away(filled: Any, place: Path) -> None:
    assert run(filled, place, feeds_only=True).removed > 0
    assert "index.html" not in tree(place) and "all.atom" in tree(place)
    assert run(filled, place, feeds_only=True).written == 0


@pytest.mark.usefixtures("exported")
def test_security_txt_is_in_the_tree_where_it_is_set(filled: Any, place: Path) -> None:
    path = place / ".well-known" / "security.txt"
    assert not path.exists()
    filled.settle("site.yaml", security_contact="https://example.org/security")
    filled.rescan()
    run(filled, place)
    assert path.read_bytes() == Client(create_app(filled.environment)).get("/.well-known/security.txt").data
    assert counts(run(filled, place))[0] == 0, "nothing is written again before the month ends"
    filled.settle("site.yaml", security_contact="")
    filled.rescan()
    run(filled, place)
    assert not path.exists()
