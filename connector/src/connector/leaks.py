"""Leak checks: what lies on a stream and no consumer will hand out. Each returns to 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mailchute import subjects
from mailchute.stored import request_api
from nats.aio.client import Client


@dataclass(frozen=True, slots=True)
class StreamState:
    """A stream and its consumers, at one moment."""

    name: str
    message_count: int
    octets: int
    max_octets: int
    pending_count: int  # over all its consumers: not handed out yet
    ack_pending_count: int  # handed out, not acknowledged
    stranded_count: int  # work queues: in no consumer's hands; else 0
    ack_floor: int  # of its only consumer: everything up to here is acknowledged; 0 with several


async def states(client: Client) -> list[StreamState]:
    """Return the state of every stream of ours. Raises: StreamUnavailable."""
    return [
        await _state(client, name)
        for name in (
            subjects.MAIL,
            subjects.DELIVERY,
            subjects.RETRY,
            subjects.JOURNAL,
            subjects.NOTIFY,
            subjects.DEAD,
        )
    ]


async def _state(client: Client, name: str) -> StreamState:
    consumers = await consumers_of(client, name)
    info = await request_api(client, f"STREAM.INFO.{name}", {})
    assert info is not None
    state, config = info["state"], info["config"]
    pending = sum(each["num_pending"] for each in consumers)
    ack_pending = sum(each["num_ack_pending"] for each in consumers)
    is_queue = config["retention"] == "workqueue" and consumers
    return StreamState(
        name=name,
        message_count=state["messages"],
        octets=state["bytes"],
        max_octets=config["max_bytes"],
        pending_count=pending,
        ack_pending_count=ack_pending,
        stranded_count=max(0, state["messages"] - pending - ack_pending) if is_queue else 0,
        ack_floor=consumers[0]["ack_floor"]["stream_seq"] if len(consumers) == 1 else 0,
    )


async def consumers_of(client: Client, stream: str) -> list[dict[str, Any]]:
    """Return what the server knows of each consumer. Raises: StreamUnavailable."""
    found: list[dict[str, Any]] = []
    total = 1
    while len(found) < total:
        answer = await request_api(client, f"CONSUMER.LIST.{stream}", {"offset": len(found)})
        assert answer is not None
        page = answer.get("consumers") or []
        total = answer["total"] if page else 0
        found += page
    return found
