"""A person looks after endpoints and replays from the command line, and a program over the API."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from tests.e2e.system import SECRET, System
from tests.e2e.test_faults import content
from tests.servers.dns import DnsServer
from tests.servers.sink import Sink, Step

pytestmark = [pytest.mark.xdist_group("e2e"), pytest.mark.slow]


class Desk(System):
    """An installation and the commands of the person before it."""

    def mailchute(self, *arguments: str, status: int = 0) -> str:
        command = [sys.executable, "-m", "mailchute_cli", *arguments, "--data", str(self.data)]
        environ = {name: value for name, value in os.environ.items() if not name.startswith("MAILCHUTE_")}
        done = subprocess.run(command, capture_output=True, text=True, env=environ, check=False)
        assert done.returncode == status, done.stderr + done.stdout
        return done.stdout

    @staticmethod
    def until(holds: Callable[[], object], within_s: float = 120) -> None:
        System.until(holds, within_s)

    def json(self, *arguments: str) -> Any:
        return json.loads(self.mailchute(*arguments, "--json"))

    def endpoint_of(self, alias: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = self.json("endpoints", "list")["endpoints"]
        return next(one for one in found if one["address"] == f"{alias}@inbox.test")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, zone: DnsServer, sink_of_session: Sink) -> Iterator[Desk]:
    def alias(name: str, **more: Any) -> dict[str, Any]:
        return {"endpoints": [{"url": sink_of_session.url(f"/{name}"), "secret": SECRET, **more}]}

    aliases = {"support": alias("support"), "flaky": alias("flaky"), "new": alias("new", verify=True)}
    desk = Desk(
        tmp_path_factory.mktemp("desk"),
        routes=yaml.safe_dump({"version": 1, "domains": {"inbox.test": aliases}}),
        dns=zone.address,
        environ={"MAILCHUTE_RETRY_SCHEDULE": "0,0.3,0.3,0.3", "MAILCHUTE_ENDPOINT_FAILING_S": "1"},
    )
    desk.start()
    yield desk
    assert desk.stop() == 0
    desk.clear_away()


def test_a_mail_is_replayed_and_an_endpoint_kicked_from_the_command_line(desk: Desk, sink: Sink) -> None:
    desk.send(content("again"), "support@inbox.test")
    [first] = sink.wait_for("/support", timeout_s=60)
    mail = first.json["id"]
    desk.until(lambda: desk.json("emails", "show", mail)["email"]["state"] == "delivered")
    assert "goes out again" in desk.mailchute("replay", mail)
    assert [post.json["id"] for post in sink.wait_for("/support", 2, timeout_s=60)] == [mail] * 2
    assert "tried now" in desk.mailchute("kick", desk.endpoint_of("support")["id"])


def test_an_endpoint_that_only_fails_is_disabled_and_once_mended_gets_all_that_was_dead(
    desk: Desk, sink: Sink
) -> None:
    sink.program("/flaky", 404)
    endpoint = desk.endpoint_of("flaky")["id"]
    sent = 0

    def is_disabled() -> bool:
        nonlocal sent
        desk.send(content(f"flaky-{sent}"), "flaky@inbox.test")
        sent += 1
        return "disabledAt" in desk.json("endpoints", "show", endpoint)["endpoint"]

    desk.until(is_disabled)
    assert "disabled: failing" in desk.mailchute("endpoints", "list")
    assert "404: nothing answers at this path" in desk.mailchute("endpoints", "show", endpoint)
    desk.send(content("while-disabled"), "flaky@inbox.test")
    sent += 1
    looked = ("replay", "--dead", "--endpoint", endpoint, "--dry-run")
    desk.until(lambda: desk.json(*looked)["totalCount"] == sent)
    sink.program("/flaky", 200)
    posted = len(sink.posts("/flaky"))
    desk.mailchute("endpoints", "enable", endpoint)
    said = desk.mailchute("replay", "--dead", "--endpoint", endpoint)
    assert said.startswith(f"{sent} of {sent} mails went out again, as run run_")
    posts = sink.wait_for("/flaky", posted + sent, timeout_s=60)[posted:]
    assert len({post.json["id"] for post in posts}) == len(posts) == sent
    desk.until(lambda: desk.json(*looked)["totalCount"] == 0)
    mail = posts[-1].json["id"]
    history = desk.mailchute("emails", "show", mail)
    assert "delivered" in history
    assert "replay" in history


def test_an_endpoint_is_tested_and_verified_before_its_first_mail(desk: Desk, sink: Sink) -> None:
    new = desk.endpoint_of("new")["id"]
    assert "nothing is sent before" in desk.mailchute("endpoints", "test", new, status=1)
    assert "does not hold the challenge" in desk.mailchute("endpoints", "verify", new, status=1)
    [challenge] = sink.posts("/new")
    challenge.verify(SECRET)
    assert challenge.json["event"] == "endpoint.challenge"
    sink.program("/new", Step(fault="echo"))
    assert desk.mailchute("endpoints", "verify", new).startswith("delivered: HTTP 200")
    desk.send(content("after-it"), "new@inbox.test")
    sink.wait_for("/new", 3, timeout_s=60)[-1].verify(SECRET)
    assert desk.mailchute("endpoints", "test", sink.url("/new")).startswith("delivered: HTTP 200")
    sample = sink.wait_for("/new", 4, timeout_s=60)[-1]
    sample.verify(SECRET)
    assert sample.json["message"]["subject"] == "A test mail from Mailchute"
    assert sample.json["event"] == "email.received"


def test_a_program_replays_over_the_api_and_sees_how_far_it_is(desk: Desk, sink: Sink) -> None:
    desk.send(content("by-program"), "support@inbox.test")
    sink.wait_for("/support", timeout_s=60)
    key = desk.json("keys", "create", "--name", "ci")["key"]
    alias = desk.endpoint_of("support")["aliasId"]

    def api(path: str, body: dict[str, Any] | None = None) -> Any:
        request = urllib.request.Request(
            f"{desk.http}/api/v1{path}",
            None if body is None else json.dumps(body).encode(),
            {"X-API-KEY": key, "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    order = {"alias": alias, "state": "delivered"}
    desk.until(lambda: api("/replays", order | {"dryRun": True})["totalCount"] >= 1)
    begun = api("/replays", order)
    desk.until(lambda: "endedAt" in api(f"/replays/{begun['run']}"))
    assert api(f"/replays/{begun['run']}")["doneCount"] == begun["totalCount"]
    sink.wait_for("/support", 1 + begun["totalCount"], timeout_s=60)
