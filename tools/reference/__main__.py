"""`python -m tools.reference`: regenerate docs/reference/."""

from __future__ import annotations

import sys
from pathlib import Path

from . import PAGES

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "reference"

if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (FOLDER / f"{name}.md").write_text(page(), "utf-8")
        sys.stderr.write(f"wrote {FOLDER / name}.md\n")
