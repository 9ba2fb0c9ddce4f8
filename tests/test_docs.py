"""What the documentation points at exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
_LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_to_one_and_to_a_test_that_there_is(page: Path) -> None:
    for link in _LINK.findall(page.read_text("utf-8")):
        if "://" in link or link.startswith(("#", "mailto:")):
            continue
        path, _, name = link.partition("#")
        target = (page.parent / path).resolve()
        assert target.exists(), link
        if target.suffix == ".py" and name:
            assert f"def {name}(" in target.read_text("utf-8"), link


def test_every_feature_is_shown_by_a_test_or_says_why_it_is_none() -> None:
    rows = [line for line in (ROOT / "docs" / "features.md").read_text("utf-8").splitlines() if line.startswith("| ")]
    for row in rows:
        if "shown by" not in row and "](../tests/" not in row:
            assert "no, on purpose" in row or "does not apply" in row, row
