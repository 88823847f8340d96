"""
How much CPU record needs for a mail: five facts (accepted, scanned, parsed, attempted, delivered) each.

    python -m bench.record_cpu [--mails 5000] [--database sqlite:////tmp/x.db | postgresql://…]

Batches of 100 facts, as the journal makes them under load. CPU is that of this process: with SQLite the
whole database is in it, with PostgreSQL only our side. Without --database: SQLite in a directory that is
thrown away.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mailchute import wire
from mailchute.database import Database, migrate
from mailchute.delivery import AttemptOutcome
from mailchute.ids import new_id
from mailchute.journal import Event, JournalBatch, Kind, event_id_of
from mailchute.parsed import MailSummary

from functions.record.ledger import record

BATCH = 100
NOW = datetime.now(UTC)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mails", type=int, default=5_000)
    parser.add_argument("--database", default="")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        url = given.database or f"sqlite:///{Path(directory) / 'record.db'}"
        migrate(url)
        database = Database(url)
        facts = [fact for _ in range(given.mails) for fact in _life(new_id("msg"))]
        batches = [
            wire.encode(JournalBatch(events=tuple(facts[begin : begin + BATCH])))
            for begin in range(0, len(facts), BATCH)
        ]
        cpu_began, began = time.process_time(), time.perf_counter()
        for batch in batches:
            record(database, wire.decode(batch, JournalBatch).events)
        cpu_ms = (time.process_time() - cpu_began) / given.mails * 1_000
        wall_ms = (time.perf_counter() - began) / given.mails * 1_000
        database.close()
    print(f"{given.mails} mails, {len(batches)} batches: {cpu_ms:.3f} ms CPU and {wall_ms:.3f} ms a mail")


def _life(mail_id: str) -> list[Event]:
    summary = MailSummary(
        message_id=f"<{mail_id}@a.example>",
        recipient="support@inbox.test",
        subject="Hello",
        size_octets=5_000,
    )
    outcome = AttemptOutcome(result="delivered", status=200, started_at=NOW, duration_s=0.01, response=b"ok")
    return [
        _told("accepted", mail_id, mail_sequence=1, retention_s=3_600, summary=summary),
        _told("scanned", mail_id),
        _told("parsed", mail_id, endpoint_ids=("end_1",), summary=summary),
        _told("attempted", mail_id, endpoint_id="end_1", attempt=1, outcome=outcome),
        _told("delivered", mail_id, endpoint_id="end_1"),
    ]


def _told(kind: Kind, mail_id: str, **fields: Any) -> Event:
    return Event(
        id=event_id_of(kind, mail_id, endpoint_id=fields.get("endpoint_id", "")),
        kind=kind,
        at=NOW,
        mail_id=mail_id,
        account_id="acc_1",
        domain_id="dom_1",
        alias_id="als_1",
        **fields,
    )


if __name__ == "__main__":
    main()
