"""`mailchute up` as an operator meets it: ports, the data directory, signals, routes, bad settings."""

from __future__ import annotations

import os
import signal
import socket
import stat
from collections.abc import Callable

import pytest

from tests.e2e.system import System, is_alive, routes_to
from tests.servers.sink import Sink


def content(mark: str) -> bytes:
    return f"From: ada@example.org\r\nSubject: {mark}\r\n\r\nHello {os.urandom(8).hex()}.\r\n".encode()


def test_one_installation_from_its_first_start_to_its_second_end(
    new_system: Callable[..., System], sink: Sink
) -> None:
    """One after the other, for a start costs seconds."""
    system = new_system("support@inbox.test").start()

    # A second `up` on the same directory is told so.
    second = new_system("support@inbox.test")
    second.data = system.data
    second.begin()
    assert second.ended() == 1
    assert second.said(f"{system.data.resolve()} is in use by `mailchute up` (process {system.pid})")

    # Its port is taken, so another that asks for it is told so.
    third = new_system("support@inbox.test")
    third.smtp = system.smtp
    third.begin()
    assert third.ended() == 1
    assert third.said(f"--smtp {system.smtp[0]}:{system.smtp[1]} is taken by another program")

    # Secrets are for their owner alone.
    secrets = list((system.data / "secrets").iterdir())
    assert {"master-key", "internal-token", "s3-secret-key", "nats-password"} <= {one.name for one in secrets}
    assert {stat.S_IMODE(one.stat().st_mode) for one in secrets} == {0o600}
    assert stat.S_IMODE(system.data.stat().st_mode) == 0o700

    # SIGHUP reads the routes again; a file that cannot be used changes nothing.
    system.routes.write_text(routes_to(sink, "support@inbox.test", "sales@inbox.test"))
    system.signal(signal.SIGHUP)
    System.until(lambda: system.said("1 alias added"))
    System.until(lambda: system.send(content("sales"), "sales@inbox.test")[1][0] == 250)
    system.routes.write_text("version: 1\ndomains: {inbox.test: {support: 7}}\n")
    system.signal(signal.SIGHUP)
    System.until(lambda: system.said("the routes stay as they were"))
    assert system.send(content("sales again"), "sales@inbox.test")[1][0] == 250
    sink.wait_for("/sales", 2)

    # SIGTERM drains: what was accepted is delivered or kept, the status is 0, no process is left.
    accepted = system.send(content("at the end"), "support@inbox.test")[1]
    children = system.processes()
    assert system.stop() == 0
    assert accepted[0] == 250
    assert system.lines[-1] == "stopped"
    assert not any(is_alive(pid) for pid in children)

    # The next start carries on, with the same secrets and routes.
    token = (system.data / "secrets" / "internal-token").read_text()
    system.routes.write_text(routes_to(sink, "support@inbox.test", "sales@inbox.test"))
    system.start()
    assert system.said("nothing to change")
    assert (system.data / "secrets" / "internal-token").read_text() == token
    system.send(content("the next day"), "support@inbox.test")
    System.until(
        lambda: (
            {"at the end", "the next day"}
            <= {post.json["message"]["subject"] for post in sink.posts("/support")}
        )
    )
    assert {log.name for log in (system.data / "log").iterdir()} >= {"nats.log", "s3.log"}
    system.signal(signal.SIGINT)
    assert system.ended() == 0


def test_sigterm_during_the_start_ends_it_with_no_process_left(new_system: Callable[..., System]) -> None:
    system = new_system()
    system.begin()
    System.until(lambda: system.said("nats"))
    children = system.processes()
    assert system.stop() == 0
    assert not any(is_alive(pid) for pid in children)


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"MAILCHUTE_RETRY_SCHEDULE": "5"}, "MAILCHUTE_RETRY_SCHEDULE is '5': expected seconds"),  # connector
        ({"MAILCHUTE_SCAN_DEADLINE": "soon"}, "MAILCHUTE_SCAN_DEADLINE is 'soon': expected"),  # a function
        ({"MAILCHUTE_NATS_URL": "http://x"}, "MAILCHUTE_NATS_URL is 'http://x': expected nats://"),
        ({"MAILCHUTE_FUNCTIONS_URL": "http://127.0.0.1:9"}, "MAILCHUTE_INTERNAL_TOKEN"),
    ],
)
def test_a_bad_setting_ends_the_start_with_a_line_that_names_it(
    new_system: Callable[..., System], environ: dict[str, str], told: str
) -> None:
    system = new_system(**environ)
    system.begin()
    assert system.ended() == 1
    assert system.said(told), "\n".join(system.lines)
    assert not any("Traceback" in line for line in system.lines)


@pytest.mark.parametrize(
    ("routes", "told"),
    [
        ("version: 1\ndomains: {inbox.test: {support: 7}}\n", "routes.yml:2:"),
        ("no yaml: [", "routes.yml:"),
    ],
)
def test_a_bad_routes_file_ends_the_start_with_its_line(
    new_system: Callable[..., System], routes: str, told: str
) -> None:
    system = new_system()
    system.routes.write_text(routes)
    system.begin()
    assert system.ended() == 1
    assert system.said(told), "\n".join(system.lines)


def test_a_default_port_that_is_taken_is_told_and_another_is_used(
    new_system: Callable[..., System],
) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            other.bind(("127.0.0.1", 2525))
        except OSError:
            pass  # another program has it: as good
        else:
            other.listen()
        system = new_system()
        system.begin(with_smtp=False)
        System.until(lambda: system.said("127.0.0.1:2525 is taken by another program: --smtp is 127.0.0.1:"))
        assert system.stop() == 0
