"""A note on each run, and the views of the dashboard that were saved under a name."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("monitor_runs", sa.Column("note", sa.Text))
    op.create_table(
        "monitor_views",
        sa.Column("project", sa.String(250), primary_key=True),
        sa.Column("page", sa.String(32), primary_key=True),
        sa.Column("name", sa.String(250), primary_key=True),
        sa.Column("query", sa.Text, nullable=False),
        sa.Column("saved_ms", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("monitor_views")
    op.drop_column("monitor_runs", "note")
