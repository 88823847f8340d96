"""A running SMTP edge with everything real behind it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.ingress.edge_process import EdgeProcess, Jet, environ_of, new_database
from tests.servers.nats import NatsServer

ALIASES = ("support@inbox.test", "sales@inbox.test", "*@catch.test")


@pytest.fixture(scope="session")
def standing_edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[EdgeProcess, Jet]]:
    server = NatsServer(tmp_path_factory.mktemp("nats"))  # others make and delete these streams too
    server.start()
    jet = Jet(server)
    jet.create_all()
    database = new_database(tmp_path_factory.mktemp("edge"), *ALIASES)
    edge = EdgeProcess(environ_of(server, database)).listening()
    yield edge, jet
    edge.stop()
    server.kill9()


@pytest.fixture(scope="session")
def standing_small_edge(
    standing_edge: tuple[EdgeProcess, Jet], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EdgeProcess]:
    """An edge whose mails may have 100,000 octets, beside the other on the same streams."""
    database = new_database(tmp_path_factory.mktemp("small"), *ALIASES)
    edge = EdgeProcess(environ_of(standing_edge[1].server, database, MAX_MESSAGE_OCTETS="100000"))
    yield edge.listening()
    edge.stop()


@pytest.fixture
def edge(standing_edge: tuple[EdgeProcess, Jet]) -> EdgeProcess:
    """An edge with default settings that other tests use too: send new_content() only."""
    return standing_edge[0]


@pytest.fixture
def streams(standing_edge: tuple[EdgeProcess, Jet]) -> Jet:
    """The streams behind `edge`, with what came in this test."""
    standing_edge[1].mark()
    return standing_edge[1]


@pytest.fixture
def jet(nats_server: NatsServer) -> Jet:
    """A nats-server of this test's own with the streams that `start_edge` needs."""
    jet = Jet(nats_server)
    jet.create_all()
    return jet


@pytest.fixture
def database(tmp_path: Path) -> str:
    return new_database(tmp_path, *ALIASES)


@pytest.fixture
def start_edge(
    request: pytest.FixtureRequest, nats_server: NatsServer, database: str
) -> Iterator[Callable[..., EdgeProcess]]:
    """Start an edge of this test's own; settings come without their prefix: start_edge(MAX_ERRORS="3")."""
    started: list[EdgeProcess] = []
    request.node.edges = started  # what they logged is shown when the test fails

    def start(*, waits: bool = True, **settings: str) -> EdgeProcess:
        edge = EdgeProcess(environ_of(nats_server, database, **settings))
        started.append(edge)
        return edge.listening() if waits else edge

    yield start
    for edge in started:
        with contextlib.suppress(ProcessLookupError):
            edge.kill9()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    for edge in getattr(item, "edges", ()):
        report.sections.append(("edge", "\n".join(edge.lines[-30:])))
    return report
