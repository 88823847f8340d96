"""Erased mails: nothing of them is kept but that they are not to come back."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("email", sa.Column("erased_at", sa.DateTime(timezone=True)))


def downgrade() -> None:
    with op.batch_alter_table("email", table_kwargs={"sqlite_with_rowid": False}) as email:
        email.drop_column("erased_at")
