"""
The OpenAPI document is a promise: whatever is sent to whatever it describes, the answer is one it describes.

Requests are made of the document's own schemas, sound ones and broken ones, so a new operation is in it by
itself. No answer is a 5xx.
"""

from __future__ import annotations

import re
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mailchute.delivery import AttemptOutcome

from tests.functions.conftest import Api
from tests.unit.record.test_fold import BEGIN, LIFE

HOOK = {"domain": "a.test", "alias": "one", "url": "https://a.example"}
TEXT = st.text(max_size=30) | st.sampled_from(
    ["a.test", "support", "https://a.example/1", "*", "/x/", "\x00", "é"]
)
JUNK: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
NOT_FOLLOWED = ("wait",)  # of a query: it would only take its time
ALWAYS = {"404", "405"}  # an id with a slash in it is another path


def values(schema: dict[str, Any], document: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Return what a JSON Schema of msgspec's allows, or nearly so."""
    if "$ref" in schema:
        return values(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], document)
    if "anyOf" in schema:
        return st.one_of([values(one, document) for one in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "const" in schema:
        return st.just(schema["const"])
    match schema.get("type"):
        case "string" if "pattern" in schema:
            return st.from_regex(schema["pattern"], fullmatch=True) | TEXT
        case "string":
            return TEXT.filter(lambda text: len(text) >= schema.get("minLength", 0))
        case "integer":
            return st.integers(schema.get("minimum"), schema.get("maximum"))
        case "number":
            return st.floats(
                schema.get("minimum"), schema.get("maximum"), allow_nan=False, allow_infinity=False
            )
        case "boolean":
            return st.booleans()
        case "null":
            return st.none()
        case "array":
            items = values(schema["items"], document) if "items" in schema else JUNK
            return st.lists(items, min_size=schema.get("minItems", 0), max_size=3)
        case "object":
            return objects(schema, document)
    return JUNK


def objects(schema: dict[str, Any], document: dict[str, Any]) -> st.SearchStrategy[Any]:
    fields = {name: values(one, document) for name, one in schema.get("properties", {}).items()}
    needed = {name: fields.pop(name) for name in schema.get("required", ()) if name in fields}
    sound = st.fixed_dictionaries(needed, optional=fields)
    broken = st.builds(
        lambda good, name, junk: {**good, name: junk}, sound, st.sampled_from([*fields, *needed, "x"]), JUNK
    )
    return sound | sound | broken


def operations(document: dict[str, Any]) -> list[tuple[str, str]]:
    return [(method, path) for path, item in document["paths"].items() for method in item]


@pytest.fixture
def ids(api: Api) -> dict[str, str]:
    api.record(*LIFE)
    hook = api("POST", "/webhooks/alias", json=HOOK)
    return {
        "mailId": "msg_1", "domainId": hook["domain"]["id"], "aliasId": hook["alias"]["id"],
        "endpointId": hook["endpoint"]["id"],
    }  # fmt: skip


def test_whatever_is_sent_is_answered_as_the_document_says(api: Api, ids: dict[str, str]) -> None:
    document = api("GET", "/openapi.json")
    api.connector.outcome = AttemptOutcome(result="delivered", status=200, started_at=BEGIN, duration_s=0.1)
    kinds = operations(document)

    @settings(
        max_examples=400, deadline=None, derandomize=True, database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )  # fmt: skip
    @given(st.data())
    def ask(data: st.DataObject) -> None:
        method, path = data.draw(st.sampled_from(kinds))
        described = document["paths"][path][method]
        query, headers = {}, {}
        for one in described["parameters"]:
            if one["name"] in NOT_FOLLOWED or one["in"] == "path":
                continue
            if one["required"] or data.draw(st.booleans()):
                drawn = str(data.draw(values(one["schema"], document) | JUNK))
                if one["in"] == "query":
                    query[one["name"]] = drawn
                else:
                    text = re.sub(r"[^\x20-\x7e]", "", drawn)
                    headers[one["name"]] = data.draw(st.sampled_from([text, "*"]))
        filled = re.sub(
            r"\{(\w+)\}", lambda part: data.draw(st.sampled_from([ids.get(part[1], "x"), "x", "%00"])), path
        )
        octets = b""
        if "requestBody" in described:
            ((kind, content),) = described["requestBody"]["content"].items()
            drawn_body = data.draw(values(content["schema"], document) | JUNK)
            is_text = kind == "application/yaml" and isinstance(drawn_body, str)
            octets = drawn_body.encode(errors="replace") if is_text else msgspec.json.encode(drawn_body)
        answer = api.raw(method.upper(), filled, query_string=query, headers=headers, data=octets)
        told = (
            f"{method} {filled} {query} {headers} {octets[:200]!r}: {answer.status_code} {answer.text[:300]}"
        )
        assert answer.status_code < 500, told
        status = str(answer.status_code)
        assert status in described["responses"] or status in ALWAYS, told
        content = described["responses"].get(status, {}).get("content", {})
        if content and answer.data and answer.content_type in content:
            schema = {**content[answer.content_type]["schema"], "components": document["components"]}
            jsonschema.Draft202012Validator(schema).validate(msgspec.json.decode(answer.data))
        else:
            assert not content or status in ALWAYS, told

    ask()
