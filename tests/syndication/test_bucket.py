"""The static tree in object storage: moto's server speaks S3."""

from __future__ import annotations

import contextlib
import gzip
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import brotli
import pytest

from feeds.errors import FeedsError
from feeds.feed_formats import content_type, load_formats
from feeds.static import export, targets
from feeds.static.export import Options
from feeds.static.files import OWN, key_of
from feeds.static.site_files import Exporter
from feeds.static.targets import Manifest
from feeds.syndication import lookup

SECRET = "0123456789secret0123456789"
KEY = "AKIAEXAMPLEEXAMPLE00"
URL = "s3://feeds-tree/some/prefix"


@pytest.fixture(scope="module")
def storage() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def store(storage: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The bucket with nothing in it, seen by a client of its own; the environment is the operator's."""
    import urllib.request

    from obstore.store import S3Store

    settings = {
        "AWS_ENDPOINT": storage,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    urllib.request.urlopen(urllib.request.Request(f"{storage}/moto-api/reset", method="POST")).close()
    urllib.request.urlopen(urllib.request.Request(f"{storage}/feeds-tree", method="PUT")).close()
    return S3Store("feeds-tree")


@pytest.fixture
def filled(new_site: Callable[..., Any], prepared: Callable[..., Any]) -> Any:
    return new_site(prepared(fill))


def fill(site: Any) -> None:
    site.settle("site.yaml", article_url="", rescan_seconds=45)
    for number in range(1, 4):
        site.write(f"{number}.md", tags=["Linux", "TCP/IP", "内核"] if number > 1 else ["once"], translator="geekpi")
    site.rescan()


def run(site: Any, **options: Any) -> export.Report:
    report: export.Report = Exporter(site.runtime).export(URL, Options(**options))
    assert not report.faults
    return report


def objects(store: Any) -> dict[str, tuple[str, Any]]:
    """key -> (ETag, time) of all that is published."""
    import obstore

    found = {meta["path"]: (meta["e_tag"], meta["last_modified"]) for part in obstore.list(store) for meta in part}
    assert all(path.startswith("some/prefix/") for path in found)
    return {path.removeprefix("some/prefix/"): what for path, what in found.items() if f"/{OWN}/" not in path}


def fetched(store: Any, key: str) -> tuple[bytes, dict[str, str]]:
    import obstore

    found = obstore.get(store, f"some/prefix/{key}")
    return bytes(found.bytes()), dict(found.attributes)


def test_objects_lie_at_their_addresses_with_type_coding_and_age(filled: Any, store: Any, body: Callable[..., bytes]) -> None:
    run(filled)
    age = "public, max-age=45, stale-while-revalidate=600, stale-if-error=86400"
    for state, _selection in filled.runtime.read(lookup.list_feeds):
        for format in load_formats().values():
            served = body(filled.runtime, state.path, format.name)
            data, attributes = fetched(store, state.path + format.extension)
            assert (data, attributes["Content-Type"], attributes["Cache-Control"]) == (served, content_type(format), age)
            assert "Content-Encoding" not in attributes
            for suffix, coding, unpack in ((".gz", "gzip", gzip.decompress), (".br", "br", brotli.decompress)):
                data, attributes = fetched(store, state.path + format.extension + suffix)
                assert unpack(data) == served
                assert (attributes["Content-Type"], attributes["Content-Encoding"]) == (content_type(format), coding)
    for key in ("index.html", "tags/index.html", "tags/TCP~2FIP", "articles/1", "about/feeds", "404.html"):
        data, attributes = fetched(store, key)
        assert b"<!doctype html>" in data and attributes["Content-Type"] == "text/html; charset=utf-8"
    assert fetched(store, "static/icon.png")[1]["Content-Type"] == "image/png"
    assert json.loads(fetched(store, f"{OWN}/redirects.json")[0])["/article-1-1.html"] == "/articles/1"


def test_it_is_the_tree_of_a_folder(filled: Any, store: Any, tmp_path: Path) -> None:
    run(filled)
    Exporter(filled.runtime).export(str(tmp_path / "out"))
    own = {"lock", "manifest.db"}
    written = [path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file()]
    for path in written:
        if not (path.startswith(OWN) and path.rpartition("/")[2] in own):
            stem, suffix = (path[:-3], path[-3:]) if path.endswith((".gz", ".br")) else (path, "")
            assert fetched(store, key_of(stem) + suffix)[0] == (tmp_path / "out" / path).read_bytes(), path


def test_a_second_export_puts_nothing(filled: Any, store: Any) -> None:
    first = run(filled, compressed=False)
    before = objects(store)
    filled.reopen()
    second = run(filled, compressed=False)
    assert (second.written, second.unchanged, second.removed) == (0, first.written, 0)
    assert objects(store) == before


def test_only_what_changed_is_put_and_what_is_gone_removed(filled: Any, store: Any) -> None:
    run(filled)
    before = objects(store)
    filled.write("2.md", tags=["Linux", "TCP/IP", "内核"], translator="geekpi", title="Edited")
    (filled.store / "1.md").unlink()
    filled.rescan()
    report = run(filled)
    after = objects(store)
    gone = before.keys() - after.keys()
    assert {key for key in gone if "." not in key} == {"tags/once", "articles/1"}
    assert report.removed == len(gone) == 15
    changed = {key for key in after if after[key] != before.get(key)}
    assert {"tags/Linux.atom", "tags/Linux", "articles/2", "articles/2.gz", "index.html"} <= changed
    assert "articles/3" in changed, "it names the article before it"
    assert "static/style.css" not in changed and "about/feeds" not in changed


def test_foreign_objects_stay(filled: Any, store: Any) -> None:
    import obstore

    obstore.put(store, "some/prefix/tags/mine.html", b"mine")
    run(filled, compressed=False)
    (filled.store / "1.md").unlink()
    filled.rescan()
    run(filled, compressed=False)
    assert fetched(store, "tags/mine.html")[0] == b"mine"


def test_bytes_that_are_the_same_are_not_put_again(filled: Any, store: Any) -> None:
    """A setting that pages might show, and do not."""
    run(filled, compressed=False)
    before = objects(store)
    filled.settle("site.yaml", max_file_bytes=2_000_000)
    filled.rescan()
    assert run(filled, compressed=False).written == 0
    assert objects(store) == before


def test_packed_forms_that_are_wanted_later_are_put_beside_the_same_bytes(filled: Any, store: Any) -> None:
    run(filled, compressed=False)
    assert not any(key.endswith((".gz", ".br")) for key in objects(store))
    run(filled)
    assert gzip.decompress(fetched(store, "tags/Linux.gz")[0]) == fetched(store, "tags/Linux")[0]
    assert brotli.decompress(fetched(store, "all.atom.br")[0]) == fetched(store, "all.atom")[0]


def cut_off(*_args: object, **_options: object) -> None:
    raise KeyboardInterrupt


def test_an_export_that_was_cut_off_is_completed_by_the_next(filled: Any, store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut off after the objects and before their marks; then the edit is taken back."""
    run(filled, compressed=False)
    before = {key: fetched(store, key)[0] for key in objects(store)}
    text = (filled.store / "2.md").read_bytes()
    filled.write("2.md", tags=["Linux"], title="Edited")
    filled.rescan()
    with monkeypatch.context() as killed:
        killed.setattr(Manifest, "finish", cut_off)
        with pytest.raises(KeyboardInterrupt):
            run(filled, compressed=False)
    filled.write("2.md", text)
    filled.rescan()
    run(filled, compressed=False)
    assert {key: fetched(store, key)[0] for key in objects(store)} == before


def test_of_two_exports_at_once_one_is_told_and_the_next_puts_all_right(
    filled: Any, store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(filled, compressed=False)
    filled.write("2.md", tags=["Linux"], title="Edited")
    filled.rescan()
    done = Manifest.done
    ran: list[export.Report] = []

    def another_meanwhile(manifest: Manifest, rows: Any) -> None:
        done(manifest, rows)
        if not ran:
            ran.append(export.Report())
            ran.append(run(filled, compressed=False))

    with monkeypatch.context() as both:
        both.setattr(Manifest, "done", another_meanwhile)
        with pytest.raises(FeedsError, match="another export has been there meanwhile"):
            run(filled, compressed=False)
    assert ran[1].written > 0
    assert run(filled, compressed=False).written > 0, "what both may have written is written once more"
    assert run(filled, compressed=False).written == 0
    for state, _selection in filled.runtime.read(lookup.list_feeds):
        assert fetched(store, f"{state.path}.json")[0]


def test_faults_of_the_storage_are_told_without_its_words(filled: Any, store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FeedsError) as missing:
        Exporter(filled.runtime).export("s3://no-such-bucket/x")
    monkeypatch.setenv("AWS_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setattr(targets, "_RETRIES", {"max_retries": 0})
    with pytest.raises(FeedsError) as unreachable:
        run(filled)
    assert str(missing.value) == "s3://no-such-bucket/x: no such bucket"
    assert str(unreachable.value) == f"{URL}: the storage cannot be reached, or answers with an error"
    for error in (missing.value, unreachable.value):
        assert SECRET not in repr(error) and KEY not in repr(error) and error.__cause__ is None


def test_many_files_are_put_by_several_processes(new_site: Callable[..., Any], store: Any, tmp_path: Path) -> None:
    site = new_site(article_url="")
    for number in range(25):
        site.write(f"{number}.md", tags=[f"tag {number}"], translator=f"person {number}")
    site.rescan()
    report = run(site, workers=2, compressed=False)
    assert report.written == len(objects(store)) + 3 > 150
    with contextlib.suppress(FileNotFoundError):
        assert fetched(store, "articles/7")[0]
