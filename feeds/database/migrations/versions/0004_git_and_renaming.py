"""Dates from git; ids of feeds that an alias renamed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "dated",
        sa.Column("path", sa.Text, primary_key=True),
        sa.Column("first", sa.BigInteger, nullable=True),
        sa.Column("last", sa.BigInteger, nullable=True),
        sqlite_with_rowid=False,
    )
    op.add_column("terms", sa.Column("adopted", sa.Text, nullable=False, server_default=""))
