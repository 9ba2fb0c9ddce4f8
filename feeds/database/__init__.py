"""The database: tables, engines, transactions, locks, migrations, backups, jobs.

`tables` defines what is stored, `engine` opens it (its names are this package's own), `migrations` brings older databases up to
date, `backup` copies one, `jobs` queues work for other processes.
"""

from .engine import (
    HEAD,
    chunks,
    connect,
    conninfo,
    continue_keys,
    count_rows,
    ensure_tables,
    fetch_rows,
    insert_rows,
    is_postgresql,
    is_temporary,
    lock,
    migrate,
    reading,
    version,
    writing,
)

__all__ = [
    "HEAD",
    "chunks",
    "connect",
    "conninfo",
    "continue_keys",
    "count_rows",
    "ensure_tables",
    "fetch_rows",
    "insert_rows",
    "is_postgresql",
    "is_temporary",
    "lock",
    "migrate",
    "reading",
    "version",
    "writing",
]
