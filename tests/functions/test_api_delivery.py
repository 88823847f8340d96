"""Replays of many mails, and what reaches an endpoint at once, over the REST API on both databases."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pytest
from mailchute.delivery import AttemptOutcome
from mailchute.store import audit
from werkzeug.test import Client

from functions.api.pages import application
from functions.api.problem import Problem
from tests.functions.conftest import Api
from tests.unit.record.test_fold import BEGIN, told

RUN = "run_01KAJ000000000000000000000"
ROUTES = """
version: 1
domains: {inbox.test: {support: {endpoints: [{url: "https://a.example/1", rate: 30/min, verify: true}]}}}
"""


@pytest.fixture
def later(api: Api) -> Api:
    """The same API a day after what is recorded."""
    services = dataclasses.replace(api.services, now=lambda: BEGIN + timedelta(days=1))
    return dataclasses.replace(api, client=Client(application(services)), services=services)


def dead(api: Api, *mails: str) -> None:
    for number, mail in enumerate(mails):
        api.record(
            told("accepted", number, mail=mail, mail_sequence=number + 1, retention_s=60),
            told("parsed", number, mail=mail, endpoint_ids=("end_1",)),
            told("dead", number, mail=mail, endpoint_id="end_1", stage="deliver", reason="exhausted"),
        )


def actions(api: Api) -> list[str]:
    with api.database.read() as connection:
        return [one.action for one in reversed(audit.list_entries(connection, api.account_id))]


def test_a_dry_run_counts_and_shows_and_replays_nothing(later: Api) -> None:
    dead(later, "msg_1", "msg_2")
    shown = later("POST", "/replays", json={"state": "dead", "dryRun": True})
    assert (shown["totalCount"], [one["id"] for one in shown["sample"]]) == (2, ["msg_1", "msg_2"])
    assert shown["run"] is None
    assert later.connector.told == []
    assert later("GET", "/replays")["items"] == []


def test_a_run_is_worked_off_and_asked_for_again_it_repeats_nothing(later: Api) -> None:
    dead(later, "msg_1", "msg_2", "msg_3")
    order = {"run": RUN, "state": "dead", "rate": 1000}
    begun = later("POST", "/replays", json=order)
    assert (begun["run"], begun["totalCount"]) == (RUN, 3)
    later.services.runs.wait(60)
    done = later("GET", f"/replays/{RUN}")
    assert (done["doneCount"], done["refusedCount"]) == (3, 0)
    assert done["endedAt"]
    assert sorted(one.mail_id or "" for one in later.connector.told) == ["msg_1", "msg_2", "msg_3"]
    assert {one.run for one in later.connector.told} == {RUN}
    later("POST", "/replays", json=order)
    later.services.runs.wait(60)
    assert len(later.connector.told) == 3
    assert later("POST", "/replays", json={**order, "state": "delivered"}, status=409)
    assert [one["run"] for one in later("GET", "/replays")["items"]] == [RUN]
    assert actions(later) == ["replay.begin"]


def test_a_run_left_while_the_mail_flow_was_away_goes_on(later: Api) -> None:
    dead(later, "msg_1")
    later.connector.problem = Problem(410, "the mail is gone")
    later("POST", "/replays", json={"run": RUN, "state": "dead"})
    later.services.runs.wait(60)
    assert later("GET", f"/replays/{RUN}")["refusedCount"] == 1


@pytest.mark.parametrize(
    ("order", "status"),
    [
        ({"state": "pending"}, 400),
        ({"rate": 0}, 400),
        ({"rate": 1001}, 400),
        ({"from": "2026-11-21T12:00:00"}, 400),
        ({"run": "0"}, 400),
        ({"sender": "x"}, 400),
        ({"alias": "als_none"}, 404),
        ({"endpoint": "end_none"}, 404),
    ],
)
def test_an_order_that_cannot_be_meant_is_refused(later: Api, order: dict[str, Any], status: int) -> None:
    later("POST", "/replays", json=order, status=status)


def outcome(result: Any, status: int, response: bytes, reason: str = "") -> AttemptOutcome:
    return AttemptOutcome(
        result=result, status=status, reason=reason, started_at=BEGIN, duration_s=0.25, response=response
    )


def test_an_endpoint_is_tested_verified_and_kicked(api: Api, stranger: Api) -> None:
    endpoint = api("PUT", "/routes", data=ROUTES)["changes"][-1]["id"]
    shown = api("GET", f"/endpoints/{endpoint}")
    assert (shown["ratePerS"], shown["wantsChallenge"]) == (0.5, True)
    api.connector.outcome = outcome("failed", 401, b"who?\xff", "401: set basic_auth")
    tried = api("POST", f"/endpoints/{endpoint}/test")
    assert (tried["result"], tried["status"], tried["response"]) == ("failed", 401, "who?\ufffd")
    [order] = api.connector.told
    assert order.mail is not None
    assert (order.kind, str(order.mail.envelope.forward_path)) == ("test", "support@inbox.test")
    assert [one.id for one in order.mail.alias.endpoints] == [endpoint]
    api("POST", f"/endpoints/{endpoint}/verify")
    assert "verifiedAt" not in api("GET", f"/endpoints/{endpoint}")
    api.connector.outcome = outcome("delivered", 200, b"echo")
    api("POST", f"/endpoints/{endpoint}/verify")
    assert api("GET", f"/endpoints/{endpoint}")["verifiedAt"] == "2026-11-21T12:00:00Z"
    assert api.raw("POST", f"/endpoints/{endpoint}/kick").status_code == 204
    assert [one.kind for one in api.connector.told] == ["test", "challenge", "challenge", "kick", "kick"]
    challenges = [one.challenge or "" for one in api.connector.told[1:3]]
    assert len(set(challenges)) == 2
    assert min(map(len, challenges)) >= 32
    assert actions(api)[-4:] == ["endpoint.test", "endpoint.verify", "endpoint.verify", "endpoint.kick"]
    for what in ("test", "verify", "kick"):
        stranger("POST", f"/endpoints/{endpoint}/{what}", status=404)
