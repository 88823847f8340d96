"""Domains without a postmaster are named at the start."""

import asyncio
import logging

from mailchute.eventlog import EventLog
from smtp_ingress.offices import NAMED_MAX_COUNT, tell_unattended
from smtp_ingress.recipients import Recipients

from tests.unit.ingress.fakes import FakeDirectory, snapshot


def told(caplog, directory, *, postmaster_alias="", back_after=0):
    """Return what was logged; the database is back after so many waits."""
    waits = []

    async def sleep(_):
        waits.append(1)
        directory.is_away = len(waits) < back_after

    async def work():
        recipients = Recipients(
            directory, hostname="mx.test", postmaster_alias=postmaster_alias, protected=frozenset()
        )
        try:
            await tell_unattended(recipients, log=EventLog(logging.getLogger("test")), sleep=sleep)
        finally:
            recipients.close()

    with caplog.at_level(logging.INFO, logger="test"):
        asyncio.run(work())
    return [(record.getMessage(), record.keys) for record in caplog.records if record.name == "test"]


def test_each_domain_without_them_is_named(caplog):
    directory = FakeDirectory()
    directory.missing = {"b.test": ("abuse",), "a.test": ("postmaster", "abuse")}
    ((event, keys),) = told(caplog, directory)
    assert (event, keys["count"]) == ("no-postmaster", 2)
    assert "a.test (postmaster, abuse); b.test (abuse). Give them an alias" in keys["reason"]


def test_of_very_many_some_are_named(caplog):
    directory = FakeDirectory()
    directory.missing = {f"d{number:03}.test": ("abuse",) for number in range(100)}
    ((_, keys),) = told(caplog, directory)
    assert keys["reason"].count(".test") == NAMED_MAX_COUNT
    assert "; and 80 more." in keys["reason"]


def test_with_an_alias_for_all_of_them_nothing_is_said_unless_it_does_not_exist(caplog):
    directory = FakeDirectory(snapshot("desk@inbox.test"))
    directory.missing = {"a.test": ("abuse",)}
    assert told(caplog, directory, postmaster_alias="desk@inbox.test") == []
    assert told(caplog, directory, postmaster_alias="gone@inbox.test")


def test_it_waits_for_the_database(caplog):
    directory = FakeDirectory()
    directory.missing, directory.is_away = {"a.test": ("abuse",)}, True
    assert len(told(caplog, directory, back_after=3)) == 1
