"""The environment of one process: variables FEEDS_* over the file `.env` beside `config/`.

A secret may also be the whole text of a file that `FEEDS_..._FILE` names, as container platforms and systemd hand them over. A
variable is named once, by its field: `secret_key` is FEEDS_SECRET_KEY. Pages, the reference and the log's list of secrets are
derived from the fields. Invariant: what is or holds a secret is a `SecretStr`, which prints as asterisks.

Without pydantic, which takes longer to load than a look at the database takes: every command reads this.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ..errors import ConfigError, Fault, FeedsError

if TYPE_CHECKING:
    from dotenv.parser import Binding

PREFIX = "FEEDS_"
#: Characters of a file that is one secret: far more than any has.
_MAX_SECRET = 65_536
#: The file of variables beside `config/`.
FILE = ".env"
#: Variables that override the setting of the same name in site.yaml.
OVERRIDES = ("store", "base_url")


class SecretStr:
    """A text that prints as asterisks."""

    def __init__(self, text: str) -> None:
        self._text = text

    def get_secret_value(self) -> str:
        """Return the text."""
        return self._text

    def __repr__(self) -> str:
        return f"SecretStr({str(self)!r})"

    def __str__(self) -> str:
        return "**********" if self._text else ""

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretStr) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


def _says(description: str) -> Mapping[str, str]:
    return {"description": description}


@dataclass(frozen=True)
class Environment:
    """Settings of this process alone; never stored. `config_dir` is absolute.

    Read it with `Environment.read(folder)`; `dataclasses.replace` makes a changed one.
    """

    config_dir: Path
    store: str = field(default="", metadata=_says("over `store`; a relative path is taken from where the command is given"))
    base_url: str = field(default="", metadata=_says("over `base_url`"))
    database_url: SecretStr = field(
        default=SecretStr("sqlite:///var/feeds.db"),
        metadata=_says(
            "where everything is kept: `sqlite:///PATH` (a relative one is taken from the folder that holds `config/`) "
            "or `postgresql://USER:PASSWORD@HOST/NAME`"
        ),
    )
    smtp_url: SecretStr = field(
        default=SecretStr(""),
        metadata=_says(
            "what carries mail with `transport: smtp`: `smtp://user:pass@host:587` (STARTTLS is required unless "
            "`?starttls=0`), `smtps://` for TLS from the first byte; several are separated by blanks"
        ),
    )
    imap_url: SecretStr = field(
        default=SecretStr(""), metadata=_says("mailbox that bounces are read from: `imaps://user:pass@host/INBOX`")
    )
    secret_key: SecretStr = field(
        default=SecretStr(""),
        metadata=_says("signs the links in mails; where it is not set, a secret that the database keeps does"),
    )
    operator_token: SecretStr = field(
        default=SecretStr(""),
        metadata=_says(
            "opens the console, `/operator/`, and as bearer `/metrics` from anywhere; without it there is no console"
        ),
    )
    log: str = field(
        default="auto",
        metadata=_says(
            "shape of the log on stderr, one event a line: `console` for eyes, `logfmt`, `json`; `auto` is the first "
            "on a terminal and logfmt elsewhere; `--log-format` is over it"
        ),
    )
    access_log: bool = field(default=False, metadata=_says("`1`: an event for each request; the same as `--access-log`"))

    @classmethod
    def read(cls, config_dir: Path, environ: Mapping[str, str] = os.environ) -> Environment:
        """Return the environment of the site whose settings are in `config_dir`.

        `environ` goes over the file `.env` beside `config/`, which is read verbatim: `$` is not expanded. An empty variable
        counts as not set. Raises ConfigError where that file is wrongly written, FeedsError where FEEDS_..._FILE names none.
        """
        folder = config_dir.absolute()
        # Each by itself: a variable of the environment is over a file that `.env` names, and the other way round.
        kept, said = (_with_files(one, folder.parent) for one in (read_file(folder.parent / FILE), environ))
        given = {**kept, **said}
        found: dict[str, Any] = {}
        for one in fields(cls):
            if (text := given.get(variable(one.name))) and one.name != "config_dir":
                found[one.name] = SecretStr(text) if isinstance(one.default, SecretStr) else text
        url = found.get("database_url", cls.database_url).get_secret_value()
        found["database_url"] = SecretStr(_located(url, folder.parent))
        found["access_log"] = found.get("access_log", "0") != "0"
        return cls(folder, **found)

    @property
    def root(self) -> Path:
        """Return the folder that holds config/, templates/ and var/."""
        return self.config_dir.parent

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return the values of all fields that are a secret, or hold one."""
        return tuple(value.get_secret_value() for value in vars(self).values() if isinstance(value, SecretStr))

    @property
    def console_token(self) -> str:
        """Return the operator's token; "" where there is none, or one that can be guessed: then there is no console."""
        from ..tokens import weakness  # with what signs, for the few that ask

        token = self.operator_token.get_secret_value()
        return "" if weakness(token) else token

    @property
    def weak_secrets(self) -> dict[str, str]:
        """Return why secrets that somebody chose can be guessed, by the name of their variable."""
        from ..tokens import weakness  # as above

        chosen = {"operator_token": self.operator_token, "secret_key": self.secret_key}
        found = {name: weakness(value.get_secret_value()) for name, value in chosen.items() if value}
        return {variable(name): reason for name, reason in found.items() if reason}

    def locate(self, url: str) -> str:
        """Return the address of another database that is written as FEEDS_DATABASE_URL is: relative paths from the root."""
        return _located(url, self.root)


def variable(field: str) -> str:
    """Return the name of the variable of a field of `Environment`.

    >>> variable("secret_key")
    'FEEDS_SECRET_KEY'
    """
    return f"{PREFIX}{field.upper()}"


def secret_variables() -> tuple[str, ...]:
    """Return the names of the variables that are or hold a secret: each may be a file, too, by its name and `_FILE`."""
    return tuple(variable(one.name) for one in fields(Environment) if isinstance(one.default, SecretStr))


def read_file(path: Path) -> dict[str, str]:
    """Return the variables in a file `.env`; none where there is no such file. Raises ConfigError with every place.

    `NAME=value` a line; what is in quotes may have any characters, and nothing is expanded. docs/secrets.md says how to write
    what systemd and container tools read alike.
    """
    found, faults = {}, []
    for binding, line, column in _bindings(path):
        written = binding.original.string
        if binding.error or (binding.key and binding.value is None):
            quoted = any(mark in written for mark in "'\"")
            reason = "a quote is not closed, or something follows it" if quoted else "expected NAME=value"
            faults.append(Fault(str(path), line, column, reason))
        elif "\0" in written:
            faults.append(Fault(str(path), line, column, "a zero byte is in no text"))
        elif binding.key and binding.value is not None:
            found[binding.key] = binding.value
    if faults:
        raise ConfigError(faults)
    return found


def find_differences(path: Path) -> list[Fault]:
    """Return the lines of a file `.env` that systemd or Compose would read otherwise than we do. Raises ConfigError."""
    found = []
    for binding, line, column in _bindings(path):
        start, _equals, value = binding.original.string.strip().partition("=")
        doubtful = _IN_QUOTES if value.startswith('"') else _IN_SINGLE_QUOTES if value.startswith("'") else _PLAIN
        if binding.key and not binding.error and (start.startswith("export ") or doubtful.search(value)):
            reason = (
                f'{binding.key}: systemd or Compose would read this otherwise: see docs/secrets.md, "How the file is written"'
            )
            found.append(Fault(str(path), line, column, reason))
    return found


#: What readers of such files understand differently, by how the value is written.
_PLAIN, _IN_QUOTES, _IN_SINGLE_QUOTES = (re.compile(text) for text in (r"[\\$'\"`]|\s#", r"[\\$`]|\s#[^\"]*$", r"\\|\s#[^']*$"))


def _bindings(path: Path) -> Iterator[tuple[Binding, int, int]]:
    """Yield the parts of a file `.env` but for comments, each with its line and column. Raises ConfigError."""
    try:
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
    except FileNotFoundError:
        return
    except OSError as error:
        raise ConfigError([Fault(str(path), 1, 1, f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError([Fault(str(path), line, error.start - data.rfind(b"\n", 0, error.start), "not UTF-8")]) from None
    from dotenv.parser import parse_stream  # few commands have such a file

    for binding in parse_stream(io.StringIO(text)):
        written = binding.original.string
        blank = written[: len(written) - len(written.lstrip())]
        if not written.lstrip().startswith((";", "#")):  # systemd's two kinds of comments
            yield binding, binding.original.line + blank.count("\n"), len(blank) - blank.rfind("\n")


def _with_files(variables: Mapping[str, str], root: Path) -> dict[str, str]:
    """Return the variables that are set, those that a file holds with its text. Raises FeedsError; never quotes a file."""
    found = {name: value for name, value in variables.items() if value}
    for name in secret_variables():
        if not (path := found.get(f"{name}_FILE")):
            continue
        if name in found:
            raise FeedsError(f"{name} and {name}_FILE are both set: take one away")
        try:
            with (root / path).open(encoding="utf-8", newline="") as file:
                text = file.read(_MAX_SECRET + 1)
        except OSError as error:
            raise FeedsError(f"{name}_FILE: {path}: cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise FeedsError(f"{name}_FILE: {path}: not UTF-8") from None
        found[name] = text.rstrip("\r\n")
        if fault := "is empty" if not found[name] else "is no secret" if "\0" in text or len(text) > _MAX_SECRET else "":
            raise FeedsError(f"{name}_FILE: {path}: {fault}")
    return found


def _located(url: str, root: Path) -> str:
    path = url.removeprefix("sqlite:///")
    return url if path == url or path.startswith("/") else f"sqlite:///{quote(str(root))}/{path}"  # a folder may be called 100%
