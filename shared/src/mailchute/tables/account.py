"""The installation, its accounts, and who may do what in them."""

from __future__ import annotations

import sqlalchemy as sa

from mailchute.alias import RETENTION_S
from mailchute.tables.columns import Instant, at, identifier, metadata, owner

meta = sa.Table(
    "meta",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),  # installation_id, salt, key_check
    sa.Column("value", sa.Text, nullable=False),
)

account = sa.Table(
    "account",
    metadata,
    identifier(),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("retention_s", sa.Integer, nullable=False, default=RETENTION_S),
    at("created_at"),
    sa.Column("plan_name", sa.Text, sa.ForeignKey("plan.name")),  # None: nothing is limited
    sa.Column("storage_connection_id", sa.Text),  # its own bucket; None: the installation's
    at("held_at", nullable=True),  # an investigation is open: nothing of it is removed by age
)

plan = sa.Table(
    "plan",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),  # free, pro, enterprise, …
    sa.Column("retention_max_s", sa.Integer, nullable=False),
    sa.Column("permissions", sa.JSON, nullable=False),  # ["compliance.data_residency", …]
    sa.Column("mails_per_month", sa.Integer),  # None here and below: no limit
    sa.Column("aliases_max", sa.Integer),
    sa.Column("size_max_octets", sa.BigInteger),  # of one mail
    sa.Column("retention_s", sa.Integer),  # what its accounts begin with; None: RETENTION_S
)

usage = sa.Table(
    "usage",
    metadata,
    sa.Column("account_id", sa.Text, primary_key=True),
    sa.Column("month", sa.Text, primary_key=True),  # "2026-11", UTC
    sa.Column("mail_count", sa.Integer, nullable=False),  # accepted, duplicates left out
    at("told_80_at", nullable=True),  # when its owner was told that 80 % are used
    at("told_100_at", nullable=True),
)

member = sa.Table(
    "member",  # "user" is a word of PostgreSQL's own
    metadata,
    identifier(),
    owner("account"),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("role", sa.Text, nullable=False),  # owner, member
    at("created_at"),
    sa.UniqueConstraint("account_id", "address"),
)

api_key = sa.Table(
    "api_key",
    metadata,
    identifier(),
    owner("account"),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column(
        "digest", sa.Text, nullable=False, unique=True
    ),  # SHA-256 of the key, which is 32 random octets
    sa.Column("scopes", sa.JSON, nullable=False),  # mailchute.store.keys.SCOPES
    at("created_at"),
    at("last_used_at", nullable=True),  # to the minute
    at("revoked_at", nullable=True),
)

block_entry = sa.Table(
    "block_entry",
    metadata,
    identifier(),
    owner("account"),
    sa.Column("kind", sa.Text, nullable=False),  # address, domain, network
    sa.Column("value", sa.Text, nullable=False),  # lower case
    sa.Column("note", sa.Text, nullable=False, default="", server_default=""),  # why, for people
    at("created_at"),
    sa.UniqueConstraint("account_id", "kind", "value"),
)

storage_connection = sa.Table(
    "storage_connection",
    metadata,
    identifier(),
    owner("account"),
    sa.Column("name", sa.Text, nullable=False, default="", server_default=""),  # for people
    sa.Column("endpoint", sa.Text, nullable=False),
    sa.Column("bucket", sa.Text, nullable=False),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("access_key", sa.LargeBinary, nullable=False),  # sealed, as secret_key
    sa.Column("secret_key", sa.LargeBinary, nullable=False),
    at("created_at"),
    at("deleted_at", nullable=True),
)

kept_answer = sa.Table(
    "kept_answer",  # what a request with an Idempotency-Key was answered
    metadata,
    identifier(),  # derived of account and key
    sa.Column("account_id", sa.Text, nullable=False),
    sa.Column("request_digest", sa.Text, nullable=False),  # SHA-256: method, path, query, body
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("location", sa.Text),
    sa.Column("body", sa.LargeBinary, nullable=False),  # sealed: it may show a secret that was made
    sa.Column("created_at", Instant, nullable=False, index=True),
)

audit_entry = sa.Table(
    "audit_entry",
    metadata,
    identifier(),
    sa.Column("account_id", sa.Text, nullable=False),
    at("at"),
    sa.Column("actor", sa.Text, nullable=False),  # "cli", or the id of an API key
    sa.Column("action", sa.Text, nullable=False),  # "endpoint.change"
    sa.Column("object_id", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),  # for a person; never a secret
    sa.Column("before", sa.JSON(none_as_null=True)),  # of a change: its fields and their values; no secret
    sa.Column("after", sa.JSON(none_as_null=True)),
    sa.Index("ix_audit_entry_account_id", "account_id", "id"),
)
