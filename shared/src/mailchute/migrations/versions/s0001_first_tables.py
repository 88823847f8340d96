"""Accounts, aliases, endpoints and the log."""

from __future__ import annotations

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("retention_s", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_account"),
        sa.UniqueConstraint("name", name="uq_account_name"),
    )
    op.create_table(
        "attempt",
        sa.Column("mail_id", sa.Text(), nullable=False),
        sa.Column("delivery_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("duration_s", sa.Float(), nullable=False),
        sa.Column("retry_after_s", sa.Float(), nullable=True),
        sa.Column("response", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("mail_id", "delivery_id", "number", name="pk_attempt"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "delivery",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("mail_id", sa.Text(), nullable=False),
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("endpoint_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempt_count", sa.Integer(), nullable=False),
        sa.Column("last_attempt", sa.Integer(), nullable=False),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("last_reason", sa.Text(), nullable=True),
        sa.Column("dead_reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_delivery"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_delivery_account_id", "delivery", ["account_id", "mail_id", "id"], unique=False)
    op.create_index(
        "ix_delivery_endpoint_id", "delivery", ["endpoint_id", "state", "mail_id", "id"], unique=False
    )
    op.create_index("ix_delivery_mail_id", "delivery", ["mail_id"], unique=False)

    op.create_table(
        "email",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("domain_id", sa.Text(), nullable=False),
        sa.Column("alias_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("mail_sequence", sa.BigInteger(), nullable=True),
        sa.Column("retention_s", sa.Integer(), nullable=True),
        sa.Column("message_id", sa.Text(), nullable=True),
        sa.Column("recipient", sa.Text(), nullable=True),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("size_octets", sa.BigInteger(), nullable=True),
        sa.Column("attachments", sa.JSON(), nullable=True),
        sa.Column("spam_score", sa.Float(), nullable=True),
        sa.Column("is_spam", sa.Boolean(), nullable=True),
        sa.Column("summary_key", sa.Text(), nullable=True),
        sa.Column("objects", sa.JSON(), nullable=False),
        sa.Column("duplicate_count", sa.Integer(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=True),
        sa.Column("verdict_run", sa.Text(), nullable=True),
        sa.Column("verdict_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("stage", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_email"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_email_account_id", "email", ["account_id", "id"], unique=False)
    op.create_index("ix_email_account_id_state", "email", ["account_id", "state", "id"], unique=False)
    op.create_index("ix_email_alias_id", "email", ["alias_id", "id"], unique=False)
    op.create_index("ix_email_ended_at", "email", ["ended_at"], unique=False)
    op.create_index("ix_email_message_id", "email", ["message_id"], unique=False)

    op.create_table(
        "event",
        sa.Column("mail_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("mail_id", "id", name="pk_event"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "meta",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_meta"),
    )
    op.create_table(
        "domain",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_domain_account_id"),
        sa.PrimaryKeyConstraint("id", name="pk_domain"),
    )
    op.create_index(
        "uq_domain_live_name",
        "domain",
        ["name"],
        unique=True,
        sqlite_where=sa.text("deleted_at IS NULL"),
        postgresql_where=sa.text("deleted_at IS NULL"),
    )

    op.create_table(
        "alias",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("domain_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("match", sa.Text(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("inline_limit_octets", sa.Integer(), nullable=False),
        sa.Column("body_limit_octets", sa.Integer(), nullable=False),
        sa.Column("spam_enabled", sa.Boolean(), nullable=False),
        sa.Column("spam_threshold", sa.Float(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_alias_account_id"),
        sa.ForeignKeyConstraint(["domain_id"], ["domain.id"], name="fk_alias_domain_id"),
        sa.PrimaryKeyConstraint("id", name="pk_alias"),
    )
    op.create_index("ix_alias_domain_id", "alias", ["domain_id", "kind", "match"], unique=False)

    op.create_table(
        "endpoint",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("alias_id", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("include", sa.JSON(), nullable=False),
        sa.Column("body_limit_octets", sa.Integer(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("secret_is_generated", sa.Boolean(), nullable=False),
        sa.Column("previous_secret", sa.LargeBinary(), nullable=True),
        sa.Column("previous_secret_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("headers", sa.LargeBinary(), nullable=True),
        sa.Column("basic_auth", sa.LargeBinary(), nullable=True),
        sa.Column("signing_key", sa.LargeBinary(), nullable=True),
        sa.Column("enabled_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("disabled_reason", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_endpoint_account_id"),
        sa.ForeignKeyConstraint(["alias_id"], ["alias.id"], name="fk_endpoint_alias_id"),
        sa.PrimaryKeyConstraint("id", name="pk_endpoint"),
    )
    op.create_index("ix_endpoint_alias_id", "endpoint", ["alias_id", "position"], unique=False)

    op.create_table(
        "rule",
        sa.Column("alias_id", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("condition", sa.Text(), nullable=False),
        sa.Column("then", sa.Text(), nullable=False),
        sa.Column("notify", sa.Boolean(), nullable=False),
        sa.Column("tag", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["alias_id"], ["alias.id"], name="fk_rule_alias_id"),
        sa.PrimaryKeyConstraint("alias_id", "position", name="pk_rule"),
    )

    # Bound into every sealed secret: a copy of the rows alone opens nowhere else.
    op.bulk_insert(
        sa.table("meta", sa.column("name", sa.Text), sa.column("value", sa.Text)),
        [
            {"name": "installation_id", "value": secrets.token_hex(16)},
            {"name": "salt", "value": secrets.token_hex(32)},
        ],
    )


def downgrade() -> None:
    for table in (
        "rule",
        "endpoint",
        "alias",
        "domain",
        "meta",
        "event",
        "email",
        "delivery",
        "attempt",
        "account",
    ):
        op.drop_table(table)
