"""What record reads from its environment, once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mailchute.database import Database, check_migrated
from mailchute.schedule import DEAD_RETENTION_S
from mailchute.settings import SECRETS_DIR, DatabaseSettings, Reader

from .endpoints import FAILING_S


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Where the tables are, and after how long something ends."""

    database_url: str
    dead_retention_s: float = DEAD_RETENTION_S  # MAILCHUTE_DEAD_RETENTION_S
    failing_s: float = FAILING_S  # MAILCHUTE_ENDPOINT_FAILING_S

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Settings:
        """
        Raises:
            BadSetting: One line per mistake.
        """
        reader = Reader(environ)
        url = DatabaseSettings.read(reader).url
        on_cluster = "K_SERVICE" in environ or SECRETS_DIR.exists()  # Knative's contract; OpenFaaS mounts it
        if on_cluster and url.startswith("sqlite"):
            reader.mistakes.append(
                "MAILCHUTE_DATABASE_URL is a SQLite file: on OpenFaaS and Knative each replica would write "
                "its own; expected postgresql://…"
            )
        dead_retention_s = reader.seconds("MAILCHUTE_DEAD_RETENTION_S", DEAD_RETENTION_S, low=1)
        failing_s = reader.seconds("MAILCHUTE_ENDPOINT_FAILING_S", FAILING_S, low=1, high=90 * 86_400)
        reader.check()
        return cls(database_url=url, dead_retention_s=dead_retention_s, failing_s=failing_s)

    def open(self) -> Database:
        """
        Return the database, migrated as this release needs it.

        Raises:
            BadSetting: It is not migrated.
            DatabaseUnavailable: It does not answer.
        """
        database = Database(self.database_url)
        check_migrated(database)
        return database
