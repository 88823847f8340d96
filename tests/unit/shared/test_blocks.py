"""Who is on a block list, however it is spelt."""

import pytest
from mailchute.blocks import Blocks, canonical, kind_of
from mailchute.envelope import Path


def blocks(*texts):
    return Blocks((kind_of(text), canonical(kind_of(text), text)) for text in texts)


@pytest.mark.parametrize(
    ("entry", "client_ip", "is_blocked"),
    [
        ("192.0.2.0/24", "192.0.2.255", True),
        ("192.0.2.0/24", "192.0.3.0", False),
        ("192.0.2.7", "192.0.2.7", True),
        ("192.0.2.7", "192.0.2.8", False),
        ("0.0.0.0/0", "203.0.113.1", True),
        ("0.0.0.0/0", "2001:db8::1", False),
        ("2001:DB8::/32", "2001:db8:ffff::1", True),
        ("2001:db8::/32", "2001:db9::1", False),
        ("2001:db8::1", "2001:db8:0:0::1", True),
        ("::/0", "192.0.2.1", False),
        ("::ffff:192.0.2.0/120", "192.0.2.9", True),
        ("192.0.2.0/24", "::ffff:192.0.2.9", True),
        ("192.0.2.0/24", "", False),
        ("192.0.2.0/24", "no address", False),
    ],
)
def test_clients_are_found_in_networks(entry, client_ip, is_blocked):
    assert blocks(entry).has_client(client_ip) is is_blocked


@pytest.mark.parametrize(
    ("entry", "sender", "is_blocked"),
    [
        ("Spam.test", "a@SPAM.test", True),
        ("spam.test", "a@deep.er.spam.test", True),
        ("spam.test", "a@notspam.test", False),
        ("spam.test", "spam.test@other.test", False),
        ("@spam.test", "a@spam.test", True),
        ("spam.test.", "a@spam.test", True),
        ("top", "a@any.top", True),
        ("163.com", "a@163.com", True),
        ("Bob@Sender.test", "bOB@sender.TEST", True),
        ("bob@sender.test", "bob@deep.sender.test", False),
        ("bob@sender.test", "bob+tag@sender.test", False),
        ('"bob"@sender.test', "bob@sender.test", True),
        ('"a b"@sender.test', '"a b"@sender.test', True),
        ("köln.test", "a@xn--kln-sna.test", True),
        ("xn--kln-sna.test", "a@büro.KÖLN.test", True),
        ("süd@köln.test", "SÜD@xn--kln-sna.test", True),
        ("su\u0308d@sender.test", "süd@sender.test", True),
        ("a@[192.0.2.1]", "a@[192.0.2.1]", True),
        ("192.0.2.0/24", "a@[192.0.2.1]", False),
    ],
)
def test_senders_are_found_by_address_and_domain(entry, sender, is_blocked):
    assert blocks(entry).has_sender(Path.parse(sender)) is is_blocked


def test_the_null_reverse_path_is_on_no_list():
    assert not blocks("test", "a@b.test", "192.0.2.0/24").has_sender(None)


def test_what_cannot_be_read_blocks_nobody():
    broken = Blocks([("network", "nonsense"), ("network", "192.0.2.1/24"), ("odd", "spam.test")])
    assert not broken.has_client("192.0.2.1")
    assert not Blocks().has_sender(Path.parse("a@b.test"))


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("network", "192.0.2.1/24"),
        ("network", "192.0.2.0/33"),
        ("network", "spam.test"),
        ("network", ""),
        ("domain", ""),
        ("domain", "two words"),
        ("domain", "*.spam.test"),
        ("domain", "spam..test"),
        ("domain", "999.1.1.1"),
        ("domain", "x" * 64 + ".test"),
        ("domain", ".".join(["x" * 60] * 5)),
        ("domain", "spam\x00.test"),
        ("address", "spam.test"),
        ("address", "@spam.test"),
        ("address", "a b@spam.test"),
        ("address", "<a@spam.test>"),
        ("address", "a@" + "x" * 300),
        ("address", "a@two words"),
        ("sieve", "spam.test"),
    ],
)
def test_what_is_none_of_its_kind_is_refused_in_words(kind, text):
    with pytest.raises(ValueError, match=r"expected|there are"):
        canonical(kind, text)


def test_ten_thousand_networks_are_all_found():
    many = Blocks([("network", f"10.{high}.{low}.0/24") for high in range(40) for low in range(250)])
    assert len(many) == 10_000
    assert many.has_client("10.39.249.1")
