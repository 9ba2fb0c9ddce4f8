"""When a file's verdict changes by itself, as an embargo ends; and when a file was first seen that says no date.

And the language of each article, with what its translations share; and pages, which are no articles.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

#: As in `tables`: compared by code points everywhere.
Text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("files", sa.Column("due", sa.BigInteger, nullable=True))
    op.add_column("files", sa.Column("seen", sa.BigInteger, nullable=True))
    op.create_index("ix_files_due", "files", ["due"])
    op.add_column("articles", sa.Column("language", Text, nullable=False, server_default=""))
    op.add_column("articles", sa.Column("translation", Text, nullable=False, server_default=""))
    op.create_index("ix_articles_translation", "articles", ["translation"], sqlite_where=sa.text("translation <> ''"))
    op.create_table(
        "pages",
        sa.Column("path", Text, primary_key=True),
        *(sa.Column(name, Text, nullable=False) for name in ("id", "url", "permalink", "title", "summary", "html")),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("published", "updated")),
        *(sa.Column(name, Text, nullable=False) for name in ("original", "picture", "language", "digest")),
    )
    op.create_index("ix_pages_id", "pages", ["id"])
    op.create_index("ix_pages_permalink", "pages", ["permalink"])
