"""What is suspicious about links and attachments."""

from __future__ import annotations

import pytest
from mailchute.parts import File

from functions.scan.attachments import file_facts
from functions.scan.links import domains_of, links_of

LINKS = {
    "plain": ("see https://example.org/a?b=c.", "", ["example.org"], "none"),
    "in capitals": ("HTTPS://Example.ORG/x", "", ["example.org"], "none"),
    "in html": ("", '<a href="http://example.org/x">here</a>', ["example.org"], "none"),
    "mismatched": (
        "",
        '<a href="http://evil.example/x">www.bank.example</a>',
        ["evil.example"],
        "mismatched",
    ),
    "mismatched, as URL": (
        "",
        "<a href=http://evil.example>https://bank.example/in</a>",
        ["evil.example", "bank.example"],
        "mismatched",
    ),
    "mismatched, in bold": (
        "",
        '<A class="b" title="x" HREF="http://evil.example/x" id=1>\r\n<b>www.bank.example</b>\r\n</A>',
        ["evil.example"],
        "mismatched",
    ),
    "a subdomain is related": (
        "",
        '<a href="http://go.bank.example/x">bank.example</a>',
        ["go.bank.example"],
        "none",
    ),
    "text that is no host": ("", '<a href="http://go.example/x">click here now</a>', ["go.example"], "none"),
    "shortened": ("http://bit.ly/abc", "", ["bit.ly"], "shortened"),
    "raw address": ("http://192.0.2.7/login", "", ["192.0.2.7"], "raw_ips"),
    "a number for an address": ("http://3221225991/login", "", ["3221225991"], "raw_ips"),
    "punycode": ("http://xn--bcher-kva.example/", "", ["xn--bcher-kva.example"], "punycode"),
    "digits for letters": ("http://paypa1.com/", "", ["paypa1.com"], "looks_alike"),
    "rn for m": ("http://rnicrosoft.com/", "", ["rnicrosoft.com"], "looks_alike"),
    "as a subdomain": ("http://paypal.com.evil.example/", "", ["paypal.com.evil.example"], "looks_alike"),
    "the recipient's own name": ("http://1nbox.test/", "", ["1nbox.test"], "looks_alike"),
    "the real one": ("https://www.paypal.com/", "", ["www.paypal.com"], "none"),
}
KINDS = ("mismatched", "looks_alike", "shortened", "raw_ips", "punycode")


@pytest.mark.parametrize(("text", "html", "hosts", "kind"), LINKS.values(), ids=LINKS)
def test_links_are_found_and_judged(text: str, html: str, hosts: list[str], kind: str) -> None:
    found = links_of(text, html, known={"inbox.test"})
    assert found.hosts == hosts or (not found.urls and kind == "none")
    assert [name for name in KINDS if getattr(found, name)] == ([] if kind == "none" else [kind])


def test_cyrillic_in_a_latin_word_looks_alike() -> None:
    host = "pаypal.com".encode("idna").decode()
    found = links_of(f"http://{host}/", "")
    assert (found.looks_alike, found.punycode) == ([host], [host])


def test_links_are_bounded_and_linear() -> None:
    assert len(links_of("http://a.example/%s " * 5000 % tuple(range(5000)), "").urls) == 200
    for flood in (
        "<a href=",
        "http://",
        "<a ",
        "://",
        "<a href=x>" * 2,
        "<a b>.",
        "<a href=http://x.example>y.example",
    ):
        links_of(flood * 200_000, flood * 20_000)


def test_domains_are_asked_for_by_their_last_labels() -> None:
    hosts = ["www.shop.example.com", "a.b.co.uk", "192.0.2.1", "localhost", "example.com"]
    assert domains_of(hosts) == ["example.com", "co.uk", "b.co.uk"]


FILES = {
    "a document": (("report.pdf", "application/pdf", b"%PDF-1.7"), set()),
    "a program by name": (("setup.exe", "application/octet-stream", b""), {"program"}),
    "a program by its octets": (("report.pdf", "application/pdf", b"MZ\x90"), {"program", "disguise"}),
    "two endings": (("invoice.pdf.exe", "application/pdf", b"MZ"), {"program", "double"}),
    "an encrypted archive": (("a.zip", "application/zip", b"PK\x03\x04\x14\x00\x01\x00"), {"encrypted"}),
    "an open archive": (("a.zip", "application/zip", b"PK\x03\x04\x14\x00\x00\x00"), set()),
    "no name": (("", "application/octet-stream", b"\x7fELF"), {"program", "disguise"}),
}


@pytest.mark.parametrize(("file", "claims"), FILES.values(), ids=FILES)
def test_attachments_are_judged(file: tuple[str, str, bytes], claims: set[str]) -> None:
    facts = file_facts([File(*file)])
    found = {
        "program": facts.has_program,
        "disguise": facts.has_disguise,
        "double": facts.has_double_extension,
        "encrypted": facts.has_encrypted_archive,
    }
    assert {name for name, is_so in found.items() if is_so} == claims
