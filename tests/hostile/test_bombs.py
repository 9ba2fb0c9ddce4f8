"""A store of bombs: one rescan in a process of bounded time and memory; what is sound is served, the rest has its words.

FEEDS_FUZZ_BOMB_BYTES=1048576 makes them as large as a file may be by default (a minute); the usual run takes a quarter of it.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client

from feeds.catalog import queries
from feeds.store import fields
from feeds.syndication import pages
from feeds.web.app import create_app
from tests.conftest import CHECKOUT
from tests.hostile.bombs import HEAVY, PUBLISHED, REFUSED

SIZE = int(os.environ.get("FEEDS_FUZZ_BOMB_BYTES", 256 * 1024))
#: Seconds of processor for the whole rescan, and bytes of address space for each of its processes.
SECONDS = 30 if SIZE <= 256 * 1024 else 150
MEMORY = 2 * 1024**3


def rescan(site: Any, *options: str) -> dict[str, Any]:
    """By the command, within bounds that end the process where it goes beyond them."""

    def bounded() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))

    command = [sys.executable, "-m", "feeds", "rescan", "--json", "--config", str(site.config_dir), *options]
    ran = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, preexec_fn=bounded)
    assert ran.returncode == 0 and "Traceback" not in ran.stderr, (ran.returncode, ran.stderr[-2000:])
    return json.loads(ran.stdout)


def reasons(site: Any) -> dict[str, str]:
    return {problem.path: problem.reason for problem in site.runtime.read(queries.list_problems)}


@pytest.fixture(scope="module")
def bombed(demo: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    site = type(demo)(tmp_path_factory.mktemp("bombed") / "site", article_url="", max_file_bytes=SIZE)
    bombs = {**PUBLISHED, **REFUSED, **(HEAVY if SIZE > 256 * 1024 else {})}
    for name, make in bombs.items():
        site.write(f"bombs/{name}.md", make(SIZE))
        assert (site.store / f"bombs/{name}.md").stat().st_size <= SIZE, name
    for number in range(20):
        site.write(f"2020/01/{number}.md", title=f"sound {number}", tags=["Linux"])
    rescan(site)
    yield site
    site.remove()


def test_bombs_go_to_quarantine_with_words_or_are_published_and_nothing_else_is_harmed(bombed: Any) -> None:
    found = reasons(bombed)
    assert {path for path in found if path.removeprefix("bombs/").removesuffix(".md") not in HEAVY} == {
        f"bombs/{name}.md" for name in REFUSED
    }
    assert all(" " in reason and "could not be read" not in reason for reason in found.values()), found
    client = Client(create_app(bombed.environment))
    for number in range(20):
        assert client.get(f"/articles/{number}").status_code == 200
    assert client.get("/tags/Linux.json").json["items"][0]["title"].startswith("sound")


def test_what_is_published_of_a_bomb_is_short_where_others_show_it(bombed: Any) -> None:
    for name in ("title", "title-in-tags", "excerpt", "list-of-tags", "translators-in-brackets", "permalink", "original"):
        article = bombed.runtime.read(pages.article_page, bombed.runtime.edition().config, name).article
        assert len(article.title) <= fields.MAX_TITLE + 1 and len(article.summary) <= fields.MAX_SUMMARY + 1
        assert len(article.url) < 2500 and len(article.original) < 2500


def test_pages_and_documents_of_bombs_answer(bombed: Any) -> None:
    client = Client(create_app(bombed.environment))
    for name in PUBLISHED:
        assert client.get(f"/articles/{name}").status_code in (200, 404), name
    for address in ("/", "/all", "/all.atom", "/all.rss", "/all.json", "/tags/", "/feeds.opml", "/search?q=bomb"):
        assert client.get(address).status_code == 200, address


def test_a_file_too_large_is_refused_by_its_size_and_never_read_whole(site: Any) -> None:
    site.write("1.md", title="sound")
    with (site.store / "huge.md").open("wb") as file:
        file.truncate(8 * 1024**3)  # four times what the process may have; a hole on the disk
    assert rescan(site)["articles"] == 1
    assert "larger than" in reasons(site)["huge.md"]


def test_whatever_lies_in_a_store_besides_files_is_named_or_left_alone(site: Any) -> None:
    site.write("1.md", title="sound")
    site.write("folder.md/2.md", title="in a folder that is called like a file")
    os.mkfifo(site.store / "pipe.md")
    (site.store / "zero.md").symlink_to("/dev/zero")
    (site.store / "itself.md").symlink_to("itself.md")
    (site.store / "round.md").symlink_to("about.md")
    (site.store / "about.md").symlink_to("round.md")
    (site.store / "up").symlink_to("..")
    Path(os.fsdecode(os.fsencode(site.store) + b"/\xff\xfe.md")).write_text("x")
    Path(site.store, "\u202egnp\u202c.md").write_text("no header")
    Path(site.store, "\x1b[31mred\n.md").write_text("no header")
    deep = site.store
    for _level in range(60):
        deep = deep / ("d" * 60)
    deep.mkdir(parents=True)
    (deep / "3.md").write_text("---\ntitle: deep\n---\n")
    assert rescan(site)["articles"] == 3
    found = reasons(site)
    assert set(found) == {
        *("pipe.md", "zero.md", "itself.md", "round.md", "about.md", "\\xff\\xfe.md", "\u202egnp\u202c.md", "\x1b[31mred\n.md")
    }
    shown = subprocess.run(
        [sys.executable, "-m", "feeds", "check", "--config", str(site.config_dir)], cwd=CHECKOUT, capture_output=True, text=True
    )
    assert shown.returncode == 1 and "\x1b[31m" not in shown.stdout + shown.stderr, "no file name colours the terminal"
