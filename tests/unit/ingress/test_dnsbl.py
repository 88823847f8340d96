"""DNS lists (RFC 5782)."""

import asyncio
import logging

import pytest
from mailchute.errors import LookupFailed
from mailchute.eventlog import EventLog
from smtp_ingress.dnsbl import DnsList, DnsLists, heed, listed_name, lists_of


class Found:
    def __init__(self, *texts):
        self.texts = texts


class FakeResolver:
    """Answers from a dict; what is not there does not exist, None fails."""

    def __init__(self, names):
        self.names = {"2.0.0.127.bl.test": "127.0.0.2", **names}

    def now(self):
        return 0.0

    def lookup(self, name, kind, *, deadline=None):
        name = f"TXT {name}" if kind == "TXT" else name
        if self.names.get(name, "") is None:
            raise LookupFailed(name, kind, "timeout")
        return Found(self.names[name]) if name in self.names else Found()


def listing(names, client_ip):
    async def work():
        lists = DnsLists(
            (DnsList("bl.test", "refuse"),),
            lambda: FakeResolver(names),
            log=EventLog(logging.getLogger("test")),
        )
        await lists.probe()
        try:
            return await heed(lists.ask(client_ip))
        finally:
            lists.close()

    return asyncio.run(work())


@pytest.mark.parametrize(
    ("names", "is_listed"),
    [
        ({"9.113.0.203.bl.test": "127.0.0.4"}, True),
        ({}, False),
        ({"9.113.0.203.bl.test": "127.255.255.254"}, False),  # our resolver may not ask
        ({"9.113.0.203.bl.test": "93.184.216.34"}, False),  # a wildcard of whoever owns the name now
        ({"9.113.0.203.bl.test": None}, False),
        ({"9.113.0.203.bl.test": "127.0.0.4", "1.0.0.127.bl.test": "127.0.0.2"}, False),  # it lists everyone
        ({"9.113.0.203.bl.test": "127.0.0.4", "2.0.0.127.bl.test": None}, False),  # it is dead
    ],
)
def test_only_a_listing_of_a_live_list_counts(names, is_listed):
    assert bool(listing(names, "203.0.113.9")) is is_listed


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("https://bl.test/query?ip=203.0.113.9", "https://bl.test/query?ip=203.0.113.9"),
        ("Blocked,\tsee  https://bl.test", "Blocked, see https://bl.test"),
        ("x\r\n250 2.0.0 OK\x00\x1b[2J\xffé", "x 250 2.0.0 OK [2J"),
        ("y" * 1_000, "y" * 300),
        (None, ""),
    ],
)
def test_a_list_that_refuses_is_asked_where_to_look_it_up_and_only_its_letters_are_said(text, reason):
    names = {"9.113.0.203.bl.test": "127.0.0.4", "TXT 9.113.0.203.bl.test": text}
    (found,) = listing(names, "203.0.113.9")
    assert (found.by.zone, found.reason) == ("bl.test", reason)


def test_names_are_octets_or_nibbles_in_reverse():
    assert listed_name("192.0.2.99", "bl.test") == "99.2.0.192.bl.test"
    assert listed_name("2001:db8::1", "bl.test") == f"1.{'0.' * 23}8.b.d.0.1.0.0.2.bl.test"


def test_lists_are_read_from_a_setting():
    assert lists_of("a.test=refuse, b.test=score,c.test.") == (
        DnsList("a.test", "refuse"),
        DnsList("b.test", "score"),
        DnsList("c.test", "score"),
    )
    with pytest.raises(ValueError, match="=refuse"):
        lists_of("=refuse")


def test_without_lists_nobody_is_asked():
    lists = DnsLists(
        (), lambda: pytest.fail("no resolver is needed"), log=EventLog(logging.getLogger("test"))
    )
    assert lists.ask("203.0.113.9") is None
