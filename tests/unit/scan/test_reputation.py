"""Block lists and feeds."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator

import pytest

from functions.scan.feeds import Feed, domain_keys, url_keys
from tests.servers.dns import DnsServer
from tests.unit.scan.given import mail, scan

LISTS = {"dnsbl": ("bl.test",), "uribl": ("uri.test",)}
ANSWERS = {
    "127.0.0.2": True,
    "127.0.1.4": True,
    "127.255.255.254": False,  # "you may not ask"
    "127.0.0.1": False,
    "192.0.2.1": False,
}


def names(dns: DnsServer, content: bytes, **given: object) -> set[str]:
    spam = scan(dns, content, settings=LISTS, **given).spam
    assert spam is not None
    return {symbol.name for symbol in spam.symbols}


@pytest.mark.parametrize(("answer", "is_listed"), ANSWERS.items())
def test_a_list_lists_by_an_address_of_its_range(dns: DnsServer, answer: str, *, is_listed: bool) -> None:
    dns.zone["7.100.51.1.bl.test"] = {"A": [answer]}
    dns.zone["evil.example.uri.test"] = {"A": [answer]}
    found = names(dns, mail(body="see http://www.evil.example/x\r\n"), client_ip="1.51.100.7")
    assert ("CLIENT_LISTED" in found) is is_listed
    assert ("LINK_LISTED" in found) is is_listed


def test_lists_the_ingress_named_count_once_with_our_own(dns: DnsServer) -> None:
    dns.zone["7.100.51.1.bl.test"] = {"A": ["127.0.0.2"]}
    one = names(dns, mail(), client_ip="1.51.100.7", listed_by=("bl.test",))
    two = names(dns, mail(), client_ip="1.51.100.7", listed_by=("bl.test", "other.test"))
    assert ("CLIENT_LISTED" in one, "CLIENT_LISTED_TWICE" in one) == (True, False)
    assert "CLIENT_LISTED_TWICE" in two
    assert "CLIENT_LISTED" in names(dns, mail(), client_ip="192.0.2.9", listed_by=("other.test",))


@pytest.mark.parametrize("trouble", ["servfail", "timeout"])
def test_a_list_that_does_not_answer_says_nothing(dns: DnsServer, trouble: str) -> None:
    dns.zone["7.100.51.1.bl.test"] = trouble  # type: ignore[assignment]
    assert "CLIENT_LISTED" not in names(dns, mail(), client_ip="1.51.100.7")


def test_private_addresses_are_asked_of_no_list(dns: DnsServer) -> None:
    names(dns, mail(), client_ip="10.0.0.1")
    assert not [name for name, _ in dns.queries if name.endswith("bl.test")]


class FeedHost:
    """Serves one text with an ETag; counts how often it was sent whole."""

    def __init__(self) -> None:
        self.text, self.status, self.sent_count = "evil.example\n", 200, 0
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                etag = f'"{hash(owner.text)}"'
                is_same = self.headers.get("If-None-Match") == etag
                body = b"" if is_same else owner.text.encode()
                self.send_response(304 if is_same else owner.status)
                self.send_header("ETag", etag)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                owner.sent_count += not is_same

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/feed.txt"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def host() -> Iterator[FeedHost]:
    server = FeedHost()
    yield server
    server.stop()


@pytest.fixture
def feed(host: FeedHost) -> Iterator[Feed]:
    feed = Feed("", interval_s=3600, keys_of=domain_keys)
    feed._url = host.url  # fetched by the test, not by the clock
    yield feed
    feed.close()


def test_a_feed_is_taken_whole_and_asked_for_by_etag(host: FeedHost, feed: Feed) -> None:
    assert "evil.example" not in feed
    assert feed.fetch()
    assert "evil.example" in feed
    assert not feed.fetch()
    assert host.sent_count == 1
    host.text = "# comment\nother.example\n"
    assert feed.fetch()
    assert "other.example" in feed
    assert "evil.example" not in feed
    assert len(feed) == 1


@pytest.mark.parametrize(
    ("status", "text"), [(500, "x.example"), (404, "x.example"), (200, ""), (200, "# none\n")]
)
def test_a_feed_that_fails_keeps_what_it_has(host: FeedHost, feed: Feed, status: int, text: str) -> None:
    feed.fetch()
    host.status, host.text = status, text
    assert not feed.fetch()
    assert "evil.example" in feed


def test_a_feed_whose_host_is_gone_is_empty_and_delays_nobody() -> None:
    feed = Feed("http://127.0.0.1:1/feed.txt", interval_s=3600, keys_of=domain_keys)
    assert "evil.example" not in feed
    feed.close()


def test_pages_are_the_same_whatever_scheme_and_fragment() -> None:
    keys = url_keys("http://Evil.example/login?a=b")
    assert keys == ("evil.example/login?a=b", "evil.example")
    assert url_keys("https://evil.example:443/login?a=b#top") == keys
    assert url_keys("ftp://evil.example/") == ()
    assert url_keys("http://[::1") == ()
