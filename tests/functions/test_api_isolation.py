"""
No account sees or touches another's: every operation there is, with every id there is.

The operations come from the table that the API runs on, so a new one is asked by itself.
"""

from __future__ import annotations

import re
from typing import Any

from mailchute import tables
from mailchute.store import account_events, keys
from mailchute.store.account_events import AccountEvent

from functions.api.operation import Operation
from functions.api.operations import OPERATIONS
from tests.functions.conftest import Api
from tests.unit.record.test_fold import BEGIN, LIFE

IDS = (
    *("aliasId", "connectionId", "deliveryId", "domainId", "endpointId", "entryId", "keyId", "mailId"),
    *("storageConnectionId", "run"),
)
STORAGE = {"name": "ours", "bucket": "mail", "accessKey": "canary", "secretKey": "canary"}


def test_every_operation_is_in_the_table_of_ids_and_has_an_example() -> None:
    for one in OPERATIONS:
        assert set(re.findall(r"\{(\w+)\}", one.path)) <= set(IDS), one.path
        assert (one.body is None) == (one.example is None), one.path
        assert (one.work is None) != (one.change is None), one.path


def belongings(api: Api) -> dict[str, str]:
    """Return an id of each kind that the account has."""
    api.record(*LIFE)
    hook = api(
        "POST", "/webhooks/alias", json={"domain": "a.test", "alias": "one", "url": "https://a.example"}
    )
    storage = api("POST", "/storage", json=STORAGE, status=201)["id"]
    replay = api("POST", "/replays", json={"state": "dead"})
    with api.database.write() as connection:
        event = AccountEvent(account_id=api.account_id, at=BEGIN, kind="delivered", mail_id="msg_1")
        account_events.add(connection, event)
    return {
        "mailId": "msg_1",
        "deliveryId": api("GET", "/deliveries")["items"][0]["id"],
        "domainId": hook["domain"]["id"],
        "aliasId": hook["alias"]["id"],
        "endpointId": hook["endpoint"]["id"],
        "entryId": api("POST", "/blocks", json={"kind": "domain", "value": "b.example"})["id"],
        "keyId": api("POST", "/keys", json={"name": "ci", "scopes": ["emails:read"]})["id"],
        "connectionId": storage,
        "storageConnectionId": storage,
        "run": replay["run"],
    }


def everything(api: Api) -> dict[str, Any]:
    """Return the rows of all tables but those that tell of the stranger and of uses."""
    left_out = ("account_event", "api_key", "audit_entry", "event", "kept_answer", "meta")
    with api.database.read() as connection:
        return {
            name: sorted(map(repr, connection.execute(table.select())))
            for name, table in tables.metadata.tables.items()
            if name not in left_out
        }


def asked(one: Operation, ids: dict[str, str]) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if isinstance(one.example, dict):
        body["json"] = {name: ids.get(name, value) for name, value in one.example.items()}
    elif one.example is not None:
        body["data"] = one.example.replace("inbox.example", "a.test")
    return {"headers": {"If-Match": "*"}, **body}


def test_a_strangers_call_with_our_ids_finds_nothing_and_changes_nothing(api: Api, stranger: Api) -> None:
    ids = belongings(api)
    before = everything(api)
    for one in OPERATIONS:
        path = re.sub(r"\{(\w+)\}", lambda part: ids[part[1]], one.path)
        answer = stranger.raw(one.method, path, **asked(one, ids))
        names_ours = path != one.path or (isinstance(one.example, dict) and one.example.keys() & ids.keys())
        told = f"{one.method} {one.path}: {answer.status_code} {answer.text[:300]}"
        assert answer.status_code == 404 if names_ours else answer.status_code < 500, told
        assert answer.status_code == 404 or not any(f'"{one}"' in answer.text for one in ids.values()), told
        after = everything(api)
        touched = [name for name, rows in before.items() if not set(rows) <= set(after[name])]
        assert touched == [], told


def test_every_operation_asks_for_its_scope(api: Api) -> None:
    for scope in keys.SCOPES:
        others = api.with_key("default", *(set(keys.SCOPES) - {scope}))
        for one in OPERATIONS:
            if one.scope == scope:
                path = re.sub(r"\{(\w+)\}", "x", one.path)
                answer = others.raw(one.method, path, **asked(one, {}))
                assert answer.status_code == 403, f"{one.method} {one.path}: {answer.text}"
                assert f"lacks the scope {scope}" in answer.text


def test_a_list_of_a_stranger_holds_nothing_of_ours_whatever_it_filters_by(api: Api, stranger: Api) -> None:
    ids = belongings(api)
    for one in OPERATIONS:
        if one.method != "GET" or "{" in one.path or one.answers is None:
            continue
        names = [name for name in ids if name in _query_names(one)]
        for name in names:
            found = stranger("GET", one.path, query_string={name: ids[name]})
            assert found.get("items", []) == [], one.path


def _query_names(one: Operation) -> set[str]:
    return {re.sub("_(.)", lambda part: part[1].upper(), name) for name in one.query.__struct_fields__}
