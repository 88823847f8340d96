"""URLs as they are dialled and as the request line says them."""

from __future__ import annotations

import pytest

from functions.deliver.destination import destination_of


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
