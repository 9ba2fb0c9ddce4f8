"""Run the migrations on the connection of `database.migrate`. Called by Alembic."""

from alembic import context

from feeds.database.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
