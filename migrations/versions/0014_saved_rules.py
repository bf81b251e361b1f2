"""Settings of rules that were saved in the dashboard or by the API, over those of the settings file."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "monitor_rules",
        sa.Column("project", sa.String(250), primary_key=True),
        sa.Column("rule", sa.String(250), primary_key=True),
        sa.Column("settings", sa.Text, nullable=False),
        sa.Column("saved_ms", sa.BigInteger, nullable=False),
        sa.Column("who", sa.String(250), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("monitor_rules")
