"""The documentation as a site: it builds without a complaint, its links lead somewhere, and it asks nothing of other hosts."""

from __future__ import annotations

import functools
import http.server
import re
import shutil
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag

import pytest

from tests.test_laws import MODULES, ours, room
from tools import rooms
from tools.site import BESIDE, ROOT, addresses, build


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs") / "site"
    build(folder)
    return folder


def pages() -> list[str]:
    return [str(path.relative_to(ROOT / "docs")) for path in sorted((ROOT / "docs").rglob("*.md"))]


def test_every_page_is_built_and_can_be_reached_by_the_menu(site: Path) -> None:
    menu = (ROOT / "zensical.toml").read_text("utf-8")
    assert tomllib.loads(menu)["project"]["theme"]["font"] is False
    for page in [*pages(), *BESIDE]:
        assert (site / page).with_suffix(".html").is_file(), page
        assert f'"{page}"' in menu, page


def test_a_link_to_a_page_that_is_not_there_fails(tmp_path: Path) -> None:
    for name in ("zensical.toml", *BESIDE):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    with (tmp_path / "docs" / "tour.md").open("a", encoding="utf-8") as page:
        page.write("\n[lost](nowhere.md)\n")
    with pytest.raises(SystemExit, match="page does not exist"):
        build(tmp_path / "site", tmp_path)


def test_every_address_in_the_site_leads_to_a_file_of_it(site: Path) -> None:
    for page, address in addresses(site):
        path = unquote(urldefrag(address).url)
        if "://" in path or path.startswith(("mailto:", "data:")) or not path or page.name == "404.html":
            continue
        assert (page.parent / path).exists(), f"{page.relative_to(site)}: {address}"


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    loads = re.compile(r'<(?:script|img|iframe|source|link(?![^>]*rel="canonical"))\b[^>]*\b(?:src|href|srcset)="(https?:|//)')
    for page in site.rglob("*.html"):
        assert not loads.search(page.read_text("utf-8")), page
    for style in site.rglob("*.css"):
        assert not re.search(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", style.read_text("utf-8")), style


@pytest.fixture
def address(site: Path) -> Iterator[str]:
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(site))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.mark.interop
def test_a_browser_asks_nobody_else_and_has_nothing_to_complain_about(address: str, chromium: Any) -> None:
    asked: list[str] = []
    faults: list[str] = []
    page = chromium.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: faults.append(str(error)))
    for name in ("index", "design", "reference/settings", "mail-server"):
        page.goto(f"{address}/{name}.html", wait_until="networkidle" if name == "index" else "load")
        assert page.locator("h1").count() == 1, name
    page.goto(f"{address}/design.html")
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    page.close()
    assert asked and not [url for url in asked if not url.startswith((address, "data:", "blob:"))]
    assert not faults


# -- the picture of the rooms ------------------------------------------------

FLOOR = {name: number for number, floor in enumerate(rooms.FLOORS) for name, _words in floor}


def test_the_picture_is_what_draws_it() -> None:
    assert rooms.FILE.read_text("utf-8") == rooms.draw(), "run `python -m tools.rooms`"


def test_the_picture_shows_every_room_of_the_code_and_no_other() -> None:
    assert set(FLOOR) == {room(name) for name in MODULES if name and room(name) != "__main__"}


@pytest.mark.parametrize("name", [name for name in MODULES if room(name) in FLOOR])
def test_every_import_goes_down_in_the_picture(name: str) -> None:
    for other in ours(name):
        assert room(other) == room(name) or FLOOR[room(other)] > FLOOR[room(name)], f"{name} imports {other}"
