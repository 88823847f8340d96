"""Requests that come again, too often, or at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from mailchute import tables
from mailchute.store import kept_answers
from werkzeug.test import Client

from functions.api.operation import Services
from functions.api.pages import application
from functions.api.rates import Rates
from tests.functions.conftest import Api
from tests.unit.record.test_fold import BEGIN

KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}


def test_a_request_that_comes_again_is_answered_as_the_first_time(api: Api) -> None:
    body = {"name": "ci", "scopes": ["emails:read"]}
    first = api.raw("POST", "/keys", json=body, headers=KEY)
    again = api.raw("POST", "/keys", json=body, headers=KEY)
    assert (again.status_code, again.json) == (first.status_code, first.json)
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(api("GET", "/keys")["items"]) == 2  # that of this test, and the new one
    with api.database.read() as connection:
        kept = connection.execute(sa.select(tables.kept_answer)).one()
    assert first.json["key"] not in repr(kept)
    assert first.json["key"].encode() not in bytes(kept.body)
    domain = api.raw("POST", "/domains", json={"name": "a.test"}, headers={"Idempotency-Key": "d"})
    same = api.raw("POST", "/domains", json={"name": "a.test"}, headers={"Idempotency-Key": "d"})
    for name in ("Location", "ETag"):
        assert same.headers[name] == domain.headers[name]


def test_a_key_that_was_used_for_something_else_is_refused(api: Api) -> None:
    api.raw("POST", "/domains", json={"name": "a.test"}, headers=KEY)
    for path, body in (("/domains", {"name": "b.test"}), ("/keys", {"name": "x", "scopes": ["emails:read"]})):
        told = api("POST", path, json=body, headers=KEY, status=422)
        assert "used for another request" in told["detail"]
    assert len(api("GET", "/domains")["items"]) == 1
    for text in ("", "x" * 256, "a key", "é"):
        api("POST", "/domains", json={"name": "c.test"}, headers={"Idempotency-Key": text}, status=400)


def test_another_account_may_use_the_same_key(api: Api, stranger: Api) -> None:
    api("POST", "/domains", json={"name": "a.test"}, headers=KEY, status=201)
    stranger("POST", "/domains", json={"name": "b.test"}, headers=KEY, status=201)


def test_what_failed_is_tried_again_and_a_day_later_the_key_is_free(api: Api) -> None:
    api("POST", "/domains", json={"name": "no domain"}, headers=KEY, status=422)
    api("POST", "/domains", json={"name": "a.test"}, headers=KEY, status=201)
    with api.database.write() as connection:
        assert kept_answers.forget(connection, BEGIN + timedelta(hours=24)) == 0
        assert kept_answers.forget(connection, BEGIN + timedelta(hours=25)) == 1
    api("POST", "/domains", json={"name": "b.test"}, headers=KEY, status=201)


def test_the_same_request_many_times_at_once_is_carried_out_once(api: Api) -> None:
    body = {"name": "ci", "scopes": ["emails:read"]}

    def send(_turn: int) -> Any:
        return api.raw("POST", "/keys", json=body, headers=KEY).json

    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(send, range(6)))
    assert all(one == answers[0] for one in answers)
    assert len(api("GET", "/keys")["items"]) == 2


def test_a_key_may_ask_so_often_and_is_told_what_is_left(api: Api) -> None:
    now = [BEGIN]
    services = replace(api.services, rates=Rates(3), now=lambda: now[0])
    client = Client(application(services))

    def ask(key: str) -> Any:
        return client.get("/api/v1/domains", headers={"X-API-KEY": key})

    left = [ask(api.key).headers["RateLimit-Remaining"] for _ in range(3)]
    assert left == ["2", "1", "0"]
    refused = ask(api.key)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "20")
    assert (refused.headers["RateLimit-Limit"], refused.headers["RateLimit-Reset"]) == ("3", "60")
    assert ask(api.with_key("default").key).status_code == 200  # each key for itself
    now[0] += timedelta(seconds=20)
    assert ask(api.key).status_code == 200
    assert ask(api.key).status_code == 429
    now[0] += timedelta(seconds=60)
    assert [ask(api.key).status_code for _ in range(4)] == [200, 200, 200, 429]
    assert "RateLimit-Limit" not in api.raw("GET", "/domains").headers  # no limit is set there


@pytest.mark.parametrize("per_minute", [1, 7, 600, 100_000])
def test_over_time_a_key_gets_its_rate_and_never_more_than_a_minutes_worth_at_once(per_minute: int) -> None:
    rates = Rates(per_minute)
    burst = sum(not _taken(rates, 0.0) for _ in range(per_minute + 5))
    assert burst == per_minute
    later = sum(not _taken(rates, 60.0 * step / per_minute) for step in range(1, 2 * per_minute + 1))
    assert abs(later - 2 * per_minute) <= 1


def _taken(rates: Rates, now_s: float) -> bool:
    allowance = rates.take("key_1", now_s)
    assert allowance is not None
    return allowance.is_exceeded


def test_a_clock_that_is_put_back_locks_nobody_out() -> None:
    rates = Rates(60)
    rates.take("key_1", 1_000_000.0)
    assert _taken(rates, 10.0)  # as if the minute's worth were used, not as if it were for ever
    assert not _taken(rates, 11.0)


def test_services_have_defaults_that_limit_nothing(api: Api) -> None:
    services = Services(
        database=api.database, keyring=api.services.keyring, connector=api.connector,
        attachments=api.attachments, now=lambda: BEGIN,
    )  # fmt: skip
    assert services.rates.take("key_1", 0.0) is None
