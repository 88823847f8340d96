"""Postfix as a sending peer: its queue manager hands mail to us as it would to any MX."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.system import SECRET, System
from tests.servers.sink import Sink

pytestmark = [
    pytest.mark.skipif(not shutil.which("postfix"), reason="Postfix is not installed (Debian: postfix)"),
    pytest.mark.skipif(os.geteuid() != 0, reason="Postfix starts as root alone"),
]

MAIN_CF = """
compatibility_level = 3.6
queue_directory = {home}/queue
data_directory = {home}/data
maillog_file = /var/log/mailchute-test-{port}.log
maillog_file_prefixes = /var
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = client.example.org
mydestination =
mynetworks = 127.0.0.0/8
smtp_dns_support_level = disabled
smtp_host_lookup = native
relayhost = [{relay_host}]:{relay_port}
minimal_backoff_time = 1s
"""
MASTER_CF = """
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
proxymap unix - - n - - proxymap
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """An instance of our own on a high port, with its queue in a folder of its own."""

    def __init__(self, home: Path, relay: tuple[str, int]) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.home = home
        self.log = Path(f"/var/log/mailchute-test-{self.port}.log")  # Postfix logs below /var alone
        (home / "queue").mkdir()
        (home / "data").mkdir()
        shutil.chown(home / "data", "postfix")
        values = {"home": home, "port": self.port, "relay_host": relay[0], "relay_port": relay[1]}
        (home / "main.cf").write_text(MAIN_CF.format(**values))
        (home / "master.cf").write_text(MASTER_CF.format(**values))
        self._run("start")

    def stop(self) -> None:
        self._run("stop")
        self.log.unlink(missing_ok=True)

    def _run(self, verb: str) -> None:
        done = subprocess.run(
            ["postfix", "-c", str(self.home), verb], capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr


@pytest.fixture
def postfix(system: System) -> Iterator[Postfix]:
    home = Path(tempfile.mkdtemp(prefix="mcpf"))
    home.chmod(0o755)
    server = Postfix(home, system.smtp)
    yield server
    server.stop()
    shutil.rmtree(home, ignore_errors=True)


def test_postfix_hands_over_its_queue(postfix: Postfix, sink: Sink) -> None:
    count = 50
    source = ["smtp-source", "-s", "4", "-m", str(count), "-l", "4000", "-S", "by Postfix"]
    envelope = ["-f", "ada@example.org", "-t", "support@inbox.test", f"127.0.0.1:{postfix.port}"]
    subprocess.run([*source, *envelope], check=True, timeout=60)
    posts = sink.wait_for("/support", count, timeout_s=60)
    assert len({post.json["id"] for post in posts}) == count
    for post in posts:
        post.verify(SECRET)
        assert post.json["envelope"]["helo"] == "client.example.org"


def test_a_recipient_we_refuse_comes_back_as_a_bounce(postfix: Postfix, sink: Sink) -> None:
    """550 5.1.1 is for good: Postfix makes a DSN of it; to us it is a mail with the null reverse-path."""
    source = [
        "smtp-source",
        "-f",
        "support@inbox.test",
        "-t",
        "nobody@inbox.test",
        f"127.0.0.1:{postfix.port}",
    ]
    subprocess.run(source, check=True, timeout=60)
    [post] = sink.wait_for("/support", timeout_s=60)
    payload = post.json
    assert payload["envelope"]["mailFrom"] == ""
    [recipient] = payload["bounce"]["recipients"]
    assert (recipient["address"], recipient["status"], recipient["type"]) == (
        "nobody@inbox.test",
        "5.1.1",
        "hard",
    )
