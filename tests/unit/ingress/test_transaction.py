"""What MAIL and RCPT may say."""

import asyncio
from datetime import UTC, datetime

import pytest
from mailchute.envelope import DsnRequest
from smtp_ingress.recipients import Recipients
from smtp_ingress.replies import Refused
from smtp_ingress.transaction import Client, begin

from tests.unit.ingress.fakes import FakeDirectory, snapshot

NOW = datetime(2026, 11, 21, tzinfo=UTC)
CLIENT = Client(ip="192.0.2.1", helo="x", tls=None, is_extended=True)
ALIASES = (snapshot("a@inbox.test"), snapshot("b@inbox.test"), snapshot("tls@inbox.test", requires_tls=True))


def add(transaction, *texts, limit=100, has_tls=False):
    async def work():
        recipients = Recipients(
            FakeDirectory(*ALIASES), hostname="mx.test", postmaster_alias="", protected=frozenset()
        )
        try:
            for text in texts:
                path, alias = await transaction.find(text, recipients, limit=limit, has_tls=has_tls)
                transaction.recipients[path] = alias
        finally:
            recipients.close()

    asyncio.run(work())
    return transaction


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("FROM:<a@b.test> SIZE=101", "552 5.3.4"),
        ("FROM:<a@b.test> SIZE=x", "501 5.5.4"),
        ("FROM:<a@b.test> SMTPUTF8=1", "501 5.5.4"),
        ("FROM:<a@b.test> RET=SOME", "501 5.5.4"),
        ("FROM:<a@b.test> ENVID=a+b", "501 5.5.4"),
        ("FROM:<a@b.test> MT-PRIORITY=3", "555 5.5.4"),
        ("FROM:<ä@b.test>", "553 5.6.7"),
        ("FROM:<a>", "501 5.1.7"),
        ("FROM", "501 5.5.4"),
    ],
)
def test_a_bad_mail_is_refused(text, reply):
    with pytest.raises(Refused, match=reply):
        begin(text, limit_octets=100)


def test_a_null_reverse_path_is_none():
    assert begin("FROM:<>", limit_octets=100).reverse_path is None


def test_a_domain_that_requires_tls_has_it():
    with pytest.raises(Refused, match=r"530 5\.7\.0"):
        add(begin("FROM:<>", limit_octets=100), "TO:<tls@inbox.test>")
    assert add(begin("FROM:<>", limit_octets=100), "TO:<tls@inbox.test>", has_tls=True).recipients


def test_what_is_asked_of_notifications_is_kept_with_its_case():
    transaction = begin("FROM:<a@b.test> RET=hdrs ENVID=Qq+2B1", limit_octets=100)
    add(
        transaction,
        "TO:<a@inbox.test> notify=Success,FAILURE ORCPT=rfc822;Ann+2Bx@Sender.test",
        "TO:<b@inbox.test>",
        "TO:<a@inbox.test> NOTIFY=NEVER",
    )
    drafts = transaction.drafts(CLIENT, hostname="mx.test", now=NOW)
    assert [each.envelope.dsn for each in drafts] == [
        DsnRequest(notify=("NEVER",), ret="HDRS", envid="Qq+2B1"),
        DsnRequest(ret="HDRS", envid="Qq+2B1"),
    ]
    plain = add(begin("FROM:<>", limit_octets=100), "TO:<a@inbox.test>")
    assert plain.drafts(CLIENT, hostname="mx.test", now=NOW)[0].envelope.dsn is None
    asked = add(begin("FROM:<>", limit_octets=100), "TO:<a@inbox.test> ORCPT=rfc822;Ann@Sender.test")
    assert asked.drafts(CLIENT, hostname="mx.test", now=NOW)[0].envelope.dsn == DsnRequest(
        orcpt="rfc822;Ann@Sender.test"
    )


def test_one_too_many_comes_again():
    with pytest.raises(Refused, match=r"452 4\.5\.3"):
        add(begin("FROM:<>", limit_octets=100), "TO:<a@inbox.test>", "TO:<b@inbox.test>", limit=1)


def test_a_recipient_named_twice_is_one():
    transaction = add(begin("FROM:<>", limit_octets=100), "TO:<a@inbox.test>", "TO:<a@inbox.test>")
    assert len(transaction.recipients) == 1
