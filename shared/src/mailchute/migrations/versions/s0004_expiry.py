"""When each mail's retention ends."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

DEAD_RETENTION_S = 1_209_600
RETENTION_S = 3_600

WINDOW = f"CASE state WHEN 'dead' THEN {DEAD_RETENTION_S} ELSE coalesce(retention_s, {RETENTION_S}) END"
ENDS = {
    "sqlite": f"strftime('%Y-%m-%d %H:%M:%f', ended_at, '+' || ({WINDOW}) || ' seconds') || '000'",
    "postgresql": f"ended_at + make_interval(secs => {WINDOW})",
}


def upgrade() -> None:
    op.add_column("email", sa.Column("expires_at", sa.DateTime(timezone=True)))
    op.create_index("ix_email_expires_at", "email", ["expires_at", "id"])
    ends = ENDS[op.get_bind().dialect.name]
    op.execute(f"UPDATE email SET expires_at = {ends} WHERE ended_at IS NOT NULL")  # noqa: S608 (ours)


def downgrade() -> None:
    op.drop_index("ix_email_expires_at", "email")
    with op.batch_alter_table("email", table_kwargs={"sqlite_with_rowid": False}) as email:
        email.drop_column("expires_at")
