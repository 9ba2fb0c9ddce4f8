"""The catalog: files, quarantine, articles, terms, feeds."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "state",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_table(
        "files",
        sa.Column("path", sa.Text, primary_key=True),
        sa.Column("stamp", sa.BigInteger, nullable=False),
        sa.Column("article", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_files_article", "files", ["article"])
    op.create_table(
        "quarantine",
        sa.Column("path", sa.Text, primary_key=True),
        sa.Column("line", sa.Integer, nullable=False),
        sa.Column("column", sa.Integer, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "articles",
        sa.Column("key", Key, primary_key=True),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("permalink", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("summary", sa.Text, nullable=False),
        sa.Column("published", sa.BigInteger, nullable=False),
        sa.Column("updated", sa.BigInteger, nullable=False),
        sa.Column("original", sa.Text, nullable=False),
        sa.Column("picture", sa.Text, nullable=False),
        sa.Column("comments", sa.Integer, nullable=False),
        sa.Column("editor_choice", sa.Integer, nullable=False),
        sa.Column("names", sa.Text, nullable=False),
        sa.Column("terms", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("first_seen", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("id", name="uq_articles_id"),
    )
    op.create_index("ix_articles_position", "articles", ["position"])
    op.create_index("ix_articles_permalink", "articles", ["permalink"])
    op.create_table(
        "bodies",
        sa.Column("article_key", Key, sa.ForeignKey("articles.key"), primary_key=True, autoincrement=False),
        sa.Column("html", sa.Text, nullable=False),
    )
    op.create_table(
        "terms",
        sa.Column("key", Key, primary_key=True),
        sa.Column("facet", sa.Text, nullable=False),
        sa.Column("folded", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("slug", sa.Text, nullable=False),
        sa.Column("feed_path", sa.Text, nullable=False),
        sa.Column("articles", sa.Integer, nullable=False),
        sa.UniqueConstraint("facet", "folded", name="uq_terms_facet"),
    )
    op.create_index("ix_terms_slug", "terms", ["facet", "slug"])
    op.create_table(
        "spellings",
        sa.Column("term_key", Key, sa.ForeignKey("terms.key"), primary_key=True, autoincrement=False),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("articles", sa.Integer, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "memberships",
        sa.Column("term_key", Key, sa.ForeignKey("terms.key"), primary_key=True, autoincrement=False),
        sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("article_key", Key, sa.ForeignKey("articles.key"), primary_key=True, autoincrement=False),
        sa.Column("rank", sa.Integer, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_memberships_article", "memberships", ["article_key", "term_key"])
    op.create_table(
        "feeds",
        sa.Column("path", sa.Text, primary_key=True),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("term_key", Key, nullable=True),
        sa.Column("articles", sa.Integer, nullable=False),
        sa.Column("updated", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("changed", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    raise NotImplementedError("going back is not possible; restore a backup")
