"""No secret is ever told: not by an answer, an error, a log line, the audit trail, an event, or a dump."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from mailchute import tables
from mailchute.store.reseal import SEALED

from tests.functions.conftest import Api

CANARIES = {
    "secret": "canary-secret", "basicAuth": "u:canary-basic", "headers": {"X-Token": "canary-header"},
}  # fmt: skip
STORAGE = {"name": "s", "bucket": "mail", "accessKey": "canary-access", "secretKey": "canary-s3"}
ANY = {"headers": {"If-Match": "*", "Idempotency-Key": "k1"}}


def test_what_was_written_is_never_told(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    told: list[Any] = []
    hook = {"domain": "a.test", "alias": "one", "url": "https://a.example/1"}
    api.raw("POST", "/webhooks/alias", json={**hook, **CANARIES}, headers={"Idempotency-Key": "k0"})
    endpoint = api("GET", "/endpoints")["items"][0]
    path = f"/endpoints/{endpoint['id']}"
    storage = api("POST", "/storage", json=STORAGE, status=201)
    key = api("POST", "/keys", json={"name": "ci", "scopes": ["emails:read"]})["key"]
    wrong = [
        ("PATCH", path, {"headers": {"Host": "canary-wrong"}}),
        ("PATCH", path, {"basicAuth": "canary-without-colon"}),
        ("PATCH", path, {"signingKey": "canary-no-pem"}),
        ("PATCH", path, {"clientCertificate": "canary-no-pem"}),
        ("PATCH", path, {"headers": {"X": "canary-\u00e9"}}),
        ("POST", f"{path}/secret", {"secret": "whsec_canary"}),
        ("POST", f"{path}/secret", {"secret": "canary" * 200}),
        ("POST", "/storage", {**STORAGE, "secretKey": "canary" * 100}),
        ("POST", "/storage", {**STORAGE, "bucket": "X", "secretKey": "canary-again"}),
    ]
    for method, where, body in wrong:
        answer = api.raw(method, where, json=body, headers={"If-Match": "*"})
        assert answer.status_code in (400, 422), answer.text
        told.append(answer.text)
    api.raw("PATCH", path, json={"basicAuth": "u:canary-new"}, **ANY)
    shown = (path, "/endpoints", f"/storage/{storage['id']}", "/storage", "/keys", "/audit", "/events")
    told += [api.raw("GET", where).text for where in (*shown, "/account", "/openapi.json")]
    for text in (*told, caplog.text):
        assert "canary" not in text
        assert key not in text
    assert "canary" not in (dump := _dump(api))
    assert key not in dump


def test_every_column_of_octets_is_sealed_and_sealed_anew_with_a_new_master_key() -> None:
    """What is sealed is each column that a secret may stand in; a new one has to be told to `reseal`."""
    sealed = {f"{table.name}.{column}" for table, columns in SEALED.items() for column in columns}
    assert sealed >= {
        "endpoint.secret", "endpoint.previous_secret", "endpoint.headers", "endpoint.basic_auth",
        "endpoint.signing_key", "endpoint.client_certificate", "storage_connection.access_key",
        "storage_connection.secret_key", "kept_answer.body",
    }  # fmt: skip
    binary = {
        f"{table.name}.{column.name}"
        for table in tables.metadata.tables.values()
        for column in table.columns
        if column.type.__class__.__name__ == "LargeBinary"
    }
    assert binary == sealed


def _dump(api: Api) -> str:
    """Return every row of every table, octets as the text they may hold."""
    found = []
    with api.database.read() as connection:
        for table in tables.metadata.tables.values():
            for row in connection.execute(table.select()):
                found += [one.decode("latin-1") if isinstance(one, bytes) else str(one) for one in row]
    return "\n".join(found)
