"""Runs the migrations on the connection that `monitor.store.sql.migrate` hands over, inside its transaction."""

from alembic import context

from monitor.store.sql.schema import METADATA, VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table=VERSION_TABLE,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
