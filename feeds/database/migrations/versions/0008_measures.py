"""Measures of all processes, and counts of rows that are too many to be counted whenever a monitor asks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_FEEDS = {"requests": "requests", "not_modified": "unchanged", "refused": "refused", "sent_bytes": "sent"}


def upgrade() -> None:
    op.create_table(
        "measures",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("label", sa.Text, primary_key=True),
        sa.Column("slot", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "counted",
        sa.Column("subject", sa.Text, primary_key=True),
        sa.Column("part", Key, primary_key=True, autoincrement=False),
        sa.Column("label", sa.Text, primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("took", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    for name, column in _FEEDS.items():  # counters that a monitor watches go on where they were
        op.execute(
            f"INSERT INTO measures (name, label, slot, number) "  # noqa: S608
            f"SELECT '{name}', format, 0, SUM({column}) FROM audience WHERE day = 0 GROUP BY format"
        )
