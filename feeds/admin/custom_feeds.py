"""A feed in the making: what its selection takes, whether its words will do, how it is written into feeds.yaml."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from .. import database, selections, urls
from ..catalog import queries
from ..catalog.sort_key import Window
from ..config.environment import Environment
from ..config.load import load_config
from ..config.models import Config, NamedFeed
from ..errors import EditError
from ..model import Article, Selection
from ..syndication import feeds

# feeds.yaml changed by the console: checked before, replaced whole, kept for an undo.
#
# Law: what is on disk is always one good file or the one before. It is replaced by renaming, under a lock that all workers
# share,
# and only if it still is what the operator saw; what was there before is kept in var/, the last KEPT of it.

FILE = "feeds.yaml"
#: (what the files say, text) -> the new text, and the only settings of the file that may differ afterwards.
Change = Callable[[Config, str], tuple[str, dict[str, Any]]]
KEPT = 20


@dataclass(frozen=True, slots=True)
class Sheet:
    """The file as it is. `mark` names this very text; `obstacle` is why it cannot be written, "" if it can.

    `obstacle`: file | folder | missing. `undo` is the time of the change that can be taken back (UTC seconds), 0 for none.
    """

    path: str
    text: str
    mark: str
    obstacle: str
    undo: int = 0


@dataclass(frozen=True, slots=True)
class Sheets:
    engine: sa.Engine
    environment: Environment

    @property
    def _file(self) -> Path:
        """What is replaced: where the name is a link, what it leads to."""
        return (self.environment.config_dir / FILE).resolve()

    @property
    def _history(self) -> Path:
        return self.environment.root / "var" / "config"

    def read(self) -> Sheet:
        try:
            data = self._file.read_bytes()
            text = data.decode("utf-8")
        except (OSError, ValueError):
            return Sheet(str(self.environment.config_dir / FILE), "", "", "missing")
        found = self._newest()
        undo = found.at if found and found.made == _mark(data) else 0
        return Sheet(str(self.environment.config_dir / FILE), text, _mark(data), _obstacle(self._file), undo)

    def save(self, mark: str, change: Change, now: int) -> Config:
        """Returns what is in force with the change. Raises EditError, ConfigError; then nothing is written.

        `mark` is of the text that the operator saw.
        """
        with self._locked(mark) as sheet:
            before = load_config(self.environment)
            text, meant = change(before, sheet.text)
            after = load_config(self.environment, {FILE: text})
            expected = before.feeds.model_dump() | meant
            if after.feeds.model_dump() != expected:
                raise EditError("feeds.yaml is written in a way that only people understand: please edit the file by hand")
            kept = self._keep(sheet.text, _mark(text.encode()), now)
            try:
                _replace(self._file, text.encode())
            except OSError as error:
                kept.unlink()
                raise EditError(f"feeds.yaml cannot be written: {error.strerror or error}") from None
        return after

    def undo(self, mark: str) -> None:
        """The text of before the last change, if nothing else has changed the file since. Raises EditError."""
        with self._locked(mark) as sheet:
            found = self._newest()
            if found is None or found.made != sheet.mark:
                raise EditError("the file has been changed since by someone else: there is nothing to take back")
            _replace(self._file, found.path.read_bytes())
            found.path.unlink()

    @contextlib.contextmanager
    def _locked(self, mark: str) -> Any:
        with database.exclusive(self.engine, "config"):
            sheet = self.read()
            if sheet.obstacle:
                raise EditError("feeds.yaml cannot be written by the service")
            if sheet.mark != mark:
                raise EditError("feeds.yaml has been changed since this page was loaded: please look at it once more")
            yield sheet

    # -- what was there before ---------------------------------------------

    def _versions(self) -> list[_Version]:
        found = [_Version.of(path) for path in self._history.glob(f"{FILE}.*")]
        return sorted((one for one in found if one), key=lambda one: one.number)

    def _newest(self) -> _Version | None:
        found = self._versions()
        return found[-1] if found else None

    def _keep(self, text: str, made: str, now: int) -> Path:
        self._history.mkdir(parents=True, exist_ok=True)
        known = self._versions()
        number = known[-1].number + 1 if known else 1
        path = self._history / f"{FILE}.{number:06}.{now}.{made}"
        _write_new(path, text.encode(), 0o600)
        for one in known[: max(0, len(known) + 1 - KEPT)]:
            one.path.unlink(missing_ok=True)
        return path


@dataclass(frozen=True, slots=True)
class _Version:
    """A text that was replaced at `at` by the one with the mark `made`."""

    path: Path
    number: int
    at: int
    made: str

    @classmethod
    def of(cls, path: Path) -> _Version | None:
        parts = path.name.removeprefix(f"{FILE}.").split(".")
        if len(parts) != 3 or not parts[0].isdecimal() or not parts[1].isdecimal():
            return None
        return cls(path, int(parts[0]), int(parts[1]), parts[2])


def _mark(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]


def _obstacle(file: Path) -> str:
    """A file without a bit for writing is meant to stay as it is, also for root."""
    if not os.access(file, os.W_OK) or not file.stat().st_mode & 0o222:
        return "file"
    return "" if os.access(file.parent, os.W_OK | os.X_OK) else "folder"


def _replace(file: Path, data: bytes) -> None:
    """All or nothing, also by a power cut; the owner and the rights of the file stay."""
    status = file.stat()
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.", suffix=".new")
    try:
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(data)
            opened.flush()
            os.fchmod(opened.fileno(), stat.S_IMODE(status.st_mode))
            with contextlib.suppress(PermissionError):
                os.fchown(opened.fileno(), status.st_uid, status.st_gid)
            os.fsync(opened.fileno())
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _write_new(path: Path, data: bytes, mode: int) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as opened:
        opened.write(data)


def is_retired(config: Config, name: str) -> bool:
    """Whether the address of a feed of this name is moved or gone."""
    return urls.fold(f"feeds/{name}") in config.retired


#: Articles that a draft shows.
SHOWN = 10
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
MAX_TITLE, MAX_LIMIT = 200, 500


@dataclass(frozen=True, slots=True)
class Draft:
    """A selection as a feed would carry it. `query` is its canonical text; `unknown` are (facet, name) that no article has."""

    selection: Selection
    query: str
    total: int
    articles: Sequence[Article]
    unknown: Sequence[tuple[str, str]]


def draft(connection: sa.Connection, config: Config, text: str, *, everything: bool) -> Draft:
    """`everything`: the empty selection takes all articles; else it takes none yet. Raises SelectionError."""
    wanted = selections.parse(text)
    if isinstance(wanted, str):
        named = config.named(wanted)
        wanted = named.select.selection() if named else Selection()
    found = queries.respell(connection, feeds.aliases_of(config), wanted)
    clauses = queries.resolve(connection, feeds.aliases_of(config), found.selection)
    if not selections.clauses(found.selection) and not everything:
        return Draft(found.selection, "", 0, (), ())
    articles = queries.select(connection, clauses, Window(SHOWN), with_html=False)
    query = selections.canonical(found.selection)
    return Draft(found.selection, query, queries.count(connection, clauses), articles, found.unknown)


@dataclass(frozen=True, slots=True)
class Words:
    """What the operator typed: all text, not yet checked. `former` is the name of the feed that is edited, "" for a new one."""

    name: str
    title: str
    description: str = ""
    limit: str = ""
    content: str = ""
    former: str = ""


def faults(config: Config, words: Words, selection: Selection) -> dict[str, str]:
    """Field -> what is wrong with it: empty | form | taken | retired | long | number | choice. Nothing wrong, nothing in it."""
    found: dict[str, str] = {}
    if fault := _name_fault(config, words):
        found["name"] = fault
    if not words.title.strip():
        found["title"] = "empty"
    elif len(words.title) > MAX_TITLE or not words.title.isprintable():
        found["title"] = "long"
    if len(words.description) > 1000 or not words.description.isprintable():
        found["description"] = "long"
    if words.limit and not (words.limit.isascii() and words.limit.isdecimal() and 1 <= int(words.limit[:6]) <= MAX_LIMIT):
        found["limit"] = "number"
    if words.content not in ("", "full", "summary"):
        found["content"] = "choice"
    if not selections.clauses(selection) and not words.former:
        found["select"] = "empty"
    return found


def _name_fault(config: Config, words: Words) -> str:
    if words.former:
        known = any(feed.name == words.former for feed in config.feeds.feeds)
        return "" if known and words.name == words.former else "form"
    if not _NAME.fullmatch(words.name):
        return "form" if words.name else "empty"
    if any(feed.name.casefold() == words.name.casefold() for feed in config.feeds.feeds):
        return "taken"
    if any(feed.permanent == words.name for feed in config.feeds.feeds):
        return "taken"
    return "retired" if is_retired(config, words.name) else ""


def entry(words: Words, selection: Selection) -> dict[str, Any]:
    """As `edits.put` wants it; what is not said is left to the defaults."""
    return {
        "name": words.name,
        "title": words.title.strip(),
        "description": words.description.strip() or None,
        "select": selection.as_json() or None,
        "limit": int(words.limit) if words.limit else None,
        "content": words.content or None,
    }


def with_feed(config: Config, text: str, entry: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The text with the feed in it, and what the file's settings are then."""
    given = {key: value for key, value in entry.items() if value is not None}
    made, found = NamedFeed.model_validate(given), False
    rows = []
    for feed in config.feeds.feeds:
        if feed.name == made.name:
            kept = {"id": feed.id, "archive": feed.archive}
            rows.append(made.model_copy(update=kept))
            found = True
        else:
            rows.append(feed)
    rows = rows if found else [*rows, made]
    from ..config import edit  # what writes YAML is loaded where something is written

    return edit.put(text, entry), {"feeds": tuple(feed.model_dump() for feed in rows)}


def without_feed(config: Config, text: str, name: str, *, gone: bool) -> tuple[str, dict[str, Any]]:
    rows = tuple(feed.model_dump() for feed in config.feeds.feeds if feed.name != name)
    path = f"feeds/{name}"
    retired = config.feeds.gone if not gone or path in config.feeds.gone else (*config.feeds.gone, path)
    from ..config import edit

    return edit.remove(text, name, gone=gone), {"feeds": rows, "gone": retired}
