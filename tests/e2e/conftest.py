"""The whole system for tests: `mailchute up` beside a DNS stub and a webhook receiver."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.system import System, routes_to
from tests.servers.dns import DnsServer
from tests.servers.sink import Sink


@pytest.fixture(scope="session")
def zone() -> Iterator[DnsServer]:
    """A DNS server with an empty zone, for the whole session."""
    server = DnsServer()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def system_of_session(
    tmp_path_factory: pytest.TempPathFactory, zone: DnsServer, sink_of_session: Sink
) -> Iterator[System]:
    system = System(
        tmp_path_factory.mktemp("system"),
        routes=routes_to(sink_of_session, "support@inbox.test", "sales@inbox.test", "*@all.test"),
        dns=zone.address,
    )
    system.start()
    yield system
    status = system.stop()
    system.clear_away()
    assert status == 0, "\n".join(system.lines)


@pytest.fixture
def system(system_of_session: System, sink: Sink) -> System:
    """The system that the session shares: nothing of it is killed. The sink has seen nothing yet."""
    return system_of_session


@pytest.fixture
def new_system(tmp_path: Path, zone: DnsServer, sink: Sink) -> Iterator[Callable[..., System]]:
    """Makes installations of a test's own; each is cleared away at its end."""
    made: list[System] = []

    def make(*names: str, **environ: str) -> System:
        home = tmp_path / f"installation-{len(made)}"
        home.mkdir()
        routes = routes_to(sink, *(names or ("support@inbox.test",)))
        made.append(System(home, routes=routes, dns=zone.address, environ=environ))
        return made[-1]

    yield make
    for system in made:
        system.clear_away()
