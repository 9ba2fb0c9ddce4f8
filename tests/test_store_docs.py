"""The pages "Follow your ... site" are tried: their commands run over imitations of such sites, and print what is shown."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from feeds.cli import main
from feeds.config.models import StoreKindName
from feeds.resources import with_settings

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted((ROOT / "docs" / "stores").glob("*.md"))
CASES = ROOT / "tests" / "store" / "cases"
#: Page -> the imitation that it is tried over, where that has another name.
STORES = {
    "archive": ROOT / "demo" / "articles",
    "plain": CASES / "plain-with-readmes",
    "translations": CASES / "gctt-like",
}
#: Where the stores of the pages lie.
PLACE = "/srv"


def blocks(text: str) -> list[tuple[str, str]]:
    """Language and text of each block of code."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def is_shown(shown: str, printed: str) -> bool:
    """Whether the printed lines are those that are shown; a line of three dots stands for any."""
    parts = [re.escape(part) for part in re.split(r"^\.\.\.\n", shown, flags=re.MULTILINE)]
    return re.fullmatch("(?:.*\n)*".join(parts), printed) is not None


class Reader:
    """Somebody who does what a page says, in a folder that stands for /srv."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.printed = folder, ""
        self.settings = folder / "site" / "config" / "site.yaml"

    def run(self, commands: str) -> None:
        """Run the commands of a block, and keep what they print."""
        self.printed = ""
        for line in commands.splitlines():
            words = line.split()
            if words[:2] == ["feeds", "init"]:
                self._lay_out(words[words.index("--store") + 1])
            done = CliRunner().invoke(main, words[1:], catch_exceptions=False)
            assert done.exit_code in (0, 1), done.output
            printed = done.stdout.replace(str(self.folder), PLACE)
            self.printed += re.sub(r"(?<=first seen )\d{4}-\d\d-\d\d", "2026-05-04", printed)

    def _lay_out(self, name: str) -> None:
        if not (self.folder / name).exists():
            shutil.copytree(self.store, self.folder / name, ignore=shutil.ignore_patterns("expected.json"))

    store: Path

    def settle(self, said: str) -> None:
        """Write what a block says into site.yaml."""
        values = yaml.safe_load(said)
        for value in values.values():
            if "path" in value:
                value["path"] = value["path"].replace(PLACE, str(self.folder))
        self.settings.write_text(with_settings(self.settings.read_text("utf-8"), values), "utf-8")

    def follow(self, text: str) -> Iterator[tuple[str, str]]:
        """Do what a page says; yield what it shows beside what was printed."""
        for language, block in blocks(text):
            if language == "sh":
                self.run(block)
            elif language == "yaml":
                self.settle(block)
            else:
                yield block, self.printed


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_shows_what_its_commands_print(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    reader = Reader(tmp_path)
    reader.store = STORES.get(page.stem, CASES / page.stem)
    shown = list(reader.follow(page.read_text("utf-8")))
    assert len(shown) >= 2
    for block, printed in shown:
        assert is_shown(block, printed), printed
    last = CliRunner().invoke(main, ["check", "--config", "site/config", "--json"])
    assert "site.yaml" not in last.stdout, "what the page says at last is a configuration"


def test_every_kind_of_store_has_a_page() -> None:
    text = (ROOT / "docs" / "stores.md").read_text("utf-8")
    for kind in set(StoreKindName.__args__) - {"auto"}:  # type: ignore[attr-defined]
        assert re.search(rf"^\| `{kind}`.*\]\(stores/[a-z]+\.md\)", text, re.MULTILINE), kind
    for page in PAGES:
        assert f"](stores/{page.name})" in text


def test_dots_stand_for_any_lines_and_nothing_else() -> None:
    assert is_shown("a\n...\nd\n", "a\nb\nc\nd\n") and is_shown("...\nd\n", "d\n")
    assert not is_shown("a\n...\n", "b\n") and not is_shown("a\n", "a\nb\n")
