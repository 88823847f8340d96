"""What became of each mail."""

from __future__ import annotations

import sqlalchemy as sa

from mailchute.tables.columns import Instant, at, identifier, metadata

# The log refers to accounts, aliases and endpoints without foreign keys: an event may come for one
# that has just been taken away, and the log must keep it.
email = sa.Table(
    "email",
    metadata,
    identifier(),
    sa.Column("account_id", sa.Text, nullable=False),
    sa.Column("domain_id", sa.Text, nullable=False),
    sa.Column("alias_id", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),  # pending, delivered, failed, rejected, dead
    sa.Column("first_at", Instant, nullable=False),  # of the earliest fact known: accepted, in the end
    at("accepted_at", nullable=True),
    at("ended_at", nullable=True),  # since when nothing more is owed; None while something is
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
    at("verdict_at", nullable=True),
    sa.Column("reason", sa.Text),  # the rule that rejected it, or why it is dead
    sa.Column("stage", sa.Text),  # where it died
    at("erased_at", nullable=True),  # all else is gone but what keeps late facts from bringing it back
    at("held_at", nullable=True),  # an investigation is open: it is not removed by age
    at("expires_at", nullable=True),  # when its retention ends; None while something is owed
    # Ids sort by time, so lists go by them.
    sa.Index("ix_email_account_id", "account_id", "id"),
    sa.Index("ix_email_account_id_state", "account_id", "state", "id"),
    sa.Index("ix_email_alias_id", "alias_id", "id"),
    sa.Index("ix_email_message_id", "message_id"),
    sa.Index("ix_email_ended_at", "ended_at"),
    sa.Index("ix_email_expires_at", "expires_at", "id"),
    sqlite_with_rowid=False,
)

delivery = sa.Table(
    "delivery",
    metadata,
    identifier(),
    sa.Column("mail_id", sa.Text, nullable=False),
    sa.Column("run", sa.Text, nullable=False),
    sa.Column("account_id", sa.Text, nullable=False),
    sa.Column("endpoint_id", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),  # pending, delivered, failed, dead
    sa.Column("created_at", Instant, nullable=False),
    at("ended_at", nullable=True),
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
    # Its place in the schedule, from 1; what is tried again by hand before its time shares one.
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("result", sa.Text, nullable=False),  # delivered, failed, gone, refused
    sa.Column("status", sa.Integer),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("started_at", Instant, primary_key=True),
    sa.Column("duration_s", sa.Float, nullable=False),
    sa.Column("retry_after_s", sa.Float),
    sa.Column("response", sa.Text, nullable=False),  # the first 4 KB of the answer, as text
    sqlite_with_rowid=False,
)

account_event = sa.Table(
    "account_event",  # what an account may follow, in the order it became known
    metadata,
    sa.Column("sequence", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("account_id", sa.Text, nullable=False),
    at("at"),
    sa.Column("kind", sa.Text, nullable=False),  # mailchute.store.account_events.Kind
    sa.Column("mail_id", sa.Text),
    sa.Column("endpoint_id", sa.Text),
    sa.Column("detail", sa.JSON, nullable=False, default=dict),
    sa.Index("ix_account_event_account_id", "account_id", "sequence"),
    sqlite_autoincrement=True,  # a number is never drawn twice, even when all events have been removed
)

event = sa.Table(
    "event",
    metadata,
    sa.Column("mail_id", sa.Text, primary_key=True),
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    at("at"),
    sqlite_with_rowid=False,
)

replay = sa.Table(
    "replay",
    metadata,
    identifier(),  # run_…: the run of all its deliveries
    sa.Column("account_id", sa.Text, nullable=False),
    sa.Column("selection", sa.JSON, nullable=False),  # mailchute.store.replays.Selection
    sa.Column("rate_per_s", sa.Float, nullable=False),
    at("created_at"),  # what happened after it is no part of it
    sa.Column("total_count", sa.Integer, nullable=False),
    sa.Column("done_count", sa.Integer, nullable=False, default=0),
    sa.Column("refused_count", sa.Integer, nullable=False, default=0),  # of these: gone meanwhile
    sa.Column("at_mail_id", sa.Text, nullable=False, default=""),  # up to this one it is done
    at("ended_at", nullable=True),
    sa.Index("ix_replay_account_id", "account_id", "id"),
)
