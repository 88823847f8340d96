"""What mail is for, and where it goes."""

from __future__ import annotations

import sqlalchemy as sa

from mailchute.alias import BODY_LIMIT_OCTETS, INLINE_LIMIT_OCTETS, SPAM_THRESHOLD
from mailchute.tables.columns import at, identifier, metadata, origin, owner

domain = sa.Table(
    "domain",
    metadata,
    identifier(),
    owner("account"),
    sa.Column("name", sa.Text, nullable=False),  # lower case; "*.inbox.test" is any name below inbox.test
    sa.Column("requires_tls", sa.Boolean, nullable=False, default=False, server_default=sa.false()),
    sa.Column("is_managed", sa.Boolean, nullable=False, default=False, server_default=sa.false()),
    sa.Column("ownership_token", sa.Text),  # what its TXT record must hold
    sa.Column("dkim_selector", sa.Text),
    sa.Column("dkim_key", sa.LargeBinary),  # PEM, sealed
    at("checked_at", nullable=True),
    sa.Column("records", sa.JSON),  # what the last check found: [{kind, name, expected, found, state}]
    origin(),
    at("created_at"),
    at("deleted_at", nullable=True),
)
sa.Index(  # two accounts must never both own a name
    "uq_domain_live_name",
    domain.c.name,
    unique=True,
    sqlite_where=domain.c.deleted_at.is_(None),
    postgresql_where=domain.c.deleted_at.is_(None),
)

alias = sa.Table(
    "alias",
    metadata,
    identifier(),
    owner("account"),
    owner("domain"),
    sa.Column("name", sa.Text, nullable=False),  # the local-part as its owner wrote it: "Support", "*"
    sa.Column("kind", sa.Text, nullable=False),  # exact, glob, regex, catch-all
    sa.Column("match", sa.Text, nullable=False),  # exact: lower case; glob, regex: RE2; catch-all: ""
    sa.Column("priority", sa.Integer, nullable=False, default=0),  # of patterns: the highest goes first
    sa.Column("mode", sa.Text, nullable=False, default="async"),
    sa.Column("inline_limit_octets", sa.Integer, nullable=False, default=INLINE_LIMIT_OCTETS),
    sa.Column("body_limit_octets", sa.Integer, nullable=False, default=BODY_LIMIT_OCTETS),
    sa.Column("spam_enabled", sa.Boolean, nullable=False, default=True),
    sa.Column("spam_threshold", sa.Float, nullable=False, default=SPAM_THRESHOLD),
    origin(),
    at("created_at"),
    at("deleted_at", nullable=True),
    sa.Index("ix_alias_domain_id", "domain_id", "kind", "match"),
)

endpoint = sa.Table(
    "endpoint",
    metadata,
    identifier(),
    owner("account"),
    owner("alias"),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("format", sa.Text, nullable=False, default="native"),
    sa.Column("include", sa.JSON, nullable=False, default=list),
    sa.Column("body_limit_octets", sa.Integer, nullable=False, default=BODY_LIMIT_OCTETS),
    # Sealed (mailchute.sealing), each bound to its row and column.
    sa.Column("secret", sa.LargeBinary, nullable=False),
    sa.Column("secret_is_generated", sa.Boolean, nullable=False),
    sa.Column("previous_secret", sa.LargeBinary),
    at("previous_secret_until", nullable=True),  # both sign until then
    sa.Column("headers", sa.LargeBinary),  # JSON list of [name, value]: it may carry a token
    sa.Column("basic_auth", sa.LargeBinary),
    sa.Column("signing_key", sa.LargeBinary),
    sa.Column("client_certificate", sa.LargeBinary),
    sa.Column("signs_v1a", sa.Boolean, nullable=False, default=False, server_default=sa.false()),
    at("enabled_at"),  # a 410 from before this moment disables nothing
    at("disabled_at", nullable=True),
    sa.Column("disabled_reason", sa.Text),
    at("failing_since", nullable=True),  # of the first failure after its last success
    at("succeeded_at", nullable=True),  # of the last attempt that delivered, whatever order they come in
    at("failed_at", nullable=True),  # of the last that failed, and what its owner was told of it
    sa.Column("failed_reason", sa.Text),
    sa.Column("rate_per_s", sa.Float),  # POSTs that it asked for at most; None: no limit
    # Its owner wants it asked before the first mail: nothing is POSTed until verified_at.
    sa.Column("wants_challenge", sa.Boolean, nullable=False, default=False, server_default=sa.false()),
    at("verified_at", nullable=True),
    origin(),
    at("created_at"),
    at("deleted_at", nullable=True),
    sa.Index("ix_endpoint_alias_id", "alias_id", "position"),
)

rule = sa.Table(
    "rule",
    metadata,
    sa.Column("alias_id", sa.Text, sa.ForeignKey("alias.id"), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("condition", sa.Text, nullable=False),  # mailchute.expressions
    sa.Column("then", sa.Text, nullable=False),
    sa.Column("notify", sa.Boolean, nullable=False, default=False),
    sa.Column("tag", sa.Text, nullable=False, default="spam"),
    sa.Column("endpoint_url", sa.Text),  # route only: which endpoint of the alias
    sa.Column("drop", sa.Text),  # drop only: which attachments
    sa.Column("words", sa.Text),  # notify only: what the sender is told
)

domain_rule = sa.Table(
    "domain_rule",  # goes after the alias's own
    metadata,
    sa.Column("domain_id", sa.Text, sa.ForeignKey("domain.id"), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("condition", sa.Text, nullable=False),
    sa.Column("then", sa.Text, nullable=False),
    sa.Column("notify", sa.Boolean, nullable=False, default=False),
    sa.Column("tag", sa.Text, nullable=False, default="spam"),
    sa.Column("endpoint_url", sa.Text),
    sa.Column("drop", sa.Text),
    sa.Column("words", sa.Text),
)
