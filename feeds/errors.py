"""All errors that this project raises: each is a `FeedsError` and names what it is about.

A bad article is not an error but a value: `model.Problem`, a row in quarantine.
"""

from __future__ import annotations


class FeedsError(Exception):
    """Base of all errors; its text is one line for the operator."""


class Fault(FeedsError):
    """A fault at a place in a file; prints as ``path:line:column: reason``."""

    def __init__(self, path: str, line: int, column: int, reason: str) -> None:
        super().__init__(path, line, column, reason)
        self.path, self.line, self.column, self.reason = path, line, column, reason

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}: {self.reason}"


class ConfigError(FeedsError):
    """All faults found in the configuration at once."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__(faults)
        self.faults = faults

    def __str__(self) -> str:
        return "\n".join(str(fault) for fault in self.faults)


class EditError(FeedsError):
    """A configuration file cannot be changed as asked, or not by a program; it stays as it is."""


class StoreError(FeedsError):
    """The article store cannot be listed; the catalog stays as it was."""


class GitError(FeedsError):
    """The store's repository cannot be read or pulled; the store stays as it is."""


class FormatError(FeedsError):
    """A feed format cannot be used; names the package that it belongs to."""


class TransportError(FeedsError):
    """Nothing can be sent this way; one line, without secrets."""


class RenderError(FeedsError):
    """A page cannot be made; names the place in the template."""


class DatabaseError(FeedsError):
    """The database cannot be used; the text holds no password."""


class DatabaseFault(DatabaseError):
    """The database is damaged, gone, or not the one of this site; nothing is read or written that could do harm."""


class SchemaError(DatabaseError):
    """The database needs `feeds migrate`, or was made by a newer version."""


class AddressError(FeedsError):
    """No feed has this address."""


class StateError(FeedsError):
    """An issue is in another state than an action needs; says in which."""


class SelectionError(AddressError):
    """No selection is written like this; says what was expected."""
