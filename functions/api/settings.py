"""What the API reads from its environment, once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mailchute.errors import BadSetting
from mailchute.sealing import Keyring
from mailchute.settings import DatabaseSettings, Network, Reader, S3Settings
from mailchute.signing import PrivateKey, read_private_keys


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Where the tables, the master key, the connector and the attachments are."""

    database_url: str
    keyring: Keyring
    connector_url: str  # MAILCHUTE_CONNECTOR_URL; "": replays and erasures answer 503
    internal_token: str
    s3: S3Settings
    signing_keys: tuple[PrivateKey, ...]  # MAILCHUTE_SIGNING_KEY: as deliver has them
    allow_private: tuple[Network, ...]  # MAILCHUTE_ALLOW_PRIVATE: where an account's own bucket may be
    listen_url: str  # MAILCHUTE_LISTEN_URL: this function as deliver reaches it, `/listen` at its end
    requests_per_minute: int  # MAILCHUTE_API_REQUESTS_PER_MINUTE: of one key; 0: no limit

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Settings:
        """
        Raises:
            BadSetting: One line per mistake.
        """
        reader = Reader(environ)
        database = DatabaseSettings.read(reader)
        connector_url = reader.url("MAILCHUTE_CONNECTOR_URL", "", ("http", "https"))
        internal_token = reader.secret("MAILCHUTE_INTERNAL_TOKEN")
        s3 = S3Settings.read(reader)
        signing_keys = read_private_keys(reader)
        allow_private = reader.networks("MAILCHUTE_ALLOW_PRIVATE")
        listen_url = reader.url("MAILCHUTE_LISTEN_URL", "", ("http", "https")).rstrip("/")
        requests_per_minute = reader.whole("MAILCHUTE_API_REQUESTS_PER_MINUTE", 600, low=0, high=1_000_000)
        reader.check()
        if not database.master_key_file:
            raise BadSetting("MAILCHUTE_MASTER_KEY_FILE is not set: the API seals and shows secrets")
        return cls(
            database_url=database.url,
            keyring=Keyring.from_file(Path(database.master_key_file)),
            connector_url=connector_url.rstrip("/"),
            internal_token=internal_token,
            s3=s3,
            signing_keys=signing_keys,
            allow_private=allow_private,
            listen_url=listen_url,
            requests_per_minute=requests_per_minute,
        )
