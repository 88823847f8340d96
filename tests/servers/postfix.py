"""Postfix as a sending peer: a queue, a log and ports of its own, everything relayed to one server."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

SETTINGS = """\
compatibility_level = 3.6
queue_directory = {home}/queue
data_directory = {home}/data
maillog_file = {log}
maillog_file_prefixes = /var
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = client.example.org
mydestination =
mynetworks = 127.0.0.0/8
alias_maps =
alias_database =
smtp_dns_support_level = disabled
smtp_host_lookup = native
smtp_tls_security_level = may
smtputf8_enable = no
relayhost = [{host}]:{port}
minimal_backoff_time = 1s
"""
# Debian's master.cf without chroot and without what this needs not.
SERVICES = """\
127.0.0.1:{smtp_port} inet n - n - - smtpd
pickup unix n - n 1 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
showq unix n - n - - showq
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
proxymap unix - - n - - proxymap
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """One running Postfix that hands whatever it is given to `relay`."""

    def __init__(self, home: Path, relay: tuple[str, int]) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.home = home
        self._log = Path(f"/var/log/mailchute-test-{self.port}.log")  # Postfix logs below /var alone
        for part in ("queue", "data"):
            (home / part).mkdir()
        home.chmod(0o755)  # its servers run as the user postfix
        shutil.chown(home / "data", "postfix")
        values = {"home": home, "log": self._log, "host": relay[0], "port": relay[1]}
        (home / "main.cf").write_text(SETTINGS.format(**values))
        (home / "master.cf").write_text(SERVICES.format(smtp_port=self.port))
        self._run("start")

    def stop(self) -> None:
        self._run("stop")
        self._log.unlink(missing_ok=True)

    def sendmail(self, content: bytes, *, sender: str, recipient: str) -> None:
        """Hand one mail in as a program on its host would."""
        command = ["sendmail", "-C", str(self.home), "-f", sender, recipient]
        subprocess.run(command, input=content, check=True, timeout=60)

    def _run(self, verb: str) -> None:
        command = ["postfix", "-c", str(self.home), verb]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        said = self._log.read_text()[-2_000:] if self._log.exists() else ""
        assert done.returncode == 0, done.stderr + said


@pytest.fixture
def new_postfix() -> Iterator[Callable[[tuple[str, int]], Postfix]]:
    """Start a Postfix that relays to an address; all are stopped at the end."""
    if shutil.which("postfix") is None:
        pytest.skip("Postfix is not installed (Debian: postfix)")
    if os.geteuid() != 0:
        pytest.skip("Postfix starts as root alone")
    started: list[Postfix] = []

    def start(relay: tuple[str, int]) -> Postfix:
        # A folder that others than root may enter, unlike pytest's own.
        started.append(Postfix(Path(tempfile.mkdtemp(prefix="mcpf")), relay))
        return started[-1]

    yield start
    for server in started:
        server.stop()
        shutil.rmtree(server.home, ignore_errors=True)
