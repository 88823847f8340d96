"""Consumers on the server: made, paused, listed, removed."""

from __future__ import annotations

import contextlib
from datetime import datetime
from typing import Any

from mailchute.errors import StreamUnavailable
from mailchute.stored import request_api
from nats.aio.client import Client

SECOND_NS = 1_000_000_000


def consumer_config(durable: str, *, ack_wait_s: float, filter_subject: str | None = None) -> dict[str, Any]:
    """
    Return a pull consumer's configuration: no limits but its lease.

    No BackOff: it does not apply to nak and adds wrongly to its delay. max_ack_pending -1: a delayed
    nak counts against it, and would stop everyone (docs/adr/0004-two-lanes.md).
    """
    config: dict[str, Any] = {
        "name": durable,
        "durable_name": durable,
        "deliver_policy": "all",
        "ack_policy": "explicit",
        "ack_wait": int(ack_wait_s * SECOND_NS),
        "max_deliver": -1,
        "max_ack_pending": -1,
        "replay_policy": "instant",
        "max_waiting": 512,
    }
    if filter_subject is not None:
        config["filter_subject"] = filter_subject
    return config


async def assert_consumer(client: Client, stream: str, config: dict[str, Any]) -> None:
    """Create the consumer, or leave it as it is where it is the same. Raises: StreamUnavailable."""
    subject = f"CONSUMER.CREATE.{stream}.{config['name']}"
    if "filter_subject" in config:
        subject = f"{subject}.{config['filter_subject']}"
    await request_api(client, subject, {"stream_name": stream, "config": config})


async def remove_consumer(client: Client, stream: str, durable: str) -> None:
    """Remove the consumer; one that is gone is no error. Raises: StreamUnavailable."""
    await request_api(client, f"CONSUMER.DELETE.{stream}.{durable}", {}, absent_ok=True)


async def pause_consumer(client: Client, stream: str, durable: str, until: datetime) -> None:
    """Hand out nothing until then (a time that is past resumes); best effort, for the breaker holds too."""
    with contextlib.suppress(StreamUnavailable):
        await request_api(
            client,
            f"CONSUMER.PAUSE.{stream}.{durable}",
            {"pause_until": until.isoformat().replace("+00:00", "Z")},
            absent_ok=True,
        )


async def consumer_names(client: Client, stream: str) -> list[str]:
    """Return every consumer's durable name. Raises: StreamUnavailable."""
    found: list[str] = []
    total = 1
    while len(found) < total:
        answer = await request_api(client, f"CONSUMER.NAMES.{stream}", {"offset": len(found)})
        assert answer is not None
        page = answer.get("consumers") or []
        total = answer["total"] if page else 0
        found += page
    return found
