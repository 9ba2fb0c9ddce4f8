"""What a subscriber had chosen before a change, so that a change by someone else's hand can be undone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("subscribers", sa.Column("previous", sa.Text, nullable=True))
    op.add_column("subscribers", sa.Column("changed", sa.BigInteger, nullable=True))
