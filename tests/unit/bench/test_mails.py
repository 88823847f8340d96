"""The bench's mail is what it says: signed, of its size, and never the same twice."""

from __future__ import annotations

import email
from collections import Counter
from email import policy

import dkim
import pytest

from bench.mails import TOKEN, Kind, Writer, mixed


@pytest.fixture(scope="module")
def writer() -> Writer:
    return Writer(1)


@pytest.mark.parametrize(
    ("kind", "least_octets", "most_octets"),
    [
        ("small", 4_500, 5_500),
        ("newsletter", 43_000, 47_000),
        ("large", 290_000, 320_000),
        ("huge", 3_000_000, 3_300_000),
        ("giant", 24.8 * 1024**2, 25 * 1024**2),
    ],
)
def test_each_kind_is_signed_and_of_its_size(
    writer: Writer, kind: Kind, least_octets: float, most_octets: float
) -> None:
    [mail] = writer.mails("r1", iter([kind]), "support@inbox.test")
    key = writer.public_key().encode()
    assert least_octets < len(mail.octets) < most_octets
    assert dkim.DKIM(mail.octets).verify(dnsfunc=lambda name, timeout=5: key)


def test_a_changed_octet_breaks_the_signature(writer: Writer) -> None:
    [mail] = writer.mails("r1", iter(["small"]), "support@inbox.test")
    key = writer.public_key().encode()
    forged = mail.octets.replace(b"Shop Team", b"Shop Tean")
    assert not dkim.DKIM(forged).verify(dnsfunc=lambda name, timeout=5: key)


def test_no_two_mails_are_alike(writer: Writer) -> None:
    mails = list(writer.mails("r2", mixed(100), "support@inbox.test"))
    assert len({mail.token for mail in mails}) == 100
    bodies = {mail.octets.partition(b"\r\n\r\n")[2] for mail in mails}
    assert len(bodies) == 100


def test_the_token_can_be_found_in_the_message_id(writer: Writer) -> None:
    [mail] = writer.mails("r3", iter(["newsletter"]), "support@inbox.test")
    parsed = email.message_from_bytes(mail.octets, policy=policy.default)
    found = TOKEN.search(str(parsed["Message-ID"]).encode())
    assert found is not None
    assert found[0].decode() == mail.token
    assert [part.get_content_type() for part in parsed.walk()][1:] == ["text/plain", "text/html"]


def test_the_mix_has_the_proportions_of_the_design() -> None:
    assert Counter(mixed(200)) == {"small": 120, "newsletter": 56, "large": 20, "huge": 4}
