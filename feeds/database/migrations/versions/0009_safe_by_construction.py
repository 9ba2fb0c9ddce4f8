"""What a subscriber had chosen before a change, so that a change by someone else's hand can be undone.

And by whom limits count (salted hashes): networks of the hub's clients, mailboxes of sign-ups without `+tag` and dots.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("subscribers", sa.Column("previous", sa.Text, nullable=True))
    op.add_column("subscribers", sa.Column("changed", sa.BigInteger, nullable=True))
    op.add_column("requests", sa.Column("counted", sa.Text, nullable=True))
    op.create_index("ix_requests_counted", "requests", ["counted", "created"])
    op.add_column("hub_requests", sa.Column("network", sa.Text, nullable=True))
    op.add_column("hub_subscriptions", sa.Column("network", sa.Text, nullable=True))
