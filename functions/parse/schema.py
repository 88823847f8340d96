"""
The published JSON Schema of the payload, docs/payload.schema.json.

`.venv/bin/python -m functions.parse.schema` writes it. It is generated from the types, so that it
cannot say anything else than they do; a test says it is up to date.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgspec
from mailchute.payload import Payload

SCHEMA_FILE = Path(__file__).parents[2] / "docs" / "payload.schema.json"
SCHEMA_ID = "https://mailchute.example/schemas/payload-1.json"


def payload_schema() -> dict[str, Any]:
    """Return the schema (JSON Schema 2020-12) that every payload of version 1 obeys."""
    schema = msgspec.json.schema(Payload)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "Payload",
    } | schema


def schema_text() -> str:
    """Return the schema as it stands in the file."""
    return json.dumps(payload_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SCHEMA_FILE.write_text(schema_text())
    sys.stdout.write(f"{SCHEMA_FILE.name} written\n")
