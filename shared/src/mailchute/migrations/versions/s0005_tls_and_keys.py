"""Domains that take no mail in clear; endpoints that are signed for by key and shown a certificate."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "domain", sa.Column("requires_tls", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.add_column("endpoint", sa.Column("signs_v1a", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("endpoint", sa.Column("client_certificate", sa.LargeBinary()))


def downgrade() -> None:
    with op.batch_alter_table("endpoint", table_kwargs={"sqlite_with_rowid": False}) as endpoint:
        endpoint.drop_column("client_certificate")
        endpoint.drop_column("signs_v1a")
    with op.batch_alter_table("domain", table_kwargs={"sqlite_with_rowid": False}) as domain:
        domain.drop_column("requires_tls")
