"""Record how the present code writes feeds, so that an upgrade keeps the ETags of documents whose bytes stay.

    python -m tools.rendering

Renders the golden documents. Where they are as expected and the same as at the last record, the id of the rendering stays;
where they were regenerated since, it is raised by one. Fails while they differ from `tests/golden/expected`.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from feeds.syndication.feed_states import RECORD, source_hash
from tests.golden import golden

PACKAGE = Path(__file__).resolve().parents[1] / "feeds"


def documents_hash() -> str:
    """Return a hash of the expected golden documents."""
    digest = hashlib.sha256()
    for name, data in golden.expected().items():
        digest.update(f"{name}\0{len(data)}\0".encode() + data)
    return digest.hexdigest()


def record(before: str) -> str:
    """Return the text of the record for the present code; `before` is the last one, "" for the first. Pure but for reading."""
    known = dict(line.split() for line in before.splitlines())
    documents = documents_hash()
    number = int(known.get("id", "2"))
    if known.get("documents", documents) != documents:
        number += 1
    return f"id {number}\nsources {source_hash(PACKAGE)}\ndocuments {documents}\n"


def main() -> None:
    """Write the record, or exit with status 1 where the golden documents differ."""
    if golden.documents() != golden.expected():
        sys.exit("the golden documents differ: python tests/golden/golden.py --regenerate, and read the difference")
    path = PACKAGE / RECORD
    path.write_text(record(path.read_text("utf-8") if path.exists() else ""), "utf-8")


if __name__ == "__main__":
    main()
