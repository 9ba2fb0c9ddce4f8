"""What every form of a header gives: header fields and a body, or the place and the reason why it cannot be read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, Union

Value = Union[str, list["Value"], dict[str, "Value"]]  # noqa: UP007  # a name in quotes has no |

MAX_DEPTH = 20
#: Comments hold addresses and places of people. They end here: not even their text is built.
PRIVATE_KEYS = frozenset({"comments_data"})
#: Notices that a file keeps; more of them say nothing more.
MAX_NOTICES = 10

_PLAIN_NAME = re.compile(r"[\w.-]{1,40}")


@dataclass(eq=False)
class BadFrontMatter(ValueError):
    """A header that cannot be read. `line` and `column` count from 1 in the file; `reason` quotes nothing of it."""

    line: int
    column: int
    reason: str
    kind: str = "content"


@dataclass(frozen=True, slots=True)
class Source:
    """Header fields of a file (any may be missing), and its Markdown body.

    `form` names the forms that were read ("yaml", "bare + credits"); `notices` say what was read in another way than it
    is written; `lines` are those of the fields in the file, from 1, as far as the form knows them.
    """

    fields: Mapping[str, Value]
    body: str
    form: str = field(default="", repr=False)
    notices: tuple[str, ...] = field(default=(), repr=False)
    lines: Mapping[str, int] = field(default_factory=dict, repr=False, compare=False)


class Kind(Protocol):
    """A form of headers. An installed package adds one by an entry point of the group `feeds.kinds`.

    The entry point names an object with these three members, or a class that makes one without arguments. For a header
    between lines of three percent signs, with `[project.entry-points."feeds.kinds"]` and `percent = "my_package:Percent"`:

    >>> import tomllib
    >>> class Percent:
    ...     name = "percent"
    ...
    ...     def recognizes(self, text: str) -> bool:
    ...         return text.startswith("%%%\\n")
    ...
    ...     def read(self, text: str, path: str) -> Source:
    ...         header, _, body = text[4:].partition("\\n%%%\\n")
    ...         try:
    ...             return Source(tomllib.loads(header), body)
    ...         except tomllib.TOMLDecodeError:
    ...             raise BadFrontMatter(1, 1, "not TOML") from None
    >>> Percent().read('%%%\\ntitle = "Hello"\\n%%%\\nText', "hello.md")
    Source(fields={'title': 'Hello'}, body='Text')
    """

    @property
    def name(self) -> str:
        """The form's name, for messages."""

    def recognizes(self, text: str) -> bool:
        """Return whether this form reads the file. `text` has LF line ends and no byte order mark."""

    def read(self, text: str, path: str) -> Source:
        """Return the content of the file at `path` (relative to the store). Raises BadFrontMatter."""


def line_at(text: str, position: int) -> int:
    """Return the number of the line, from 1, that a position of a text is in."""
    return text.count("\n", 0, position) + 1


def field_name(key: str) -> str:
    """Return a field's name for a message; "a key" where it is no plain name, since messages quote nothing of a file."""
    return key if _PLAIN_NAME.fullmatch(key) else "a key"


def repeated(keys: Iterable[tuple[str, int]]) -> tuple[str, ...]:
    """Return the notices for keys that are repeated, each with its last line in the file (0: not known)."""
    told = [f"{field_name(key)} is repeated: the last one counts" + (f" (line {line})" if line else "") for key, line in keys]
    return tuple(dict.fromkeys(told))[:MAX_NOTICES]
