"""Formats of other packages: known by their entry point, and then served, exported, listed and typed like our own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CODE = """
from feeds.feed_formats import Content, Format


class Gemtext:
    name, extension, media_type, label = "gemtext", ".gmi", "text/gemini", "Gemini"

    def render(self, content: Content) -> bytes:
        lines = [f"# {content.title}", *(f"=> {entry.url} {entry.title}" for entry in content.entries)]
        return "\\n".join(lines).encode()


class Microformats:
    name, extension, media_type, label = "mf2", ".mf2.html", "text/html", "h-feed"

    def render(self, content: Content) -> bytes:
        return f"<p class=h-feed>{content.address}".encode()


class Taken(Gemtext):
    name = "another"
    extension = ".atom"


formats: list[Format] = [Gemtext(), Microformats()]
"""
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(site: Any, tmp_path: Path) -> Run:
    """Run Python code, given the entry points of an installed package `feeds-gemini`; the site's folder is in FOLDER."""

    def run(code: str, points: str = "gemtext = feeds_gemini:Gemtext\nmf2 = feeds_gemini:Microformats") -> Any:
        packages = tmp_path / "packages"
        about = packages / "feeds_gemini-1.5.dist-info"
        about.mkdir(parents=True, exist_ok=True)
        (packages / "feeds_gemini.py").write_text(CODE)
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: feeds-gemini\nVersion: 1.5\n")
        (about / "entry_points.txt").write_text(f"[feeds.formats]\n{points}\n")
        environment = {
            **os.environ,
            "PYTHONPATH": str(packages),
            "CONFIG": str(site.config_dir),
            "PLACE": str(tmp_path / "place"),
        }
        source = _PREPARED + textwrap.dedent(code)
        return subprocess.run([sys.executable, "-c", source], env=environment, capture_output=True, text=True, timeout=120)

    return run


_PREPARED = """
import os
from pathlib import Path
from click.testing import CliRunner
from feeds.cli import main

def feeds(*words):
    found = CliRunner().invoke(main, [*words, "--config", os.environ["CONFIG"]])
    assert found.exit_code == 0, found.output
    return found.stdout
"""


def test_formats_of_a_package_are_served_exported_listed_and_typed_like_our_own(site: Any, run: Run) -> None:
    site.settle("site.yaml", article_url="")
    site.write("1.md", title="One", tags=["Linux", "notes.gmi", "page.mf2", "x.mf2.html"])
    found = run(
        """
        feeds("rescan")
        assert feeds("show", "tags/Linux.gmi").splitlines()[1].endswith(" One")
        assert feeds("show", "tags/Linux.MF2.html").endswith("/tags/Linux.mf2.html")
        listed = feeds("list")
        assert all(f"tags/{name}" in listed for name in ("notes~2Egmi", "page~2Emf2", "x.mf2~2Ehtml")), listed

        from feeds.config.environment import Environment
        from feeds.web.app import create_app
        from werkzeug.test import Client
        client = Client(create_app(Environment.read(Path(os.environ["CONFIG"]), {})))
        served = client.get("/tags/Linux.gmi")
        assert served.content_type == "text/gemini; charset=utf-8" and served.headers["ETag"]
        assert client.get("/tags/Linux.gmi", headers={"If-None-Match": served.headers["ETag"]}).status_code == 304
        assert client.get("/tags/Linux.mf2.html").content_type == "text/html; charset=utf-8"
        assert client.get("/select.mf2.html?tag=Linux&translator=x").status_code in (200, 404)
        page = client.get("/tags/Linux").text
        assert 'type="text/gemini" title="' in page and 'href="/tags/Linux.gmi" type="text/gemini">Gemini</a>' in page
        for name in ("notes~2Egmi", "page~2Emf2", "x.mf2~2Ehtml"):
            assert client.get(f"/tags/{name}").status_code == 200, name

        feeds("export", os.environ["PLACE"])
        place = Path(os.environ["PLACE"])
        assert (place / "tags/Linux.gmi").read_bytes() == served.data and (place / "tags/Linux.gmi.gz").exists()
        assert not list(place.rglob("*.gmi.html")) and (place / "tags/page~2Emf2.html").exists()
        from feeds.static.files import content_type_of, key_of
        assert content_type_of("tags/Linux.gmi") == "text/gemini; charset=utf-8"
        assert key_of("tags/Linux.mf2.html") == "tags/Linux.mf2.html" and key_of("tags/Linux.html") == "tags/Linux"
        """
    )
    assert found.returncode == 0, found.stderr


@pytest.mark.parametrize(
    ("point", "reason"),
    [
        ("gone = feeds_gemini:Gone", "AttributeError"),
        ("gone = feeds_nowhere:Gone", "No module named 'feeds_nowhere'"),
        ("taken = feeds_gemini:Taken", "another (.atom) is taken already"),
        ("text = feeds_gemini:CODE", "AttributeError"),
    ],
)
def test_a_broken_package_is_one_error_that_names_it(run: Run, point: str, reason: str) -> None:
    found = run(
        """
        from feeds.errors import FormatError
        from feeds.feed_formats import load_formats
        try:
            load_formats()
        except FormatError as error:
            print(error)
        """,
        point,
    )
    name = point.partition(" ")[0]
    assert (
        found.stdout.startswith(f"package feeds-gemini 1.5: feeds.formats '{name}' (") and " cannot be used: " in found.stdout
    ), found.stderr
    assert reason in found.stdout and found.stdout.count("\n") == 1


def test_the_command_line_shows_that_error_and_no_traceback(site: Any, run: Run) -> None:
    found = run(
        """
        found = CliRunner().invoke(main, ["show", "all.atom", "--config", os.environ["CONFIG"]])
        print(found.exit_code, found.stderr)
        """,
        "gone = feeds_nowhere:Gone",
    )
    assert "Traceback" not in found.stdout and "package feeds-gemini 1.5: feeds.formats " in found.stdout, found.stdout
    assert not found.stdout.startswith("0 ")
