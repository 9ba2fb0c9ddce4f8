"""Newsletter: subscribers, issues, deliveries; and since when digests know each article."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OPEN = sa.text("status IN ('pending', 'retry', 'sending', 'uncertain')")


def upgrade() -> None:
    _articles()
    _people()
    _issues()


def _articles() -> None:
    """What a catalog already holds is its baseline: digests go by the dates of publication."""
    op.add_column("articles", sa.Column("available", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("articles", sa.Column("arrival", sa.BigInteger, nullable=False, server_default="0"))
    op.execute("UPDATE articles SET available = published")
    op.create_index("ix_articles_available", "articles", ["available"])
    op.create_index("ix_articles_arrival", "articles", ["arrival"])


def _people() -> None:
    op.create_table(
        "departed",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("available", sa.BigInteger, nullable=False),
        sa.Column("arrival", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "selections",
        sa.Column("key", Key, primary_key=True),
        sa.Column("query", sa.Text, nullable=False),
        sa.UniqueConstraint("query", name="uq_selections_query"),
    )
    op.create_table(
        "subscribers",
        sa.Column("key", Key, primary_key=True),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("mailbox", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("language", sa.Text, nullable=False),
        sa.Column("timezone", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("confirmed", sa.BigInteger, nullable=False),
        sa.Column("ended", sa.BigInteger, nullable=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("bounce_score", sa.Integer, nullable=False),
        sa.Column("bounced_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("mailbox", name="uq_subscribers_mailbox"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "cohorts",
        sa.Column("key", Key, primary_key=True),
        sa.Column("frequency", sa.Text, nullable=False),
        sa.Column("day", sa.Integer, nullable=False),
        sa.Column("timezone", sa.Text, nullable=False),
        sa.UniqueConstraint("frequency", "day", "timezone", name="uq_cohorts_frequency"),
    )
    op.create_table(
        "subscriptions",
        sa.Column("key", Key, primary_key=True),
        sa.Column("subscriber", Key, sa.ForeignKey("subscribers.key"), nullable=False),
        sa.Column("frequency", sa.Text, nullable=False),
        sa.Column("cohort", Key, sa.ForeignKey("cohorts.key"), nullable=False),
        sa.Column("selections", sa.Text, nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("covered", sa.BigInteger, nullable=True),
        sa.Column("arrival", sa.BigInteger, nullable=True),
        sa.UniqueConstraint("subscriber", "frequency", name="uq_subscriptions_subscriber"),
    )
    op.create_index("ix_subscriptions_cohort", "subscriptions", ["cohort", "key"])
    op.create_table(
        "requests",
        sa.Column("token_hash", sa.Text, primary_key=True),
        sa.Column("mailbox_hash", sa.Text, nullable=False),
        sa.Column("network", sa.Text, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("expires", sa.BigInteger, nullable=False),
        sa.Column("used", sa.BigInteger, nullable=True),
        sa.Column("wanted", sa.Text, nullable=False),
    )
    op.create_index("ix_requests_created", "requests", ["created"])
    op.create_index("ix_requests_mailbox", "requests", ["mailbox_hash", "created"])
    op.create_index("ix_requests_network", "requests", ["network", "created"])
    op.create_table(
        "suppressions",
        sa.Column("mailbox_hash", sa.Text, primary_key=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "outbox",
        sa.Column("key", Key, primary_key=True),
        sa.Column("recipient", sa.Text, nullable=False),
        sa.Column("message_id", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_at", sa.BigInteger, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("reply", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )


def _issues() -> None:
    op.create_table(
        "plans",
        sa.Column("cohort", Key, sa.ForeignKey("cohorts.key"), primary_key=True, autoincrement=False),
        sa.Column("due", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("issue", Key, nullable=True),
        sa.Column("planned_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "issues",
        sa.Column("key", Key, primary_key=True),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("frequency", sa.Text, nullable=False),
        sa.Column("due", sa.BigInteger, nullable=False),
        sa.Column("timezone", sa.Text, nullable=False),
        sa.Column("planned_at", sa.BigInteger, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("listed", sa.Integer, nullable=False),
        sa.Column("articles", sa.Integer, nullable=False),
        sa.UniqueConstraint("id", name="uq_issues_id"),
        sa.UniqueConstraint("frequency", "due", name="uq_issues_frequency"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_issues_status", "issues", ["status"])
    op.create_table(
        "issue_articles",
        sa.Column("issue", Key, sa.ForeignKey("issues.key"), primary_key=True, autoincrement=False),
        sa.Column("rank", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("article", sa.Text, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
    )
    op.create_table(
        "issue_sections",
        sa.Column("issue", Key, sa.ForeignKey("issues.key"), primary_key=True, autoincrement=False),
        sa.Column("reach", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("selection", Key, sa.ForeignKey("selections.key"), primary_key=True, autoincrement=False),
        sa.Column("ranks", sa.Text, nullable=False),
    )
    op.create_table(
        "deliveries",
        sa.Column("issue", Key, sa.ForeignKey("issues.key"), primary_key=True, autoincrement=False),
        sa.Column("subscriber", Key, primary_key=True, autoincrement=False),
        sa.Column("reach", sa.Integer, nullable=False),
        sa.Column("selections", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_at", sa.BigInteger, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("lease", sa.BigInteger, nullable=False),
        sa.Column("updated", sa.BigInteger, nullable=False),
        sa.Column("reply", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_deliveries_open", "deliveries", ["issue", "status", "next_at"], sqlite_where=OPEN, postgresql_where=OPEN
    )
    op.create_index("ix_deliveries_subscriber", "deliveries", ["subscriber"])
    op.create_table(
        "buckets",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("left", sa.BigInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "bounces",
        sa.Column("message", sa.Text, primary_key=True),
        sa.Column("subscriber", Key, nullable=False),
        sa.Column("issue", Key, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("diagnostic", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_bounces_subscriber", "bounces", ["subscriber", "at"])


def downgrade() -> None:
    raise NotImplementedError("going back is not possible; restore a backup")
