"""The OpenAPI 3.1 document, made of the same table that the API runs on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from .asking import HEADER_MAX_CHARACTERS
from .operation import NoQuery, Operation
from .problem import PROBLEM_JSON, ProblemDetails

TITLES = {
    400: "The request is malformed.",
    401: "No key, or one that opens nothing.",
    403: "The key lacks the scope, or the account's plan does not allow it.",
    404: "There is none of this id in your account.",
    409: "It cannot be done with what is there: the name is taken, or something needs it.",
    410: "The mail is gone.",
    412: "It was changed since you saw it.",
    413: "The body is too large.",
    422: "A field, or a line of a routes file, has a content that cannot be used; each is named.",
    428: "Say with If-Match which edition is to be changed.",
    429: "Too many requests.",
    503: "Not now: try again.",
}
_REF = "#/components/schemas/{name}"


def document(operations: Sequence[Operation]) -> dict[str, Any]:
    """Return the document (https://spec.openapis.org/oas/v3.1.0)."""
    kinds = {ProblemDetails}
    for one in operations:
        kinds |= {kind for kind in (one.answers, one.body) if kind not in (None, str)}
    schemas, components = msgspec.json.schema_components(
        sorted(kinds, key=lambda kind: kind.__name__), ref_template=_REF
    )
    del schemas
    paths: dict[str, dict[str, Any]] = {}
    for one in operations:
        paths.setdefault(one.path, {})[one.method.lower()] = _described(one)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Mailchute", "version": "1"},
        "servers": [{"url": "/api/v1"}],
        "security": [{"key": []}, {"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": "X-API-KEY"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _described(one: Operation) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": one.does}
    if one.answers is not None:
        answer["content"] = {"application/json": {"schema": _ref(one.answers)}}
        if one.also_answers:
            answer["content"][one.also_answers] = {"schema": {"type": "string"}}
    headers = (["ETag"] if one.has_etag else []) + (["Location"] if one.created else [])
    if headers:
        answer["headers"] = {name: {"schema": {"type": "string"}} for name in headers}
    responses = {str(one.status): answer}
    always = {400, 401, 403, 429, 503} | ({413} if one.body is not None else set())
    always |= {409, 422} if one.change is not None else set()
    for status in sorted({*always, *one.fails}):
        responses[str(status)] = {
            "description": TITLES[status],
            "content": {PROBLEM_JSON: {"schema": _ref(ProblemDetails)}},
        }
    described: dict[str, Any] = {
        "operationId": _name_of(one),
        "summary": one.does,
        "description": f"Needs the scope `{one.scope}`.",
        "parameters": [*_path_parameters(one), *_query_parameters(one), *_header_parameters(one)],
        "responses": responses,
    }
    if one.body is str:
        described["requestBody"] = {
            "required": True,
            "content": {"application/yaml": {"schema": {"type": "string"}, "example": one.example}},
        }
    elif one.body is not None:
        described["requestBody"] = {
            "required": bool(_schema_of(one.body).get("required")),
            "content": {"application/json": {"schema": _ref(one.body), "example": one.example}},
        }
    return described


def _path_parameters(one: Operation) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"\{(\w+)\}", one.path)
    ]


def _query_parameters(one: Operation) -> list[dict[str, Any]]:
    if one.query is NoQuery:
        return []
    (_,), components = msgspec.json.schema_components([one.query], ref_template=_REF)
    return [
        {"name": name, "in": "query", "required": False, "schema": schema}
        for name, schema in components[one.query.__name__]["properties"].items()
    ]


def _header_parameters(one: Operation) -> list[dict[str, Any]]:
    found = []
    if one.change is not None:
        found.append(("Idempotency-Key", False, {"type": "string", "minLength": 1, "maxLength": 255}))
    if one.needs_match or (one.method == "DELETE" and 412 in one.fails):
        found.append(("If-Match", one.needs_match, {"type": "string", "maxLength": HEADER_MAX_CHARACTERS}))
    return [
        {"name": name, "in": "header", "required": is_required, "schema": schema}
        for name, is_required, schema in found
    ]


def _schema_of(kind: Any) -> dict[str, Any]:
    (_,), components = msgspec.json.schema_components([kind], ref_template=_REF)
    schema: dict[str, Any] = components[kind.__name__]
    return schema


def _ref(kind: Any) -> dict[str, str]:
    return {"$ref": _REF.format(name=kind.__name__)}


def _name_of(one: Operation) -> str:
    parts = [part for part in one.path.split("/") if part and not part.startswith("{")]
    verb = {"GET": "show" if one.path.endswith("}") else "get"}.get(one.method, one.method.lower())
    return verb + "".join(part.capitalize() for part in parts)
