"""Enter subscribers for the operator: one by one, or from a CSV file whose faults are named by their place. Export as CSV.

An import only adds: it neither takes away what a subscriber has chosen nor revives one who has left. Idempotent. The weekly
`day` is a column only where anybody has chosen one.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from typing import IO, Any

import sqlalchemy as sa

from ...config.models import Config
from ...database.tables import cohorts, requests, subscribers, subscriptions, suppressions
from ...errors import Fault, FeedsError
from .. import NewsletterContext
from ..messages.transactional import enqueue
from .email_address import EmailAddress, EmailAddressError, parse_address
from .preferences import WishError, unknown_names, usual_day, validate_settings, validate_wish
from .records import (
    Settings,
    Wish,
    cohort_key,
    delivery_history,
    describe,
    find_by_mailbox,
    new_subscription,
    parse_keys,
    selection_keys,
    selection_texts,
    with_iso_times,
)
from .signup import (
    RequestedSubscription,
    SignupForm,
    enter_subscriber,
    hash_client,
    new_request,
    pending_wishes,
    request_confirmation,
    subscriber_row,
)
from .suppression import suppression_reason

COLUMNS = ("email", "frequency", "select", "timezone", "language", "confirmed_at", "source")
DAY = "day"
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MAX_FAULTS = 50
_BATCH = 1000
Progress = Callable[[int], None]


class ImportFaults(FeedsError):
    """Nothing was imported: one line for each of the first faults, and how many there are."""

    def __init__(self, faults: Sequence[Fault], total: int) -> None:
        rest = [f"... and {total - len(faults)} more"] if total > len(faults) else []
        super().__init__("\n".join([*map(str, faults), *rest, "nothing was imported"]))
        self.faults, self.total = list(faults), total


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the file, parsed. `confirmed` in UTC seconds, None where a confirmation has to be asked for."""

    line: int
    address: EmailAddress
    wish: Wish
    settings: Settings
    confirmed: int | None
    source: str


@dataclass(slots=True)
class ImportReport:
    """`added`: rows that brought a selection; `subscribers`: how many are new; `confirmations`: mails that ask first.

    `suppressed_rows`: lines of addresses that have left, bounced or complained; they stay as they are. `unknown`: names in
    selections that no article has yet, as `unknown_names` gives them.
    """

    rows: int = 0
    subscribers: int = 0
    added: int = 0
    unchanged: int = 0
    confirmations: int = 0
    suppressed_rows: list[int] = field(default_factory=list)
    faulty: int = 0
    faults: list[Fault] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON values, faults with their places."""
        plain = {name: getattr(self, name) for name in ("rows", "subscribers", "added", "unchanged", "confirmations", "faulty")}
        faults = [{"path": f.path, "line": f.line, "column": f.column, "reason": f.reason} for f in self.faults]
        plain["unknown"] = self.unknown
        return {**plain, "suppressed": len(self.suppressed_rows), "suppressed_rows": self.suppressed_rows, "faults": faults}


def add_subscriber(context: NewsletterContext, form: SignupForm, *, confirmed_at: str, source: str, now: int) -> str:
    """Enter an address, outside of the limits. Return what became of it: confirmed | asked | suppressed.

    With `confirmed_at` (ISO 8601) it counts as consent given then, which lifts no suppression. Terms need not exist.
    """
    address = parse_address(form.address)
    settings = validate_settings(context.config, form.day, form.timezone, form.language)
    wishes = dict.fromkeys(validate_wish(context.config, form.frequency, text) for text in form.selects or [""])
    requested = RequestedSubscription(address.address, tuple(wishes), settings, source)
    if not confirmed_at:
        return "suppressed" if request_confirmation(context, address, requested, now) else "asked"
    when = parse_confirmed_at(context.config, confirmed_at, now)
    if isinstance(when, str):
        raise WishError("confirmed_at", when)
    with context.writing() as connection:
        if suppression_reason(connection, context.tokens.salted(address.mailbox)):
            return "suppressed"
        return "confirmed" if enter_subscriber(context, connection, requested, when, now) else "suppressed"


def find_subscriber(context: NewsletterContext, text: str) -> dict[str, Any] | None:
    """Return all that is kept about one address as JSON values; None where it is not known. Raises EmailAddressError."""
    address = parse_address(text)
    with context.reading() as connection:
        known = find_by_mailbox(connection, address.mailbox)
        if known is not None:
            return {**describe(connection, known), **with_iso_times(delivery_history(connection, known.key))}
        reason = suppression_reason(connection, context.tokens.salted(address.mailbox))
        return {"email": address.address, "status": reason, "subscriptions": []} if reason else None


# -- reading CSV -----------------------------------------------------------


def read_csv(file: IO[bytes], path: str, config: Config, now: int) -> Iterator[Row | Fault]:
    """Yield rows and faults in the order of the file. Tolerates a BOM, any line ends, blank lines, columns in any order."""
    last = ""  # line that the reader took: a fault names its place in it

    def lines() -> Iterator[str]:
        nonlocal last
        for line in io.TextIOWrapper(file, "utf-8-sig", newline=""):
            last = line
            yield line

    reader = csv.reader(lines(), strict=True)
    try:
        header = [name.strip().casefold() for name in next(reader, [])]
        faults = [Fault(path, 1, _column(last, header, at), reason) for at, reason in _header_faults(header)]
        yield from faults
        if faults:
            return
        parser, line = _RowParser(config, now), reader.line_num
        for cells in reader:
            begin, line = line + 1, reader.line_num
            if len(cells) > len(header) and any(cell.strip() for cell in cells):
                reason = f"{len(cells)} cells, but the first line names {len(header)}"
                yield Fault(path, begin, _column(last, cells, len(header)), reason)
            elif any(cell.strip() for cell in cells):
                try:
                    yield parser.parse(begin, dict(zip(header, (armed(cell.strip()) for cell in cells), strict=False)))
                except _BadCell as error:
                    name, reason = error.args
                    column = _column(last, cells, header.index(name)) if name in header else 1
                    yield Fault(path, begin, column, f"{name}: {reason}")
    except UnicodeDecodeError:
        yield Fault(path, reader.line_num + 1, 1, "not UTF-8 here or shortly after")
    except csv.Error as error:
        yield Fault(path, reader.line_num, 1, f"not CSV: {error}")


#: Where spreadsheets look for a formula: at the begin of a cell, also if they take another character than the comma for what
#: separates cells. Those of East Asian locales read full-width signs, too.
_FORMULA = re.compile(r"(^|[;|\t\r\n])([' ]*(?:[=+\-@\t\r\n]|[＝＋－＠]))")
_DISARMED = re.compile(r"(^|[;|\t\r\n])'([' ]*(?:[=+\-@\t\r\n]|[＝＋－＠]))")


def disarmed(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula: with an apostrophe before it. `armed` takes that away.

    >>> disarmed("=1+1@example.org"), disarmed("o'neill@example.org"), armed(disarmed("'-@example.org"))
    ("'=1+1@example.org", "o'neill@example.org", "'-@example.org")
    """
    return _FORMULA.sub(r"\1'\2", cell)


def armed(cell: str) -> str:
    """Return the cell that `disarmed` was given."""
    return _DISARMED.sub(r"\1\2", cell)


def _header_faults(header: Sequence[str]) -> Iterator[tuple[int, str]]:
    known = (*COLUMNS, DAY)
    for at, name in enumerate(header):
        if name not in known:
            yield at, f"unknown column {name[:40]!r}; expected {', '.join(known)}, separated by commas"
        elif name in header[:at]:
            yield at, f"the column {name!r} is there twice"
    if "email" not in header:
        yield 0, "the column 'email' is missing: the first line names the columns"


def _column(line: str, cells: Sequence[str], at: int) -> int:
    """Return where a cell begins in its line, counted from 1; in a line with quotes, as nearly as its text can be found."""
    if '"' in line:
        return line.find(cells[at]) + 1 if at < len(cells) and cells[at] in line else 1
    return sum(len(cell) + 1 for cell in cells[:at]) + 1


class _BadCell(Exception):
    """The arguments are the column and what is wrong with its cell."""


class _RowParser:
    """Parse cells. Equal texts are parsed once: a file has few selections and many rows."""

    def __init__(self, config: Config, now: int) -> None:
        self.config, self.now = config, now
        offered = config.newsletter.frequencies
        self._usual = "weekly" if "weekly" in offered else next(iter(offered))
        self._wish = cache(lambda frequency, select: validate_wish(config, frequency, select))
        self._settings = cache(lambda day, zone, language: validate_settings(config, day, zone, language))

    def parse(self, line: int, cells: dict[str, str]) -> Row:
        try:
            address = parse_address(cells.get("email", ""))
            wish = self._wish(cells.get("frequency", "").lower() or self._usual, cells.get("select", ""))
            day = cells.get(DAY, "")
            if day and day[:3].lower() not in DAYS:
                raise _BadCell(DAY, f"{day[:20]!r} is no day of the week; expected one of {', '.join(DAYS)}")
            number = DAYS.index(day[:3].lower()) if day else None
            settings = self._settings(number, cells.get("timezone", ""), cells.get("language", ""))
        except EmailAddressError as error:
            raise _BadCell("email", str(error)) from None
        except WishError as error:
            raise _BadCell(error.field, str(error)) from None
        text, source = cells.get("confirmed_at", ""), cells.get("source", "")
        confirmed = parse_confirmed_at(self.config, text, self.now) if text else None
        if isinstance(confirmed, str):
            raise _BadCell("confirmed_at", confirmed)
        if not source.isprintable() or len(source) > 200:
            raise _BadCell("source", "expected one line of at most 200 characters")
        return Row(line, address, wish, settings, confirmed, source or "import")


def parse_confirmed_at(config: Config, text: str, now: int) -> int | str:
    """Return an ISO 8601 time in UTC seconds, in the site's zone where it names none; else what is wrong with it."""
    try:
        when = datetime.fromisoformat(text)
        seconds = int((when if when.tzinfo else when.replace(tzinfo=config.zone)).timestamp())
    except (ValueError, OverflowError):
        return f"{text[:40]!r} is no time; expected for example 2024-05-01T08:00:00+08:00"
    if not 0 <= seconds <= now + 86400:  # a clock elsewhere may be ahead by a time zone, and by no more
        return f"{text[:40]!r} is in the future" if seconds > now else f"{text[:40]!r} is too long ago"
    return min(seconds, now)


# -- importing -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """`dry_run`: do all the work and roll it back. `skip_faulty`: import the other rows. `progress` gets the rows so far."""

    dry_run: bool = False
    skip_faulty: bool = False
    progress: Progress | None = None


class _DryRun(Exception):
    """Ends a dry run, so that its transaction is rolled back."""


def import_csv(
    context: NewsletterContext, file: IO[bytes], path: str, now: int, options: ImportOptions = ImportOptions()
) -> ImportReport:
    """Import all of a file in one transaction, or nothing: raises ImportFaults unless faulty rows are to be skipped.

    `path` is what faults call the file.
    """
    rows = read_csv(file, path, context.config, now)
    with suppress(_DryRun), context.writing() as connection:
        report = _Import(context, connection, now, options).load(rows)
        if options.dry_run:
            raise _DryRun
    return report


@dataclass(slots=True)
class _Import:
    """Import one file inside the caller's transaction, which it leaves half done where it raises ImportFaults."""

    context: NewsletterContext
    connection: sa.Connection
    now: int
    options: ImportOptions
    report: ImportReport = field(default_factory=ImportReport)
    _unconfirmed: dict[str, list[Row]] = field(default_factory=dict)
    _cohorts: dict[tuple[str, Settings], int] = field(default_factory=dict)
    #: Every selection of the file, once.
    _selects: dict[str, None] = field(default_factory=dict)

    def load(self, found: Iterable[Row | Fault]) -> ImportReport:
        """Enter rows with consent in batches, then ask the others. The whole file is read before ImportFaults is raised."""
        rows = self._sound_rows(found)
        while batch := list(islice(rows, _BATCH)):
            if self.options.skip_faulty or not self.report.faulty:
                self._enter(batch)
            if self.options.progress:
                self.options.progress(self.report.rows)
        if self.report.faulty and not self.options.skip_faulty:
            raise ImportFaults(self.report.faults, self.report.faulty)
        mailboxes = iter(self._unconfirmed.items())
        while some := dict(islice(mailboxes, _BATCH)):
            self._request_confirmations(some)
        self.report.unknown = unknown_names(self.connection, self.context.config, self._selects)
        return self.report

    def _sound_rows(self, found: Iterable[Row | Fault]) -> Iterator[Row]:
        for row in found:
            self.report.rows += 1
            if isinstance(row, Row):
                self._selects[row.wish.select] = None
                yield row
                continue
            self.report.faulty += 1
            if len(self.report.faults) < MAX_FAULTS:
                self.report.faults.append(row)

    def _enter(self, rows: Sequence[Row]) -> None:
        """Enter the rows of one batch that bring their consent; the others wait for the end of the file."""
        for row in rows:
            if row.confirmed is None:
                self._unconfirmed.setdefault(row.address.mailbox, []).append(row)
        allowed = self._allowed([row for row in rows if row.confirmed is not None])
        if not allowed:
            return
        known = self._keys(allowed)
        fresh = {row.address.mailbox: row for row in reversed(allowed) if row.address.mailbox not in known}
        if fresh:
            inserted = []
            for row in reversed(fresh.values()):
                consent = RequestedSubscription(row.address.address, (row.wish,), row.settings, row.source)
                columns = subscriber_row(row.address, consent, row.confirmed or 0)
                inserted.append(columns | {"version": 1, "created": self.now, "bounced_at": 0})
            self.connection.execute(sa.insert(subscribers), inserted)
            known |= self._keys(fresh.values())
        self.report.subscribers += len(fresh)
        self._subscribe(allowed, known)

    def _allowed(self, rows: Sequence[Row]) -> list[Row]:
        """Return rows whose address is not suppressed and has not left."""
        hashes = {row.address.mailbox: self.context.tokens.salted(row.address.mailbox) for row in rows}
        c, s = suppressions.c, subscribers.c
        query = sa.select(c.mailbox_hash).where(c.mailbox_hash.in_(list(hashes.values())))
        suppressed = {found for (found,) in self.connection.execute(query)}
        ended = sa.select(s.mailbox).where(s.mailbox.in_(list(hashes)), s.status != "active")
        left = {found for (found,) in self.connection.execute(ended)}
        refused = {mailbox for mailbox, hashed in hashes.items() if hashed in suppressed or mailbox in left}
        self.report.suppressed_rows += [row.line for row in rows if row.address.mailbox in refused]
        return [row for row in rows if row.address.mailbox not in refused]

    def _keys(self, rows: Iterable[Row]) -> dict[str, int]:
        s = subscribers.c
        query = sa.select(s.mailbox, s.key).where(s.mailbox.in_(list({row.address.mailbox for row in rows})))
        return {mailbox: key for mailbox, key in self.connection.execute(query)}

    def _subscribe(self, rows: Sequence[Row], known: dict[str, int]) -> None:
        """Put the wishes of a batch behind those that are there."""
        keys = selection_keys(self.connection, (row.wish.select for row in rows))
        here = self._subscriptions(set(known.values()))
        new: dict[tuple[int, str], Row] = {}
        changed: set[tuple[int, str]] = set()
        for row in rows:
            place = (known[row.address.mailbox], row.wish.frequency)
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
        made = []
        for (subscriber, frequency), row in new.items():
            cohort = self._cohorts.get((frequency, row.settings)) or cohort_key(self.connection, frequency, row.settings)
            self._cohorts[frequency, row.settings] = cohort
            made.append(new_subscription(subscriber, (frequency, cohort, here[subscriber, frequency][1]), self.now))
        if made:
            self.connection.execute(sa.insert(subscriptions), made)
        old = (here[place] for place in changed if place not in new)
        if updates := [{"of": key, "to": ",".join(map(str, chosen))} for key, chosen in old]:
            update = sa.update(subscriptions).where(subscriptions.c.key == sa.bindparam("of"))
            self.connection.execute(update.values(selections=sa.bindparam("to")), updates)

    def _subscriptions(self, keys: set[int]) -> dict[tuple[int, str], tuple[int, list[int]]]:
        """Return (subscriber, frequency) -> (key of the row, keys of selections)."""
        s = subscriptions.c
        query = sa.select(s.subscriber, s.frequency, s.key, s.selections).where(s.subscriber.in_(keys))
        return {(one, frequency): (key, parse_keys(text)) for one, frequency, key, text in self.connection.execute(query)}

    def _request_confirmations(self, found: dict[str, list[Row]]) -> None:
        """Mail one confirmation to each address, unless it has what is asked for, or has been asked already."""
        allowed = {row.address.mailbox for row in self._allowed([row for rows in found.values() for row in rows])}
        found = {mailbox: rows for mailbox, rows in found.items() if mailbox in allowed}
        hashes = {mailbox: self.context.tokens.salted(mailbox) for mailbox in found}
        known = pending_wishes(self.connection, list(hashes.values()), self.now)
        known_keys = self._keys(row for rows in found.values() for row in rows)
        mailboxes = {key: mailbox for mailbox, key in known_keys.items()}
        here = self._subscriptions(set(mailboxes))
        texts = selection_texts(self.connection, (key for _row, keys in here.values() for key in keys))
        for (subscriber, frequency), (_row, keys) in here.items():
            has = known.setdefault(hashes[mailboxes[subscriber]], set())
            has.update(Wish(frequency, texts[key]) for key in keys)
        rows_made, messages = [], []
        for mailbox, rows in found.items():
            if all(row.wish in known.get(hashes[mailbox], ()) for row in rows):
                self.report.unchanged += len(rows)
                continue
            first, wishes = rows[0], tuple(dict.fromkeys(row.wish for row in rows))
            requested = RequestedSubscription(first.address.address, wishes, first.settings, first.source)
            links, request = new_request(self.context, requested, hash_client(self.context, first.address, ""), self.now)
            rows_made.append(request)
            messages.append(self.context.composer.confirmation(first.address, links, first.settings.language, self.now))
        if rows_made:
            self.connection.execute(sa.insert(requests), rows_made)
        enqueue(self.connection, messages, self.now)
        self.report.confirmations += len(messages)


def export_csv(context: NewsletterContext) -> Iterator[tuple[str, ...]]:
    """Yield the header, then a row for each selection of each active subscriber, as `import_csv` reads them."""
    s, w = subscribers.c, subscriptions.c
    query = sa.select(s.address, w.frequency, w.selections, s.timezone, s.language, s.confirmed, s.source, cohorts.c.day)
    query = query.join(subscriptions, w.subscriber == s.key).join(cohorts, cohorts.c.key == w.cohort)
    query = query.where(s.status == "active").order_by(s.key, w.key).execution_options(yield_per=_BATCH)
    with context.reading() as connection:
        # The column `day` is there only if somebody gets a weekly digest on another day than is usual.
        other = sa.and_(cohorts.c.frequency == "weekly", cohorts.c.day != usual_day(context.config))
        chosen = sa.select(w.key).join(cohorts, cohorts.c.key == w.cohort).where(other).limit(1)
        with_day = connection.execute(chosen).first() is not None
        yield (*COLUMNS, DAY) if with_day else COLUMNS
        texts: dict[int, str] = {}
        for found in connection.execute(query):
            for key in parse_keys(found.selections):
                if key not in texts:
                    texts |= selection_texts(connection, parse_keys(found.selections))
                when = datetime.fromtimestamp(found.confirmed, UTC).isoformat()
                cells = [found.address, found.frequency, texts[key], found.timezone, found.language, when, found.source]
                cells += [DAYS[found.day] if found.day >= 0 else ""] if with_day else []
                yield tuple(map(disarmed, cells))
