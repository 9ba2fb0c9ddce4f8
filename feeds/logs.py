"""Configure logs: one event a line, of this program and of its libraries alike. Invariant: no secret is logged.

What articles, readers and servers say may hold characters that move a terminal's cursor, begin a line or turn the order of
letters around: `printable` escapes them, in every shape of the log and in what commands print.

Three shapes: `console` for eyes, `logfmt` and `json` for machines; `auto` is the first on a terminal and logfmt elsewhere.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

FORMATS = ("auto", "console", "logfmt", "json")
#: What stands where something was taken out.
CUT = "…"
#: Shorter ones are too likely to be part of something else.
LEAST_SECRET = 6
_NAMED = frozenset({"authorization", "cookie", "password", "secret", "set-cookie", "token"})
_DOORS = re.compile(r"(/(?:confirm|preferences|undo|unsubscribe)/)[^\s/?#\"'<>]+")
_USERS = re.compile(r"(://)[^\s/?#\"']*@")
_MAILBOXES = re.compile(r"[^\s<>()\[\]\"',;:=@/\\]+@(?=[\w-]+(?:\.[\w-]+)+)")
_CREDENTIALS = re.compile(r"\b(bearer|basic|plain)\s+[\w.~+/=-]{6,}", re.IGNORECASE)

#: Control characters (C0, DEL, C1), ends of lines, what sets the direction of text or is not seen, tags, halves of surrogates.
_CONTROLS = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f\ud800-\udfff]"
)

Event = MutableMapping[str, Any]


def printable(text: str, but: str = "") -> str:
    r"""Return text in which characters that control a terminal or the shape of a line are escaped, all `but` some.

    >>> printable("\x1b[31mred\u202e\n"), printable("a\tb\n", but="\n")
    ('\\x1b[31mred\\u202e\\n', 'a\\tb\n')
    """
    return _CONTROLS.sub(lambda found: found[0] if found[0] in but else found[0].encode("unicode_escape").decode(), text)


def printable_json(text: str) -> str:
    r"""Return JSON on one line in which the same characters are escaped, so that it means what it did.

    >>> printable_json('{"title": "\x9b\u202e"}')
    '{"title": "\\u009b\\u202e"}'
    """
    return _CONTROLS.sub(lambda found: json.dumps(found[0])[1:-1], text)


class Scrub:
    """Remove from an event what must not be in a log: links of subscribers, passwords, mail addresses, `secrets` as such."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = sorted({secret for secret in secrets if len(secret) >= LEAST_SECRET}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def __call__(self, _logger: object, _method: str, event: Event) -> Event:
        for name, value in event.items():
            if name.lower() in _NAMED:
                event[name] = CUT
            elif not isinstance(value, int | float | bool) and not name.startswith("_"):
                event[name] = self._clean(value)
        return event

    def _clean(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: CUT if str(key).lower() in _NAMED else self._clean(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self._clean(inner) for inner in value]
        return value if value is None or isinstance(value, int | float | bool) else self.text(str(value))

    def text(self, text: str) -> str:
        """Return a text without secrets.

        >>> Scrub().text("smtp://me:geheim@mail.example.org refused reader@example.org")
        'smtp://…@mail.example.org refused …@example.org'
        """
        if self._known is not None:
            text = self._known.sub(CUT, text)
        text = _CREDENTIALS.sub(rf"\1 {CUT}", _DOORS.sub(rf"\1{CUT}", text))
        return _MAILBOXES.sub(f"{CUT}@", _USERS.sub(rf"\1{CUT}@", text)) if "@" in text else text


def secrets_of(*settings: str) -> set[str]:
    """Return secrets as such, and the passwords in addresses (several of them separated by blanks), as written and decoded.

    >>> sorted(secrets_of("token", "smtp://me:one@a smtps://me:t%20o@b", "postgresql://a/feeds?password=three"))
    ['one', 't o', 't%20o', 'three', 'token']
    """
    found: set[str] = set()
    for setting in settings:
        for part in setting.split():
            try:
                url = urlsplit(part)
                named = [value for name, value in parse_qsl(url.query) if "password" in name]
                found.update([url.password or "", *named] if "://" in part else [part])
            except ValueError:  # not an address after all
                found.add(part)
    return {form for secret in found if secret for form in (secret, unquote(secret))}


def configure(format: str = "auto", *, secrets: Iterable[str] = ()) -> None:
    """Configure the logs of this process, to stderr. Idempotent."""
    import structlog  # most commands log nothing, and need not wait for it

    if format not in FORMATS or format == "auto":
        format = "console" if sys.stderr.isatty() else "logfmt"
    prepared: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        Scrub(secrets),
        _in_order,
    ]
    renderers: list[Any] = [structlog.processors.LogfmtRenderer(bool_as_flag=False), lambda _log, _name, line: printable(line)]
    if format == "console":
        renderers = [_escape, structlog.dev.ConsoleRenderer(colors=True)]
    elif format == "json":
        renderers = [structlog.processors.JSONRenderer(ensure_ascii=False), lambda _log, _name, line: printable_json(line)]
    structlog.configure(
        processors=[*prepared, *renderers],
        logger_factory=lambda *_names: structlog.PrintLogger(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )
    whole = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.ExtraAdder()],
        processors=[_name_library, structlog.stdlib.ProcessorFormatter.remove_processors_meta, *prepared, *renderers],
    )
    # What libraries log (granian, Alembic, APScheduler) goes the same way, from warnings on.
    handler = _ToStderr()
    handler.setFormatter(whole)
    root = logging.getLogger()
    root.handlers = [*(other for other in root.handlers if not isinstance(other, _ToStderr)), handler]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(True)


def report_database(fault: str, advice: str) -> None:
    """Log that the database is not what it should be, with what to do, or with "" that it is again (`identity.Watch`)."""
    import structlog

    log = structlog.get_logger("feeds.database")
    if fault:
        log.error("database_fault", fault=fault, advice=advice)
    else:
        log.info("database_recovered")


def _in_order(_logger: object, _method: str, event: Event) -> Event:
    """Put time, level and event first, the event on one line."""
    event["event"] = " ".join(str(event.get("event", "")).split())
    first = {name: event.pop(name) for name in ("timestamp", "level", "event") if name in event}
    return {**first, **event}


def _escape(_logger: object, _method: str, event: Event) -> Event:
    """Escape the texts of an event, but for the lines of a traceback. What is not text is shown as Python writes it."""
    return {
        printable(name): printable(value, "\n\t" if name in ("exception", "stack") else "") if isinstance(value, str) else value
        for name, value in event.items()
    }


class _ToStderr(logging.Handler):
    """Write to what is stderr at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(f"{self.format(record)}\n")
            sys.stderr.flush()
        except Exception:
            self.handleError(record)


def _name_library(_logger: object, _method: str, event: Event) -> Event:
    """Name the library that logs."""
    record: logging.LogRecord = event["_record"]
    event["library"] = record.name.strip("_").partition(".")[0]
    return event


#: For granian's own set-up of logging: let everything through to the root logger, which `configure` has prepared.
GRANIAN: dict[str, Any] = {
    "formatters": {},
    "handlers": {},
    "loggers": {name: {"handlers": [], "level": "WARNING", "propagate": True} for name in ("_granian", "granian.access")},
}
