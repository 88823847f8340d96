"""What the shipped rules say: of today's honest mail little, of today's spam enough."""

from __future__ import annotations

from typing import Any

import pytest
from mailchute.verdicts import Spam

from functions.scan.reading import Reading
from tests.servers.dns import DnsServer
from tests.unit.scan.given import honest_zone, mail, message, scan, signer

HTML = "MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n"


def judged(dns: DnsServer, **given: Any) -> Spam:
    """Return the verdict on an authenticated mail of an honest domain, so that its content alone counts."""
    dns.zone.update(honest_zone("example.org"))
    dns.zone["1.2.0.192.in-addr.arpa"] = {"PTR": ["mx.example.org"]}
    spam = scan(dns, signer("example.org").sign(mail(**given))).spam
    assert spam is not None
    return spam


HONEST: dict[str, dict[str, str]] = {
    "a question": {"subject": "Question about the invoice", "body": "Hi,\r\ncould you resend it?\r\nJoe\r\n"},
    "an order": {
        "subject": "Your order 4711 has shipped",
        "more": HTML,
        "body": '<html><style>p{color:#fff}</style><div style="display:none">Track it&zwnj;&nbsp;&zwnj;</div>'
        '<img src="https://example.org/logo.png"><p>Thank you for your order! Total: €1,249.00</p>'
        '<p><a href="https://example.org/track/4711">Track your parcel</a>. Click here if it does not work.'
        "</p><p>You are receiving this email because you ordered at example.org.</p></html>\r\n",
    },
    "a newsletter": {
        "subject": "20% off everything this weekend",
        "more": HTML + "List-Unsubscribe: <https://example.org/u>\r\nList-Id: <news.example.org>\r\n",
        "body": '<html><div style="display:none;font-size:0">Only until Sunday</div><p>Dear customer,</p>'
        "<p>save up to 20% on all shoes, from €49. Limited time offer. Free returns.</p>"
        '<a href="https://click.example.org/a?b=c">Shop now</a><p>Unsubscribe or opt out.</p></html>\r\n',
    },
    "a password reset": {
        "subject": "Reset your password",
        "body": "Hello Joe,\r\n\r\nconfirm your account within 48 hours:\r\nhttps://example.org/reset/abc\r\n"
        "If it was not you who asked, ignore this mail.\r\n",
    },
    "a notification": {
        "sender": "Joe Doe <notifications+123456789@example.org>",
        "subject": "Re: [team/project] BTC price feed fails on 32-bit (#4711)",
        "more": "In-Reply-To: <1@example.org>\r\n",
        "body": "The password is stored in clear, see the recorded video.\r\nhttps://example.org/issues/4711\r\n",
    },
    "a letter of a bank": {
        "subject": "Ihr Kontoauszug",
        "body": "Sehr geehrte Frau Doe,\r\nIhr Kontoauszug liegt bereit. Ein Widerspruch ist kostenlos.\r\n",
    },
    "an alert in capitals": {
        "subject": "CRITICAL: DISK FULL",
        "body": "HOST: DB1 SERVICE: DISK STATE: CRITICAL FREE: 2% " * 10 + "\r\n",
    },
}


@pytest.mark.parametrize("given", HONEST.values(), ids=HONEST)
def test_honest_mail_of_today_stays_far_from_the_threshold(dns: DnsServer, given: dict[str, str]) -> None:
    spam = judged(dns, **given)
    assert spam.score <= 2.5, spam.symbols
    assert not spam.is_spam


HITS: dict[str, tuple[dict[str, str], str]] = {
    "an inheritance": ({"body": "I am the widow of the late president.\r\n"}, "ADVANCE_FEE"),
    "no name": ({"body": "Dear Sir/Madam,\r\nhello\r\n"}, "DEAR_NOBODY"),
    "capitals": ({"body": "THIS IS HOW WE WRITE TO OUR FRIENDS. " * 10 + "\r\n"}, "TEXT_SHOUTS"),
    "exclamation marks": ({"body": "Now!!!!\r\n"}, "TEXT_EXCLAIMS"),
    "poker": ({"body": "The best poker and casino site.\r\n"}, "GAMBLING"),
    "brides": ({"body": "Meet hot local singles.\r\n"}, "DATING"),
    "stocks": ({"body": "Undervalued! Our stock alert: strong buy.\r\n"}, "STOCK_TIP"),
    "extortion": ({"body": "I recorded you with your webcam. Send 1,000 in bitcoin.\r\n"}, "EXTORTION"),
    "an offer": ({"body": "No obligation, absolutely free.\r\n"}, "FREE_OFFER"),
    "visitors": ({"body": "We bring you to the first page of google with backlinks.\r\n"}, "SELLS_REACH"),
    "watches": ({"body": "Replica watches, Rolex and others.\r\n"}, "COUNTERFEIT"),
    "an image": ({"more": HTML, "body": '<a href="https://e.example"><img src="x"></a>'}, "IMAGE_ONLY"),
    "split words": ({"more": HTML, "body": "<p>cheap me<!-- x -->ds and pi&zwnj;lls</p>\r\n"}, "WORDS_SPLIT"),
    "a bare subject": ({"subject": "Привет"}, "SUBJECT_UNENCODED"),
    "ADV": ({"subject": "ADV: a new car"}, "SUBJECT_SAYS_ADVERTISEMENT"),
    "a cheap subject": ({"subject": "Cheap and guaranteed"}, "SUBJECT_OFFERS"),
    "a numbered author": ({"sender": "Joe <joe48213@example.org>"}, "FROM_NUMBERED"),
    "a user in a link": ({"body": "https://bank.example@evil.example/login\r\n"}, "LINK_DISGUISED"),
    "a port in a link": ({"body": "http://e.example:8081/login\r\n"}, "LINK_DISGUISED"),
    "entities": ({"more": HTML, "body": "<p>&#118;iagra</p>\r\n"}, "PILLS"),
}  # fmt: skip


@pytest.mark.parametrize(("given", "name"), HITS.values(), ids=HITS)
def test_what_spam_is_known_by_is_told(dns: DnsServer, given: dict[str, str], name: str) -> None:
    symbols = {symbol.name: symbol for symbol in judged(dns, **given).symbols}
    assert name in symbols
    assert symbols[name].description


MISSES: dict[str, tuple[dict[str, str], str]] = {
    "a plain port": ({"body": "https://e.example:443/ http://e.example:80/@j"}, "LINK_DISGUISED"),
    "an encoded subject": ({"subject": "=?utf-8?q?=D0=9F?="}, "SUBJECT_UNENCODED"),
    "a style sheet": ({"more": HTML, "body": "<STYLE>casino</STYLE><p>Hello.</p>\r\n"}, "GAMBLING"),
    "a plus-tag": ({"sender": "Joe <reply+48213@example.org>"}, "FROM_NUMBERED"),
    "Persian": ({"more": HTML, "body": "<p>می\u200cخواهم</p>\r\n"}, "WORDS_SPLIT"),
    "a short text in capitals": ({"body": "OK THANKS\r\n"}, "TEXT_SHOUTS"),
}  # fmt: skip


@pytest.mark.parametrize(("given", "name"), MISSES.values(), ids=MISSES)
def test_what_only_looks_so_is_not(dns: DnsServer, given: dict[str, str], name: str) -> None:
    assert name not in {symbol.name for symbol in judged(dns, **given).symbols}


def test_a_style_sheet_that_never_ends_hides_nothing() -> None:
    page = "<style>a</script></style>seen<script>b</style></script>too<style>" + "<style" * 5_000 + "last"
    text = Reading(message(mail(more=HTML, body=page))).text
    assert "".join(text.split()).startswith("seentoo<style")
    assert text.endswith("last")
