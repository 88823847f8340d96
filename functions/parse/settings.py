"""What parse is told by its environment."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from typing import cast

from mailchute.alias import AliasSnapshot
from mailchute.settings import DatabaseSettings, Network, Reader, S3Settings

from .markdown import ENGINES, Engine

CPU_LIMIT_S = 5.0  # of one mail; the slowest honest mail of our corpus takes 0.3 s
WALL_LIMIT_S = 20.0  # of one mail: a machine that is busy elsewhere is not the mail's fault
URL_LIFE_S = 604_800  # AWS Signature Version 4 signs a URL for at most seven days


@dataclass(frozen=True, kw_only=True)
class WorkerSettings:
    """What a worker needs to know; nothing secret."""

    markdown: Engine = "html-to-markdown"  # MAILCHUTE_MARKDOWN
    authserv_id: str = "localhost"  # MAILCHUTE_HOSTNAME
    has_storage: bool = False  # whether attachments can go to S3
    memory_mib: int = 1024  # MAILCHUTE_PARSE_MEMORY_MIB: address space of one worker
    cpu_limit_s: float = CPU_LIMIT_S

    def stores(self, alias: AliasSnapshot) -> bool:
        """Return whether large attachments of its mail can go to a bucket, the installation's or its own."""
        return alias.has_storage and (self.has_storage or alias.storage_connection_id is not None)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of the room."""

    worker: WorkerSettings
    worker_count: int  # MAILCHUTE_PARSE_WORKERS
    s3: S3Settings
    database_url: str = ""
    master_key_file: str = ""  # opens accounts' own buckets, and signs long links
    allow_private: tuple[Network, ...] = ()  # MAILCHUTE_ALLOW_PRIVATE: where such a bucket may be
    public_url: str = ""  # MAILCHUTE_PUBLIC_URL: where the API is reached; "": no link outlives seven days
    wall_limit_s: float = WALL_LIMIT_S

    @classmethod
    def read(cls, reader: Reader) -> Settings:
        """Raises BadSetting through reader.check() when a setting cannot be used."""
        s3 = S3Settings.read(reader)
        database = DatabaseSettings.read(reader)
        markdown = reader.choice("MAILCHUTE_MARKDOWN", ENGINES, "html-to-markdown")
        settings = cls(
            worker=WorkerSettings(
                markdown=cast("Engine", markdown),
                authserv_id=reader.text("MAILCHUTE_HOSTNAME") or socket.getfqdn(),
                has_storage=bool(s3.bucket),
                memory_mib=reader.whole("MAILCHUTE_PARSE_MEMORY_MIB", 1_024, low=256, high=65_536),
            ),
            worker_count=reader.whole("MAILCHUTE_PARSE_WORKERS", os.cpu_count() or 2, low=1, high=64),
            s3=s3,
            database_url=database.url,
            master_key_file=database.master_key_file,
            allow_private=reader.networks("MAILCHUTE_ALLOW_PRIVATE"),
            public_url=reader.url("MAILCHUTE_PUBLIC_URL", "", ("http", "https")).rstrip("/"),
        )
        reader.check()
        return settings
