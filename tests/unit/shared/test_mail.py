"""A mail object is valid once built, and its fingerprint knows a resend."""

from datetime import UTC, datetime

import pytest
from mailchute.alias import AliasSnapshot
from mailchute.envelope import Envelope, Path
from mailchute.mail import MailObject, fingerprint_of

A, B = Path("a", "x.test"), Path("b", "x.test")
D, E = b"d" * 32, b"e" * 32


def test_a_naive_time_is_refused():
    with pytest.raises(ValueError, match="timezone-aware"):
        MailObject(
            id="msg_1",
            envelope=Envelope(reverse_path=None, forward_path=A, client_ip="", helo=""),
            alias=AliasSnapshot(account_id="", domain_id="", alias_id="", address="", endpoints=()),
            received_at=datetime(2026, 1, 1),  # noqa: DTZ001
            content=b"",
            fingerprint="",
            size_octets=0,
        )
    assert datetime.now(UTC).tzinfo is not None


@pytest.mark.parametrize(
    "other",
    [
        (B, A, D),  # another sender
        (A, A, D),  # another recipient
        (A, B, E),  # another content
        (None, B, D),  # the null reverse-path
        (Path("a", "x.testb"), Path("", "x.test"), D),  # the same octets, divided elsewhere
    ],
)
def test_only_the_same_mail_has_the_same_fingerprint(other):
    assert fingerprint_of(A, B, D) == fingerprint_of(A, B, D)
    assert fingerprint_of(A, B, D) != fingerprint_of(*other)
