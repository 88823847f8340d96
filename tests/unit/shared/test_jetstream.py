"""JetStream as the rooms use it, against a real server."""

from __future__ import annotations

from tests.servers.nats import NatsServer


def test_the_test_server_fsyncs_before_it_answers(nats_server: NatsServer) -> None:
    assert nats_server.monitor("varz")["jetstream"]["config"]["sync_always"] is True


def test_the_test_server_comes_back_on_the_same_ports(nats_server: NatsServer) -> None:
    nats_server.kill9()
    nats_server.restart()
    nats_server.pause()
    nats_server.resume()
    assert nats_server.monitor("healthz")["status"] == "ok"
