"""Our own api may be dialled where developers listen, and nothing else of that host."""

from __future__ import annotations

import pytest

from functions.deliver.destination import destination_of
from functions.deliver.egress import Egress
from functions.deliver.faults import EndpointFault
from tests.unit.deliver.given import no_names

EGRESS = Egress(resolve=no_names, listen=destination_of("http://127.0.0.1:8090/listen"))


def test_a_listeners_door_is_dialled_though_it_is_private_and_plain() -> None:
    found = EGRESS.addresses_of(destination_of("http://127.0.0.1:8090/listen/key_1-0aF_-"), 0)
    assert [str(address) for address in found] == ["127.0.0.1"]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8090/",
        "http://127.0.0.1:8090/listen",
        "http://127.0.0.1:8090/listen/",
        "http://127.0.0.1:8090/listen/../api/v1/keys",
        "http://127.0.0.1:8090/listen/..%2fapi",
        "http://127.0.0.1:8090/listen/a?b",
        "http://127.0.0.1:8090/listen/a/b",
        "http://127.0.0.1:8090/listening/a",
        "http://127.0.0.1:8091/listen/a",
        "https://127.0.0.1:8090/listen/a",
        "http://127.0.0.2:8090/listen/a",
    ],
)
def test_all_else_of_that_host_stays_shut(url: str) -> None:
    with pytest.raises(EndpointFault):
        EGRESS.addresses_of(destination_of(url), 0)
