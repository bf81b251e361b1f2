"""What the names of a run's series were taken for, what the user said of them, and the goal of the run."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

ADDED = {
    "goal_rises": sa.Boolean,
    "goal_last": sa.Double,
    "goal_best": sa.Double,
    "goal_best_step": sa.BigInteger,
    "roles": sa.JSON,
    "reading": sa.JSON,
}


def upgrade() -> None:
    for name, kind in ADDED.items():
        op.add_column("monitor_runs", sa.Column(name, kind))


def downgrade() -> None:
    for name in ADDED:
        op.drop_column("monitor_runs", name)
