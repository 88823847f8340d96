"""The API as its host starts it."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from mailchute.errors import BadSetting
from mailchute.function import Call
from werkzeug.test import Client

from functions.api import handler


def test_it_starts_on_a_migrated_database_and_serves_its_document(database_url: str, tmp_path: Path) -> None:
    key_file = tmp_path / "key"
    key_file.write_bytes(base64.b64encode(b"k" * 32))
    handler.start({"MAILCHUTE_DATABASE_URL": database_url, "MAILCHUTE_MASTER_KEY_FILE": str(key_file)})
    answer = Client(handler.pages).get("/api/v1/openapi.json")
    assert (answer.status_code, answer.content_type) == (200, "application/json")
    assert handler.handle(Call(body=b"")).status == 422


def test_without_a_master_key_it_does_not_start(database_url: str) -> None:
    with pytest.raises(BadSetting, match="MAILCHUTE_MASTER_KEY_FILE"):
        handler.start({"MAILCHUTE_DATABASE_URL": database_url})
