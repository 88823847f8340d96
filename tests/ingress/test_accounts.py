"""What an account refuses and may, at a running edge."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from mailchute.database import Database
from mailchute.quota import month_of
from mailchute.store import blocking
from mailchute.subjects import MAIL
from mailchute.tables import account, plan, usage

from tests.ingress.edge_process import NOW, EdgeProcess, Jet, add_aliases, new_content

Start = Callable[..., EdgeProcess]
PLAN_OCTETS = 50_000


@pytest.fixture
def accounts(database: str) -> str:
    """Two accounts: one blocks some and has a plan, `friend@other.test` belongs to one that does not."""
    add_aliases(database, "friend@other.test")
    store = Database(database)
    with store.write() as connection:
        connection.execute(
            sa.insert(plan).values(
                name="small",
                retention_max_s=1,
                permissions=[],
                mails_per_month=3,
                size_max_octets=PLAN_OCTETS,
            )
        )
        connection.execute(sa.insert(account).values(id="acc_2", name="two", created_at=NOW))
        connection.execute(
            sa.text("UPDATE alias SET account_id = 'acc_2' WHERE domain_id = 'dom_other.test'")
        )
        connection.execute(sa.text("UPDATE domain SET account_id = 'acc_2' WHERE id = 'dom_other.test'"))
        connection.execute(sa.update(account).where(account.c.id == "acc_1").values(plan_name="small"))
        for kind, value in (
            ("network", "203.0.113.0/24"),
            ("network", "2001:db8::/32"),
            ("domain", "spam.test"),
            ("domain", "köln.test"),
            ("address", "Bob@sender.test"),
        ):
            blocking.add(connection, account_id="acc_1", kind=kind, value=value, now=NOW, actor="cli")
    store.close()
    return database


def use_up(database: str, mail_count: int) -> None:
    store = Database(database)
    with store.write() as connection:
        month = month_of(datetime.now(UTC))
        connection.execute(sa.insert(usage).values(account_id="acc_1", month=month, mail_count=mail_count))
    store.close()


def proxied(edge: EdgeProcess, client_ip: str, *commands: str) -> list[str]:
    """Say these commands as this client, and return the replies to them."""
    with socket.create_connection(("127.0.0.1", edge.port), timeout=30) as client:
        lines = client.makefile("rb")
        family, ours = ("TCP6", "::1") if ":" in client_ip else ("TCP4", "127.0.0.1")
        client.sendall(f"PROXY {family} {client_ip} {ours} 1000 25\r\n".encode())
        lines.readline()
        client.sendall(b"EHLO x\r\n")
        while lines.readline()[3:4] == b"-":
            pass
        heard = []
        for command in commands:
            client.sendall(command.encode() + b"\r\n")
            heard.append(lines.readline().decode().strip())
        return heard


OURS, THEIRS = "RCPT TO:<support@inbox.test>", "RCPT TO:<friend@other.test>"


DIALOGS = (
    (
        "203.0.113.9",
        "<ann@sender.test>",
        "550 5.7.1 the owner of this address blocks mail from 203.0.113.9",
    ),
    ("203.0.113.9", "<>", "550 5.7.1 the owner of this address blocks mail from 203.0.113.9"),
    (
        "2001:db8::9",
        "<ann@sender.test>",
        "550 5.7.1 the owner of this address blocks mail from 2001:db8::9",
    ),
    ("::ffff:203.0.113.9", "<>", "550 5.7.1 the owner of this address blocks mail from 203.0.113.9"),
    ("198.51.100.1", "<BOB@SENDER.test>", "550 5.7.1 the owner of this address blocks this sender"),
    ("198.51.100.1", "<a@deep.Spam.test>", "550 5.7.1 the owner of this address blocks this sender"),
    ("198.51.100.1", "<a@xn--kln-sna.test>", "550 5.7.1 the owner of this address blocks this sender"),
    ("198.51.100.1", "<a@köln.test> SMTPUTF8", "550 5.7.1 the owner of this address blocks this sender"),
    ("198.51.100.1", "<>", "250 2.1.5 OK"),
    ("198.51.100.1", "<a@notspam.test>", "250 2.1.5 OK"),
)


def test_an_accounts_list_is_heeded_for_its_own_recipients_only(
    jet: Jet, accounts: str, start_edge: Start
) -> None:
    edge = start_edge(PROXY_FROM="127.0.0.1/32")
    for client_ip, sender, reply in DIALOGS:
        heard = proxied(
            edge, client_ip, f"MAIL FROM:{sender} SIZE=100", OURS, THEIRS, "RCPT TO:<postmaster@catch.test>"
        )
        assert heard == ["250 2.1.0 OK", reply, "250 2.1.5 OK", "250 2.1.5 OK"], (client_ip, sender)


def test_a_recipient_that_was_refused_gets_no_mail(jet: Jet, accounts: str, start_edge: Start) -> None:
    edge = start_edge()
    with edge.client() as client:
        client.ehlo()
        client.mail("bob@sender.test")
        assert client.rcpt("support@inbox.test")[0] == 550
        assert client.rcpt("friend@other.test")[0] == 250
        assert client.data(new_content())[0] == 250
    assert [mail.alias.address for mail in jet.mails()] == ["friend@other.test"]


def test_a_recipient_over_its_rate_gets_no_mail_and_naming_it_uses_nothing_up(
    jet: Jet, start_edge: Start
) -> None:
    edge = start_edge(MAX_MAILS_PER_ALIAS_MINUTE="2")
    for _ in range(5):
        with edge.client() as client:
            client.ehlo()
            client.mail("ann@sender.test")
            assert client.rcpt("support@inbox.test")[0] == 250
    with edge.client() as client:
        client.ehlo()
        client.mail("ann@sender.test")
        assert [client.rcpt(f"any{number}@catch.test")[0] for number in range(3)] == [250, 250, 450]
        assert client.data(new_content())[0] == 250
    assert jet.count(MAIL) == 2


def test_with_its_quota_used_up_a_recipient_is_asked_for_later_and_others_take_mail(
    jet: Jet, accounts: str, start_edge: Start
) -> None:
    use_up(accounts, 3)
    edge = start_edge()
    with edge.client() as client:
        client.ehlo()
        client.mail("ann@sender.test")
        assert client.rcpt("support@inbox.test") == (
            452,
            b"4.2.2 this recipient has had all its mails of this month, try again later",
        )
        assert client.rcpt("friend@other.test")[0] == 250
        assert client.rcpt("abuse@catch.test")[0] == 250


def test_a_mail_declared_bigger_than_the_plan_allows_is_refused_at_its_recipient(
    jet: Jet, accounts: str, start_edge: Start
) -> None:
    edge = start_edge()
    with edge.client() as client:
        client.ehlo()
        client.docmd(f"MAIL FROM:<ann@sender.test> SIZE={PLAN_OCTETS + 1}")
        assert client.rcpt("support@inbox.test") == (
            552,
            b"5.3.4 a mail for this recipient may have 50000 octets",
        )
        assert client.rcpt("friend@other.test")[0] == 250


def test_a_mail_that_declares_no_size_is_cut_at_the_plans_and_others_come_in_a_transaction_of_their_own(
    jet: Jet, accounts: str, start_edge: Start
) -> None:
    edge = start_edge()
    for size_octets, code in ((PLAN_OCTETS + 2_000, 552), (PLAN_OCTETS - 2_000, 250)):
        content = new_content("x" * 70 + "\r\n") * (size_octets // len(new_content("x" * 72)))
        with edge.client() as client:
            client.ehlo()
            client.docmd("MAIL FROM:<ann@sender.test>")
            assert client.rcpt("support@inbox.test")[0] == 250
            assert client.rcpt("sales@inbox.test")[0] == 250
            assert client.rcpt("friend@other.test")[0] == 452
            assert client.data(content)[0] == code
            client.docmd("MAIL FROM:<ann@sender.test>")
            assert client.rcpt("friend@other.test")[0] == 250
            assert client.rcpt("support@inbox.test")[0] == 452
            assert client.data(content)[0] == 250
            client.docmd("MAIL FROM:<ann@sender.test> SIZE=100")
            assert client.rcpt("friend@other.test")[0] == 250
            assert client.rcpt("support@inbox.test")[0] == 250
    assert [mail.alias.address for mail in jet.mails()] == [
        "friend@other.test",
        "support@inbox.test",
        "sales@inbox.test",
        "friend@other.test",
    ]


def test_without_the_database_no_list_and_no_quota_refuses_for_good(
    jet: Jet, accounts: str, start_edge: Start
) -> None:
    use_up(accounts, 2)
    edge = start_edge()
    with edge.client() as client:
        client.ehlo()
        client.mail("ann@sender.test")
        assert client.rcpt("support@inbox.test")[0] == 250
        os.truncate(accounts.removeprefix("sqlite:///"), 0)
        assert client.rcpt("support@inbox.test")[0] == 250
        assert client.rcpt("friend@other.test")[0] == 451
