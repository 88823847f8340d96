"""
Logging as named events: one JSON object a line, the same keys each time.

Keys in use: event, room, level, at, account_id, mail_id, delivery_id, endpoint_id, stage, attempt, status,
reason, duration_s, count. No addresses and no subjects above DEBUG; never a body.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any


class _Lines(logging.Formatter):
    def __init__(self, room: str) -> None:
        super().__init__()
        self._room = room

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "room": self._room,
            "event": record.getMessage(),
        }
        line.update(getattr(record, "keys", {}))
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class EventLog:
    """Writes events of one room."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def debug(self, event: str, **keys: object) -> None:
        self._logger.debug(event, extra={"keys": keys})

    def info(self, event: str, **keys: object) -> None:
        self._logger.info(event, extra={"keys": keys})

    def warning(self, event: str, **keys: object) -> None:
        self._logger.warning(event, extra={"keys": keys})

    def error(self, event: str, *, error: BaseException | None = None, **keys: object) -> None:
        self._logger.error(event, extra={"keys": keys}, exc_info=error)


def event_log(room: str) -> EventLog:
    """Return the room's log."""
    return EventLog(logging.getLogger(f"mailchute.{room}"))


def start_logging(room: str, *, level: str = "INFO") -> EventLog:
    """Send every event of this process to stderr, and return the room's log."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines(room))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("mailchute").setLevel(level)
    logging.getLogger("mail.log").setLevel(logging.ERROR)  # aiosmtpd tells addresses at INFO
    return event_log(room)
