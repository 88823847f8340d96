"""Streams, as the server has them after a start."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest
from connector.settings import Settings
from connector.streams import STREAMS, assert_streams, check_durability
from mailchute import subjects
from mailchute.errors import BadSetting, StreamUnavailable
from mailchute.eventlog import event_log
from mailchute.jetstream import connect
from mailchute.settings import Reader
from mailchute.stored import request_api

from tests.servers.nats import NatsServer
from tests.unit.connector.rooms import Functions, settings_for

LOG = event_log("connector")


def test_they_are_what_the_design_says_and_set_right_again_when_they_drift(nats_server: NatsServer) -> None:
    settings = settings_for(nats_server, Functions())

    async def work() -> None:
        client = await connect(nats_server.url, name="test")
        js = client.jetstream()
        await assert_streams(client, settings)
        drifted = (await js.stream_info(subjects.DELIVERY)).config
        await js.update_stream(drifted, max_bytes=1_000_000, discard="old")
        await assert_streams(client, settings)
        found = {}
        for stream in STREAMS:
            answer = await request_api(client, f"STREAM.INFO.{stream.name}", {})
            assert answer is not None
            found[stream.name] = answer["config"]
        for name, config in found.items():
            assert config["max_bytes"] > 0
            assert config.get("persist_mode", "default") == "default"
            assert config["storage"] == "file"
            assert config["discard"] == ("old" if name.startswith("KV_") else "new")
        assert found[subjects.MAIL]["retention"] == "limits"
        assert found[subjects.MAIL]["duplicate_window"] == 7_200 * 10**9
        assert found[subjects.MAIL]["allow_atomic"] is True
        for name in (subjects.DELIVERY, subjects.RETRY, subjects.NOTIFY, subjects.JOURNAL):
            assert found[name]["retention"] == "workqueue"
            assert found[name].get("max_age", 0) == 0  # nothing undelivered may run out
        assert found[subjects.RETRY]["max_consumers"] > 1_000
        assert found[subjects.RETRY]["max_msgs_per_subject"] == 20_000
        assert found[subjects.RETRY]["discard_new_per_subject"] is True
        assert found[subjects.DEAD]["max_age"] == 14 * 86_400 * 10**9
        for name, durable in ((subjects.MAIL, "mail"), (subjects.DELIVERY, "delivery")):
            config = (await js.consumer_info(name, durable)).config
            assert (config.max_deliver, config.max_ack_pending, config.ack_wait) == (-1, -1, 30)
            assert not config.backoff
        await client.close()

    asyncio.run(work())


def test_one_node_that_does_not_sync_is_refused_and_a_cluster_is_warned(nats_server: NatsServer) -> None:
    settings = settings_for(nats_server, Functions())
    asyncio.run(check_durability(settings, LOG))
    nats_server.kill9()
    nats_server.write_config(sync="2m")
    nats_server.start()
    with pytest.raises(BadSetting, match="sync_interval"):
        asyncio.run(check_durability(settings, LOG))
    asyncio.run(check_durability(dataclasses.replace(settings, replicas=3), LOG))
    nats_server.kill9()
    with pytest.raises(StreamUnavailable):
        asyncio.run(check_durability(settings, LOG))


def test_streams_that_do_not_fit_the_server_are_refused_in_its_words(nats_server: NatsServer) -> None:
    settings = settings_for(nats_server, Functions(), streams_max_octets=2**45)

    async def work() -> None:
        client = await connect(nats_server.url, name="test")
        with pytest.raises(StreamUnavailable, match="insufficient storage"):
            await assert_streams(client, settings)
        await client.close()

    asyncio.run(work())


def test_every_mistake_of_the_environment_is_told_at_once() -> None:
    environ = {"MAILCHUTE_CONNECTOR": "nowhere", "MAILCHUTE_RETRY_SCHEDULE": "5,10"}
    with pytest.raises(BadSetting) as caught:
        Settings.read(Reader(environ))
    told = str(caught.value)
    for name in ("MAILCHUTE_CONNECTOR", "MAILCHUTE_RETRY_SCHEDULE", "MAILCHUTE_INTERNAL_TOKEN"):
        assert name in told


def test_one_function_may_live_elsewhere_than_the_others() -> None:
    environ = {
        "MAILCHUTE_INTERNAL_TOKEN": "t",
        "MAILCHUTE_FUNCTIONS_URL": "http://gateway:8080/",
        "MAILCHUTE_FUNCTION_PARSE_URL": "http://parse.mail.svc/",
    }
    urls = Settings.read(Reader(environ)).function_urls
    assert urls["scan"] == "http://gateway:8080/function/scan"
    assert urls["parse"] == "http://parse.mail.svc/"
