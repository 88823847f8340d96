"""What expire reads from its environment, once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mailchute.settings import DatabaseSettings, DnsSettings, Reader, S3Settings


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Where the tables and the attachments are."""

    database_url: str
    s3: S3Settings
    dns: DnsSettings  # where the records of domains are looked up

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Settings:
        """
        Raises:
            BadSetting: One line per mistake.
        """
        reader = Reader(environ)
        settings = cls(
            database_url=DatabaseSettings.read(reader).url,
            s3=S3Settings.read(reader),
            dns=DnsSettings.read(reader),
        )
        reader.check()
        return settings
