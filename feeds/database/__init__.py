"""The database: tables, engines, transactions, migrations, backups. The only owner of SQLAlchemy engines and DDL.

`tables` defines what is stored, `engine` opens it (its names are this package's own), `migrations` brings older databases up to
date, `backup` copies one, `jobs` queues work for other processes.
"""

from .engine import (
    HEAD,
    chunks,
    connect,
    conninfo,
    count_on,
    ensure,
    exclusive,
    insert_rows,
    is_passing,
    is_postgresql,
    migrate,
    reading,
    tenure,
    version,
    whole_rows,
    writing,
)

__all__ = [
    "HEAD",
    "chunks",
    "connect",
    "conninfo",
    "count_on",
    "ensure",
    "exclusive",
    "insert_rows",
    "is_passing",
    "is_postgresql",
    "migrate",
    "reading",
    "tenure",
    "version",
    "whole_rows",
    "writing",
]
