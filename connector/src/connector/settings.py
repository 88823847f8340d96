"""What the connector is told by its environment."""

from __future__ import annotations

from dataclasses import dataclass

from mailchute import schedule
from mailchute.settings import NatsSettings, Reader

FUNCTIONS = ("scan", "parse", "deliver", "record", "expire")
OUTLIVED_MARGIN_S = 86_400
STREAMS_MAX_OCTETS = 8 * 1024**3
LANE_SHARE = 0.03  # of all streams: a quarter of RETRY's


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All of them, checked."""

    nats: NatsSettings
    host: str  # MAILCHUTE_CONNECTOR: where commands, health and metrics are served
    port: int
    token: str  # MAILCHUTE_INTERNAL_TOKEN
    function_urls: dict[str, str]  # MAILCHUTE_FUNCTIONS_URL, MAILCHUTE_FUNCTION_<NAME>_URL
    gaps_s: tuple[float, ...]  # MAILCHUTE_RETRY_SCHEDULE
    replicas: int = 1  # MAILCHUTE_NATS_REPLICAS
    streams_max_octets: int = STREAMS_MAX_OCTETS  # MAILCHUTE_STREAMS_MAX_OCTETS: all streams together
    dead_retention_s: float = 14 * 86_400  # MAILCHUTE_DEAD_RETENTION_S: time for its owner to replay
    expire_interval_s: float = 60.0  # MAILCHUTE_EXPIRE_INTERVAL_S: how often it is asked what is due
    ack_wait_s: float = 30.0  # MAILCHUTE_ACK_WAIT_S
    lane_idle_s: float = 600.0  # MAILCHUTE_LANE_IDLE_S: an empty lane is removed after this long
    lane_max_messages: int = 20_000  # MAILCHUTE_LANE_MAX_MESSAGES
    lane_max_octets: int = 1024**3  # MAILCHUTE_LANE_MAX_OCTETS
    log_level: str = "INFO"  # MAILCHUTE_LOG_LEVEL
    through_slots: int = 256  # MAILCHUTE_THROUGH_SLOTS: mails of mode through at once

    @classmethod
    def read(cls, reader: Reader) -> Settings:
        """Raises: BadSetting, naming every mistake."""
        host, port = reader.address("MAILCHUTE_CONNECTOR", "127.0.0.1:0")
        base = reader.url("MAILCHUTE_FUNCTIONS_URL", "http://127.0.0.1:8080", ("http", "https"))
        settings = cls(
            nats=NatsSettings.read(reader),
            host=host,
            port=port,
            token=reader.secret("MAILCHUTE_INTERNAL_TOKEN"),
            function_urls={
                name: reader.url(
                    f"MAILCHUTE_FUNCTION_{name.upper()}_URL",
                    f"{base.rstrip('/')}/function/{name}",
                    ("http", "https"),
                )
                for name in FUNCTIONS
            },
            gaps_s=reader.gaps("MAILCHUTE_RETRY_SCHEDULE", schedule.GAPS_S),
            replicas=reader.whole("MAILCHUTE_NATS_REPLICAS", 1, low=1, high=5),
            streams_max_octets=reader.whole(
                "MAILCHUTE_STREAMS_MAX_OCTETS", STREAMS_MAX_OCTETS, low=64 * 1024**2, high=2**50
            ),
            dead_retention_s=reader.seconds("MAILCHUTE_DEAD_RETENTION_S", 14 * 86_400, low=60),
            expire_interval_s=reader.seconds("MAILCHUTE_EXPIRE_INTERVAL_S", 60, low=0.1, high=86_400),
            ack_wait_s=reader.seconds("MAILCHUTE_ACK_WAIT_S", 30, low=1, high=3_600),
            lane_idle_s=reader.seconds("MAILCHUTE_LANE_IDLE_S", 600),
            lane_max_messages=reader.whole("MAILCHUTE_LANE_MAX_MESSAGES", 20_000, low=1, high=10**9),
            lane_max_octets=reader.whole("MAILCHUTE_LANE_MAX_OCTETS", 1024**3, low=1, high=2**50),
            log_level=reader.choice("MAILCHUTE_LOG_LEVEL", ("DEBUG", "INFO", "WARNING", "ERROR"), "INFO"),
            through_slots=reader.whole("MAILCHUTE_THROUGH_SLOTS", 256, low=1, high=512),
        )
        if not settings.token:
            reader.mistakes.append("MAILCHUTE_INTERNAL_TOKEN is not set: functions and commands need it")
        reader.check()
        return settings

    @property
    def lane_octets(self) -> int:
        """What may wait for one endpoint: never so much that four of them fill RETRY for all others."""
        return min(self.lane_max_octets, int(self.streams_max_octets * LANE_SHARE))

    def outlived_s(self, retention_s: float = 0) -> float:
        """Return the age past which nothing of a mail is owed or kept: schedule, window, and a margin."""
        schedule_s = sum(self.gaps_s) * (1 + schedule.JITTER)
        return schedule_s + max(self.dead_retention_s, retention_s) + OUTLIVED_MARGIN_S
