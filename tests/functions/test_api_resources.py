"""Domains, aliases, endpoints, blocks, keys, storage and the account, made and changed one at a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
import sqlalchemy as sa
from mailchute import tables
from mailchute.directory import Directory
from mailchute.envelope import Path
from mailchute.plans import Plan
from mailchute.sealing import Keyring
from mailchute.store import audit
from mailchute.store.account_settings import set_plan
from mailchute.store.plans import apply_plans

from tests.functions.conftest import Api

HOOK = {"domain": "a.test", "alias": "support", "url": "https://a.example/1"}
STORAGE = {"name": "ours", "bucket": "mail", "accessKey": "access-canary", "secretKey": "secret-canary"}
ANY = {"headers": {"If-Match": "*"}}


def made(api: Api) -> dict[str, Any]:
    hook: dict[str, Any] = api("POST", "/webhooks/alias", json=HOOK)
    return hook


def directory_of(api: Api) -> Directory:
    url = api.database.url.render_as_string(hide_password=False)
    return Directory(url, keyring=Keyring((b"k" * 32,)))


def test_a_domain_is_made_shown_changed_and_removed(api: Api) -> None:
    answer = api.raw("POST", "/domains", json={"name": "Inbox.Test"})
    domain = answer.json
    assert (answer.status_code, domain["name"], domain["origin"]) == (201, "inbox.test", "api")
    assert answer.headers["Location"] == f"/api/v1/domains/{domain['id']}"
    path = f"/domains/{domain['id']}"
    shown = api.raw("GET", path)
    assert shown.headers["ETag"] == answer.headers["ETag"]
    edited = api.raw("PATCH", path, json={"requiresTls": True}, headers={"If-Match": shown.headers["ETag"]})
    assert (edited.status_code, edited.json["requiresTls"]) == (200, True)
    assert api("POST", "/domains", json={"name": "inbox.test"}, status=409)["detail"].startswith("inbox.test")
    assert api.raw("DELETE", path, headers={"If-Match": edited.headers["ETag"]}).status_code == 204
    api("GET", path, status=404)
    api("DELETE", path, status=404)
    again = api("POST", "/domains", json={"name": "inbox.test"}, status=201)
    assert again["id"] != domain["id"]


def test_who_changes_what_another_has_changed_is_told(api: Api) -> None:
    domain = made(api)["domain"]
    path = f"/domains/{domain['id']}"
    seen = api.raw("GET", path).headers["ETag"]
    api("PATCH", path, status=428, json={"requiresTls": True})
    api("PATCH", path, json={"requiresTls": True}, headers={"If-Match": f'"other", {seen}'})
    told = api("PATCH", path, status=412, json={"requiresTls": False}, headers={"If-Match": seen})
    assert "changed since" in told["detail"]
    api("DELETE", path, status=412, headers={"If-Match": seen})
    assert api("GET", path)["requiresTls"] is True
    api("PATCH", path, status=400, json={}, headers={"If-Match": "x" * 2_000})


def test_two_that_edit_the_same_edition_at_once_do_not_both_win(api: Api) -> None:
    hook = made(api)
    path = f"/aliases/{hook['alias']['id']}"
    seen = {"If-Match": api.raw("GET", path).headers["ETag"]}

    def edit(threshold: int) -> int:
        return api.raw("PATCH", path, json={"spamThreshold": threshold}, headers=seen).status_code

    with ThreadPoolExecutor(4) as threads:
        statuses = sorted(threads.map(edit, (6, 7, 8, 9)))
    assert statuses == [200, 412, 412, 412]


@pytest.mark.parametrize(
    ("path", "body", "field", "status"),
    [
        ("/domains", {"name": "no domain"}, "name", 422),
        ("/domains", {"name": ""}, "name", 400),
        ("/domains", {"name": "a.test", "colour": 1}, "colour", 400),
        ("/domains", {}, "name", 400),
        ("/domains", {"name": 7}, "name", 400),
        ("/aliases", {"domainId": "DOMAIN", "name": "a b"}, "name", 422),
        ("/aliases", {"domainId": "DOMAIN", "name": "/(/"}, "name", 422),
        ("/aliases", {"domainId": "DOMAIN", "name": "x", "priority": 3}, "priority", 422),
        ("/aliases", {"domainId": "DOMAIN", "name": "x", "mode": "sync"}, "mode", 400),
        ("/aliases", {"domainId": "DOMAIN", "name": "x", "spamThreshold": 1e9}, "spamThreshold", 400),
        ("/aliases", {"domainId": "DOMAIN", "name": "x", "inlineLimitOctets": -1}, "inlineLimitOctets", 400),
        ("/endpoints", {"aliasId": "ALIAS", "url": "ftp://a"}, "url", 422),
        ("/endpoints", {"aliasId": "ALIAS", "url": "https://u:p@a.example"}, "url", 422),
        ("/endpoints", {"aliasId": "ALIAS", "url": "https://b", "secret": "whsec_x"}, "secret", 422),
        (
            "/endpoints",
            {"aliasId": "ALIAS", "url": "https://b", "headers": {"Host": "x"}},
            "headers.Host",
            422,
        ),
        (
            "/endpoints",
            {"aliasId": "ALIAS", "url": "https://b", "headers": {"A": "1", "a": "2"}},
            "headers",
            422,
        ),
        ("/endpoints", {"aliasId": "ALIAS", "url": "https://b", "basicAuth": "x"}, "basicAuth", 422),
        ("/endpoints", {"aliasId": "ALIAS", "url": "https://b", "signingKey": "x"}, "signingKey", 422),
        ("/endpoints", {"aliasId": "ALIAS", "url": "https://b", "format": "xml"}, "format", 400),
        ("/endpoints", {"aliasId": "ALIAS", "url": "https://b", "include": ["all"]}, "include[0]", 400),
        ("/blocks", {"kind": "address", "value": "nobody"}, "value", 422),
        ("/blocks", {"kind": "network", "value": "0.0.0.0/0"}, "value", 422),
        ("/keys", {"name": "x", "scopes": []}, "scopes", 400),
        ("/keys", {"name": "x", "scopes": ["all"]}, "scopes[0]", 400),
        ("/storage", {**STORAGE, "bucket": "Not A Bucket"}, "bucket", 400),
        ("/storage", {**STORAGE, "endpoint": "file:///etc"}, "endpoint", 422),
        ("/webhooks/alias", {**HOOK, "domain": "-"}, "domain", 422),
    ],
)
def test_what_cannot_be_used_is_told_with_its_field_and_changes_nothing(
    api: Api, path: str, body: dict[str, Any], field: str, status: int
) -> None:
    hook = made(api)
    ids = {"DOMAIN": hook["domain"]["id"], "ALIAS": hook["alias"]["id"]}
    sent = {name: ids.get(str(value), value) for name, value in body.items()}
    with api.database.read() as connection:
        before = len(audit.list_entries(connection, api.account_id))
    told = api("POST", path, status=status, json=sent)
    assert [one["field"] for one in told["mistakes"]] == [field]
    assert told["mistakes"][0]["text"] in told["detail"]
    with api.database.read() as connection:
        assert len(audit.list_entries(connection, api.account_id)) == before


def test_a_body_that_is_no_json_or_holds_a_nul_is_refused(api: Api) -> None:
    for data in (b"{", b"[]", b'{"name": "a\\u0000.test"}', b'{"name": "\xff"}', b"null"):
        api("POST", "/domains", status=400, data=data)
    api("POST", "/domains", status=413, data=b" " * (4 * 1024 * 1024 + 1))


def test_an_alias_takes_mail_at_once_and_no_more_when_it_is_gone(api: Api) -> None:
    domain = api("POST", "/domains", json={"name": "a.test"}, status=201)
    body = {"domainId": domain["id"], "name": "Order-*", "priority": 5, "spamThreshold": 7.5}
    alias = api("POST", "/aliases", json=body, status=201)
    assert (alias["address"], alias["kind"], alias["priority"]) == ("Order-*@a.test", "glob", 5)
    api("POST", "/aliases", json={"domainId": domain["id"], "name": "order-*"}, status=409)
    api("POST", "/aliases", json={"domainId": "dom_none", "name": "x"}, status=404)
    endpoint = api(
        "POST", "/endpoints", json={"aliasId": alias["id"], "url": "https://a.example"}, status=201
    )
    directory = directory_of(api)
    found = directory.find(Path("order-7", "a.test"))
    assert found is not None
    assert (found.alias_id, found.spam_threshold) == (alias["id"], 7.5)
    assert [one.id for one in found.endpoints] == [endpoint["id"]]
    path = f"/aliases/{alias['id']}"
    assert (alias["mode"], found.mode) == ("async", "async")
    edited = api("PATCH", path, json={"spamEnabled": False, "priority": 6, "mode": "through"}, **ANY)
    assert (edited["spamEnabled"], edited["priority"], edited["spamThreshold"]) == (False, 6, 7.5)
    assert edited["mode"] == "through"
    assert api.raw("DELETE", path).status_code == 204
    directory.close()
    directory = directory_of(api)
    assert directory.find(Path("order-7", "a.test")) is None
    assert api("GET", "/endpoints")["items"] == []
    deleted = directory.endpoint(endpoint["id"])
    assert deleted is not None
    assert deleted.is_deleted
    directory.close()


def test_an_endpoints_secrets_are_written_and_never_shown_again(api: Api) -> None:
    alias = made(api)["alias"]
    secrets = {
        "secret": "canary-secret", "basicAuth": "user:canary-basic", "headers": {"X-Token": "canary-header"},
    }  # fmt: skip
    body = {"aliasId": alias["id"], "url": "https://a.example/2", "include": ["text", "raw"], **secrets}
    endpoint = api("POST", "/endpoints", json=body, status=201)
    assert (endpoint["secret"], endpoint["sealed"]) == ("canary-secret", ["headers", "basicAuth"])
    path = f"/endpoints/{endpoint['id']}"
    edited = api("PATCH", path, json={"basicAuth": None, "url": "https://a.example/3"}, **ANY)
    assert (edited["sealed"], edited["url"]) == (["headers"], "https://a.example/3")
    api("PATCH", path, json={"url": HOOK["url"]}, status=409, **ANY)
    for shown in (api("GET", path), api("GET", "/endpoints"), api("GET", "/audit"), edited):
        assert "canary" not in str(shown)
    directory = directory_of(api)
    found = directory.endpoint(endpoint["id"])
    assert found is not None
    assert (found.secrets, found.headers, found.basic_auth) == (
        ("canary-secret",), (("X-Token", "canary-header"),), None,
    )  # fmt: skip
    directory.close()


def test_a_new_secret_and_the_former_both_sign_for_a_day(api: Api) -> None:
    endpoint = made(api)["endpoint"]
    path = f"/endpoints/{endpoint['id']}/secret"
    rotated = api("POST", path)
    assert rotated["secret"] not in (None, endpoint["secret"])
    assert "previousSecretUntil" in rotated
    given = api("POST", path, json={"secret": "of our own"})
    assert given["secret"] == "of our own"
    assert api("GET", path)["secret"] == "of our own"
    with api.database.read() as connection:
        actions = [one.action for one in audit.list_entries(connection, api.account_id)]
    assert actions.count("endpoint.reveal") == 1
    directory = directory_of(api)
    found = directory.endpoint(endpoint["id"])
    assert found is not None
    assert found.secrets[0] == "of our own"
    directory.close()


def test_an_alias_has_up_to_ten_endpoints_and_no_url_twice(api: Api) -> None:
    alias = made(api)["alias"]
    for number in range(2, 11):
        api("POST", "/endpoints", json={"aliasId": alias["id"], "url": f"https://a/{number}"}, status=201)
    api("POST", "/endpoints", json={"aliasId": alias["id"], "url": "https://a/11"}, status=403)
    one = api("GET", "/endpoints")["items"][0]
    assert api.raw("DELETE", f"/endpoints/{one['id']}").status_code == 204
    api("POST", "/endpoints", json={"aliasId": alias["id"], "url": "https://a/2"}, status=409)
    api("POST", "/endpoints", json={"aliasId": alias["id"], "url": HOOK["url"]}, status=201)


def test_a_webhook_is_one_call_that_can_be_repeated(api: Api) -> None:
    first = made(api)
    assert first["isNew"] is True
    again = made(api)
    assert again == {**first, "isNew": False}
    other = api("POST", "/webhooks/alias", json={**HOOK, "url": "https://a.example/2"})
    assert (other["alias"]["id"], other["isNew"]) == (first["alias"]["id"], True)
    api("POST", "/webhooks/alias", status=422, json={**HOOK, "domain": "b.test", "url": "ftp://x"})
    assert [one["name"] for one in api("GET", "/domains")["items"]] == ["a.test"]


def test_webhooks_made_by_many_at_once_are_made_once(api: Api) -> None:
    def make(_turn: int) -> int:
        return api.raw("POST", "/webhooks/alias", json=HOOK).status_code

    with ThreadPoolExecutor(6) as threads:
        statuses = set(threads.map(make, range(6)))
    assert statuses <= {200, 409}
    assert [len(api("GET", path)["items"]) for path in ("/domains", "/aliases", "/endpoints")] == [1, 1, 1]


def test_a_name_that_another_account_has_is_taken_without_a_word_of_whose_it_is(
    api: Api, stranger: Api
) -> None:
    made(api)
    told = stranger("POST", "/domains", json={"name": "a.test"}, status=409)
    assert "default" not in str(told)
    stranger("POST", "/webhooks/alias", json=HOOK, status=409)


def test_a_key_makes_keys_that_may_no_more_than_itself(api: Api) -> None:
    made_key = api("POST", "/keys", json={"name": "ci", "scopes": ["emails:read", "account:write"]})
    assert made_key["key"].startswith("mc_")
    weak = replace(api, key=made_key["key"])
    weak("GET", "/emails")
    weak("POST", "/keys", status=403, json={"name": "x", "scopes": ["routes:write"]})
    listed = api("GET", "/keys")
    assert made_key["key"] not in str(listed)
    assert api.raw("DELETE", f"/keys/{made_key['id']}").status_code == 204
    weak("GET", "/emails", status=401)
    api("DELETE", f"/keys/{made_key['id']}", status=404)
    page = api("GET", "/keys?limit=1")
    assert len(page["items"]) == 1
    assert (
        api("GET", "/keys", query_string={"cursor": page["nextCursor"]})["items"][0]["id"] == made_key["id"]
    )


def test_block_entries_are_made_once_listed_and_removed(api: Api) -> None:
    entry = api("POST", "/blocks", json={"kind": "domain", "value": "Spam.Example", "note": "why"})
    assert entry["value"] == "spam.example"
    assert api("POST", "/blocks", json={"kind": "domain", "value": "spam.example"}) == entry
    assert api("GET", "/blocks")["items"] == [entry]
    assert api.raw("DELETE", f"/blocks/{entry['id']}").status_code == 204
    assert api("GET", "/blocks")["items"] == []


def test_a_storage_connection_is_probed_and_its_keys_are_never_shown(api: Api) -> None:
    told = api("POST", "/storage", status=422, json={**STORAGE, "secretKey": "wrong"})
    assert told["detail"] == (
        "the bucket cannot be used: cannot write an object: S3 answered SignatureDoesNotMatch"
    )
    made_one = api("POST", "/storage", status=201, json=STORAGE)
    path = f"/storage/{made_one['id']}"
    assert api("PATCH", path, json={"name": "b", "secretKey": "new-canary"}, **ANY)["name"] == "b"
    api("PATCH", path, json={"secretKey": "wrong"}, status=422, **ANY)
    assert api("POST", f"{path}/probe")["id"] == made_one["id"]
    for shown in (made_one, api("GET", path), api("GET", "/storage"), api("GET", "/audit")):
        assert "canary" not in str(shown)
    with api.database.read() as connection:
        row = connection.execute(sa.select(tables.storage_connection)).one()
    assert b"canary" not in bytes(row.access_key) + bytes(row.secret_key)


def test_a_storage_connection_stays_while_something_needs_it(api: Api) -> None:
    connection_id = api("POST", "/storage", status=201, json=STORAGE)["id"]
    path = f"/storage/{connection_id}"
    api("PATCH", "/account", json={"storageConnectionId": connection_id}, **ANY)
    assert api("GET", path)["isUsed"] is True
    assert "storageConnectionId" in api("DELETE", path, status=409)["detail"]
    api("PATCH", "/account", json={"storageConnectionId": "sto_none"}, status=422, **ANY)
    api("PATCH", "/account", json={"storageConnectionId": None}, **ANY)
    with api.database.write() as connection:
        values = {"id": "msg_9", "account_id": api.account_id, "domain_id": "d", "alias_id": "a"}
        connection.execute(
            sa.insert(tables.email).values(
                state="delivered", first_at=api.now, objects=[f"{connection_id}/msg_9/0"], **values
            )
        )
    assert "lie there" in api("DELETE", path, status=409)["detail"]
    with api.database.write() as connection:
        connection.execute(sa.delete(tables.email))
    assert api.raw("DELETE", path).status_code == 204
    with api.database.read() as connection:
        row = connection.execute(sa.select(tables.storage_connection)).one()
    assert (bytes(row.access_key), bytes(row.secret_key)) == (b"", b"")


def on_plan(api: Api, **fields: Any) -> None:
    with api.database.write() as connection:
        apply_plans(connection, [Plan(name="free", **fields)])
        set_plan(connection, api.account_id, "free")


def test_a_plan_bounds_the_aliases_of_an_account_at_the_api_and_in_a_routes_file(api: Api) -> None:
    on_plan(api, aliases_max=1)
    hook = made(api)
    told = api("POST", "/aliases", status=403, json={"domainId": hook["domain"]["id"], "name": "two"})
    assert told["detail"] == "2 aliases are more than the 1 of the plan free"
    api("POST", "/webhooks/alias", status=403, json={**HOOK, "alias": "two"})
    routes = "version: 1\ndomains: {b.test: {one: https://b.example, two: https://b.example}}"
    assert "more than the 1" in str(api("PUT", "/routes", status=422, data=routes))
    assert len(api("GET", "/aliases")["items"]) == 1


def test_a_plan_bounds_retention_and_grants_storage(api: Api) -> None:
    on_plan(api, retention_s=3_600, retention_max_s=3_600)
    account = api("GET", "/account")
    assert (account["plan"]["name"], account["retentionS"]) == ("free", 3_600)
    api("PATCH", "/account", json={"retentionS": 86_400}, status=403, **ANY)
    api("PATCH", "/account", json={"retentionS": 60}, status=403, **ANY)  # only its own, without the feature
    assert "storage.s3" in api("POST", "/storage", status=403, json=STORAGE)["detail"]
    on_plan(api, retention_max_s=86_400, permissions=("retention.custom", "storage.s3"))
    assert api("PATCH", "/account", json={"retentionS": 86_400}, **ANY)["retentionS"] == 86_400
    api("POST", "/storage", status=201, json=STORAGE)


def test_an_account_is_held_and_released(api: Api) -> None:
    assert api("GET", "/account")["heldAt"] is None
    assert api("PATCH", "/account", json={"isHeld": True}, **ANY)["heldAt"] is not None
    assert api("PATCH", "/account", json={"isHeld": False}, **ANY)["heldAt"] is None


def test_every_answer_agrees_with_the_document(api: Api) -> None:
    document = api("GET", "/openapi.json")
    hook = made(api)
    storage = api("POST", "/storage", status=201, json=STORAGE)["id"]
    api("POST", "/blocks", json={"kind": "network", "value": "192.0.2.0/24"})
    ids = {
        "domainId": hook["domain"]["id"], "aliasId": hook["alias"]["id"],
        "endpointId": hook["endpoint"]["id"], "connectionId": storage,
    }  # fmt: skip
    for path, item in document["paths"].items():
        filled = path.format_map(
            {**dict.fromkeys(("mailId", "deliveryId", "entryId", "keyId", "run"), "x"), **ids}
        )
        if "get" not in item or filled.endswith(("/x", "/x/attempts")):
            continue
        content = item["get"]["responses"]["200"]["content"]
        if "application/json" in content:
            schema = {**content["application/json"]["schema"], "components": document["components"]}
            jsonschema.Draft202012Validator(schema).validate(api("GET", filled))
