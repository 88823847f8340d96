"""URLs as they are dialled and as the request line says them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as some

from functions.deliver.destination import destination_of
from functions.deliver.faults import EndpointFault


@pytest.mark.parametrize(
    ("url", "host", "port", "target", "authority"),
    [
        ("https://hooks.test", "hooks.test", 443, "/", "hooks.test"),
        ("https://Hooks.Test./a?b=c&d", "hooks.test", 443, "/a?b=c&d", "hooks.test"),
        ("https://hooks.test:443/", "hooks.test", 443, "/", "hooks.test"),
        ("https://hooks.test:8443/", "hooks.test", 8443, "/", "hooks.test:8443"),
        ("http://127.0.0.1:80/", "127.0.0.1", 80, "/", "127.0.0.1"),
        ("https://[2001:DB8:0::1]:8443/", "2001:db8::1", 8443, "/", "[2001:db8::1]:8443"),
        ("https://straße.test/", "xn--strae-oqa.test", 443, "/", "xn--strae-oqa.test"),
        (
            "https://hooks.test/ä/%C3%A4?q=ü%20x",
            "hooks.test",
            443,
            "/%C3%A4/%C3%A4?q=%C3%BC%20x",
            "hooks.test",
        ),
        ("https://hooks.test?a=b", "hooks.test", 443, "/?a=b", "hooks.test"),
        ("https://my_host.test/a;b@c/../d", "my_host.test", 443, "/a;b@c/../d", "my_host.test"),
    ],
)
def test_a_url_is_read_once(url: str, host: str, port: int, target: str, authority: str) -> None:
    destination = destination_of(url)
    assert (destination.host, destination.port, destination.target) == (host, port, target)
    assert destination.authority == authority


SCRAPS = some.sampled_from(
    [
        *("https://", "http://", "[", "]", "::1", "127.", "1", "0x7f", "hooks.test", "xn--"),
        *("@", ":", "443", "/", "?", "#", "%", "\\", ".", "a", "ß", "①", "。", "-", "_", " ", "\t", "\u202e"),
    ]
)


@given(some.lists(SCRAPS, max_size=9).map("".join) | some.text(max_size=40).map("https://".__add__))
def test_a_url_is_read_or_refused_and_what_was_read_fits_in_a_request_line(url: str) -> None:
    with contextlib.suppress(EndpointFault):
        destination = destination_of(url)
        assert destination.host.isascii()
        for text in (destination.authority, destination.target):
            assert text.isascii()
            assert text.isprintable()
            assert " " not in text
        again = f"{destination.scheme}://{destination.authority}{destination.target}"
        assert destination_of(again) == destination
