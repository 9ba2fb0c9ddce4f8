"""What was left out of an article's body or mended in it; files that articles refer to; what few articles say; words of all."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

#: As in `tables`: compared by code points everywhere.
Text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("articles", sa.Column("changes", Text, nullable=False, server_default=""))
    op.create_table(
        "assets",
        sa.Column("owner", Text, primary_key=True),
        sa.Column("path", Text, primary_key=True),
        *(sa.Column(name, Text, nullable=False) for name in ("hash", "name")),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("stamp", "size")),
        sa.Column("data", sa.LargeBinary, nullable=True),
    )
    op.create_index("ix_assets_hash", "assets", ["hash"])
    op.create_table(
        "sources",
        sa.Column("article_key", Key, sa.ForeignKey("articles.key"), primary_key=True, autoincrement=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    for name, default in (("in_feeds", "1"), ("in_digests", "1"), ("pinned", "0"), ("part", "0"), ("linked", "1")):
        op.add_column("articles", sa.Column(name, sa.Integer, nullable=False, server_default=default))
    op.add_column("articles", sa.Column("details", Text, nullable=False, server_default=""))
    few = {"in_feeds": sa.text("in_feeds = 0"), "pinned": sa.text("pinned > 0"), "linked": sa.text("linked > 0")}
    for name, where in few.items():
        op.create_index(f"ix_articles_{name}", "articles", [name], sqlite_where=where)
    op.add_column("terms", sa.Column("words", Text, nullable=False, server_default=""))
    op.create_table(
        "postings",
        sa.Column("block", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("word", Text, primary_key=True),
        sa.Column("articles", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
