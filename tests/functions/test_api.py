"""The REST API over WSGI, on both databases, with two accounts that must never see each other."""

from __future__ import annotations

from datetime import timedelta

import jsonschema
import pytest
import sqlalchemy as sa
from mailchute import signing, tables
from mailchute.commands import replay_command
from mailchute.sealing import Keyring
from mailchute.store import audit
from werkzeug.test import Client

from functions.api.operation import Services
from functions.api.operations import OPERATIONS
from functions.api.pages import application
from functions.api.problem import Problem
from tests.functions.conftest import SIGNING_KEY, Api
from tests.unit.record.test_fold import BEGIN, LIFE, PARSED, attempted, told

ROUTES = """
version: 1
domains:
  inbox.test:
    support: {endpoints: [{url: https://a.example/1, secret: a secret of ours}]}
    other: https://a.example/2
"""


def test_without_a_living_key_nothing_is_answered_but_the_document(api: Api) -> None:
    for headers in (
        {"X-API-KEY": ""},
        {"X-API-KEY": "mc_wrong"},
        {"X-API-KEY": "", "Authorization": "Basic x"},
    ):
        answer = api.raw("GET", "/emails", headers=headers)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert "mailchute keys create" in answer.json["detail"]
    bearer = {"X-API-KEY": "", "Authorization": f"Bearer {api.key}"}
    assert api("GET", "/emails", headers=bearer) == {"items": [], "nextCursor": None}
    assert api("GET", "/openapi.json", headers={"X-API-KEY": ""})["openapi"] == "3.1.0"


def test_anyone_may_see_what_our_signatures_verify_with(api: Api) -> None:
    answer = api.client.get("/.well-known/jwks.json")
    assert answer.status_code == 200
    assert answer.content_type == "application/jwk-set+json"
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    assert answer.json == signing.jwks_of((SIGNING_KEY,))
    assert "d" not in answer.json["keys"][0]  # RFC 8037, 2: the private half


def test_a_key_does_what_its_scopes_say(api: Api) -> None:
    reader = api.with_key("default", "emails:read")
    reader("GET", "/emails")
    for method, path in (("GET", "/domains"), ("PUT", "/routes"), ("DELETE", "/emails/msg_1")):
        assert "lacks the scope" in reader(method, path, status=403)["detail"]


def test_a_keys_last_use_is_remembered(api: Api) -> None:
    api("GET", "/emails")
    with api.database.read() as connection:
        assert connection.scalar(sa.select(tables.api_key.c.last_used_at)) == BEGIN


def test_pages_of_mails_are_walked_by_cursor_without_gap_or_repetition(api: Api) -> None:
    api.record(*(told("accepted", mail=f"msg_{number:02}") for number in range(25)))
    found, cursor = [], None
    for _ in range(3):
        page = api("GET", "/emails", query_string={"limit": 10} | ({"cursor": cursor} if cursor else {}))
        found += [one["id"] for one in page["items"]]
        cursor = page["nextCursor"]
    assert cursor is None
    assert found == [f"msg_{number:02}" for number in reversed(range(25))]


def test_mails_are_shown_with_their_deliveries_and_attempts(api: Api) -> None:
    api.record(*LIFE)
    assert [one["id"] for one in api("GET", "/emails?state=dead")["items"]] == ["msg_3"]
    mail = api("GET", "/emails/msg_1")
    assert (mail["subject"], mail["state"], mail["attachments"][0]["sizeOctets"]) == (
        "Hello again",
        "delivered",
        3,
    )
    assert [one["status"] for one in api("GET", "/emails/msg_1/attempts")["items"]] == [500, 410, 200, 204]
    deliveries, cursor = [], ""
    while cursor is not None:
        page = api("GET", "/deliveries?mailId=msg_1&limit=2" + (f"&cursor={cursor}" if cursor else ""))
        deliveries += page["items"]
        cursor = page["nextCursor"]
    assert len({one["id"] for one in deliveries}) == len(deliveries) == 3
    assert api("GET", f"/deliveries/{deliveries[0]['id']}") == deliveries[0]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/emails?limit=0", "Expected `int` >= 1"),
        ("/emails?limit=x", "Expected `int`"),
        ("/emails?state=gone", "Invalid enum value"),
        ("/emails?stat=dead", "unknown field `stat`"),
        ("/emails?limit=1&limit=2", "limit is given twice"),
        ("/emails?cursor=!!!", "take nextCursor"),
        ("/emails?cursor=WyJhIiwiYiJd", "take nextCursor"),
        ("/emails?cursor=%00", "NUL"),
        ("/deliveries?cursor=" + "A" * 400, "take nextCursor"),
    ],
)
def test_a_malformed_query_is_told_what_is_wrong(api: Api, path: str, said: str) -> None:
    assert said in api("GET", path, status=400)["detail"]


def test_what_is_nowhere_is_404_and_a_wrong_method_names_the_right_ones(api: Api) -> None:
    for path in ("/emails/msg_none", "/emails/%00", "/deliveries/dlv_none", "/nothing", "/domains/dom_none"):
        api("GET", path, status=404)
    answer = api.raw("PATCH", "/emails/msg_1")
    assert answer.status_code == 405
    assert "DELETE" in answer.headers["Allow"]


def test_no_account_sees_or_touches_anothers(api: Api, stranger: Api) -> None:
    api.record(*LIFE)
    changes = api("PUT", "/routes", data=ROUTES)["changes"]
    ids = {change["what"]: change["id"] for change in changes}
    delivery = api("GET", "/deliveries")["items"][0]["id"]
    for path in ("/emails", "/deliveries", "/domains", "/aliases", "/endpoints"):
        assert api("GET", path)["items"]
        assert stranger("GET", path)["items"] == []
    for method, path in (
        ("GET", "/emails/msg_1"),
        ("GET", "/emails/msg_1/attempts"),
        ("DELETE", "/emails/msg_1"),
        ("POST", "/emails/msg_1/replay"),
        ("GET", f"/deliveries/{delivery}"),
        ("GET", f"/domains/{ids['domain']}"),
        ("GET", f"/aliases/{ids['alias']}"),
        ("GET", f"/endpoints/{ids['endpoint']}"),
        ("GET", f"/endpoints/{ids['endpoint']}/secret"),
        ("POST", f"/endpoints/{ids['endpoint']}/disable"),
    ):
        stranger(method, path, status=404)
        assert api.connector.told == []
    foreign = stranger("PUT", "/routes", status=422, data=ROUTES)
    assert "belongs to another account" in foreign["mistakes"][0]["text"]
    assert api("GET", "/emails/msg_1")["subject"] == "Hello again"


def test_routes_are_planned_applied_and_listed(api: Api) -> None:
    planned = api("POST", "/routes/plan", data=ROUTES)["changes"]
    assert api("GET", "/endpoints")["items"] == []
    applied = api("PUT", "/routes", data=ROUTES)["changes"]
    assert [one["name"] for one in planned] == [one["name"] for one in applied]
    assert all(one["secret"] is None for one in planned)
    assert [one["secret"] is not None for one in applied] == [False, False, False, False, True]
    assert api("PUT", "/routes", data=ROUTES) == {"changes": []}
    first, second = api("GET", "/endpoints")["items"]
    assert "secret" not in first
    secrets = {api("GET", f"/endpoints/{one['id']}/secret")["secret"] for one in (first, second)}
    assert secrets == {"a secret of ours", applied[-1]["secret"]}
    disabled = api("POST", f"/endpoints/{first['id']}/disable")
    assert disabled["disabledReason"] == "by its owner"
    assert "disabledAt" not in api("POST", f"/endpoints/{first['id']}/enable")
    domain = api("GET", "/domains")["items"][0]
    aliases = api("GET", f"/aliases?domainId={domain['id']}")["items"]
    assert [one["address"] for one in aliases] == ["support@inbox.test", "other@inbox.test"]
    assert api("GET", f"/endpoints?aliasId={aliases[0]['id']}&limit=1")["nextCursor"] is None


def test_an_endpoint_says_since_when_it_fails_and_what_to_do(api: Api) -> None:
    endpoint = api("PUT", "/routes", data=ROUTES)["changes"][-1]["id"]
    api.record(attempted(60, endpoint, 1, "failed", 404), attempted(90, endpoint, 1, "gone", 410, mail="m"))
    shown = api("GET", f"/endpoints/{endpoint}")
    assert (shown["failedReason"], shown["disabledReason"]) == ("410", "gone")
    assert shown["failingSince"] == "2026-11-21T12:01:00Z"
    enabled = api("POST", f"/endpoints/{endpoint}/enable")
    assert "failingSince" not in enabled


def test_every_change_stands_in_the_audit_trail_without_secrets(api: Api, stranger: Api) -> None:
    api("PUT", "/routes", data=ROUTES)
    first = api("GET", "/audit?limit=3")
    rest = api("GET", f"/audit?limit=3&cursor={first['nextCursor']}")
    assert rest["nextCursor"] is None
    actions = [one["action"] for one in first["items"] + rest["items"]]
    assert sorted(actions) == ["alias.add", "alias.add", "domain.add", "endpoint.add", "endpoint.add"]
    assert "a secret of ours" not in str(first) + str(rest)
    assert all(one["actor"].startswith("key_") for one in first["items"])
    assert stranger("GET", "/audit")["items"] == []


def test_mistakes_in_routes_are_told_by_line(api: Api) -> None:
    told = api("PUT", "/routes", status=422, data="version: 2\ndomains:\n  a.test: {x: nope}\n")
    assert [one["line"] for one in told["mistakes"]] == [1, 3]
    assert "not YAML" in api("PUT", "/routes", status=422, data="version: 1\n\x00")["mistakes"][0]["text"]
    api("PUT", "/routes", status=400, data=b"\xff\xfe")
    api("PUT", "/routes", status=413, data=b"#" * (4 * 1024 * 1024 + 1))


def test_a_replay_is_ordered_once_by_its_run_and_noted(api: Api) -> None:
    api.record(*LIFE)
    run = "run_01KAJ000000000000000000000"
    order = {"run": run, "endpointId": "end_2"}
    assert api("POST", "/emails/msg_1/replay", json=order) == {"run": run, "repeated": False}
    assert api("POST", "/emails/msg_1/replay", json=order) == {"run": run, "repeated": True}
    assert api.connector.told[0] == replay_command("msg_1", 7, run=run, endpoint_id="end_2")
    made = api("POST", "/emails/msg_1/replay")
    assert made["run"].startswith("run_")
    assert made["run"] != run
    api("POST", "/emails/msg_1/replay", json={"run": "0"}, status=400)
    api("POST", "/emails/msg_1/replay", json={"endpoint": "x"}, status=400)
    with api.database.read() as connection:
        entries = audit.list_entries(connection, api.account_id)
    assert [(one.action, one.object_id) for one in entries] == [("email.replay", "msg_1")] * 3


def test_a_mail_whose_place_is_not_known_yet_cannot_be_replayed(api: Api) -> None:
    api.record(PARSED)
    api("POST", "/emails/msg_1/replay", status=409)


def test_a_mail_of_mode_through_cannot_be_replayed_for_its_sender_has_it_but_erased(api: Api) -> None:
    api.record(*LIFE)
    assert "its sender has it" in api("POST", "/emails/msg_4/replay", status=410)["detail"]
    assert api.connector.told == []
    assert api.raw("DELETE", "/emails/msg_4").status_code == 204
    api("GET", "/emails/msg_4", status=404)


def test_an_erased_mail_is_gone_and_late_facts_do_not_bring_it_back(api: Api) -> None:
    api.record(*LIFE)
    assert api.raw("DELETE", "/emails/msg_1").status_code == 204
    assert [one.kind for one in api.connector.told] == ["erase"]
    assert api.attachments.deleted == ["k/1"]
    api.record(attempted(99, "end_1", 9, "failed", 500), told("dead", 99, endpoint_id="end_1"))
    api("GET", "/emails/msg_1", status=404)
    api("GET", "/emails/msg_1/attempts", status=404)
    api("DELETE", "/emails/msg_1", status=404)
    assert api("GET", "/deliveries?mailId=msg_1")["items"] == []
    assert "msg_1" not in [one["id"] for one in api("GET", "/emails")["items"]]
    with api.database.read() as connection:
        kept = connection.execute(sa.select(tables.email).where(tables.email.c.id == "msg_1")).one()
        assert connection.scalar(sa.select(sa.func.count()).where(tables.attempt.c.mail_id == "msg_1")) == 0
    assert (kept.subject, kept.recipient, kept.message_id, kept.attachments, kept.objects) == (
        None, None, None, None, [],
    )  # fmt: skip


def test_a_mail_that_is_held_is_erased_only_once_it_is_released(api: Api) -> None:
    api.record(*LIFE)
    assert api("PUT", "/emails/msg_1/hold")["heldAt"] is not None
    assert "release it first" in api("DELETE", "/emails/msg_1", status=409)["detail"]
    assert api.connector.told == []
    assert api("DELETE", "/emails/msg_1/hold")["heldAt"] is None
    assert api.raw("DELETE", "/emails/msg_1").status_code == 204


def test_while_the_mail_flow_is_away_nothing_is_erased_here_either(api: Api) -> None:
    api.record(*LIFE)
    api.connector.problem = Problem(503, "the mail flow does not answer", retry_after_s=2)
    answer = api.raw("DELETE", "/emails/msg_1")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert api("GET", "/emails/msg_1")["subject"] == "Hello again"
    assert api.attachments.deleted == []


def test_while_the_database_is_away_the_answer_is_503(api: Api) -> None:
    with api.database.write() as connection:
        connection.execute(sa.text("ALTER TABLE api_key RENAME TO api_key_away"))
    answer = api.raw("GET", "/emails")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert "api_key" not in answer.text


def test_the_document_describes_every_operation_and_what_is_answered(api: Api) -> None:
    document = api("GET", "/openapi.json")
    described = [(method.upper(), path) for path, item in document["paths"].items() for method in item]
    assert sorted(described) == sorted((one.method, one.path) for one in OPERATIONS)
    names = [one["operationId"] for item in document["paths"].values() for one in item.values()]
    assert len(set(names)) == len(names)
    api.record(*LIFE)
    api("PUT", "/routes", data=ROUTES)
    answers = {"/emails": None, "/deliveries": None, "/endpoints": None, "/emails/{mailId}/attempts": "msg_1"}
    for path, identifier in answers.items():
        schema = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        answer = api("GET", path.replace("{mailId}", identifier or ""))
        jsonschema.Draft202012Validator({**schema, "components": document["components"]}).validate(answer)
    problem = {"$ref": "#/components/schemas/ProblemDetails", "components": document["components"]}
    jsonschema.Draft202012Validator(problem).validate(api("GET", "/emails/none", status=404))


def test_answers_are_kept_by_no_cache(api: Api) -> None:
    assert api.raw("GET", "/emails").headers["Cache-Control"] == "no-store"


def test_time_moves_the_last_use_on_once_a_minute(api: Api) -> None:
    late = Services(
        database=api.database, keyring=Keyring((b"k" * 32,)), connector=api.connector,
        attachments=api.attachments, now=lambda: BEGIN + timedelta(seconds=59),
    )  # fmt: skip
    api("GET", "/emails")
    Client(application(late)).get("/api/v1/emails", headers={"X-API-KEY": api.key})
    with api.database.read() as connection:
        assert connection.scalar(sa.select(tables.api_key.c.last_used_at)) == BEGIN
