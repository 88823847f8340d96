"""A process of ours is booked under its room."""

from __future__ import annotations

import pytest

from bench.ours import name_of

PYTHON = "/x/bin/python"


@pytest.mark.parametrize(
    ("command", "environment", "room"),
    [
        ("/x/bin/nats-server --config nats.conf ", "", "NATS"),
        ("/x/bin/weed mini -dir=s3 ", "", "S3"),
        (f"{PYTHON} -m smtp_ingress ", "A=1 ", "ingress"),
        (f"{PYTHON} -m connector ", "", "connector"),
        (f"{PYTHON} index.py ", "A=1 MAILCHUTE_FUNCTION=functions.scan B=2 ", "scan"),
        (f"{PYTHON} -m functions.parse.worker 21 ", "MAILCHUTE_FUNCTION=functions.parse ", "parse"),
        (f"{PYTHON} -m mailchute_cli.front 127.0.0.1:8080 ", "", "front"),
        (f"{PYTHON} /x/bin/mailchute up --data d ", "", "up"),
        ("/usr/bin/something else ", "", "something"),
    ],
)
def test_the_room_is_told_by_command_and_environment(command: str, environment: str, room: str) -> None:
    assert name_of(command, environment) == room
