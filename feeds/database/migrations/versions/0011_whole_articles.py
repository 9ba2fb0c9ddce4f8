"""What was left out of each article's body, or mended in it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

#: As in `tables`: compared by code points everywhere.
Text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("articles", sa.Column("changes", Text, nullable=False, server_default=""))
