"""The operator's own list."""

import logging
import os

import pytest
from mailchute.envelope import Path
from mailchute.errors import BadSetting
from mailchute.eventlog import EventLog
from smtp_ingress.blocklist import Blocklist

LOG = EventLog(logging.getLogger("test"))


def test_networks_domains_and_addresses_are_found(tmp_path):
    file = tmp_path / "blocked"
    file.write_text(
        "# ours\n192.0.2.0/24\n2001:db8::/32\n198.51.100.7\n"
        "Spam.test # all of it\n@bulk.test\nbob@inbox.test\n"
    )
    blocked = Blocklist(file, log=LOG)
    assert [
        blocked.has_client(ip) for ip in ("192.0.2.9", "2001:db8::1", "198.51.100.7", "198.51.100.8")
    ] == [
        True,
        True,
        True,
        False,
    ]
    senders = (
        "a@spam.test",
        "a@deep.spam.test",
        "a@notspam.test",
        "a@bulk.test",
        "BOB@inbox.test",
        "ann@inbox.test",
    )
    assert [blocked.has_sender(Path.parse(text)) for text in senders] == [
        True,
        True,
        False,
        True,
        True,
        False,
    ]


def test_a_change_is_taken_up_and_a_mistake_is_not(tmp_path):
    file = tmp_path / "blocked"
    file.write_text("192.0.2.0/24\n")
    blocked = Blocklist(file, log=LOG)
    file.write_text("two words\n")
    os.utime(file, ns=(1, 1))
    blocked.refresh()
    assert blocked.has_client("192.0.2.9")
    file.write_text("203.0.113.0/24\n")
    os.utime(file, ns=(2, 2))
    blocked.refresh()
    assert not blocked.has_client("192.0.2.9")
    assert blocked.has_client("203.0.113.9")


@pytest.mark.parametrize("line", ["192.0.2.1/24", "999.1.1.1", "two words"])
def test_a_mistake_at_the_start_names_its_line(tmp_path, line):
    file = tmp_path / "blocked"
    file.write_text(f"spam.test\n{line}\n")
    with pytest.raises(BadSetting, match="line 2: expected a network, a domain or an address"):
        Blocklist(file, log=LOG)
