"""Sets of articles by term and by time, for selections."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from pyroaring import BitMap

revision = "0003"
down_revision = "0002"

Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
#: As in library/sets.py and library/position.py at this version.
_SPAN_SECONDS, _NUMBER_BITS = 30 * 86400, 24


def upgrade() -> None:
    sets = op.create_table(
        "sets",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("key", Key, primary_key=True, autoincrement=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    connection = op.get_bind()
    found: dict[tuple[str, int], BitMap] = {}
    for term, article in connection.execute(sa.text("SELECT term_key, article_key FROM memberships")):
        found.setdefault(("term", term), BitMap()).add(article)
    for article, position in connection.execute(sa.text('SELECT "key", position FROM articles')):
        found.setdefault(("span", (position >> _NUMBER_BITS) // _SPAN_SECONDS), BitMap()).add(article)
    if found:
        rows = [{"kind": kind, "key": key, "data": members.serialize()} for (kind, key), members in found.items()]
        connection.execute(sa.insert(sets), rows)


def downgrade() -> None:
    raise NotImplementedError("going back is not possible; restore a backup")
