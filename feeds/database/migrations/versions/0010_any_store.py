"""When a file's verdict changes by itself, as an embargo ends; and when a file was first seen that says no date.

And the language of each article, with what its translations share.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("files", sa.Column("due", sa.BigInteger, nullable=True))
    op.add_column("files", sa.Column("seen", sa.BigInteger, nullable=True))
    op.create_index("ix_files_due", "files", ["due"])
    op.add_column("articles", sa.Column("language", sa.Text, nullable=False, server_default=""))
    op.add_column("articles", sa.Column("translation", sa.Text, nullable=False, server_default=""))
    translated = sa.text("translation <> ''")
    op.create_index(
        "ix_articles_translation", "articles", ["translation"], sqlite_where=translated, postgresql_where=translated
    )
