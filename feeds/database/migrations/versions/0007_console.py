"""The operator's console: sessions, what was done there, the last rescans."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "operator_sessions",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("seen", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "operator_log",
        sa.Column("key", Key, primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("details", sa.Text, nullable=False),
        sa.Column("network", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_operator_log_event", "operator_log", ["event", "at"])
    op.create_table(
        "rescans",
        sa.Column("key", Key, primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("report", sa.Text, nullable=False),
        sa.Column("fault", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
