"""
A real S3 server: SeaweedFS (`weed mini`) on free loopback ports, with credentials made for the session.

* `s3`: S3Settings of the running server; one for the whole session.
* `s3_bucket`: the same with a bucket name nobody has used; parse creates it.
"""

from __future__ import annotations

import ctypes
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import botocore.config
import pytest
from mailchute.settings import S3Settings

READY_WITHIN_S = 60.0
WEED = Path(sys.executable).parent / "weed"
PR_SET_PDEATHSIG = 1  # linux/prctl.h
PORTS = (
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "s3.port",
    "s3.port.grpc",
    "admin.port",
    "admin.port.grpc",
)


def s3_client(settings: S3Settings) -> Any:
    """Return a client of its own, so that tests look at the bucket from outside parse."""
    return boto3.client(
        "s3",
        endpoint_url=settings.endpoint,
        aws_access_key_id=settings.access_key,
        aws_secret_access_key=settings.secret_key,
        region_name=settings.region,
        config=botocore.config.Config(
            s3={"addressing_style": "path"},
            connect_timeout=1,
            read_timeout=10,
            retries={"total_max_attempts": 1},
        ),
    )


def free_ports(count: int) -> list[int]:
    """Return ports that were free a moment ago, all different."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Settings]:
    if not WEED.is_file():
        pytest.skip("weed is not installed (requirements/embedded.lock)")
    directory = tmp_path_factory.mktemp("s3")
    ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    settings = S3Settings(
        endpoint=f"http://127.0.0.1:{ports['s3.port']}",
        bucket="probe",
        access_key=secrets.token_hex(8),
        secret_key=secrets.token_hex(20),
        region="us-east-1",
    )
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            _command(directory, ports),
            env=_environment(settings),
            cwd=directory,
            stdout=log,
            stderr=subprocess.STDOUT,
            preexec_fn=_dying_with_its_parent(),
        )
    try:
        _wait_until_it_stores(settings, process, directory / "log")
        yield settings
    finally:
        process.kill()  # SIGTERM takes seconds, and nothing here is to be kept
        process.wait()


@pytest.fixture
def s3_bucket(s3: S3Settings) -> S3Settings:
    return replace(s3, bucket=f"mail-{secrets.token_hex(6)}")


def _dying_with_its_parent() -> Callable[[], None]:
    """Return what the child runs before exec: a killed test run leaves no server behind."""
    libc = ctypes.CDLL(None)  # loaded before the fork
    return lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _command(directory: Path, ports: dict[str, int]) -> list[str]:
    return [
        str(WEED),
        "mini",
        f"-dir={directory}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-master.telemetry=false",
        "-admin.ui=false",
        "-webdav=false",
        "-s3.iam=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        *(f"-{name}={port}" for name, port in ports.items()),
    ]


def _environment(settings: S3Settings) -> dict[str, str]:
    return {
        **os.environ,
        "AWS_ACCESS_KEY_ID": settings.access_key,
        "AWS_SECRET_ACCESS_KEY": settings.secret_key,
        "WEED_S3_SSE_KEK": secrets.token_hex(32),
    }


def _wait_until_it_stores(settings: S3Settings, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return once a PUT can be read back: the port opens long before that."""
    deadline = time.monotonic() + READY_WITHIN_S
    client = s3_client(settings)
    error: Exception | None = None
    while time.monotonic() < deadline:
        if process.poll() is not None:
            pytest.fail(f"weed ended with {process.returncode}:\n{log.read_text()[-2000:]}")
        try:
            client.create_bucket(Bucket=settings.bucket)
            client.put_object(Bucket=settings.bucket, Key="probe", Body=b"probe")
            if client.get_object(Bucket=settings.bucket, Key="probe")["Body"].read() == b"probe":
                return
        except Exception as refusal:
            error = refusal
            time.sleep(0.1)
    pytest.fail(f"weed did not store within {READY_WITHIN_S:g} s: {error}\n{log.read_text()[-2000:]}")
