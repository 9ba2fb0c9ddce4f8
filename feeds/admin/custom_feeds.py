"""Custom feeds of the console: drafts of a feed, their validation, and changes of feeds.yaml with undo.

Invariant: the file on disk is always a valid one or the one before. It is replaced by renaming, under a lock that all workers
share, and only if it still is what the operator saw; the last KEPT versions are in var/config/.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
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
from ..private_files import make_private_folder, replace_file, temporary_beside, write_private
from ..syndication import feeds

FILE = "feeds.yaml"
#: (configuration, text of the file) -> the new text, and the only settings of the file that may differ afterwards.
Change = Callable[[Config, str], tuple[str, dict[str, Any]]]
KEPT = 20


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The file as it is. `mark` is a digest of the text; `obstacle` to writing: file | folder | missing, or "".

    `undo` is the time of the change that can be undone (UTC seconds), 0 for none.
    """

    path: str
    text: str
    mark: str
    obstacle: str
    undo: int = 0


@dataclass(frozen=True, slots=True)
class _Version:
    """A text that was replaced at `at` by the one with the mark `replaced_by`; its name holds all of that."""

    path: Path
    number: int
    at: int
    replaced_by: str


@dataclass(frozen=True, slots=True)
class FeedsFile:
    """feeds.yaml of a site, with its earlier versions."""

    engine: sa.Engine
    environment: Environment

    @property
    def _file(self) -> Path:
        """The file that is replaced: where its name is a symbolic link, the target."""
        return (self.environment.config_dir / FILE).resolve()

    def read(self) -> Snapshot:
        """Return the file as it is now."""
        shown = str(self.environment.config_dir / FILE)
        try:
            data = self._file.read_bytes()
            text = data.decode("utf-8")
        except (OSError, ValueError):
            return Snapshot(shown, "", "", "missing")
        obstacle = ""
        # A file without a bit for writing is meant to stay as it is, also for root.
        if not os.access(self._file, os.W_OK) or not self._file.stat().st_mode & 0o222:
            obstacle = "file"
        elif not os.access(self._file.parent, os.W_OK | os.X_OK):
            obstacle = "folder"
        earlier = self._versions()
        undo = earlier[-1].at if earlier and earlier[-1].replaced_by == _mark(data) else 0
        return Snapshot(shown, text, _mark(data), obstacle, undo)

    def save(self, mark: str, change: Change, now: int) -> Config:
        """Replace the file whose text has `mark`; return its configuration. EditError and ConfigError leave it as it was."""
        with self._locked(mark) as snapshot:
            before = load_config(self.environment)
            text, meant = change(before, snapshot.text)
            after = load_config(self.environment, {FILE: text})
            if after.feeds.model_dump() != before.feeds.model_dump() | meant:
                raise EditError("feeds.yaml is written in a way that only people understand: please edit the file by hand")
            earlier = self._versions()
            number = earlier[-1].number + 1 if earlier else 1
            kept = self.environment.root / "var" / "config" / f"{FILE}.{number:06}.{now}.{_mark(text.encode())}"
            try:
                make_private_folder(kept.parent)
                write_private(kept, snapshot.text.encode())
                for version in earlier[: max(0, len(earlier) + 1 - KEPT)]:
                    version.path.unlink(missing_ok=True)
                _replace(self._file, text.encode())
            except OSError as error:
                kept.unlink(missing_ok=True)
                raise EditError(f"feeds.yaml cannot be written: {error.strerror or error}") from None
        return after

    def undo(self, mark: str) -> None:
        """Restore the text before the last change. Raises EditError where the file was changed since by others."""
        with self._locked(mark) as snapshot:
            earlier = self._versions()
            if not earlier or earlier[-1].replaced_by != snapshot.mark:
                raise EditError("the file has been changed since by someone else: there is nothing to take back")
            _replace(self._file, earlier[-1].path.read_bytes())
            earlier[-1].path.unlink()

    @contextlib.contextmanager
    def _locked(self, mark: str) -> Iterator[Snapshot]:
        with database.lock(self.engine, "config"):
            snapshot = self.read()
            if snapshot.obstacle:
                raise EditError("feeds.yaml cannot be written by the service")
            if snapshot.mark != mark:
                raise EditError("feeds.yaml has been changed since this page was loaded: please look at it once more")
            yield snapshot

    def _versions(self) -> list[_Version]:
        """Return the earlier versions, oldest first."""
        found = []
        for path in (self.environment.root / "var" / "config").glob(f"{FILE}.*"):
            parts = path.name.removeprefix(f"{FILE}.").split(".")
            if len(parts) == 3 and parts[0].isdecimal() and parts[1].isdecimal():
                found.append(_Version(path, int(parts[0]), int(parts[1]), parts[2]))
        return sorted(found, key=lambda version: version.number)


def _mark(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]


def _replace(file: Path, data: bytes) -> None:
    """Replace a file completely or not at all, also by a power cut; its owner and mode stay."""
    status = file.stat()
    with temporary_beside(file) as draft:
        draft.write_bytes(data)
        with contextlib.suppress(PermissionError):
            os.chown(draft, status.st_uid, status.st_gid)
        draft.chmod(stat.S_IMODE(status.st_mode))
        replace_file(draft, file)


#: Articles that a draft shows.
SHOWN = 10
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
MAX_TITLE, MAX_LIMIT = 200, 500


@dataclass(frozen=True, slots=True)
class Draft:
    """A selection as a feed would carry it: `query` is its canonical text, `unknown` are (facet, name) that no article has."""

    selection: Selection
    query: str
    total: int
    articles: Sequence[Article]
    unknown: Sequence[tuple[str, str]]


def make_draft(connection: sa.Connection, config: Config, text: str, *, everything: bool) -> Draft:
    """Return the draft of a selection; the empty one takes all articles with `everything`, else none. Raises SelectionError."""
    wanted = selections.parse(text)
    if isinstance(wanted, str):
        named = config.named(wanted)
        wanted = named.select.selection() if named else Selection()
    found = queries.respell(connection, feeds.aliases_of(config), wanted)
    clauses = queries.resolve(connection, feeds.aliases_of(config), found.selection)
    if not selections.clauses(found.selection) and not everything:
        return Draft(found.selection, "", 0, (), ())
    articles = queries.select(connection, config.site, clauses, Window(SHOWN), with_html=False)
    query = selections.canonical(found.selection)
    return Draft(found.selection, query, queries.count(connection, clauses), articles, found.unknown)


@dataclass(frozen=True, slots=True)
class FeedForm:
    """The fields of the editor: text, not yet validated. `former` is the name of the edited feed, "" for a new one."""

    name: str
    title: str
    description: str = ""
    limit: str = ""
    content: str = ""
    former: str = ""

    @classmethod
    def of(cls, feed: NamedFeed) -> FeedForm:
        """Return the form of an existing feed."""
        limit = str(feed.limit) if "limit" in feed.model_fields_set else ""
        return cls(feed.name, feed.title, feed.description, limit, feed.content or "", feed.name)


def validate(config: Config, form: FeedForm, selection: Selection) -> dict[str, str]:
    """Return the faults by field: empty | form | taken | retired | long | number | choice; {} for a form that will do."""
    found: dict[str, str] = {}
    if form.former:
        if form.name != form.former or all(feed.name != form.former for feed in config.feeds.feeds):
            found["name"] = "form"
    elif not _NAME.fullmatch(form.name):
        found["name"] = "form" if form.name else "empty"
    elif any(form.name.casefold() == feed.name.casefold() or form.name == feed.permanent for feed in config.feeds.feeds):
        found["name"] = "taken"
    elif urls.fold(f"feeds/{form.name}") in config.retired:
        found["name"] = "retired"
    if not form.title.strip():
        found["title"] = "empty"
    elif len(form.title) > MAX_TITLE or not form.title.isprintable():
        found["title"] = "long"
    if len(form.description) > 1000 or not form.description.isprintable():
        found["description"] = "long"
    if form.limit and not (form.limit.isascii() and form.limit.isdecimal() and 1 <= int(form.limit[:6]) <= MAX_LIMIT):
        found["limit"] = "number"
    if form.content not in ("", "full", "summary"):
        found["content"] = "choice"
    if not selections.clauses(selection) and not form.former:
        found["select"] = "empty"
    return found


def with_feed(config: Config, text: str, form: FeedForm, selection: Selection) -> tuple[str, dict[str, Any]]:
    """Return the text of feeds.yaml with the feed in it, and the settings that it has then."""
    from ..config import edit  # the library that writes YAML is loaded only where something is written

    entry = {  # None leaves a field to its default
        "name": form.name,
        "title": form.title.strip(),
        "description": form.description.strip() or None,
        "select": selection.as_json() or None,
        "limit": int(form.limit) if form.limit else None,
        "content": form.content or None,
    }
    made = NamedFeed.model_validate({key: value for key, value in entry.items() if value is not None})
    rows = {feed.name: feed for feed in config.feeds.feeds}
    if former := rows.get(made.name):
        made = made.model_copy(update={"id": former.id, "archive": former.archive})
    rows[made.name] = made
    return edit.put_feed(text, entry), {"feeds": tuple(feed.model_dump() for feed in rows.values())}


def without_feed(config: Config, text: str, name: str, *, gone: bool) -> tuple[str, dict[str, Any]]:
    """Return the text of feeds.yaml without the feed, and the settings that it has then; `gone` retires its address."""
    from ..config import edit

    rows = tuple(feed.model_dump() for feed in config.feeds.feeds if feed.name != name)
    path = f"feeds/{name}"
    retired = config.feeds.gone if not gone or path in config.feeds.gone else (*config.feeds.gone, path)
    return edit.remove_feed(text, name, gone=gone), {"feeds": rows, "gone": retired}
