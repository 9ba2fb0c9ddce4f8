"""Read short notes, which have one line in place of a header.

    @ 2026-03-01 09:30 +08:00 #Linux #内核 by demo-lin
    The new kernel boots in two seconds here.

The first sentence of the note is its title.
"""

from __future__ import annotations

import re

from feeds.store.frontmatter import BadFrontMatter, Source

_FIRST_LINE = re.compile(
    r"@ (?P<date>\d{4}-\d\d-\d\d \d\d:\d\d(?: ?[+-]\d\d:?\d\d)?)(?P<tags>(?: #\S+)*)(?: by (?P<author>[^\n]+))?"
)
_SENTENCE = re.compile(r".+?(?:[.!?](?=\s)|[。！？]|$)", re.MULTILINE)


class Notes:
    """The kind of a file that begins with `@` and a date."""

    name = "notes"

    def recognizes(self, text: str) -> bool:
        """Return whether the file begins with an at sign and a digit."""
        return re.match(r"@ ?\d", text) is not None

    def read(self, text: str, path: str) -> Source:
        """Return the note. Raises BadFrontMatter where its first line is not as above, or nothing follows it."""
        line, _, body = text.partition("\n")
        found = _FIRST_LINE.fullmatch(line.rstrip())
        if found is None:
            raise BadFrontMatter(1, 1, "expected a line like: @ 2026-03-01 09:30 #Linux by a name")
        body = body.strip()
        sentence = _SENTENCE.search(body)
        if sentence is None:
            raise BadFrontMatter(2, 1, "expected the text of the note")
        tags = [tag.removeprefix("#") for tag in found["tags"].split()]
        fields = {"title": sentence[0].strip().rstrip("."), "date": found["date"], "tags": tags}
        return Source({**fields, **({"author": found["author"]} if found["author"] else {})}, body)
