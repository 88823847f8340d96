"""
What mode through costs its client, and what hanging webhooks cost everyone else: `python -m bench.through`.

The whole of `mailchute up`, one webhook receiver. Printed: final dot → reply of either mode, one mail at a
time; then async mail alone and beside a hundred clients that wait for webhooks that never answer: final dot
→ 250, 250 → POST, CPU per mail of all processes.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from smtplib import SMTP

from bench.ours import name_of
from bench.processes import cpu_of
from tests.e2e.system import System
from tests.servers.dns import DnsServer
from tests.servers.sink import Sink, Step

HANGING = 100
CLIENTS = 8
WAIT_S = 50  # of a hanging webhook; a round must be over by then


def content(mark: str) -> bytes:
    fields = ("From: ada@example.org", f"Subject: {mark}", f"Message-ID: <{mark}@example.org>", "")
    return "\r\n".join((*fields, *["x" * 70] * 68, "")).encode()  # 5 KB


class Client:
    """One SMTP session that notes how long each reply to a final dot took."""

    def __init__(self, system: System) -> None:
        self.replied_at: dict[str, float] = {}
        self.waited_ms: list[float] = []
        self._smtp = SMTP(*system.smtp, timeout=120)
        self._smtp.ehlo("client.example.org")

    def send(self, mark: str, name: str) -> int:
        self._smtp.mail("ada@example.org")
        self._smtp.rcpt(f"{name}@inbox.test")
        self._smtp.putcmd("DATA")
        self._smtp.getreply()
        self._smtp.send(content(mark))
        began = time.perf_counter()
        self._smtp.send(b".\r\n")
        code, _ = self._smtp.getreply()
        self.waited_ms.append((time.perf_counter() - began) * 1e3)
        self.replied_at[mark] = time.time()
        return code

    def close(self) -> None:
        self._smtp.close()


def at(share: float, values: list[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def shown(times_ms: list[float]) -> str:
    return f"p50 {at(0.5, times_ms):6.1f} p99 {at(0.99, times_ms):6.1f} ms"


def unloaded(system: System, name: str, count: int) -> None:
    client = Client(system)
    for number in range(count + 10):
        assert client.send(f"{name}-{number}-{time.time()}", name) == 250
        time.sleep(0.02)
    waited = client.waited_ms[10:]
    print(f"{name:24} one at a time: dot → 250 {shown(waited)}", flush=True)
    client.close()


def loaded(system: System, sink: Sink, label: str, count: int, name: str = "plain") -> None:
    """Send mail over CLIENTS connections, and print what it took."""
    sink.forget()
    before = sum(cpu_of([system.pid], name_of).values())
    clients = [Client(system) for _ in range(CLIENTS)]

    def run(client: Client) -> None:
        for number in range(count // CLIENTS):
            assert client.send(f"{id(client)}-{number}-{time.time()}", name) == 250

    began = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as threads:
        list(threads.map(run, clients))
    posts = sink.wait_for(f"/{name}", count, timeout_s=120)
    took_s = time.perf_counter() - began
    cpu_ms = (sum(cpu_of([system.pid], name_of).values()) - before) / count * 1e3
    waited = [each for client in clients for each in client.waited_ms]
    replied = {mark: moment for client in clients for mark, moment in client.replied_at.items()}
    posted = [(post.at - replied[post.json["message"]["subject"]]) * 1e3 for post in posts]
    rate = f"{count / took_s:5.0f} mails/s  {cpu_ms:5.2f} ms CPU/mail"
    print(f"{label:24} {rate}  dot → 250 {shown(waited)}  250 → POST {shown(posted)}", flush=True)
    for client in clients:
        client.close()


@contextmanager
def hanging(system: System, sink: Sink) -> Iterator[None]:
    """A hundred clients wait for webhooks of their own that never answer."""
    for number in range(HANGING):
        sink.program(f"/h{number}", Step(fault="hang"))
    clients = [Client(system) for _ in range(HANGING)]
    threads = [
        threading.Thread(target=client.send, args=(f"h{time.time()}", f"h{number}"))
        for number, client in enumerate(clients)
    ]
    for thread in threads:
        thread.start()
    asked = {f"/h{number}" for number in range(HANGING)}
    System.until(lambda: asked <= {post.path for post in sink.posts()}, 60)
    try:
        yield
        assert all(thread.is_alive() for thread in threads), "they did not hang until the end"
    finally:
        for thread in threads:
            thread.join()
        for client in clients:
            client.close()


def routes_of(sink: Sink) -> str:
    names = ["through", *(f"h{number}" for number in range(HANGING))]
    waiting = [
        f"    {name}: {{mode: through, endpoints: [{{url: '{sink.url(f'/{name}')}'}}]}}" for name in names
    ]
    return "\n".join(
        ["version: 1", "domains:", "  inbox.test:", f"    plain: {sink.url('/plain')}", *waiting]
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("mails", type=int, nargs="?", default=400)
    count = arguments.parse_args().mails
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        sink, dns = Sink(home), DnsServer()
        sink.start()
        environ = {"MAILCHUTE_WEBHOOK_TIMEOUT": str(WAIT_S)}
        system = System(home, routes=routes_of(sink), dns=dns.address, environ=environ).start()
        try:
            for name in ("plain", "through"):
                unloaded(system, name, count // 4)
            loaded(system, sink, "(warm-up)", count)
            for _ in range(3):
                loaded(system, sink, "through alone", count, "through")
                loaded(system, sink, "async alone", count)
                with hanging(system, sink):
                    loaded(system, sink, f"beside {HANGING} that hang", count)
        finally:
            system.stop()
            system.clear_away()
            sink.kill()
            dns.stop()


if __name__ == "__main__":
    main()
