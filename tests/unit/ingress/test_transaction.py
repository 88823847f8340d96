"""What MAIL and RCPT may say."""

import asyncio

import pytest
from smtp_ingress.recipients import Recipients
from smtp_ingress.replies import Refused
from smtp_ingress.transaction import begin

from tests.unit.ingress.fakes import FakeDirectory, snapshot

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


def test_one_too_many_comes_again():
    with pytest.raises(Refused, match=r"452 4\.5\.3"):
        add(begin("FROM:<>", limit_octets=100), "TO:<a@inbox.test>", "TO:<b@inbox.test>", limit=1)


def test_a_recipient_named_twice_is_one():
    transaction = add(begin("FROM:<>", limit_octets=100), "TO:<a@inbox.test>", "TO:<a@inbox.test>")
    assert len(transaction.recipients) == 1
