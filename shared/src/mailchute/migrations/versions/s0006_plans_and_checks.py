"""Plans with limits, domains that are checked, endpoints with a life of their own, holds, events."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

KEPT = {"email": {"sqlite_with_rowid": False}}


def origin() -> sa.Column[str]:
    return sa.Column("origin", sa.Text(), nullable=False, server_default="file")


def added() -> dict[str, tuple[sa.Column[Any], ...]]:
    """Return the new columns of each table, made afresh: a column belongs to one table."""
    return {
        "account": (sa.Column("storage_connection_id", sa.Text()), sa.Column("held_at", sa.DateTime(True))),
        "plan": (
            sa.Column("mails_per_month", sa.Integer()),
            sa.Column("aliases_max", sa.Integer()),
            sa.Column("size_max_octets", sa.BigInteger()),
            sa.Column("retention_s", sa.Integer()),
        ),
        "block_entry": (sa.Column("note", sa.Text(), nullable=False, server_default=""),),
        "domain": (
            sa.Column("is_managed", sa.Boolean(), nullable=False, server_default=sa.false()),
            sa.Column("ownership_token", sa.Text()),
            sa.Column("dkim_selector", sa.Text()),
            sa.Column("dkim_key", sa.LargeBinary()),
            sa.Column("checked_at", sa.DateTime(True)),
            sa.Column("records", sa.JSON()),
            origin(),
        ),
        "alias": (origin(),),
        "audit_entry": (sa.Column("before", sa.JSON()), sa.Column("after", sa.JSON())),
        "storage_connection": (sa.Column("name", sa.Text(), nullable=False, server_default=""),),
        "endpoint": (
            sa.Column("failing_since", sa.DateTime(True)),
            sa.Column("succeeded_at", sa.DateTime(True)),
            sa.Column("failed_at", sa.DateTime(True)),
            sa.Column("failed_reason", sa.Text()),
            sa.Column("rate_per_s", sa.Float()),
            sa.Column("wants_challenge", sa.Boolean(), nullable=False, server_default=sa.false()),
            sa.Column("verified_at", sa.DateTime(True)),
            origin(),
        ),
        "rule": (
            sa.Column("endpoint_url", sa.Text()),
            sa.Column("drop", sa.Text()),
            sa.Column("words", sa.Text()),
        ),
        "email": (sa.Column("held_at", sa.DateTime(True)),),
    }


def key_attempts_by(column: str) -> None:
    """Make the primary key of attempt (mail, delivery, column); of two that share one the later stays."""
    if op.get_bind().dialect.name != "sqlite":
        op.execute(
            f"DELETE FROM attempt USING attempt AS later WHERE attempt.mail_id = later.mail_id "  # noqa: S608
            f"AND attempt.delivery_id = later.delivery_id AND attempt.{column} = later.{column} "
            "AND attempt.started_at < later.started_at"
        )
        op.drop_constraint("pk_attempt", "attempt")
        op.create_primary_key("pk_attempt", "attempt", ["mail_id", "delivery_id", column])
        return
    columns = (
        sa.Column("mail_id", sa.Text(), nullable=False),
        sa.Column("delivery_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(True), nullable=False),
        sa.Column("duration_s", sa.Float(), nullable=False),
        sa.Column("retry_after_s", sa.Float()),
        sa.Column("response", sa.Text(), nullable=False),
    )
    names = ", ".join(one.name for one in columns)
    key = sa.PrimaryKeyConstraint("mail_id", "delivery_id", column, name="pk_attempt")
    op.create_table("attempt_by_key", *columns, key, sqlite_with_rowid=False)
    op.execute(
        f"INSERT OR REPLACE INTO attempt_by_key ({names}) "  # noqa: S608 (names of our own columns)
        f"SELECT {names} FROM attempt ORDER BY started_at"
    )
    op.drop_table("attempt")
    op.rename_table("attempt_by_key", "attempt")


def upgrade() -> None:
    for table, columns in added().items():
        for column in columns:
            op.add_column(table, column)
    op.create_table(
        "usage",
        sa.Column("account_id", sa.Text(), primary_key=True),
        sa.Column("month", sa.Text(), primary_key=True),
        sa.Column("mail_count", sa.Integer(), nullable=False),
        sa.Column("told_80_at", sa.DateTime(True)),
        sa.Column("told_100_at", sa.DateTime(True)),
    )
    op.create_table(
        "domain_rule",
        sa.Column("domain_id", sa.Text(), sa.ForeignKey("domain.id"), primary_key=True),
        sa.Column("position", sa.Integer(), primary_key=True),
        sa.Column("condition", sa.Text(), nullable=False),
        sa.Column("then", sa.Text(), nullable=False),
        sa.Column("notify", sa.Boolean(), nullable=False),
        sa.Column("tag", sa.Text(), nullable=False),
        sa.Column("endpoint_url", sa.Text()),
        sa.Column("drop", sa.Text()),
        sa.Column("words", sa.Text()),
    )
    op.create_table(
        "account_event",
        sa.Column("sequence", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("mail_id", sa.Text()),
        sa.Column("endpoint_id", sa.Text()),
        sa.Column("detail", sa.JSON(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_account_event_account_id", "account_event", ["account_id", "sequence"])
    op.create_table(
        "kept_answer",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("request_digest", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("location", sa.Text()),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(True), nullable=False),
    )
    op.create_index("ix_kept_answer_created_at", "kept_answer", ["created_at"])
    op.create_table(
        "replay",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("selection", sa.JSON(), nullable=False),
        sa.Column("rate_per_s", sa.Float(), nullable=False),
        sa.Column("created_at", sa.DateTime(True), nullable=False),
        sa.Column("total_count", sa.Integer(), nullable=False),
        sa.Column("done_count", sa.Integer(), nullable=False),
        sa.Column("refused_count", sa.Integer(), nullable=False),
        sa.Column("at_mail_id", sa.Text(), nullable=False),
        sa.Column("ended_at", sa.DateTime(True)),
    )
    op.create_index("ix_replay_account_id", "replay", ["account_id", "id"])
    # Two attempts may share a number (one by hand), never the moment at which they began.
    key_attempts_by("started_at")


def downgrade() -> None:
    key_attempts_by("number")
    op.drop_table("replay")
    op.drop_table("kept_answer")
    op.drop_table("account_event")
    op.drop_table("domain_rule")
    op.drop_table("usage")
    for table, columns in added().items():
        with op.batch_alter_table(table, table_kwargs=KEPT.get(table, {})) as altered:
            for column in columns:
                altered.drop_column(column.name)
