"""A program sets up its own webhook over the API, follows what happens, and nothing outlives its time."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import urllib.request
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.e2e.system import System
from tests.e2e.test_faults import content
from tests.servers.sink import Sink

pytestmark = [pytest.mark.xdist_group("e2e"), pytest.mark.slow]


def called(system: System, *words: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MAILCHUTE_")}
    command = [sys.executable, "-m", "mailchute_cli", *words, "--data", str(system.data), "--json"]
    return subprocess.run(command, capture_output=True, text=True, env=environ, check=False)


def mailchute(system: System, *words: str) -> Any:
    done = called(system, *words)
    assert done.returncode == 0, done.stderr + done.stdout
    return json.loads(done.stdout)


def test_a_program_takes_mail_at_an_alias_of_its_own_and_follows_it(system: System, sink: Sink) -> None:
    key = mailchute(system, "keys", "create", "--name", "program")["key"]
    fields = {"X-API-KEY": key, "Content-Type": "application/json", "Idempotency-Key": "one"}

    def call(method: str, path: str, body: Any = None) -> Any:
        octets = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{system.http}/api/v1{path}", octets, fields, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    hook = call("POST", "/webhooks/alias", {"domain": "own.test", "alias": "me", "url": sink.url("/own")})
    assert (
        call("POST", "/webhooks/alias", {"domain": "own.test", "alias": "me", "url": sink.url("/own")})
        == hook
    )
    at = urlsplit(system.http)
    following = http.client.HTTPConnection(at.hostname or "", at.port, timeout=60)
    following.request("GET", "/api/v1/events", headers=fields | {"Accept": "text/event-stream"})
    stream = following.getresponse()
    system.send(content("to the program"), "me@own.test")
    [post] = sink.wait_for("/own", timeout_s=60)
    told = b""
    while post.json["id"].encode() not in told and (octets := stream.read1(65_536)):
        told += octets
    following.close()
    if post.json["id"].encode() not in told:  # a slow machine: the stream of 25 s has ended before
        last = call("GET", "/events?limit=200")["items"]
        assert post.json["id"] in [one["mailId"] for one in last]
    # S3 may come after `ready`: most mail has nothing there.
    system.until(lambda: called(system, "retention", "report").returncode == 0, within_s=120)
    report = mailchute(system, "retention", "report")
    assert report["isClean"] is True, report
    places = {one["place"].split()[0] for one in report["findings"]}
    assert places == {"table", "bucket", "stream", "objects"}
