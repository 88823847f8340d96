"""Mail goes for good when its retention has ended, through `mailchute up`; what is still retried stays."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import nats
from mailchute.settings import Reader, S3Settings

from tests.e2e.system import System
from tests.e2e.test_main_job import mail, octets_of
from tests.servers.s3 import s3_client
from tests.servers.sink import Sink


def environ_of(system: System, program: str) -> dict[str, str]:
    """Return what one of the system's programs was told."""
    lines = Path(f"/proc/{system.pids(program)[0]}/environ").read_bytes().split(b"\0")
    return dict(line.decode().split("=", 1) for line in lines if b"=" in line)


def messages_on(url: str, *streams: str) -> list[int]:
    async def ask() -> list[int]:
        client = await nats.connect(url)
        try:
            answers = [
                await client.request(f"$JS.API.STREAM.INFO.{each}", b"{}", timeout=5) for each in streams
            ]
            found: list[dict[str, Any]] = [json.loads(each.data) for each in answers]
            return [each["state"]["messages"] for each in found]
        finally:
            await client.close()

    return asyncio.run(ask())


def rows_of(database: Path) -> dict[str, set[str]]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return {
            table: {row[0] for row in connection.execute(f"SELECT {column} FROM {table}")}
            for table, column in (
                ("email", "id"), ("delivery", "mail_id"), ("attempt", "mail_id"), ("event", "mail_id"),
            )
        }  # fmt: skip


def test_delivered_mail_is_gone_from_mail_s3_and_database_and_what_is_retried_stays(
    new_system: Callable[..., System], sink: Sink
) -> None:
    system = new_system(
        "support@inbox.test",
        "sales@inbox.test",
        MAILCHUTE_EXPIRE_INTERVAL_S="0.3",
        MAILCHUTE_RETRY_SCHEDULE="0" + 30 * ",2",
    )
    system.routes.write_text("retention: 2s\n" + system.routes.read_text())
    sink.program("/sales", 500)
    system.start()
    told = environ_of(system, "expire")
    url, database = (
        told["MAILCHUTE_NATS_URL"],
        Path(told["MAILCHUTE_DATABASE_URL"].removeprefix("sqlite:///")),
    )

    message = mail("With a file")
    message.add_attachment(b"x" * 300_000, maintype="application", subtype="pdf", filename="a.pdf")
    system.send(octets_of(mail("Retried")), "sales@inbox.test")
    system.send(octets_of(message), "support@inbox.test")
    [delivered] = sink.wait_for("/support")
    [retried, *_] = sink.wait_for("/sales")
    [attachment] = delivered.json["message"]["attachments"]
    assert delivered.json["id"] in attachment["url"]  # its key on S3

    s3 = _bucket(told)
    system.until(lambda: retried.json["id"] in rows_of(database)["attempt"])
    system.until(lambda: all(ids == {retried.json["id"]} for ids in rows_of(database).values()))
    assert messages_on(url, "MAIL", "OBJ_content") == [1, 0]
    assert not any(key.startswith(delivered.json["id"]) for key in s3())
    assert system.stop() == 0


def _bucket(told: dict[str, str]) -> Callable[[], list[str]]:
    settings = S3Settings.read(Reader(told))
    client = s3_client(settings)
    return lambda: [
        each["Key"] for each in client.list_objects_v2(Bucket=settings.bucket).get("Contents", ())
    ]
