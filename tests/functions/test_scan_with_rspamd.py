"""scan with a real Rspamd (Debian's package), as an operator would set it up."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.dns import DnsServer
from tests.unit.scan.given import honest_zone, mail, scan, signer

RSPAMD = shutil.which("rspamd")
GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
START_S = 150  # the first start compiles its patterns: 11 s on an idle machine, much more on a busy one

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        RSPAMD is None or os.geteuid() != 0,
        reason="rspamd (apt) is not installed, or this is not root: not run",
    ),
]
OFF = (  # what asks the Internet, or Redis
    "asn",
    "dkim_signing",
    "fuzzy_check",
    "greylist",
    "milter_headers",
    "neural",
    "ratelimit",
    "rbl",
    "surbl",
    "url_redirector",
)


@pytest.fixture
def rspamd(dns: DnsServer) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="rspamd-") as folder:  # pytest's own may be root's alone
        yield from _running(dns, Path(folder))


def _running(dns: DnsServer, root: Path) -> Iterator[str]:
    for part in ("local.d", "db", "run", "log"):
        (root / part).mkdir()
    port = _free_port()
    for module in OFF:
        (root / "local.d" / f"{module}.conf").write_text("enabled = false;\n")
    (root / "local.d" / "worker-normal.inc").write_text(f'bind_socket = "127.0.0.1:{port}";\ncount = 1;\n')
    for worker in ("controller", "proxy", "fuzzy"):
        (root / "local.d" / f"worker-{worker}.inc").write_text("enabled = false;\n")
    (root / "local.d" / "options.inc").write_text(
        f'dns {{ nameserver = ["{dns.address}"]; timeout = 1s; }}\n'
    )
    (root / "local.d" / "settings.conf").write_text(
        'own { priority = high; request_header { "Mailchute-Account" = "/^acc_own$/"; }\n'
        '      apply { symbols_disabled = ["SPF_CHECK"]; } }\n'
    )
    (root / "local.d" / "logging.inc").write_text('type = "console";\nlevel = "error";\n')
    user = pwd.getpwnam("_rspamd")
    for path in (root, *root.rglob("*")):
        os.chown(path, user.pw_uid, user.pw_gid)
    command = ["setpriv", "--reuid=_rspamd", "--regid=_rspamd", "--clear-groups", str(RSPAMD), "-f"]
    folders = {"LOCAL_CONFDIR": root, "DBDIR": root / "db", "RUNDIR": root / "run", "LOGDIR": root / "log"}
    variables = [f"--var={name}={path}" for name, path in folders.items()]
    process = subprocess.Popen(
        [*command, "-c", "/etc/rspamd/rspamd.conf", *variables],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(url)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


def test_rspamd_judges_by_the_accounts_settings_and_we_say_so(dns: DnsServer, rspamd: str) -> None:
    dns.zone.update(honest_zone("example.org"))
    settings = {"rspamd_url": rspamd, "deadline_s": 10.0}
    content = signer("example.org").sign(mail(body="Dear Joe,\r\n\r\nsee you tomorrow.\r\n"))
    ham = scan(dns, content, settings=settings)
    assert ham.spam is not None
    assert (ham.spam.engine, ham.spam.is_spam) == ("rspamd", False)
    names = {symbol.name for symbol in ham.spam.symbols}
    assert {"R_SPF_ALLOW", "R_DKIM_ALLOW"} <= names  # it agrees with our own verdicts
    assert (ham.auth.spf.result, ham.auth.dkim[0].result) == ("pass", "pass")
    own = scan(dns, content, settings=settings, account_id="acc_own").spam  # an account's own settings
    assert own is not None
    assert own.engine == "rspamd"
    assert {symbol.name for symbol in own.symbols} & {"R_SPF_ALLOW", "R_DKIM_ALLOW"} == {"R_DKIM_ALLOW"}
    spam = scan(dns, mail(body=f"{GTUBE}\r\n"), settings=settings).spam
    assert spam is not None
    assert (spam.engine, spam.is_spam, spam.action) == ("rspamd", True, "reject")
    assert spam.score >= 15


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _wait_for(url: str) -> None:
    ends_at = time.monotonic() + START_S
    while True:
        try:
            with urllib.request.urlopen(f"{url}/ping", timeout=1) as answer:
                assert answer.read().strip() == b"pong"
                return
        except (OSError, json.JSONDecodeError):
            assert time.monotonic() < ends_at, "rspamd does not come up"
            time.sleep(0.1)
