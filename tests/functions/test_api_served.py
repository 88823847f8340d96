"""The REST API as its image serves it: a process of its own, over real HTTP."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from pathlib import Path

from mailchute.database import Database, migrate
from mailchute.store import keys
from mailchute.store.accounts import ensure_account

from tests.unit.template.test_index import ROOT, Served


def test_a_program_lists_its_mails_and_sets_its_routes(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'mailchute.db'}"
    migrate(url)
    key_file = tmp_path / "key"
    key_file.write_bytes(base64.b64encode(b"k" * 32))
    database, now = Database(url), datetime.now(UTC)
    with database.write() as connection:
        account_id = ensure_account(connection, now=now)
        _, key = keys.create(connection, account_id=account_id, name="ci", now=now)
    database.close()
    server = Served(
        tmp_path / "log", PYTHONPATH=str(ROOT), MAILCHUTE_FUNCTION="functions.api",
        MAILCHUTE_DATABASE_URL=url, MAILCHUTE_MASTER_KEY_FILE=str(key_file),
    )  # fmt: skip
    try:
        server.wait_until_ready()
        headers = {"X-API-KEY": key}
        routes = b"version: 1\ndomains: {a.test: {one: https://a.example}}"
        status, _, body = server.call(routes, path="/api/v1/routes", method="PUT", headers=headers)
        assert (status, len(json.loads(body)["changes"])) == (200, 3)
        status, named, body = server.call(path="/api/v1/emails?limit=5", method="GET", headers=headers)
        assert (status, named["content-type"], json.loads(body)["items"]) == (200, "application/json", [])
        assert server.call(path="/api/v1/emails", method="GET", headers={})[0] == 401
        assert server.call(path="/function/api", headers={})[0] == 404
        assert key not in (tmp_path / "log").read_text()
    finally:
        server.end()
