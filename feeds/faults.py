"""Describe ordinary faults of a machine, its servers and its installation in one sentence: what happened, and what to do.

A full disk, a server that is away, a package that is not installed: an operator can mend these, and needs no traceback for it.
Classes of exceptions are named by their dotted names, so that describing loads no library.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Mapping

from .errors import FeedsError

#: Extra of this package -> packages that only it installs.
EXTRAS: Mapping[str, tuple[str, ...]] = {
    "postgresql": ("psycopg", "psycopg_binary", "psycopg_c"),
    "scale": ("procrastinate", "psycopg_pool"),
    "s3": ("obstore",),
}
#: A file that `private_files` makes beside its target: what the operator knows is the folder.
_TEMPORARY = re.compile(r"/?\.[^/]*\.feeds-tmp[^/]*$")
_PERMISSION = "permission denied: run the command as the user of the service, or give this user the right"
_AWAY = "the server does not answer: check its address, that it runs, and that no firewall is between"
#: By errno; the file, where the error names one, stands before.
_OS: Mapping[int, str] = {
    errno.EACCES: _PERMISSION,
    errno.EPERM: _PERMISSION,
    errno.EROFS: "the file system is read-only: mount it for writing, or name another place",
    errno.ENOENT: "no such file or folder",
    errno.ENOTDIR: "a part of this path is a file, not a folder",
    errno.EISDIR: "is a folder, where a file is expected",
    errno.EEXIST: "exists already, and is not overwritten: name another",
    errno.ENOTEMPTY: "the folder is not empty: name another",
    errno.ENAMETOOLONG: "the name is too long for this file system",
    errno.ELOOP: "is a symbolic link that leads nowhere, or that is not followed here",
    errno.ENXIO: "no such device, or nobody reads from this pipe",
    errno.ENOSPC: "no space is left: make room on this disk, and repeat the command",
    errno.EDQUOT: "the disk quota is used up: make room, and repeat the command",
    errno.EFBIG: "the file would be larger than the limit for this process allows (ulimit -f)",
    errno.EMFILE: "too many open files for this process: raise the limit (ulimit -n), and repeat the command",
    errno.ENFILE: "too many open files on this machine: end what holds them, and repeat the command",
    errno.EAGAIN: "the machine has no processes or memory left for this: end something, and repeat the command",
    errno.ENOMEM: "not enough memory: give the process more, and repeat the command",
    errno.EIO: "the disk or terminal reports an input/output error: check it before anything else",
    errno.EBUSY: "is in use by another process",
    errno.ESTALE: "the network file system lost this file: mount it again",
    errno.EINVAL: "the system refuses this name or value",
    errno.EBADF: "the stream is closed",
    errno.EADDRINUSE: "the address is in use by another process: stop that, or name another port",
    errno.EADDRNOTAVAIL: "this machine does not have the address: name one that it has",
    errno.ECONNREFUSED: "the server refuses the connection: check its address, and that it runs",
    **dict.fromkeys((errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN), _AWAY),
    **dict.fromkeys((errno.ECONNRESET, errno.ECONNABORTED), "the server closed the connection: try again later"),
    errno.EPIPE: "the program that read the output has ended",
}
_NUL = "a name of a file or folder holds a NUL character: look for \\0 in the settings"
_BUSY = "locked by another process that has been writing for too long: try again, or end that process"
_UNFIT = "lacks what this program expects there: run `feeds migrate`, and check FEEDS_DATABASE_URL"
_DAMAGED = "the database is damaged: stop the service, and put a backup back with `feeds restore`"
#: By the first two parts of the name of SQLite's error (https://sqlite.org/rescode.html); the file stands before.
_SQLITE: Mapping[str, str] = {
    "SQLITE_BUSY": _BUSY,
    "SQLITE_LOCKED": _BUSY,
    "SQLITE_PROTOCOL": _BUSY,
    "SQLITE_NOTADB": "not a database: FEEDS_DATABASE_URL names another file, or it is damaged and a backup has to be restored",
    "SQLITE_CORRUPT": _DAMAGED,
    "SQLITE_FULL": "no space is left for the database: make room on its disk, and repeat the command",
    "SQLITE_READONLY": "the database cannot be written: let this user write the file and its folder",
    "SQLITE_CANTOPEN": "the database cannot be opened: let this user read and write the file and its folder",
    "SQLITE_PERM": _PERMISSION,
    "SQLITE_AUTH": _PERMISSION,
    "SQLITE_IOERR": "the disk of the database reports an error, or is full: check it before anything else",
    "SQLITE_NOMEM": "not enough memory for the database: give the process more, and repeat the command",
    "SQLITE_TOOBIG": "a value is too large for the database",
    "SQLITE_ERROR": _UNFIT,
    "SQLITE_SCHEMA": _UNFIT,
}
#: By the beginning of PostgreSQL's SQLSTATE, the longest first (https://www.postgresql.org/docs/current/errcodes-appendix.html).
_POSTGRESQL: Mapping[str, str] = {
    "42501": "the user of the database may not do this: grant it the right, or name another in FEEDS_DATABASE_URL",
    "42": f"the database {_UNFIT}",
    "3F": f"the database {_UNFIT}",
    "53100": "the disk of the database server is full: make room there",
    "53300": "the database server has no connection left: raise max_connections, or run fewer processes",
    "53": "the database server is out of memory or disk: give it more",
    "55P03": "the database is locked by another process that has been writing for too long: try again, or end that process",
    "57014": "the database server cancelled the command: it took too long, or an administrator did",
    "40": "other processes changed the same rows at the same time: try again",
    "57": "the database server is stopping or starting: try again",
    "08": "the connection to the database server was lost: try again",
    "25006": "the database server is read-only (a standby?): name the primary in FEEDS_DATABASE_URL",
    "28": "the database server refuses user or password: check FEEDS_DATABASE_URL",
    "3D000": "the database server knows no such database: make it, or check FEEDS_DATABASE_URL",
    "XX": "the database server reports damage or a fault of its own: see its log",
    "58": "the database server reports a fault of its system: see its log",
}


def sentence(error: BaseException) -> str:
    """Return what happened and what to do, in one line without a full stop; "" for a fault that is not an ordinary one.

    The text of a FeedsError may have several lines, one for each fault. Secrets are not removed.

    >>> sentence(FileNotFoundError(2, "No such file or directory", "a.csv"))
    'a.csv: no such file or folder'
    >>> sentence(ModuleNotFoundError("No module named 'obstore'", name="obstore"))
    "obstore is not installed: pip install 'feeds[s3]'"
    >>> sentence(ZeroDivisionError())
    ''
    """
    if isinstance(error, FeedsError):
        return str(error)
    if isinstance(error, BaseExceptionGroup):
        return sentence(error.exceptions[0])
    for known in type(error).__mro__:
        if describe := _FAMILIES.get(f"{known.__module__}.{known.__qualname__}"):
            return " ".join(describe(error).split())
    return ""


def _of_system(error: BaseException) -> str:
    assert isinstance(error, OSError)
    words = _OS.get(error.errno or 0) or (error.strerror or str(error) or type(error).__name__)
    names = (os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, str | bytes | os.PathLike))
    named = [_TEMPORARY.sub("", name) or "." for name in names if name]
    return ": ".join([" -> ".join(named), words] if named else [words])


def _of_import(error: BaseException) -> str:
    package = (getattr(error, "name", "") or "").partition(".")[0]
    if not isinstance(error, ModuleNotFoundError) or package in ("", "feeds"):
        return f"a part of the installation cannot be loaded ({error}): give it more memory, or install feeds again"
    extra = next((f"[{name}]" for name, packages in EXTRAS.items() if package in packages), "")
    return f"{package} is not installed: pip install 'feeds{extra}'"


def _of_database(error: BaseException) -> str:
    """Describe what a driver raised, or SQLAlchemy around it; `filename` of an error of SQLite is the database's."""
    cause = getattr(error, "orig", None) or error
    if name := getattr(cause, "sqlite_errorname", None):
        if name == "SQLITE_CONSTRAINT_TRIGGER":  # raised by a trigger of ours, in words of ours
            return str(cause)
        words = _SQLITE.get("_".join(name.split("_")[:2]), "")
        path = getattr(cause, "filename", "") or "the database"
        if name.startswith("SQLITE_CANTOPEN") and (os.path.isdir(path) or not os.path.exists(path)):
            words = _OS[errno.EISDIR if os.path.isdir(path) else errno.ENOENT]
        return f"{path}: {words} ({cause})" if words else ""
    first = (str(cause).strip().splitlines() or [""])[0]
    if code := getattr(cause, "sqlstate", None):
        return next((f"{words} ({first})" for begin, words in _POSTGRESQL.items() if code.startswith(begin)), "")
    if type(cause).__name__ in ("OperationalError", "ConnectionTimeout", "InterfaceError"):
        return f"the database does not answer: {first}; check FEEDS_DATABASE_URL, and that the server runs"
    return ""


def _of_template(error: BaseException) -> str:
    place = getattr(error, "filename", None) or getattr(error, "name", None) or "a template"
    return f"{place}{f':{line}' if (line := getattr(error, 'lineno', 0)) else ''}: {getattr(error, 'message', None) or error}"


def _text(words: str) -> Callable[[BaseException], str]:
    return lambda error: f"{words} ({error})" if str(error) else words


#: Dotted name of a class -> what describes its instances, and those of classes derived from it; the nearest class counts.
_FAMILIES: Mapping[str, Callable[[BaseException], str]] = {
    "builtins.KeyboardInterrupt": lambda _error: "interrupted",
    "click.exceptions.Abort": lambda _error: "interrupted",
    "builtins.MemoryError": lambda _error: _OS[errno.ENOMEM],
    "builtins.ImportError": _of_import,
    "importlib.metadata.PackageNotFoundError": _of_import,
    "builtins.OSError": _of_system,
    "builtins.TimeoutError": lambda error: _of_system(error) if getattr(error, "errno", None) else _AWAY,
    "builtins.ValueError": lambda error: _NUL if "null byte" in str(error) or "null character" in str(error) else "",
    "builtins.UnicodeDecodeError": _text("a file or an answer is not UTF-8: convert it"),
    "builtins.UnicodeEncodeError": _text("a name holds bytes that are not UTF-8, or LANG is not C.UTF-8 or the like"),
    "socket.gaierror": _text("the host cannot be found: check its name, and that DNS answers"),
    "ssl.SSLError": _text("TLS failed: check the certificate, and whether the server expects TLS on this port"),
    "ssl.SSLCertVerificationError": _text("the server's certificate is not trusted: check its name, its dates and its issuer"),
    "sqlite3.Error": _of_database,
    "psycopg.Error": _of_database,
    "sqlalchemy.exc.DBAPIError": _of_database,
    "sqlalchemy.exc.TimeoutError": lambda _error: "every connection to the database is in use: try again",
    "jinja2.exceptions.TemplateError": _of_template,
    "zoneinfo._common.ZoneInfoNotFoundError": _text("there are no data for a time zone: pip install tzdata"),
    "imaplib.IMAP4.error": _text("the IMAP server refuses: check FEEDS_IMAP_URL"),
    "aiohttp.client_exceptions.ClientError": _text(_AWAY),
}
