"""A person replays a mail from the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable

from tests.e2e.system import System
from tests.e2e.test_faults import content
from tests.servers.sink import Sink


def mailchute(system: System, *arguments: str) -> str:
    command = [sys.executable, "-m", "mailchute_cli", *arguments, "--data", str(system.data)]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MAILCHUTE_")}
    done = subprocess.run(command, capture_output=True, text=True, env=environ, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_mail_is_replayed_and_an_endpoint_kicked_from_the_command_line(
    new_system: Callable[..., System], sink: Sink
) -> None:
    system = new_system().start()
    system.send(content("again"), "support@inbox.test")
    [first] = sink.wait_for("/support")

    def recorded() -> bool:
        mails = json.loads(mailchute(system, "emails", "list", "--json"))["emails"]
        return [mail["state"] for mail in mails] == ["delivered"]

    system.until(recorded)
    assert "goes out again" in mailchute(system, "replay", first.json["id"])
    assert [post.json["id"] for post in sink.wait_for("/support", 2)] == [first.json["id"]] * 2
    [endpoint] = json.loads(mailchute(system, "endpoints", "list", "--json"))["endpoints"]
    assert "tried now" in mailchute(system, "kick", endpoint["id"])
    assert system.stop() == 0
