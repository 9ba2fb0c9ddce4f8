"""`feeds init`: on a terminal it asks, in a pipe it takes flags, and what exists it leaves alone."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from feeds.cli import main
from feeds.config.environment import Environment
from feeds.config.load import load_config
from feeds.config.models import Config, Store

from . import forking

CHECKOUT = Path(__file__).resolve().parent.parent
Result = subprocess.CompletedProcess[str]


def feeds(*arguments: str | Path, cwd: Path | None = None) -> Result:
    """The program in a process of its own, in a pipe."""
    command = [sys.executable, "-m", "feeds", *map(str, arguments)]
    return forking.run(command, capture_output=True, text=True, cwd=cwd, timeout=60, stdin=subprocess.DEVNULL)


def invoke(*arguments: str | Path) -> Any:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


def made(site: Path) -> Config:
    return load_config(Environment.read(site / "config", {}))


class Terminal:
    """The program on a terminal: what it shows, and somebody who answers."""

    def __init__(self, *arguments: str | Path) -> None:
        self.pid, self.screen = pty.fork()
        if self.pid == 0:
            os.execv(sys.executable, [sys.executable, "-m", "feeds", *map(str, arguments)])
        self.seen = ""

    def until(self, words: str) -> None:
        """Waits for `words`; what was shown so far counts once."""
        deadline = time.monotonic() + 30
        while words not in self.seen:
            assert time.monotonic() < deadline, self.seen
            if select.select([self.screen], [], [], 0.5)[0]:
                try:
                    data = os.read(self.screen, 65536)
                except OSError:  # the other end is closed
                    data = b""
                assert data or words in self.seen, self.seen
                self.seen += data.decode()
        self.seen = self.seen.partition(words)[2]

    def answer(self, asked: str, answer: str) -> None:
        self.until(asked)
        os.write(self.screen, f"{answer}\n".encode())

    def end(self) -> int:
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.screen)
        return status


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "a store"
    folder.mkdir()
    (folder / "1.md").write_text("---\ntitle: One\ntags: [Linux]\n---\n\nText.\n")
    return folder


# -- in a pipe ---------------------------------------------------------------


def test_in_a_pipe_it_makes_a_site_that_can_be_rescanned_at_once(tmp_path: Path) -> None:
    done = feeds("init", "my site", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    root = tmp_path / "my site"
    assert {"site.yaml", "feeds.yaml", "newsletter.yaml"} == {path.name for path in (root / "config").iterdir()}
    assert (root / "templates" / "web" / "base.html").is_file()
    assert "next: feeds serve --config" in done.stdout and not done.stderr
    assert feeds("check", "--config", root / "config").returncode == 0
    report = json.loads(feeds("rescan", "--config", root / "config", "--json").stdout)
    assert report["articles"] >= 40
    assert report["quarantined"] == 0


def test_in_a_pipe_what_neither_an_option_nor_the_store_says_is_the_default(tmp_path: Path, store: Path) -> None:
    assert invoke("init", tmp_path / "site", "--store", store).exit_code == 0
    found, plain = made(tmp_path / "site"), Config()
    proposed = {
        "title": "a store",
        "language": "en",
        "timezone": "UTC",
        "image_url": "",
        "id_authority": found.site.id_authority,
    }
    assert found.site == plain.site.model_copy(update={"stores": (Store(path=str(store)),), **proposed})
    assert found.newsletter.sender == "digest@example.org" and not found.feeds.feeds
    assert found.site.id_authority.startswith("localhost,20"), "no name of somebody else's"


def test_the_archive_keeps_the_defaults_that_were_made_for_it(tmp_path: Path) -> None:
    store = tmp_path / "archive"
    store.mkdir()
    (store / "1.md").write_text("---\ntitle: One\ncount: {commentnum: 1}\n---\nText.\n")
    assert invoke("init", tmp_path / "site", "--store", store).exit_code == 0
    assert made(tmp_path / "site").site == Config().site.model_copy(update={"stores": (Store(path=str(store)),)})


def case(tmp_path: Path, name: str) -> Path:
    """A copy of an imitation of a store."""
    folder = tmp_path / name
    shutil.copytree(CHECKOUT / "tests" / "store" / "cases" / name, folder)
    return folder


def test_a_store_is_looked_at_first_and_says_what_its_site_is(tmp_path: Path) -> None:
    done = feeds("init", tmp_path / "site", "--store", case(tmp_path, "hugo"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("store: hugo (hugo.yaml is in the folder)\n  3 articles, 2 pages, 4 withheld")
    assert "they are read at https://example.org/" in done.stdout
    site = made(tmp_path / "site").site
    assert (site.title, site.timezone, site.language) == ("Tea House", "Asia/Shanghai", "en")
    assert site.stores == (Store(path=str(tmp_path / "hugo")),), "nothing that its configuration says already"
    assert site.id_authority.startswith("example.org,20")
    written = "".join(path.read_text("utf-8") for path in (tmp_path / "site" / "config").iterdir())
    said = "\n".join(line.partition("#")[0] for line in written.splitlines())
    assert "linux" not in said.lower() and "中国" not in said, "nothing of the archive's"
    assert feeds("check", "--config", tmp_path / "site" / "config").returncode == 0


def test_what_code_hides_is_named_with_the_line_and_can_be_an_option(tmp_path: Path) -> None:
    store = case(tmp_path, "eleventy")
    done = feeds("init", tmp_path / "one", "--store", store)
    assert "missing: its configuration does not say where its articles are read. In site.yaml:\n  store: {path:" in done.stdout
    done = feeds("init", tmp_path / "two", "--store", store, "--site", "https://example.org/")
    assert "missing" not in done.stdout
    assert made(tmp_path / "two").site.stores == (Store(path=str(store), site="https://example.org"),)


def test_every_answer_can_be_an_option(tmp_path: Path, store: Path) -> None:
    title = 'A \\1 "title": #1'
    given = {
        "store": store,
        "title": title,
        "language": "en",
        "timezone": "Europe/Berlin",
        "base-url": "https://f.example",
        "id-authority": "f.example,2026",
        "article-url": "https://example.org{permalink}",
        "image-url": "",
        "sender": "News <digest@f.example>",
    }
    options = [part for name, value in given.items() for part in (f"--{name}", str(value))]
    done = invoke("init", tmp_path / "site", *options)
    assert done.exit_code == 0, done.stderr
    text = (tmp_path / "site" / "config" / "site.yaml").read_text("utf-8")
    assert "# where this service is reached" in text
    site, newsletter = made(tmp_path / "site").site, made(tmp_path / "site").newsletter
    assert (site.title, site.stores[0].path, site.base_url, site.language) == (title, str(store), "https://f.example", "en")
    assert (site.timezone, site.id_authority, site.image_url) == ("Europe/Berlin", "f.example,2026", "")
    assert site.article_url == "https://example.org{permalink}"
    assert (newsletter.sender, newsletter.enabled) == ("News <digest@f.example>", True)
    assert not (tmp_path / "site" / "demo").exists()


def test_who_wants_no_digests_says_so(tmp_path: Path) -> None:
    invoke("init", tmp_path / "site", "--sender", "none")
    assert made(tmp_path / "site").newsletter.enabled is False


@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [
        ("--base-url", "feeds.example.org", "expected an address that begins with http"),
        ("--timezone", "Mars/Olympus", "no time zone is called"),
        ("--language", "中文", "expected a language tag"),
        ("--id-authority", "example.org", "expected a domain or address and a date"),
        ("--article-url", "https://example.org", "expected {permalink} or {id}"),
        ("--sender", "somebody", "expected an address such as"),
        ("--title", "", "at least 1 character"),
        ("--sender", "", "expected an address such as"),
    ],
)
def test_a_bad_option_is_wrong_usage_and_makes_nothing(tmp_path: Path, option: str, value: str, reason: str) -> None:
    done = invoke("init", tmp_path / "site", option, value)
    assert done.exit_code == 2
    assert reason in " ".join(done.stderr.split())
    assert not (tmp_path / "site").exists()


def test_templates_stay_with_the_program_where_nobody_wants_to_change_them(tmp_path: Path) -> None:
    invoke("init", tmp_path / "site", "--no-templates")
    assert not (tmp_path / "site" / "templates").exists()
    assert feeds("check", "--config", tmp_path / "site" / "config").returncode == 0


def test_nothing_that_exists_is_overwritten(tmp_path: Path) -> None:
    invoke("init", tmp_path / "site")
    mine = tmp_path / "site" / "config" / "site.yaml"
    mine.write_text("title: mine\n")
    (tmp_path / "site" / "templates" / "web" / "about.html").write_text("mine")
    (tmp_path / "site" / "config" / "feeds.yaml").unlink()
    found = invoke("init", tmp_path / "site", "--title", "other")
    assert found.exit_code == 0
    assert f"kept    {mine}" in found.stdout
    assert f"wrote   {tmp_path / 'site' / 'config' / 'feeds.yaml'}" in found.stdout
    assert mine.read_text() == "title: mine\n"
    assert (tmp_path / "site" / "templates" / "web" / "about.html").read_text() == "mine"


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    found = invoke("init", tmp_path / "file")
    assert found.exit_code in (1, 2)
    assert "file" in found.stderr
    assert (tmp_path / "file").read_text() == "x"


# -- on a terminal -----------------------------------------------------------


def test_on_a_terminal_it_asks_offers_answers_and_asks_again_after_a_bad_one(tmp_path: Path, store: Path) -> None:
    terminal = Terminal("init", tmp_path / "site")
    terminal.answer("Folder of your articles", str(tmp_path / "nowhere"))
    terminal.until("no such folder")
    terminal.answer("Folder of your articles", str(store))
    terminal.answer("Name of the site [", "Good News")
    terminal.answer("Language of the articles", "en")
    terminal.answer("Time zone", "Mars/Olympus")
    terminal.until("no time zone is called 'Mars/Olympus'")
    terminal.answer("such as Asia/Shanghai [UTC]", "")
    terminal.answer("readers reach it [http://127.0.0.1:8000]", "feeds.example.org")
    terminal.until("begins with http://")
    terminal.answer("readers reach it", "https://feeds.example.org")
    terminal.answer("[feeds.example.org,20", "")
    terminal.answer("Where articles are read", "")
    terminal.answer("Host of pictures", "")
    terminal.answer("[digest@feeds.example.org]", "")
    terminal.until("next: feeds serve --config")
    assert terminal.end() == 0
    found = made(tmp_path / "site")
    assert (found.site.title, found.site.language, found.site.timezone) == ("Good News", "en", "UTC")
    assert (found.site.stores, found.site.image_url) == ((Store(path=str(store)),), "")
    assert found.site.id_authority.startswith("feeds.example.org,20")
    assert found.newsletter.sender == "digest@feeds.example.org"


def test_on_a_terminal_the_demo_is_one_key_away(tmp_path: Path) -> None:
    terminal = Terminal("init", tmp_path / "site")
    terminal.answer("Folder of your articles", "")
    terminal.until("next: feeds serve")
    assert terminal.end() == 0
    assert (tmp_path / "site" / "demo" / "articles").is_dir()


def test_what_an_option_says_or_a_file_holds_is_not_asked(tmp_path: Path, store: Path) -> None:
    (tmp_path / "site" / "config").mkdir(parents=True)
    (tmp_path / "site" / "config" / "newsletter.yaml").write_text("enabled: false\n")
    given = ("--title", "T", "--language", "en", "--timezone", "UTC", "--base-url", "http://127.0.0.1:8000")
    terminal = Terminal("init", tmp_path / "site", "--store", store, *given, "--article-url", "", "--image-url", "")
    terminal.answer("permanent ids, for ever", "")
    terminal.until("next: feeds serve")
    assert terminal.end() == 0
    assert made(tmp_path / "site").newsletter.enabled is False


def test_where_only_the_newsletter_is_missing_only_its_sender_is_asked(tmp_path: Path, store: Path) -> None:
    (tmp_path / "site" / "config").mkdir(parents=True)
    (tmp_path / "site" / "config" / "site.yaml").write_text("title: mine\n")
    terminal = Terminal("init", tmp_path / "site", "--store", store)
    terminal.answer("Sender of digests", "News <news@example.org>")
    terminal.until("next: feeds serve")
    assert terminal.end() == 0
    assert made(tmp_path / "site").newsletter.sender == "News <news@example.org>"


def test_on_a_terminal_the_sites_own_title_address_zone_and_language_are_offered(tmp_path: Path) -> None:
    terminal = Terminal("init", tmp_path / "site", "--no-templates")
    terminal.answer("Folder of your articles", str(case(tmp_path, "pelican")))
    terminal.until("store: pelican (pelicanconf.py is in the folder)")
    terminal.answer("Name of the site [Weekly]", "")
    terminal.answer("[en]", "")
    terminal.answer("[America/New_York]", "")
    terminal.answer("readers reach it [http://127.0.0.1:8000]", "")
    terminal.answer("[example.org,20", "")
    terminal.answer("articles are written for (empty: they are read here) [https://example.org]", "")
    terminal.answer("[digest@example.org]", "")
    terminal.until("next: feeds serve --config")
    assert terminal.end() == 0
    assert made(tmp_path / "site").site.stores == (Store(path=str(tmp_path / "pelican")),)
    assert made(tmp_path / "site").site.image_url == ""


def test_yes_asks_nothing(tmp_path: Path) -> None:
    terminal = Terminal("init", tmp_path / "site", "--yes")
    terminal.until("next: feeds serve")
    assert terminal.end() == 0
    assert (tmp_path / "site" / "demo" / "articles").is_dir()
