"""An account follows its events: as a list, a list that waits, and a stream; none is missed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from mailchute.store import account_events
from mailchute.store.account_events import AccountEvent

from functions.api import events
from tests.functions.conftest import Api
from tests.unit.record.test_fold import BEGIN, LIFE

STREAM = {"Accept": "text/event-stream"}


def happen(api: Api, *mail_ids: str) -> None:
    told = [
        AccountEvent(account_id=api.account_id, at=BEGIN, kind="delivered", mail_id=one) for one in mail_ids
    ]
    with api.database.write() as connection:
        account_events.add(connection, *told)


def follow(api: Api, **headers: str) -> Iterator[dict[str, str]]:
    """Yield the messages of a stream as a browser's EventSource takes it apart."""
    answer = api.raw("GET", "/events", headers=STREAM | headers, buffered=False)
    assert answer.content_type == "text/event-stream"
    text = ""
    try:
        for octets in answer.response:
            text += octets.decode() if isinstance(octets, bytes) else octets
            while "\n\n" in text:
                block, _, text = text.partition("\n\n")
                fields = dict(line.split(": ", 1) for line in block.split("\n") if line.split(": ", 1)[0])
                if "data" in fields:
                    yield fields
    finally:
        answer.close()


def test_a_mails_life_is_told_once_each_time_it_comes_to_another_state(api: Api) -> None:
    api.record(*LIFE)
    api.record(*LIFE)
    found = api("GET", "/events")["items"]
    told = {(one["mailId"], one["kind"]) for one in found}
    assert len(told) == len(found)
    assert {("msg_1", "delivered"), ("msg_2", "rejected"), ("msg_3", "dead")} <= told
    assert "Hello again" not in str(found)


def test_a_list_is_walked_by_after_without_gap_or_repetition(api: Api, stranger: Api) -> None:
    happen(api, *(f"msg_{number}" for number in range(5)))
    happen(stranger, "msg_x")
    found, after = [], None
    while True:
        page = api("GET", "/events", query_string={"limit": 2} | ({"after": after} if after else {}))
        if not page["items"]:
            break
        found += [one["mailId"] for one in page["items"]]
        after = page["after"]
    assert found == [f"msg_{number}" for number in range(5)]
    assert page["after"] == after
    assert [one["mailId"] for one in stranger("GET", "/events")["items"]] == ["msg_x"]


def test_a_list_waits_for_the_first_event_and_no_longer_than_asked(api: Api) -> None:
    assert api("GET", "/events?wait=1")["items"] == []
    threading.Timer(0.3, happen, (api, "msg_1")).start()
    assert [one["mailId"] for one in api("GET", "/events?wait=25")["items"]] == ["msg_1"]


def test_a_stream_tells_what_was_missed_and_what_comes(api: Api) -> None:
    happen(api, "msg_1", "msg_2")
    stream = follow(api)
    first = next(stream)
    assert (first["event"], '"mailId":"msg_1"' in first["data"]) == ("delivered", True)
    stream.close()
    resumed = follow(api, **{"Last-Event-ID": first["id"]})
    assert '"msg_2"' in next(resumed)["data"]
    happen(api, "msg_3")
    assert '"msg_3"' in next(resumed)["data"]
    resumed.close()


@pytest.mark.parametrize("wrong", ["x", "-1", "1.5", "9" * 30, "٣", ""])
def test_an_id_that_is_none_is_refused(api: Api, wrong: str) -> None:
    told = api("GET", "/events", headers={"Last-Event-ID": wrong.encode().decode("latin-1")}, status=400)
    assert told["mistakes"][0]["field"] == "Last-Event-ID"


@pytest.mark.parametrize("query", ["after=-1", "after=x", "wait=26", "wait=-1", f"after={2**63}"])
def test_a_query_out_of_bounds_is_refused(api: Api, query: str) -> None:
    api("GET", f"/events?{query}", status=400)


def test_only_so_many_follow_at_once_and_whoever_leaves_makes_room(api: Api, stranger: Api) -> None:
    happen(api, "msg_1")
    happen(stranger, "msg_1")
    streams: list[Any] = []
    for _ in range(events.FOLLOWERS_MAX_COUNT_OF_ACCOUNT):
        streams.append(follow(api))
        next(streams[-1])
    refused = api.raw("GET", "/events", headers=STREAM)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "5")
    assert api("GET", "/events")["items"]  # a plain list holds nobody up
    other = follow(stranger)
    assert next(other)
    other.close()
    for stream in streams:
        stream.close()
    again = follow(api)
    assert next(again)
    again.close()
    assert events.followers._counts.total() == 0


def test_a_stream_whose_database_goes_away_ends_and_can_be_resumed(api: Api) -> None:
    happen(api, "msg_1")
    stream = follow(api)
    next(stream)
    with api.database.write() as connection:
        connection.exec_driver_sql("ALTER TABLE account_event RENAME TO away")
    assert list(stream) == []
    with api.database.write() as connection:
        connection.exec_driver_sql("ALTER TABLE away RENAME TO account_event")
    deadline = time.monotonic() + 60
    while not api("GET", "/events")["items"] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert api("GET", "/events")["items"]
