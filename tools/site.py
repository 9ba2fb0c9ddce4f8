"""The documentation as a site: `python -m tools.site FOLDER`. Strict: a link to a page or heading that is not there fails.

docs/*.md are written to be read where they lie, too, and link to files around them. On the site those that are pages become
pages, and links to the others (tests, code) become their plain names.
"""

from __future__ import annotations

import html
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: Pages from around docs/, which the site has, too.
BESIDE = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s]+)\)")


def build(target: Path, root: Path = ROOT) -> None:
    """Replaces `target` by the site of the checkout at `root`. Raises SystemExit with zensical's words."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        prepare(work, root)
        command = [
            sys.executable,
            "-m",
            "zensical",
            "build",
            "--strict",
            "--clean",
            "--config-file",
            str(work / "zensical.toml"),
        ]
        done = subprocess.run(command, cwd=work, capture_output=True, text=True)  # noqa: S603
        if done.returncode:
            raise SystemExit(plain(done.stdout + done.stderr))
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(work / "site", target)


def prepare(work: Path, root: Path) -> None:
    """zensical.toml and docs/ as the site takes them."""
    shutil.copy(root / "zensical.toml", work)
    shutil.copytree(root / "docs", work / "docs")
    for path in (work / "docs").rglob("*.md"):
        depth = len(path.relative_to(work / "docs").parents)
        path.write_text(inside(path.read_text("utf-8"), "../" * depth), "utf-8")
    for name in BESIDE:
        text = (root / name).read_text("utf-8").replace("](docs/", "](")
        (work / "docs" / name).write_text(inside(text, ""), "utf-8")


def inside(text: str, up: str) -> str:
    """Links that leave docs/ by `up`: to pages that came along, or to nowhere."""

    def link(found: re.Match[str]) -> str:
        words, address = found.groups()
        if "://" in address or address.startswith(("#", "mailto:")):
            return found[0]
        if up and not address.startswith(up):
            return found[0]
        path = address.removeprefix(up)
        if path.partition("#")[0] in BESIDE:
            return f"[{words}]({up.removeprefix('../')}{path})"
        if not up and path.endswith(".md"):  # CONTRIBUTING and its like, which lie beside the pages now
            return found[0]
        return words

    return _LINK.sub(link, text)


def plain(text: str) -> str:
    """Without colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def addresses(site: Path) -> Iterator[tuple[Path, str]]:
    """Every (page, address) that a built site refers to, to follow or to load."""
    for page in sorted(site.rglob("*.html")):
        for address in re.findall(r'(?:href|src|srcset|action)="([^"]*)"', page.read_text("utf-8")):
            yield page, html.unescape(address)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
