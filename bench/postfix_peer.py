"""Postfix as the peer at the edge: its own configuration and queue, every mail fsynced and then held."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from bench.child import NotReady, free_port, wait_for_port
from bench.processes import Cpu, cpu_of
from bench.system import System

_MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
inet_interfaces = loopback-only
inet_protocols = ipv4
myhostname = mx.inbox.test
mydestination = inbox.test
mynetworks = 127.0.0.0/8
local_recipient_maps =
alias_maps =
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
message_size_limit = 33554432
smtpd_recipient_restrictions = check_client_access static:HOLD, permit_mynetworks, reject
"""
# Debian's master.cf without chroot and without what this needs not
_MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
smtp unix - - n - - smtp
proxymap unix - - n - - proxymap
showq unix n - n - - showq
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix(System):
    """A running Postfix."""

    name = "Postfix"

    def __init__(self, folder: Path, port: int, version: str) -> None:
        self.smtp_port, self.version = port, version
        self._pid_file = folder / "queue/pid/master.pid"

    def cpu(self) -> Cpu:
        return cpu_of([int(self._pid_file.read_text())], lambda command, _: command.split()[0])


def why_not() -> str | None:
    """Return why Postfix cannot be measured here; None when it can."""
    if shutil.which("postfix", path="/usr/sbin:/usr/bin") is None:
        return "not installed (Debian package postfix)"
    if os.geteuid() != 0:
        return "its master process runs as root only"
    return None


@contextlib.contextmanager
def postfix(folder: Path) -> Iterator[Postfix]:
    """Run Postfix with configuration, queue and log under `folder`."""
    port = free_port()
    for name in ("config", "queue", "data"):
        (folder / name).mkdir(parents=True)
    for ours in (folder, folder.parent):
        ours.chmod(0o755)  # its servers run as user postfix
    shutil.chown(folder / "data", "postfix")
    (folder / "config/main.cf").write_text(_MAIN.format(folder=folder))
    (folder / "config/master.cf").write_text(_MASTER.format(port=port))
    command = ["/usr/sbin/postfix", "-c", str(folder / "config")]
    with (folder / "start.log").open("wb") as log:
        if subprocess.run([*command, "start"], stdout=log, stderr=log, check=False).returncode:
            raise NotReady("postfix did not start; see start.log")
        version = subprocess.check_output(["/usr/sbin/postconf", "-h", "mail_version"], text=True).strip()
        try:
            wait_for_port(port, 10)
            yield Postfix(folder, port, f"Postfix {version}")
        finally:
            subprocess.run([*command, "stop"], stdout=log, stderr=log, check=False)
            _wait_until_gone(folder / "queue/pid/master.pid")


def _wait_until_gone(pid_file: Path) -> None:
    with contextlib.suppress(OSError, ValueError):
        pid = int(pid_file.read_text())
        for _ in range(100):
            os.kill(pid, 0)
            time.sleep(0.05)
