"""Listening over the API: an endpoint of one's own, its calls, their answers."""

from __future__ import annotations

import base64
import threading
from typing import Any

from werkzeug.test import TestResponse

from tests.functions.conftest import LISTEN_URL, Api

ROUTES = "version: 1\ndomains: {a.test: {One: https://a.example, '*': https://a.example}}"


def listening(api: Api, address: str = "one@A.test", **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = api("POST", "/listeners", json={"address": address, **more})
    return found


def token_of(api: Api, listener: dict[str, Any]) -> str:
    url: str = api("GET", f"/endpoints/{listener['endpointId']}")["url"]
    assert url.startswith(LISTEN_URL + "/")
    return url.rpartition("/")[2]


def test_one_key_has_one_endpoint_of_an_alias_and_another_key_its_own(api: Api) -> None:
    api.raw("PUT", "/routes", data=ROUTES)
    first = listening(api)
    assert first["address"] == "One@a.test"
    assert first["secret"].startswith("whsec_")
    api("POST", f"/endpoints/{first['endpointId']}/disable")
    assert listening(api) == first
    assert api("GET", f"/endpoints/{first['endpointId']}").get("disabledAt") is None
    assert listening(api, format="postmark")["endpointId"] != first["endpointId"]
    assert listening(api.with_key("default"))["endpointId"] != first["endpointId"]
    assert listening(api, "*@a.test")["address"] == "*@a.test"
    for address in ("none@a.test", "one@b.test", "one", "@"):
        answer = api.raw("POST", "/listeners", json={"address": address})
        assert answer.status_code in (400, 404), answer.text


def test_a_call_goes_from_the_door_to_who_listens_and_the_answer_back(api: Api) -> None:
    api.raw("PUT", "/routes", data=ROUTES)
    listener = listening(api)
    calls, token = f"/endpoints/{listener['endpointId']}/calls", token_of(api, listener)
    fields = {"webhook-id": "msg_1", "Content-Type": "application/json"}
    assert api.client.post(f"/listen/{token}", data=b"{}", headers=fields).status_code == 503
    assert api("POST", f"{calls}/next", json={"waitS": 0}) == {"call": None}
    answers: list[TestResponse] = []
    big = b"x" * (6 * 1024 * 1024)  # more than a body of the API may have
    knocking = threading.Thread(
        target=lambda: answers.append(api.client.post(f"/listen/{token}", data=big, headers=fields))
    )
    knocking.start()
    call = api("POST", f"{calls}/next", json={"waitS": 25})["call"]
    told = {name.lower(): value for name, value in call["fields"]}
    assert (told["webhook-id"], told["content-type"]) == ("msg_1", "application/json")
    assert not {"host", "content-length"} & told.keys()
    assert base64.b64decode(call["body"]) == big
    assert 0 < call["leftS"] <= 14
    other = api.with_key("default")
    assert other.raw("POST", f"{calls}/next", json={"waitS": 0}).status_code == 404
    given = {"callId": call["id"], "status": 429, "body": "slow down", "retryAfterS": 9}
    assert other.raw("POST", f"{calls}/answer", json=given).status_code == 404
    assert api.raw("POST", f"{calls}/answer", json=given).status_code == 204
    knocking.join()
    [answer] = answers
    assert (answer.status_code, answer.text, answer.headers["Retry-After"]) == (429, "slow down", "9")
    assert api.raw("POST", f"{calls}/answer", json=given).status_code == 410


def test_what_cannot_be_answered_is_refused(api: Api) -> None:
    api.raw("PUT", "/routes", data=ROUTES)
    calls = f"/endpoints/{listening(api)['endpointId']}/calls"
    for body in ({"callId": "x", "status": 100}, {"callId": "x", "status": 200, "body": "x" * 5_000}, {}):
        assert api.raw("POST", f"{calls}/answer", json=body).status_code == 400
    assert api.raw("POST", f"{calls}/next", json={"waitS": 60}).status_code == 400
    plain = api("GET", "/endpoints")["items"][0]["id"]
    assert api.raw("POST", f"/endpoints/{plain}/calls/next", json={"waitS": 0}).status_code == 404
