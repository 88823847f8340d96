"""The server of a function, over real HTTP: calls, batches, and who may call."""

from __future__ import annotations

import ast
import functools
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from mailchute import wire

ROOT = Path(__file__).parents[3]
SERVER = ROOT / "template" / "python3-mailchute" / "index.py"
TOKEN = {"Authorization": "Bearer s3cret"}
Reply = tuple[int, dict[str, str], bytes]


class Served:
    """The server as a process of its own on a free port."""

    def __init__(self, log: Path, **environ: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, str(SERVER)],
                env={
                    **os.environ,
                    "PYTHONPATH": str(Path(__file__).parent),
                    "MAILCHUTE_FUNCTION": "hello",
                    "MAILCHUTE_LISTEN": f"127.0.0.1:{self.port}",
                    "MAILCHUTE_INTERNAL_TOKEN": "s3cret",
                    **environ,
                },
                stdout=output,
                stderr=output,
            )

    def wait_until_ready(self) -> Served:
        deadline = time.monotonic() + 30
        while True:
            try:
                assert self.call(path="/_/ready", method="GET")[0] == 200
            except OSError:
                assert self.process.poll() is None, self.log.read_text()
                assert time.monotonic() < deadline, self.log.read_text()
                time.sleep(0.02)
            else:
                return self

    def call(
        self,
        body: bytes = b"",
        *,
        path: str = "/function/hello",
        method: str = "POST",
        headers: dict[str, str] | None = None,
        chunked: bool = False,
        timeout_s: float = 20,
    ) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        try:
            content: bytes | Iterator[bytes] = iter([body]) if chunked else body
            connection.request(method, path, content, TOKEN if headers is None else headers)
            reply = connection.getresponse()
            return reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read()
        finally:
            connection.close()

    def batch(self, *items: bytes) -> dict[int, tuple[int, bytes, float | None]]:
        status, headers, body = self.call(
            msgspec.msgpack.encode(list(items)), headers={**TOKEN, "Content-Type": wire.BATCH}
        )
        assert (status, headers["content-type"]) == (200, wire.BATCH)
        return answers_in(body)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


def answers_in(stream: bytes) -> dict[int, tuple[int, bytes, float | None]]:
    answers = {}
    while stream:
        index, status, body, retry_after_s = msgspec.msgpack.decode(stream_head := _one(stream))
        stream = stream[len(stream_head) :]
        assert index not in answers
        answers[index] = (status, body, retry_after_s)
    return answers


def _one(stream: bytes) -> bytes:
    """Return the first of several concatenated MessagePack values."""
    for end in range(1, len(stream) + 1):
        try:
            msgspec.msgpack.decode(stream[:end])
        except msgspec.DecodeError:
            continue
        return stream[:end]
    raise AssertionError("a value is cut off")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    server = Served(tmp_path_factory.mktemp("served") / "log")
    yield server.wait_until_ready()
    server.end()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    servers: list[Served] = []

    def start(**environ: str) -> Served:
        servers.append(Served(tmp_path / f"log{len(servers)}", **environ))
        return servers[-1]

    yield start
    for server in servers:
        server.end()


@pytest.mark.parametrize(
    ("body", "status", "answer"),
    [
        (b"you", 200, b"hello you"),
        (b"", 200, b"hello "),
        (b"x" * 3_000_000, 200, b"hello " + b"x" * 3_000_000),
        (b"never", 422, b'{"error":"no such value","type":"Undecodable"}'),
        (b"not now", 503, b'{"error":"later","type":"ContentUnavailable"}'),
        (b"break", 500, b'{"error":"the function broke on this call","type":"KeyError"}'),
        (b"nothing", 500, b'{"error":"the function broke on this call","type":"TypeError"}'),
        (b"exit", 500, b'{"error":"the function broke on this call","type":"SystemExit"}'),
    ],
)
@pytest.mark.parametrize("chunked", [False, True])
def test_a_call_gets_what_the_handler_answers(
    served: Served, body: bytes, status: int, answer: bytes, chunked: bool
) -> None:
    assert served.call(body, chunked=chunked)[::2] == (status, answer)


def test_a_single_function_also_answers_at_the_root(served: Served) -> None:
    assert served.call(b"root", path="/")[::2] == (200, b"hello root")


def test_retry_after_is_whole_seconds_as_http_has_it(served: Served) -> None:
    assert served.call(b"not now")[1]["retry-after"] == "3"


def test_the_handler_sees_media_types_without_parameters_and_no_token(served: Served) -> None:
    headers = {
        **TOKEN,
        "Content-Type": "Application/JSON; charset=utf-8",
        "Accept": "text/html, application/msgpack;q=0.9, */*",
        "Mail-Envelope": "{}",
    }
    content_type, accept, seen = ast.literal_eval(served.call(b"headers", headers=headers)[2].decode())
    assert (content_type, accept, seen["mail-envelope"]) == (wire.JSON, wire.MSGPACK, "{}")
    assert "authorization" not in seen


def test_what_broke_a_function_is_logged_once_and_without_its_values(served: Served) -> None:
    before = served.log.read_text().count("function.broke")
    served.call(b"break someone@example.test")
    log = served.log.read_text()
    assert log.count("function.broke") == before + 1
    assert "someone@example.test" not in log
    assert "hello.py" in log


def test_a_batch_answers_every_item_with_its_own_status(served: Served) -> None:
    answers = served.batch(b"a", b"never", b"break", b"not now", b"nothing", b"exit", b"b")
    assert {index: answer[0] for index, answer in answers.items()} == {
        0: 200, 1: 422, 2: 500, 3: 503, 4: 500, 5: 500, 6: 200,
    }  # fmt: skip
    assert answers[0][1] == b"hello a"
    assert answers[3][2] == 2.5


@pytest.mark.parametrize("count", [0, 1, 3, 500])
def test_a_batch_may_hold_any_number_of_items(served: Served, count: int) -> None:
    answers = served.batch(*(b"%d" % index for index in range(count)))
    assert answers == {index: (200, b"hello %d" % index, None) for index in range(count)}


def test_a_batch_streams_each_answer_as_it_is_made(served: Served, tmp_path: Path) -> None:
    gate = tmp_path / "open"
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
    body = msgspec.msgpack.encode([f"until {gate}".encode(), b"quick"])
    connection.request("POST", "/function/hello", body, {**TOKEN, "Content-Type": wire.BATCH})
    reply = connection.getresponse()
    first = reply.read1()  # comes while the other item waits
    assert answers_in(first) == {1: (200, b"hello quick", None)}
    gate.touch()
    assert set(answers_in(reply.read())) == {0}
    connection.close()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"garbage",
        b"\xc1",
        msgspec.msgpack.encode({"a": 1}),
        msgspec.msgpack.encode([1]),
        b"\xdd\xff\xff\xff\xff",
    ],
)
def test_a_batch_that_is_none_is_never_worked_on(served: Served, body: bytes) -> None:
    assert served.call(body, headers={**TOKEN, "Content-Type": wire.BATCH})[0] == 422


def test_a_caller_that_leaves_a_batch_frees_its_slots(serve: Callable[..., Served], tmp_path: Path) -> None:
    served = serve().wait_until_ready()
    gate = tmp_path / "open"
    items = [f"until {gate}".encode()] * 50
    left = socket.create_connection(("127.0.0.1", served.port))
    body = msgspec.msgpack.encode(items)
    left.sendall(
        b"POST /function/hello HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer s3cret\r\n"
        b"Content-Type: %s\r\nContent-Length: %d\r\n\r\n" % (wire.BATCH.encode(), len(body)) + body
    )
    _until(lambda: _is_full(served))
    left.close()
    gate.touch()
    _until(lambda: served.call(b"x")[0] == 200)


def test_over_its_concurrency_a_stranger_hears_429_and_health_still_answers(
    serve: Callable[..., Served], tmp_path: Path
) -> None:
    served = serve().wait_until_ready()
    gate = tmp_path / "open"
    waiting = [threading.Thread(target=served.call, args=(f"until {gate}".encode(),)) for _ in range(4)]
    for thread in waiting:
        thread.start()
    _until(lambda: _is_full(served))
    status, headers, body = served.call(b"x", headers={})
    assert (status, headers["retry-after"]) == (429, "1")
    assert b"Full" in body
    assert served.call(path="/_/health", method="GET")[0] == 200
    gate.touch()
    for thread in waiting:
        thread.join()
    assert served.call(b"x")[0] == 200


def test_who_has_the_token_waits_for_a_slot_and_no_more_run_than_there_are(
    serve: Callable[..., Served], tmp_path: Path
) -> None:
    served = serve().wait_until_ready()
    gates = [tmp_path / str(number) for number in range(12)]
    answers: list[object] = []
    calls: list[Callable[[], object]] = [
        functools.partial(served.batch, *(f"until {gate}".encode() for gate in gates[:8])),
        *(lambda gate=gate: served.call(f"until {gate}".encode())[0] for gate in gates[8:]),
    ]
    waiting = [threading.Thread(target=lambda call=call: answers.append(call())) for call in calls]
    for thread in waiting:
        thread.start()
    _until(lambda: _is_full(served))
    for begun_count in range(4, 13):
        _until(lambda count=begun_count: len(list(tmp_path.glob("*.begun"))) == count)
        running = [gate for gate in gates if gate.with_suffix(".begun").exists() and not gate.exists()]
        assert len(running) == 4  # the rest waits
        running[0].touch()
    for gate in gates:
        gate.touch()
    for thread in waiting:
        thread.join()
    assert sorted(map(str, answers))[:4] == ["200"] * 4
    assert served.call(b"x", headers={})[0] == 200


def test_max_inflight_lowers_the_concurrency(serve: Callable[..., Served], tmp_path: Path) -> None:
    served = serve(max_inflight="1").wait_until_ready()
    gate = tmp_path / "open"
    thread = threading.Thread(target=served.call, args=(f"until {gate}".encode(),))
    thread.start()
    _until(lambda: _is_full(served))
    gate.touch()
    thread.join()


@pytest.mark.parametrize("path", ["/_/health", "/_/ready", "/healthz"])
def test_health_answers_anyone(served: Served, path: str) -> None:
    assert served.call(path=path, method="GET", headers={})[::2] == (200, b"ok\n")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Authorization": "Bearer wrong"}, 200),  # public, and from this machine
        ({"X-Forwarded-For": "192.0.2.1"}, 404),
        ({"Forwarded": "for=192.0.2.1"}, 404),
        ({"Via": "1.1 proxy"}, 404),
        ({"X-Real-IP": "127.0.0.1"}, 404),
        ({"Origin": "https://page.example"}, 404),
        ({"X-Forwarded-For": "192.0.2.1", **TOKEN}, 200),
    ],
)
def test_a_public_function_answers_a_loopback_peer_without_proxy_fields(
    served: Served, headers: dict[str, str], status: int
) -> None:
    assert served.call(b"x", headers=headers)[0] == status


def test_a_function_that_is_not_public_is_not_there_for_strangers(serve: Callable[..., Served]) -> None:
    served = serve(MAILCHUTE_FUNCTION="private").wait_until_ready()
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic czNjcmV0"}):
        stranger = served.call(b"x", path="/function/private", headers=headers)
        assert stranger[0] == 404
        assert stranger[2] == served.call(b"x", path="/function/nothing", headers=headers)[2]
    assert served.call(b"x", path="/function/private")[0] == 200


def test_without_a_token_of_its_own_no_token_opens_anything(serve: Callable[..., Served]) -> None:
    served = serve(MAILCHUTE_FUNCTION="private", MAILCHUTE_INTERNAL_TOKEN="").wait_until_ready()
    for value in ("Bearer ", "Bearer", "", "Bearer None"):
        assert served.call(b"x", path="/function/private", headers={"Authorization": value})[0] == 404


def test_several_functions_are_served_side_by_side_and_none_at_the_root(serve: Callable[..., Served]) -> None:
    served = serve(MAILCHUTE_FUNCTION="hello, private").wait_until_ready()
    assert served.call(b"x")[2] == b"hello x"
    assert served.call(b"x", path="/function/private")[2] == b"private x"
    assert served.call(b"x", path="/")[0] == 404


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_refused_without_being_kept(served: Served, chunked: bool) -> None:
    octets = b"x" * (64 * 1024 * 1024 + 1)
    try:
        status = served.call(octets, chunked=chunked)[0]
    except ConnectionError:  # it may hang up before all is sent
        status = 422
    assert status == 422
    assert served.call(b"you")[2] == b"hello you"


def test_sigterm_lets_calls_under_way_end_and_leaves_no_process(
    serve: Callable[..., Served], tmp_path: Path
) -> None:
    served = serve().wait_until_ready()
    gate, replies = tmp_path / "open", []
    thread = threading.Thread(target=lambda: replies.append(served.call(f"until {gate}".encode())))
    thread.start()
    _until(gate.with_suffix(".begun").exists)
    served.process.send_signal(signal.SIGTERM)
    gate.touch()
    thread.join()
    assert replies[0][0] == 200
    assert served.process.wait(timeout=20) == 0


def test_when_granian_is_killed_its_worker_dies_too(serve: Callable[..., Served]) -> None:
    served = serve().wait_until_ready()
    [worker] = _children_of(served.process.pid)
    served.process.kill()
    _until(lambda: not Path(f"/proc/{worker}").exists() or _is_zombie(worker))


def test_when_its_worker_dies_the_server_ends_so_that_it_is_started_again(
    serve: Callable[..., Served],
) -> None:
    served = serve().wait_until_ready()
    [worker] = _children_of(served.process.pid)
    os.kill(worker, signal.SIGKILL)
    assert served.process.wait(timeout=20) == 1


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        (
            {"MAILCHUTE_LISTEN": "nowhere"},
            "MAILCHUTE_LISTEN is 'nowhere': expected host:port, such as 127.0.0.1:2525",
        ),
        ({"max_inflight": "many"}, "max_inflight is 'many': expected a whole number from 0 to 65536"),
        ({"HELLO_BAD_SETTING": "1"}, "HELLO_BAD_SETTING is set: expected nothing"),
    ],
)
def test_a_bad_setting_ends_the_start_with_one_line(
    serve: Callable[..., Served], environ: dict[str, str], told: str
) -> None:
    served = serve(**environ)
    assert served.process.wait(timeout=20) == 1
    assert served.log.read_text().strip() == told


def _children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def _is_full(served: Served) -> bool:
    """Return whether a stranger hears 429; one that came before the last of the others waits behind it."""
    try:
        return served.call(b"x", headers={}, timeout_s=1)[0] == 429
    except TimeoutError:
        return False


def _until(holds: Callable[[], bool], within_s: float = 15) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)
