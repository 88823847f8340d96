"""A running SMTP edge with everything real behind it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.ingress.edge_process import EdgeProcess, Jet, new_database
from tests.servers.nats import NatsServer

ALIASES = ("support@inbox.test", "sales@inbox.test", "*@catch.test")


@pytest.fixture
def jet(nats_server: NatsServer) -> Jet:
    """A nats-server of this test's own with the streams the edge needs."""
    jet = Jet(nats_server)
    jet.create_all()
    return jet


@pytest.fixture
def database(migrated_sqlite: Path, tmp_path: Path) -> str:
    return new_database(migrated_sqlite, tmp_path, *ALIASES)


@pytest.fixture
def start_edge(
    request: pytest.FixtureRequest, nats_server: NatsServer, database: str
) -> Iterator[Callable[..., EdgeProcess]]:
    """Start an edge; settings are given without their prefix: start_edge(MAX_ERRORS="3")."""
    started: list[EdgeProcess] = []

    def start(*, waits: bool = True, **settings: str) -> EdgeProcess:
        edge = EdgeProcess(
            {
                "MAILCHUTE_SMTP": "127.0.0.1:0",
                "MAILCHUTE_HOSTNAME": "mx.test",
                "MAILCHUTE_NATS_URL": nats_server.url,
                "MAILCHUTE_DATABASE_URL": database,
                **{f"MAILCHUTE_{name}": value for name, value in settings.items()},
            }
        )
        started.append(edge)
        request.node.edges = started  # what they logged is shown when the test fails
        return edge.listening() if waits else edge

    yield start
    for edge in started:
        with contextlib.suppress(ProcessLookupError):
            edge.kill9()


@pytest.fixture
def edge(jet: Jet, start_edge: Callable[..., EdgeProcess]) -> EdgeProcess:
    """An edge with default settings."""
    return start_edge()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    for edge in getattr(item, "edges", ()):
        report.sections.append(("edge", "\n".join(edge.lines[-30:])))
    return report
