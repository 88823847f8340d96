"""
The tables of the control plane.

    account ─┬─ domain ── alias ─┬─ endpoint        what mail is for, and where it goes
             │                   └─ rule
             └─ email ── delivery ── attempt         what became of it
    event   the ids of the facts already told        meta   salt, key check
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from mailchute.alias import (
    BODY_LIMIT_OCTETS,
    INLINE_LIMIT_OCTETS,
    RETENTION_S,
    SPAM_THRESHOLD,
)

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Instant(sa.types.TypeDecorator[datetime]):
    """An aware UTC datetime on both databases; SQLite keeps no zone."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        if value.utcoffset() is None:
            raise ValueError("an instant must be timezone-aware")
        instant = value.astimezone(UTC)
        return instant.replace(tzinfo=None) if dialect.name == "sqlite" else instant

    def process_result_value(self, value: Any | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _id() -> sa.Column[str]:
    return sa.Column("id", sa.Text, primary_key=True)


def _owner(table: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(f"{table}_id", sa.Text, sa.ForeignKey(f"{table}.id"), nullable=nullable)


def _at(name: str, *, nullable: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, Instant, nullable=nullable)


meta = sa.Table(
    "meta",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),  # installation_id, salt, key_check
    sa.Column("value", sa.Text, nullable=False),
)

account = sa.Table(
    "account",
    metadata,
    _id(),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("retention_s", sa.Integer, nullable=False, default=RETENTION_S),
    _at("created_at"),
)

domain = sa.Table(
    "domain",
    metadata,
    _id(),
    _owner("account"),
    sa.Column("name", sa.Text, nullable=False),  # lower case; "*.inbox.test" is any name below inbox.test
    _at("created_at"),
    _at("deleted_at", nullable=True),
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
    _id(),
    _owner("account"),
    _owner("domain"),
    sa.Column("name", sa.Text, nullable=False),  # the local-part as its owner wrote it: "Support", "*"
    sa.Column("kind", sa.Text, nullable=False),  # exact, glob, regex, catch-all
    sa.Column("match", sa.Text, nullable=False),  # exact: lower case; glob, regex: RE2; catch-all: ""
    sa.Column("priority", sa.Integer, nullable=False, default=0),  # of patterns: the highest goes first
    sa.Column("mode", sa.Text, nullable=False, default="async"),
    sa.Column("inline_limit_octets", sa.Integer, nullable=False, default=INLINE_LIMIT_OCTETS),
    sa.Column("body_limit_octets", sa.Integer, nullable=False, default=BODY_LIMIT_OCTETS),
    sa.Column("spam_enabled", sa.Boolean, nullable=False, default=True),
    sa.Column("spam_threshold", sa.Float, nullable=False, default=SPAM_THRESHOLD),
    _at("created_at"),
    _at("deleted_at", nullable=True),
    sa.Index("ix_alias_domain_id", "domain_id", "kind", "match"),
)

endpoint = sa.Table(
    "endpoint",
    metadata,
    _id(),
    _owner("account"),
    _owner("alias"),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("format", sa.Text, nullable=False, default="native"),
    sa.Column("include", sa.JSON, nullable=False, default=list),
    sa.Column("body_limit_octets", sa.Integer, nullable=False, default=BODY_LIMIT_OCTETS),
    # Sealed (mailchute.sealing), each bound to its row and column.
    sa.Column("secret", sa.LargeBinary, nullable=False),
    sa.Column("secret_is_generated", sa.Boolean, nullable=False),
    sa.Column("previous_secret", sa.LargeBinary),
    _at("previous_secret_until", nullable=True),  # both sign until then
    sa.Column("headers", sa.LargeBinary),  # JSON list of [name, value]: it may carry a token
    sa.Column("basic_auth", sa.LargeBinary),
    sa.Column("signing_key", sa.LargeBinary),
    _at("enabled_at"),  # a 410 from before this moment disables nothing
    _at("disabled_at", nullable=True),
    sa.Column("disabled_reason", sa.Text),
    _at("created_at"),
    _at("deleted_at", nullable=True),
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
)

# The log refers to accounts, aliases and endpoints without foreign keys: an event may come for one
# that has just been taken away, and the log must keep it.
email = sa.Table(
    "email",
    metadata,
    _id(),
    sa.Column("account_id", sa.Text, nullable=False),
    sa.Column("domain_id", sa.Text, nullable=False),
    sa.Column("alias_id", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),  # pending, delivered, failed, rejected, dead
    sa.Column("first_at", Instant, nullable=False),  # of the earliest fact known: accepted, in the end
    _at("accepted_at", nullable=True),
    _at("ended_at", nullable=True),  # since when nothing more is owed; None while something is
    sa.Column("mail_sequence", sa.BigInteger),  # where it lies on MAIL
    sa.Column("retention_s", sa.Integer),
    sa.Column("message_id", sa.Text),
    sa.Column("recipient", sa.Text),
    sa.Column("subject", sa.Text),
    sa.Column("size_octets", sa.BigInteger),
    sa.Column("attachments", sa.JSON),  # [{filename, content_type, size_octets}]
    sa.Column("spam_score", sa.Float),
    sa.Column("is_spam", sa.Boolean),
    sa.Column("summary_key", sa.Text),  # whose parsing the summary is; None: there is none yet
    sa.Column("objects", sa.JSON, nullable=False, default=list),  # keys on S3 that go with the mail
    sa.Column("duplicate_count", sa.Integer, nullable=False, default=0),
    sa.Column("verdict", sa.Text),  # of the newest run: parsed, rejected, dead; None: not known yet
    sa.Column("verdict_run", sa.Text),
    _at("verdict_at", nullable=True),
    sa.Column("reason", sa.Text),  # the rule that rejected it, or why it is dead
    sa.Column("stage", sa.Text),  # where it died
    # Ids sort by time, so lists go by them.
    sa.Index("ix_email_account_id", "account_id", "id"),
    sa.Index("ix_email_account_id_state", "account_id", "state", "id"),
    sa.Index("ix_email_alias_id", "alias_id", "id"),
    sa.Index("ix_email_message_id", "message_id"),
    sa.Index("ix_email_ended_at", "ended_at"),
    sqlite_with_rowid=False,
)

delivery = sa.Table(
    "delivery",
    metadata,
    _id(),
    sa.Column("mail_id", sa.Text, nullable=False),
    sa.Column("run", sa.Text, nullable=False),
    sa.Column("account_id", sa.Text, nullable=False),
    sa.Column("endpoint_id", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),  # pending, delivered, failed, dead
    sa.Column("created_at", Instant, nullable=False),
    _at("ended_at", nullable=True),
    sa.Column("attempt_count", sa.Integer, nullable=False, default=0),
    sa.Column("last_attempt", sa.Integer, nullable=False, default=0),
    sa.Column("last_status", sa.Integer),  # None: no HTTP answer
    sa.Column("last_reason", sa.Text),
    sa.Column("dead_reason", sa.Text),
    sa.Index("ix_delivery_mail_id", "mail_id"),
    sa.Index("ix_delivery_account_id", "account_id", "mail_id", "id"),
    sa.Index("ix_delivery_endpoint_id", "endpoint_id", "state", "mail_id", "id"),
    sqlite_with_rowid=False,
)

attempt = sa.Table(
    "attempt",
    metadata,
    sa.Column("mail_id", sa.Text, primary_key=True),  # first: what belongs to a mail lies together
    sa.Column("delivery_id", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),  # counts from 1
    sa.Column("result", sa.Text, nullable=False),  # delivered, failed, gone, refused
    sa.Column("status", sa.Integer),
    sa.Column("reason", sa.Text, nullable=False),
    _at("started_at"),
    sa.Column("duration_s", sa.Float, nullable=False),
    sa.Column("retry_after_s", sa.Float),
    sa.Column("response", sa.Text, nullable=False),  # the first 4 KB of the answer, as text
    sqlite_with_rowid=False,
)

event = sa.Table(
    "event",
    metadata,
    sa.Column("mail_id", sa.Text, primary_key=True),
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    _at("at"),
    sqlite_with_rowid=False,
)
