"""Who a forward-path belongs to."""

import asyncio

import pytest
from mailchute.envelope import Path
from mailchute.errors import DirectoryUnavailable
from smtp_ingress.recipients import Recipients
from smtp_ingress.replies import Refused

from tests.unit.ingress.fakes import FakeDirectory, snapshot

SUPPORT, CATCH_ALL = snapshot("support@inbox.test"), snapshot("*@catch.test")


def resolve(directory, text, postmaster_alias=""):
    async def work():
        recipients = Recipients(
            directory, hostname="MX.test", postmaster_alias=postmaster_alias, protected=frozenset({"noreply"})
        )
        try:
            return await recipients.resolve(recipients.path(text))
        finally:
            recipients.close()

    return asyncio.run(work())


def test_an_alias_is_found_by_a_read_and_by_the_cache_without_one():
    directory = FakeDirectory(SUPPORT)
    assert resolve(directory, "support@inbox.test") is SUPPORT
    directory.known["support@inbox.test"] = SUPPORT
    directory.is_away = True
    assert resolve(directory, "support@inbox.test") is SUPPORT


def test_without_the_database_nothing_is_refused_for_good():
    directory = FakeDirectory(SUPPORT)
    directory.is_away = True
    with pytest.raises(DirectoryUnavailable):
        resolve(directory, "nobody@inbox.test")


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("nobody@inbox.test", "550 5.1.1"),
        ("nobody@elsewhere.test", "550 5.7.1"),
        ("noreply@catch.test", "550 5.7.1"),
        ("NoReply@catch.test", "550 5.7.1"),
        ("a%b.test@catch.test", "550 5.7.1"),
        ("postmaster@inbox.test", "550 5.1.1"),
    ],
)
def test_what_nobody_wants_is_refused(text, reply):
    with pytest.raises(Refused, match=reply):
        resolve(FakeDirectory(SUPPORT, CATCH_ALL), text)


def test_a_protected_name_with_an_alias_of_its_own_takes_mail():
    own = snapshot("noreply@inbox.test")
    assert resolve(FakeDirectory(own), "noreply@inbox.test") is own


@pytest.mark.parametrize(
    "text", ["postmaster@inbox.test", "Abuse@inbox.test", "postmaster", "POSTMASTER", "postmaster@mx.test"]
)
def test_postmaster_and_abuse_of_our_domains_go_to_the_alias_that_was_set(text):
    assert resolve(FakeDirectory(SUPPORT), text, "support@inbox.test") is SUPPORT


def test_postmaster_goes_to_its_own_alias_or_the_catch_all_first():
    own = snapshot("postmaster@inbox.test")
    directory = FakeDirectory(SUPPORT, own, CATCH_ALL)
    assert resolve(directory, "postmaster@inbox.test", "support@inbox.test") is own
    assert resolve(directory, "postmaster@catch.test", "support@inbox.test") is CATCH_ALL


def test_postmaster_of_a_foreign_domain_is_not_ours():
    with pytest.raises(Refused, match=r"550 5\.7\.1"):
        resolve(FakeDirectory(SUPPORT), "postmaster@elsewhere.test", "support@inbox.test")


def test_a_postmaster_alias_that_is_no_alias_defers():
    with pytest.raises(DirectoryUnavailable):
        resolve(FakeDirectory(SUPPORT), "postmaster@inbox.test", "gone@inbox.test")


def test_postmaster_alone_is_ours():
    recipients = Recipients(FakeDirectory(), hostname="mx.test", postmaster_alias="", protected=frozenset())
    assert recipients.path("Postmaster") == Path("Postmaster", "mx.test")
