"""Push: subscriptions of the WebSub hub, requests for them, what an external hub has been notified of."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "hub_subscriptions",
        sa.Column("key", Key, primary_key=True),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("callback", sa.Text, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("expires", sa.BigInteger, nullable=False),
        sa.Column("delivered", sa.Text, nullable=False),
        sa.Column("wanted", sa.Text, nullable=False),
        sa.Column("due", sa.BigInteger, nullable=True),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("failing_since", sa.BigInteger, nullable=True),
        sa.Column("problem", sa.Text, nullable=False),
        sa.UniqueConstraint("topic", "callback", name="uq_hub_subscriptions_topic"),
        sqlite_autoincrement=True,
    )
    for column in ("host", "expires", "due"):
        op.create_index(f"ix_hub_subscriptions_{column}", "hub_subscriptions", [column])
    _requests()
    op.create_table(
        "hub_announced",
        sa.Column("path", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )


def _requests() -> None:
    op.create_table(
        "hub_requests",
        sa.Column("key", Key, primary_key=True),
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("asked", sa.Text, nullable=False),
        sa.Column("callback", sa.Text, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("lease", sa.BigInteger, nullable=False),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("seen", sa.Text, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("due", sa.BigInteger, nullable=True),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("problem", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    for column in ("host", "due"):
        op.create_index(f"ix_hub_requests_{column}", "hub_requests", [column])
