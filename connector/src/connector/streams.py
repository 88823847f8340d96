"""Every stream, bucket and shared consumer, as one table; created and re-asserted at start."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from dataclasses import dataclass
from typing import Any

from mailchute import objects, subjects
from mailchute.errors import BadSetting, StreamUnavailable
from mailchute.eventlog import EventLog
from mailchute.stored import request_api
from nats.aio.client import Client

from connector.consumers import SECOND_NS, assert_consumer, consumer_config
from connector.settings import Settings

MAIL_DUPLICATE_WINDOW_S = 7_200  # a resend after a lost 250 is recognised this long
DUPLICATE_WINDOW_S = 120  # the server keeps each id in memory this long
THROUGH_KEPT_S = 5 * 86_400  # senders give up after 4 to 5 days (RFC 5321, 4.5.4.1)
RETRY_MAX_CONSUMERS = 10_000  # 2.15 caps a stream at 1,000 unless it says otherwise itself
MAIL_DURABLE = "mail"
DELIVERY_DURABLE = "delivery"
JOURNAL_DURABLE = "journal"
BUCKET = "CONNECTOR"  # small facts that connectors share: leases, commands done, mails erased


@dataclass(frozen=True, kw_only=True)
class _Stream:
    name: str
    subjects: tuple[str, ...]
    share: float  # of Settings.streams_max_octets
    work_queue: bool = False
    duplicate_window_s: int = DUPLICATE_WINDOW_S
    extra: tuple[tuple[str, Any], ...] = ()


STREAMS = (
    _Stream(
        name=subjects.MAIL,
        subjects=(subjects.MAIL_ACCEPTED,),
        share=0.40,
        duplicate_window_s=MAIL_DUPLICATE_WINDOW_S,
        extra=(("allow_atomic", True),),
    ),
    _Stream(
        name=objects.stream_of(subjects.CONTENT_BUCKET),
        subjects=(f"$O.{subjects.CONTENT_BUCKET}.C.>", f"$O.{subjects.CONTENT_BUCKET}.M.>"),
        share=0.27,
        extra=(("allow_rollup_hdrs", True),),
    ),
    _Stream(
        name=subjects.DELIVERY,
        subjects=(subjects.DELIVERY_FRESH,),
        share=0.06,
        work_queue=True,
        extra=(("allow_atomic", True),),
    ),
    _Stream(
        name=subjects.RETRY,
        subjects=(subjects.RETRY_ALL,),
        share=0.12,
        work_queue=True,
        extra=(("discard_new_per_subject", True), ("max_consumers", RETRY_MAX_CONSUMERS)),
    ),
    _Stream(name=subjects.NOTIFY, subjects=(subjects.NOTIFY_ALL,), share=0.01, work_queue=True),
    _Stream(name=subjects.JOURNAL, subjects=(subjects.JOURNAL_ALL,), share=0.04, work_queue=True),
    _Stream(name=subjects.DEAD, subjects=(subjects.DEAD_ALL,), share=0.05),
    _Stream(
        name=f"KV_{BUCKET}",
        subjects=(f"$KV.{BUCKET}.>",),
        share=0.01,
        extra=(("max_msgs_per_subject", 1), ("allow_rollup_hdrs", True), ("allow_msg_ttl", True)),
    ),
    _Stream(
        name=subjects.THROUGH,
        subjects=(subjects.THROUGH_CLAIMS,),
        share=0.01,
        extra=(("max_msgs_per_subject", 1), ("max_age", THROUGH_KEPT_S * SECOND_NS)),
    ),
    _Stream(
        name=objects.stream_of(subjects.THROUGH_BUCKET),
        subjects=(f"$O.{subjects.THROUGH_BUCKET}.C.>", f"$O.{subjects.THROUGH_BUCKET}.M.>"),
        share=0.03,
        # Nobody waits for an answer so long: what a killed edge left behind goes by itself.
        extra=(("allow_rollup_hdrs", True), ("max_age", 3_600 * SECOND_NS)),
    ),
)


def config_of(stream: _Stream, settings: Settings) -> dict[str, Any]:
    """Return the stream's configuration as the JetStream API takes it."""
    config: dict[str, Any] = {
        "name": stream.name,
        "subjects": list(stream.subjects),
        "retention": "workqueue" if stream.work_queue else "limits",
        "storage": "file",
        "discard": "new",
        "max_bytes": int(settings.streams_max_octets * stream.share),
        "max_msgs": -1,
        "max_consumers": -1,
        "num_replicas": settings.replicas,
        "duplicate_window": stream.duplicate_window_s * SECOND_NS,
        "allow_direct": True,
        "persist_mode": "default",  # "async" answers before the octets are safe (ADR-56)
        **dict(stream.extra),
    }
    if stream.name == subjects.RETRY:
        config["max_msgs_per_subject"] = settings.lane_max_messages
    if stream.name == subjects.DEAD:
        config["max_age"] = int(settings.dead_retention_s * SECOND_NS)
    if stream.name.startswith("KV_"):
        config["discard"] = "old"
    return config


async def assert_streams(client: Client, settings: Settings) -> None:
    """
    Create what is missing and set right what differs.

    Raises:
        StreamUnavailable: The server did not take it; its words say why.
    """
    for stream in STREAMS:
        config = config_of(stream, settings)
        found = await request_api(client, f"STREAM.INFO.{stream.name}", {}, absent_ok=True)
        if found is None:
            await request_api(client, f"STREAM.CREATE.{stream.name}", config)
        elif any(found["config"].get(key, -1) != value for key, value in config.items()):
            await request_api(client, f"STREAM.UPDATE.{stream.name}", config)
    for name, durable in (
        (subjects.MAIL, MAIL_DURABLE),
        (subjects.DELIVERY, DELIVERY_DURABLE),
        (subjects.JOURNAL, JOURNAL_DURABLE),
    ):
        await assert_consumer(client, name, consumer_config(durable, ack_wait_s=settings.ack_wait_s))


async def check_durability(settings: Settings, log: EventLog) -> None:
    """
    Look on the monitor port whether the server syncs before it answers; over NATS it is not visible.

    Raises:
        BadSetting: One node, and it does not: a power cut would lose mail that was answered 250.
        StreamUnavailable: The monitor port does not answer.
    """
    if not settings.nats.monitor_url:
        log.warning("sync-unchecked", reason="MAILCHUTE_NATS_MONITOR_URL is not set")
        return
    found = await asyncio.to_thread(_varz, settings.nats.monitor_url)
    is_synced = found.get("jetstream", {}).get("config", {}).get("sync_always", False)
    if is_synced:
        return
    if settings.replicas >= 3:
        log.warning("sync-not-always", reason="replicas make up for it, but for a fault of all at once")
        return
    raise BadSetting(
        "nats-server runs without `sync_interval: always`: set it in its jetstream block, "
        "or MAILCHUTE_NATS_REPLICAS=3 on a cluster"
    )


def _varz(monitor_url: str) -> dict[str, Any]:
    try:
        with urllib.request.urlopen(f"{monitor_url.rstrip('/')}/varz", timeout=5) as answer:  # noqa: S310 - a setting, http or https
            found: dict[str, Any] = json.load(answer)
            return found
    except (OSError, ValueError) as error:
        raise StreamUnavailable(f"the monitor port does not answer: {error}") from error
