"""What expire reads from its environment, once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mailchute.sealing import Keyring
from mailchute.settings import DatabaseSettings, DnsSettings, Network, Reader, S3Settings


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Where the tables and the attachments are."""

    database_url: str
    s3: S3Settings
    dns: DnsSettings  # where the records of domains are looked up
    keyring: Keyring | None  # MAILCHUTE_MASTER_KEY_FILE: opens accounts' own buckets
    allow_private: tuple[Network, ...]  # MAILCHUTE_ALLOW_PRIVATE: where such a bucket may be

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Settings:
        """
        Raises:
            BadSetting: One line per mistake.
        """
        reader = Reader(environ)
        database = DatabaseSettings.read(reader)
        key_file = database.master_key_file
        settings = cls(
            database_url=database.url,
            s3=S3Settings.read(reader),
            dns=DnsSettings.read(reader),
            keyring=Keyring.from_file(Path(key_file)) if key_file else None,
            allow_private=reader.networks("MAILCHUTE_ALLOW_PRIVATE"),
        )
        reader.check()
        return settings
