"""Endpoints that misbehave, over real HTTP and HTTPS: the attempt ends in time, as a value."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from mailchute.resolver import Resolver
from mailchute.settings import DnsSettings

from functions.deliver.answer import BODY_MAX_OCTETS
from functions.deliver.identity import Identities
from functions.deliver.names import resolve_by
from tests.servers.certificates import Authority
from tests.servers.dns import DnsServer
from tests.servers.sink import Sink, Step
from tests.unit.deliver.given import SECRET, attempts, endpoint, request

TIMEOUT_S = 2.0  # of an attempt, where the test waits it out
NAME = "hooks.test"


@pytest.fixture
def resolve(dns: DnsServer) -> Any:
    dns.zone[NAME] = {"A": ["127.0.0.1"]}
    return resolve_by(Resolver(DnsSettings(host=dns.host, port=dns.port)))


@pytest.fixture
def tls_sink(tmp_path: Path) -> Iterator[Callable[..., Sink]]:
    sinks: list[Sink] = []

    def start(certificate: Path, **options: Any) -> Sink:
        sinks.append(Sink(tmp_path, certificate=certificate, **options))
        sinks[-1].start()
        return sinks[-1]

    yield start
    for sink in sinks:
        sink.kill()


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (Step(fault="hang"), "did not answer within"),
        (Step(fault="slow", body="x" * 100), "did not answer within"),
        (Step(fault="continue"), "interim answers"),
        (Step(fault="reset"), "without an answer"),
        (Step(fault="cut"), "within its answer"),
        (Step(status=200, headers=(("X", "y" * 50_000),)), "header section over"),
        (Step(status=500), "500: the endpoint failed"),
    ],
    ids=lambda value: value.fault or value.status if isinstance(value, Step) else "",
)
def test_an_endpoint_that_fails_is_a_value_and_the_next_attempt_delivers(
    sink: Sink, step: Step, reason: str
) -> None:
    sink.program("/hook", step, 200)
    make = attempts(endpoint(sink.url("/hook")), timeout_s=TIMEOUT_S).make
    outcome = make(request())
    assert outcome.result == "failed"
    assert reason in outcome.reason
    assert make(request()).result == "delivered"
    assert len(sink.posts("/hook")) == 2


def test_a_connection_that_breaks_when_used_again_is_dialled_anew_within_the_attempt(sink: Sink) -> None:
    sink.program("/hook", 200, Step(fault="reset"), 200)
    make = attempts(endpoint(sink.url("/hook"))).make
    assert make(request()).result == "delivered"
    assert make(request()).result == "delivered"
    posts = sink.wait_for("/hook", 3)
    assert {post.header("webhook-id") for post in posts} == {posts[0].header("webhook-id")}


def test_a_gigabyte_of_answer_is_left_where_it_is(sink: Sink) -> None:
    sink.program("/hook", Step(fault="flood", status=500), Step(fault="flood"))
    make = attempts(endpoint(sink.url("/hook"))).make
    outcome = make(request())
    assert (outcome.result, outcome.status) == ("failed", 500)
    assert len(outcome.response) == 4_096
    assert make(request()).result == "delivered"
    assert len({post.connection for post in sink.posts("/hook")}) == 2


def test_an_answer_of_just_the_most_we_read_keeps_the_connection(sink: Sink) -> None:
    sink.program("/hook", Step(body="x" * BODY_MAX_OCTETS), Step(body="x" * (BODY_MAX_OCTETS + 1)), 200)
    make = attempts(endpoint(sink.url("/hook"))).make
    for _ in range(3):
        assert make(request()).result == "delivered"
    first, second, third = sink.wait_for("/hook", 3)
    assert first.connection == second.connection != third.connection


def test_an_answer_before_the_body_was_read_is_heard() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1_000)
                connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(1 << 20):
                    pass

        thread = threading.Thread(target=refuse)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        outcome = attempts(endpoint(url)).make(request(b"x" * 8_000_000))
        thread.join()
    assert outcome.status == 413
    assert "include less" in outcome.reason


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_who_takes_a_connection_and_never_reads_holds_the_attempt_no_longer_than_its_time(
    scheme: str,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/"
        known = endpoint(url, body_limit_octets=100_000_000)
        outcome = attempts(known, timeout_s=1.5).make(request(b"x" * 50_000_000))
    assert (outcome.result, outcome.status) == ("failed", None)
    assert "in time" in outcome.reason or "did not answer within" in outcome.reason


def test_a_dns_that_keeps_still_ends_the_attempt_in_its_time(dns: DnsServer, resolve: Any) -> None:
    dns.zone["silent.test"] = "timeout"
    outcome = attempts(endpoint("https://silent.test/"), resolve=resolve, timeout_s=1.5).make(request())
    assert (outcome.result, outcome.status) == ("failed", None)
    assert "the DNS did not answer for silent.test" in outcome.reason


def test_https_is_checked_for_the_name_while_the_pinned_address_is_dialled(
    tls_sink: Callable[..., Sink], authority: Authority, resolve: Any
) -> None:
    sink = tls_sink(authority.issue(NAME))
    make = attempts(
        endpoint(sink.url("/hook", host=NAME)), resolve=resolve, authority_file=str(authority.file)
    ).make
    for _ in range(2):
        outcome = make(request())
        assert (outcome.result, outcome.reason) == ("delivered", "")
    first, second = sink.wait_for("/hook", 2)
    first.verify(SECRET)
    assert first.connection == second.connection


def test_a_certificate_for_an_address_is_good_for_that_address(
    tls_sink: Callable[..., Sink], authority: Authority
) -> None:
    sink = tls_sink(authority.issue("127.0.0.1"))
    outcome = attempts(endpoint(sink.url("/hook")), authority_file=str(authority.file)).make(request())
    assert (outcome.result, outcome.reason) == ("delivered", "")


@pytest.mark.parametrize(
    ("host", "options", "trusts", "reason"),
    [
        ("other.test", {}, True, "mismatch"),
        ("127.0.0.1", {}, True, "mismatch"),
        (NAME, {"ends": -timedelta(days=1)}, True, "expired"),
        (NAME, {"self_signed": True}, True, "self-signed"),
        (NAME, {}, False, "unable to get local issuer"),
    ],
    ids=["wrong name", "an address for a name", "expired", "self-signed", "unknown authority"],
)
def test_a_certificate_that_is_not_good_ends_the_attempt_before_anything_is_sent(
    tls_sink: Callable[..., Sink],
    authority: Authority,
    resolve: Any,
    host: str,
    options: dict[str, Any],
    trusts: bool,
    reason: str,
) -> None:
    sink = tls_sink(authority.issue(host, **options))
    outcome = attempts(
        endpoint(sink.url("/hook", host=NAME)),
        resolve=resolve,
        authority_file=str(authority.file) if trusts else "",
    ).make(request())
    assert (outcome.result, outcome.status) == ("failed", None)
    assert reason in outcome.reason
    assert not sink.posts()


def test_https_to_a_plain_port_says_that_tls_failed(sink: Sink) -> None:
    url = sink.url("/hook").replace("http:", "https:")
    outcome = attempts(endpoint(url), timeout_s=TIMEOUT_S).make(request())
    assert outcome.result == "failed"
    assert not sink.posts()


def test_plain_http_to_a_tls_port_fails(tls_sink: Callable[..., Sink], authority: Authority) -> None:
    sink = tls_sink(authority.issue("127.0.0.1"))
    url = sink.url("/hook").replace("https:", "http:")
    outcome = attempts(endpoint(url), timeout_s=TIMEOUT_S).make(request())
    assert outcome.result == "failed"
    assert not sink.posts()


def test_a_client_certificate_is_shown_where_the_endpoint_has_one(
    tls_sink: Callable[..., Sink], authority: Authority
) -> None:
    sink = tls_sink(authority.issue("127.0.0.1"), client_authority=authority.file)
    known = endpoint(sink.url("/hook"), client_certificate=authority.issue("mailchute").read_text())
    outcome = attempts(known, authority_file=str(authority.file)).make(request())
    assert (outcome.result, outcome.reason) == ("delivered", "")
    outcome = attempts(endpoint(sink.url("/hook")), authority_file=str(authority.file)).make(request())
    assert outcome.result == "failed"
    assert len(sink.posts()) == 1


def test_one_endpoints_client_certificate_is_never_used_for_another(
    tls_sink: Callable[..., Sink], authority: Authority
) -> None:
    sink = tls_sink(authority.issue("127.0.0.1"), client_authority=authority.file)
    shown = endpoint(sink.url("/hook"), client_certificate=authority.issue("mailchute").read_text())
    bare = endpoint(sink.url("/hook"), id="end_2")
    make = attempts(shown, bare, authority_file=str(authority.file)).make
    assert make(request()).result == "delivered"
    assert make(request(delivery={"endpoint_id": "end_2"})).result == "failed"
    assert len(sink.posts()) == 1


def test_a_client_certificate_that_is_none_says_so(sink: Sink) -> None:
    outcome = attempts(endpoint(sink.url("/hook"), client_certificate="rubbish")).make(request())
    assert outcome.result == "failed"
    assert "client_certificate" in outcome.reason
    assert "rubbish" not in outcome.reason


def test_512_hanging_calls_do_not_stop_a_healthy_one(sink: Sink) -> None:
    sink.program("/hang", Step(fault="hang"))
    make = attempts(
        endpoint(sink.url("/hang"), id="end_hang"), endpoint(sink.url("/hook")), timeout_s=60
    ).make
    outcomes: list[str] = []

    def hang() -> None:
        outcomes.append(make(request(delivery={"endpoint_id": "end_hang"})).result)

    threads = [threading.Thread(target=hang) for _ in range(512)]
    for thread in threads:
        thread.start()
    sink.wait_for("/hang", 512, timeout_s=50)
    assert make(request()).result == "delivered"
    assert not outcomes, "those that hang had to be hanging still"
    sink.kill()
    for thread in threads:
        thread.join()
    assert outcomes == ["failed"] * 512


def test_an_endpoint_that_dies_and_comes_back_has_every_mail_that_counts_as_delivered(sink: Sink) -> None:
    make = attempts(endpoint(sink.url("/hook"))).make
    results: dict[str, str] = {}
    is_over = threading.Event()

    def deliver(sender: int) -> None:
        number = 0
        while not is_over.is_set():
            number += 1
            mail_id = f"msg_{sender}_{number}"
            results[mail_id] = make(request(delivery={"mail_id": mail_id})).result

    threads = [threading.Thread(target=deliver, args=(sender,)) for sender in range(8)]
    for thread in threads:
        thread.start()
    for seen in (20, 40, 60):
        sink.wait_for("/hook", seen)
        sink.kill()
        sink.start()
    sink.wait_for("/hook", 100)
    is_over.set()
    for thread in threads:
        thread.join()
    received = {post.header("webhook-id") for post in sink.posts("/hook")}
    assert {mail_id for mail_id, result in results.items() if result == "delivered"} <= received
    assert set(results.values()) == {"delivered", "failed"}


def test_tls_of_old_versions_is_refused() -> None:
    assert Identities().of(None).tls.minimum_version == ssl.TLSVersion.TLSv1_2
