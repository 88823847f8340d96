"""From request octets to answer octets: a worker parses, then what is large goes to S3."""

from __future__ import annotations

from datetime import UTC, datetime

from mailchute import wire
from mailchute.errors import StorageUnavailable
from mailchute.eventlog import event_log
from mailchute.parsed import ParseAnswer, ParseRequest
from msgspec.structs import replace

from .draft import Draft, finished
from .frames import ANSWER, DRAFT
from .pool import Pool, WorkerLost
from .settings import Settings
from .storage import Storage

log = event_log("parse")


class Parser:
    """
    The room's one service.

    Args:
        settings: Read once at start.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pool = Pool(
            settings.worker, worker_count=settings.worker_count, wall_limit_s=settings.wall_limit_s
        )
        self._storage = Storage(settings)

    def start(self) -> None:
        """Fork the workers and create the bucket; S3 may come later, mail that needs it waits."""
        self._pool.start()
        if self._settings.s3.bucket:
            try:
                self._storage.create_bucket()
            except StorageUnavailable as error:
                log.warning("storage away", reason=str(error))

    def stop(self) -> None:
        self._pool.stop()

    def worker_pids(self) -> list[int]:
        """Return the processes that parse, for whoever watches them."""
        return self._pool.worker_pids()

    def parse(self, request: bytes) -> bytes:
        """
        Return the ParseAnswer as MessagePack for a ParseRequest as MessagePack.

        Raises:
            Undecodable, NewerVersion: It is no request that can be read.
            StorageUnavailable: S3 is away, and the mail has to wait for it.
        """
        try:
            kind, octets = self._pool.work(request)
        except WorkerLost as lost:
            return self._finish(self._after_loss(wire.decode(request, ParseRequest), str(lost)))
        if kind == ANSWER:
            return octets
        if kind == DRAFT:
            return self._finish(wire.decode(octets, Draft))
        wire.decode(request, ParseRequest)  # says what is wrong with it
        raise AssertionError("a worker refused a request that can be read")

    def _after_loss(self, request: ParseRequest, reason: str) -> Draft:
        """Return the draft of a mail that took a worker down, made without reading the mail's body."""
        from .degraded import degraded  # noqa: PLC0415 - it brings all that reads mail, which only workers do
        from .rehearsal import rehearsed  # noqa: PLC0415 - likewise

        log.error("worker lost", mail_id=request.mail.id, reason=reason)
        limit = "time" if reason == "timeout" else "worker"
        draft = degraded(request, self._settings.worker, limit)
        return rehearsed(draft, request) if request.is_rehearsal else draft

    def _finish(self, draft: Draft) -> bytes:
        if draft.failure is not None:
            log.error("parser failed", mail_id=draft.payload.id, reason=draft.failure)
        if draft.uploads:
            draft = self._stored(draft)
        return wire.encode(finished(draft))

    def _stored(self, draft: Draft) -> Draft:
        payload = draft.payload
        attachments = list(payload.message.attachments)
        keys = self._storage.put_all(
            payload.id,
            [(upload, attachments[upload.index]) for upload in draft.uploads],
            draft.storage_connection_id,
        )
        now = datetime.now(UTC)
        for place, upload in enumerate(draft.uploads):
            attachment = attachments[upload.index]
            if keys is None:
                # The account's bucket was taken away after the mail had come: nowhere else is its mail put.
                told = replace(attachment, status="excluded", exclude_reason="no-storage")
            else:
                url, ends_at = self._storage.url_of(keys[place], now=now, retention_s=draft.retention_s)
                told = replace(attachment, url=url, expires_at=ends_at)
            attachments[upload.index] = told
        message = replace(payload.message, attachments=tuple(attachments))
        answer: ParseAnswer = replace(draft.answer, objects=tuple(keys or ()))
        return Draft(payload=replace(payload, message=message), answer=answer)
