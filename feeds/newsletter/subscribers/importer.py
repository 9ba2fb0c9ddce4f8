"""Subscribers as CSV: read with every fault named by its place, written in batches, exported again.

Columns: email, frequency, select, timezone, language, confirmed_at, source; and the weekly `day`, where anybody has chosen
one. An import only adds: it neither takes away what a subscriber has chosen nor revives one who has left. The same file twice
is the same as once.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from typing import IO, Any

import sqlalchemy as sa

from ...config.models import Config
from ...database.tables import cohorts, subscribers, subscriptions, suppressions
from ...errors import Fault, FeedsError
from ...tokens import Tokens
from ..messages.transactional import TransactionalComposer, enqueue
from . import requests as signups
from .address import Mailbox, MailboxError, parse
from .records import Settings, Wish, WishError, cohort_key, keys_in, selection_keys, settings, texts_of, usual_day, wish
from .requests import Asked

COLUMNS = ("email", "frequency", "select", "timezone", "language", "confirmed_at", "source")
DAY = "day"
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MAX_FAULTS = 50
_BATCH = 1000
Progress = Callable[[int], None]


class ImportFaults(FeedsError):
    """Nothing was imported: one line for each of the first faults, and how many there are."""

    def __init__(self, faults: Sequence[Fault], total: int) -> None:
        super().__init__(faults, total)
        self.faults, self.total = list(faults), total

    def __str__(self) -> str:
        rest = self.total - len(self.faults)
        return "\n".join([*map(str, self.faults), *([f"... and {rest} more"] if rest else []), "nothing was imported"])


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the file, understood. `confirmed` (UTC seconds) is None where a confirmation has to be asked for."""

    line: int
    mailbox: Mailbox
    wish: Wish
    chosen: Settings
    confirmed: int | None
    source: str


@dataclass(slots=True)
class ImportReport:
    """`added`: rows that brought a selection; `subscribers`: how many are new; `confirmations`: mails that ask first.

    `suppressed_rows`: lines of addresses that have left, bounced or complained; they stay as they are.
    """

    rows: int = 0
    subscribers: int = 0
    added: int = 0
    unchanged: int = 0
    confirmations: int = 0
    suppressed_rows: list[int] = field(default_factory=list)
    faulty: int = 0
    faults: list[Fault] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        plain = {name: getattr(self, name) for name in ("rows", "subscribers", "added", "unchanged", "confirmations", "faulty")}
        faults = [{"path": f.path, "line": f.line, "column": f.column, "reason": f.reason} for f in self.faults]
        return {**plain, "suppressed": len(self.suppressed_rows), "suppressed_rows": self.suppressed_rows, "faults": faults}


# -- reading ---------------------------------------------------------------


class _Lines:
    """The lines of a file, each kept until the next: a fault names its place in it."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self.last = ""

    def __iter__(self) -> Iterator[str]:
        for line in self._file:
            self.last = line
            yield line


def read(file: IO[bytes], path: str, config: Config, now: int) -> Iterator[Row | Fault]:
    """Rows and faults in the order of the file. Tolerates a BOM, any line ends, blank lines, columns in any order."""
    lines = _Lines(io.TextIOWrapper(file, "utf-8-sig", newline=""))
    reader = csv.reader(lines, strict=True)
    try:
        header = [name.strip().casefold() for name in next(reader, [])]
        faults = [Fault(path, 1, _place(lines.last, header, at), reason) for at, reason in _header_faults(header)]
        yield from faults
        if not faults:
            yield from _rows(reader, lines, header, _Meaning(path, config, now))
    except UnicodeDecodeError:
        yield Fault(path, reader.line_num + 1, 1, "not UTF-8 here or shortly after")
    except csv.Error as error:
        yield Fault(path, reader.line_num, 1, f"not CSV: {error}")


def _header_faults(header: Sequence[str]) -> Iterator[tuple[int, str]]:
    known = (*COLUMNS, DAY)
    for at, name in enumerate(header):
        if name not in known:
            yield at, f"unknown column {name[:40]!r}; expected {', '.join(known)}, separated by commas"
        elif name in header[:at]:
            yield at, f"the column {name!r} is there twice"
    if "email" not in header:
        yield 0, "the column 'email' is missing: the first line names the columns"


def _rows(reader: Any, lines: _Lines, header: Sequence[str], meaning: _Meaning) -> Iterator[Row | Fault]:
    line = reader.line_num
    for cells in reader:
        begin, line = line + 1, reader.line_num
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) > len(header):
            place = _place(lines.last, cells, len(header))
            yield Fault(meaning.path, begin, place, f"{len(cells)} cells, but the first line names {len(header)}")
            continue
        try:
            yield meaning.row(begin, dict(zip(header, map(str.strip, cells), strict=False)))
        except _BadCell as error:
            place = _place(lines.last, cells, header.index(error.column)) if error.column in header else 1
            yield Fault(meaning.path, begin, place, f"{error.column}: {error.reason}")


def _place(line: str, cells: Sequence[str], at: int) -> int:
    """Where a cell begins in its line, counted from 1; in a line with quotes, as nearly as its text can be found."""
    if '"' in line:
        return line.find(cells[at]) + 1 if at < len(cells) and cells[at] in line else 1
    return sum(len(cell) + 1 for cell in cells[:at]) + 1


class _BadCell(Exception):
    def __init__(self, column: str, reason: str) -> None:
        self.column, self.reason = column, reason


class _Meaning:
    """What cells mean. Equal texts are understood once: a file has few selections and many rows."""

    def __init__(self, path: str, config: Config, now: int) -> None:
        self.path, self.config, self.now = path, config, now
        self._usual = "weekly" if "weekly" in config.newsletter.frequencies else next(iter(config.newsletter.frequencies))
        self._wish = cache(lambda frequency, select: wish(config, frequency, select))
        self._settings = cache(lambda day, zone, language: settings(config, day, zone, language))

    def row(self, line: int, cells: dict[str, str]) -> Row:
        try:
            mailbox = parse(cells.get("email", ""))
            wanted = self._wish(cells.get("frequency", "").lower() or self._usual, cells.get("select", ""))
            chosen = self._settings(_day(cells.get(DAY, "")), cells.get("timezone", ""), cells.get("language", ""))
        except MailboxError as error:
            raise _BadCell("email", str(error)) from None
        except WishError as error:
            raise _BadCell(error.field, str(error)) from None
        return Row(
            line, mailbox, wanted, chosen, self._confirmed(cells.get("confirmed_at", "")), _source(cells.get("source", ""))
        )

    def _confirmed(self, text: str) -> int | None:
        if not text:
            return None
        when = confirmed_at(self.config, text, self.now)
        if isinstance(when, str):
            raise _BadCell("confirmed_at", when)
        return when


def confirmed_at(config: Config, text: str, now: int) -> int | str:
    """An ISO 8601 time in UTC seconds, in the site's zone where it names none; else what is wrong with it."""
    try:
        when = datetime.fromisoformat(text)
        seconds = int((when if when.tzinfo else when.replace(tzinfo=config.zone)).timestamp())
    except (ValueError, OverflowError):
        return f"{text[:40]!r} is no time; expected for example 2024-05-01T08:00:00+08:00"
    if not 0 <= seconds <= now + 86400:  # a clock elsewhere may be ahead by a time zone, and by no more
        return f"{text[:40]!r} is in the future" if seconds > now else f"{text[:40]!r} is too long ago"
    return min(seconds, now)


def _day(text: str) -> int | None:
    if not text:
        return None
    if text[:3].lower() not in DAYS:
        raise _BadCell(DAY, f"{text[:20]!r} is no day of the week; expected one of {', '.join(DAYS)}")
    return DAYS.index(text[:3].lower())


def _source(text: str) -> str:
    if not text.isprintable() or len(text) > 200:
        raise _BadCell("source", "expected one line of at most 200 characters")
    return text or "import"


# -- writing ---------------------------------------------------------------


@dataclass(slots=True)
class Import:
    """Of one file, inside the caller's transaction, which it leaves half done where it raises ImportFaults."""

    connection: sa.Connection
    config: Config
    tokens: Tokens
    messages: TransactionalComposer
    now: int
    skip_faulty: bool = False
    report: ImportReport = field(default_factory=ImportReport)
    _waiting: dict[str, list[Row]] = field(default_factory=dict)
    _cohorts: dict[tuple[str, int, str], int] = field(default_factory=dict)

    def run(self, found: Iterable[Row | Fault], progress: Progress | None = None) -> ImportReport:
        """Raises ImportFaults after the whole file was read, unless faulty rows are to be skipped."""
        rows = self._sound(found)
        while batch := list(islice(rows, _BATCH)):
            if not self._stopped:
                self._enter(batch)
            if progress:
                progress(self.report.rows)
        if self._stopped:
            raise ImportFaults(self.report.faults, self.report.faulty)
        mailboxes = iter(self._waiting.items())
        while some := dict(islice(mailboxes, _BATCH)):
            self._ask(some)
        return self.report

    @property
    def _stopped(self) -> bool:
        return self.report.faulty > 0 and not self.skip_faulty

    def _sound(self, found: Iterable[Row | Fault]) -> Iterator[Row]:
        for row in found:
            self.report.rows += 1
            if isinstance(row, Row):
                yield row
                continue
            self.report.faulty += 1
            if len(self.report.faults) < MAX_FAULTS:
                self.report.faults.append(row)

    def _enter(self, rows: Sequence[Row]) -> None:
        """One batch: those who confirmed are entered, the others wait for the end of the file."""
        for row in rows:
            if row.confirmed is None:
                self._waiting.setdefault(row.mailbox.mailbox, []).append(row)
        allowed = self._allowed([row for row in rows if row.confirmed is not None])
        if not allowed:
            return
        known = self._keys(allowed)
        fresh = {row.mailbox.mailbox: row for row in reversed(allowed) if row.mailbox.mailbox not in known}
        if fresh:
            self.connection.execute(sa.insert(subscribers), [self._subscriber(row) for row in reversed(fresh.values())])
            known |= self._keys(fresh.values())
        self.report.subscribers += len(fresh)
        self._subscribe(allowed, known)

    def _subscriber(self, row: Row) -> dict[str, Any]:
        mailbox, chosen = row.mailbox, row.chosen
        times = {
            "version": 1,
            "created": self.now,
            "confirmed": row.confirmed,
            "bounce_score": 0,
            "bounced_at": 0,
            "ended": None,
        }
        words = {"status": "active", "reason": "", "source": row.source, "language": chosen.language}
        return {"address": mailbox.address, "mailbox": mailbox.mailbox, "timezone": chosen.timezone, **words, **times}

    def _allowed(self, rows: Sequence[Row]) -> list[Row]:
        """Without those whose address is suppressed, or has left."""
        hashes = {row.mailbox.mailbox: self.tokens.salted(row.mailbox.mailbox) for row in rows}
        c, s = suppressions.c, subscribers.c
        query = sa.select(c.mailbox_hash).where(c.mailbox_hash.in_(list(hashes.values())))
        suppressed = {found for (found,) in self.connection.execute(query)}
        ended = sa.select(s.mailbox).where(s.mailbox.in_(list(hashes)), s.status != "active")
        left = {found for (found,) in self.connection.execute(ended)}
        refused = {mailbox for mailbox, hashed in hashes.items() if hashed in suppressed or mailbox in left}
        self.report.suppressed_rows += [row.line for row in rows if row.mailbox.mailbox in refused]
        return [row for row in rows if row.mailbox.mailbox not in refused]

    def _keys(self, rows: Iterable[Row]) -> dict[str, int]:
        s = subscribers.c
        query = sa.select(s.mailbox, s.key).where(s.mailbox.in_(list({row.mailbox.mailbox for row in rows})))
        return {mailbox: key for mailbox, key in self.connection.execute(query)}

    def _subscribe(self, rows: Sequence[Row], known: dict[str, int]) -> None:
        """The wishes of a batch, behind those that are there."""
        keys = selection_keys(self.connection, (row.wish.select for row in rows))
        here = self._subscriptions(set(known.values()))
        new: dict[tuple[int, str], Row] = {}
        changed: set[tuple[int, str]] = set()
        for row in rows:
            place = (known[row.mailbox.mailbox], row.wish.frequency)
            if place not in here:
                new[place] = row
                here[place] = (0, [])
            wanted = here[place][1]
            if (key := keys[row.wish.select]) in wanted:
                self.report.unchanged += 1
            else:
                wanted.append(key)
                changed.add(place)
                self.report.added += 1
        self._write(new, [place for place in changed if place not in new], here)

    def _subscriptions(self, keys: set[int]) -> dict[tuple[int, str], tuple[int, list[int]]]:
        s = subscriptions.c
        query = sa.select(s.subscriber, s.frequency, s.key, s.selections).where(s.subscriber.in_(keys))
        return {(one, frequency): (key, keys_in(text)) for one, frequency, key, text in self.connection.execute(query)}

    def _write(
        self,
        new: dict[tuple[int, str], Row],
        changed: Sequence[tuple[int, str]],
        here: dict[tuple[int, str], tuple[int, list[int]]],
    ) -> None:
        made = [
            {
                "subscriber": place[0],
                "frequency": place[1],
                "cohort": self._cohort(place[1], row.chosen),
                "selections": ",".join(map(str, here[place][1])),
                "since": self.now,
                "covered": None,
                "arrival": None,
            }
            for place, row in new.items()
        ]
        if made:
            self.connection.execute(sa.insert(subscriptions), made)
        if changed:
            update = (
                sa.update(subscriptions).where(subscriptions.c.key == sa.bindparam("of")).values(selections=sa.bindparam("to"))
            )
            rows = [{"of": here[place][0], "to": ",".join(map(str, here[place][1]))} for place in changed]
            self.connection.execute(update, rows)

    def _cohort(self, frequency: str, chosen: Settings) -> int:
        place = (frequency, chosen.day, chosen.timezone)
        if place not in self._cohorts:
            self._cohorts[place] = cohort_key(self.connection, *place)
        return self._cohorts[place]

    # -- without consent -----------------------------------------------------

    def _ask(self, found: dict[str, list[Row]]) -> None:
        """One confirmation for each address, unless it has what is asked for, or has been asked already."""
        allowed = {row.mailbox.mailbox for row in self._allowed([row for rows in found.values() for row in rows])}
        found = {mailbox: rows for mailbox, rows in found.items() if mailbox in allowed}
        hashes = {mailbox: self.tokens.salted(mailbox) for mailbox in found}
        asked = signups.waiting(self.connection, list(hashes.values()), self.now)
        have = self._wishes(found)
        requests, mails = [], []
        for mailbox, rows in found.items():
            known = have.get(mailbox, set()) | asked.get(hashes[mailbox], set())
            if all(row.wish in known for row in rows):
                self.report.unchanged += len(rows)
                continue
            token, request = self._request(rows, hashes[mailbox])
            requests.append(request)
            mails.append(self.messages.confirmation(rows[0].mailbox, token, rows[0].chosen.language, self.now))
        signups.insert(self.connection, requests)
        enqueue(self.connection, mails, self.now)
        self.report.confirmations += len(mails)

    def _request(self, rows: Sequence[Row], mailbox_hash: str) -> tuple[str, dict[str, Any]]:
        wishes = tuple(dict.fromkeys(row.wish for row in rows))
        asked = Asked(rows[0].mailbox.address, wishes, rows[0].chosen, rows[0].source)
        return signups.row(self.tokens, asked, mailbox_hash, "", hours=self.config.newsletter.confirm_hours, now=self.now)

    def _wishes(self, found: dict[str, list[Row]]) -> dict[str, set[Wish]]:
        known = self._keys(row for rows in found.values() for row in rows)
        here = self._subscriptions(set(known.values()))
        texts = texts_of(self.connection, (key for _row, keys in here.values() for key in keys))
        mailboxes = {key: mailbox for mailbox, key in known.items()}
        have: dict[str, set[Wish]] = {}
        for (subscriber, frequency), (_row, keys) in here.items():
            have.setdefault(mailboxes[subscriber], set()).update(Wish(frequency, texts[key]) for key in keys)
        return have


# -- exporting -------------------------------------------------------------


def export(connection: sa.Connection, config: Config) -> Iterator[tuple[str, ...]]:
    """The header, then a row for each selection of each active subscriber. Those who have left are in no export."""
    with_day = _chosen_days(connection, config)
    yield (*COLUMNS, DAY) if with_day else COLUMNS
    texts: dict[int, str] = {}
    for found in connection.execute(_everyone()):
        for key in keys_in(found.selections):
            if key not in texts:
                texts |= texts_of(connection, keys_in(found.selections))
            when = datetime.fromtimestamp(found.confirmed, UTC).isoformat()
            cells = (found.address, found.frequency, texts[key], found.timezone, found.language, when, found.source)
            yield (*cells, DAYS[found.day] if found.day >= 0 else "") if with_day else cells


def _everyone() -> sa.Select[Any]:
    s, w = subscribers.c, subscriptions.c
    query = sa.select(s.address, w.frequency, w.selections, s.timezone, s.language, s.confirmed, s.source, cohorts.c.day)
    query = query.join(subscriptions, w.subscriber == s.key).join(cohorts, cohorts.c.key == w.cohort)
    return query.where(s.status == "active").order_by(s.key, w.key).execution_options(yield_per=_BATCH)


def _chosen_days(connection: sa.Connection, config: Config) -> bool:
    """Whether anybody gets a weekly digest on another day than is usual."""
    other = sa.and_(cohorts.c.frequency == "weekly", cohorts.c.day != usual_day(config))
    query = sa.select(subscriptions.c.key).join(cohorts, cohorts.c.key == subscriptions.c.cohort).where(other).limit(1)
    return connection.execute(query).first() is not None
