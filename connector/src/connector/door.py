"""The connector's HTTP side: commands with the internal token, health, and metrics."""

from __future__ import annotations

import hmac

from aiohttp import web
from mailchute import wire
from mailchute.commands import Command
from mailchute.errors import ContentMissing, MailchuteError, StreamUnavailable, Undecodable
from mailchute.eventlog import event_log

from connector import metrics
from connector.leaks import states
from connector.orders import Malformed
from connector.pipeline import Pipeline
from connector.settings import Settings
from connector.trials import Untriable

RETRY_AFTER_S = 1
BODY_MAX_OCTETS = 64 * 1024

log = event_log("connector")


class Door:
    """Serves from the first moment; takes commands once a pipeline is shown."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pipeline: Pipeline | None = None
        self._runner: web.AppRunner | None = None
        self.port = 0  # known once it is open

    async def open(self) -> None:
        """Raises: OSError, when the address is taken."""
        app = web.Application(client_max_size=BODY_MAX_OCTETS)
        app.add_routes(
            [
                web.get("/healthz", self._healthz),
                web.get("/readyz", self._readyz),
                web.get("/metrics", self._metrics),
                web.post("/commands", self._commands),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._settings.host, self._settings.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def show(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    def hide(self) -> None:
        self._pipeline = None

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _readyz(self, _: web.Request) -> web.Response:
        if self._pipeline is None or not self._pipeline.client.is_connected:
            return web.json_response({"status": "waiting for nats"}, status=503)
        return web.json_response({"status": "ready"})

    async def _metrics(self, _: web.Request) -> web.Response:
        if self._pipeline is None:
            return _failed(503, "waiting for nats")
        try:
            streams = await states(self._pipeline.client)
        except StreamUnavailable as error:
            return _failed(503, str(error))
        text = metrics.text_of(self._pipeline, streams)
        return web.Response(body=text.encode(), headers={"Content-Type": metrics.CONTENT_TYPE})

    async def _commands(self, request: web.Request) -> web.Response:
        wanted = f"Bearer {self._settings.token}".encode()
        if not hmac.compare_digest(request.headers.get("Authorization", "").encode(), wanted):
            return _failed(401, "the internal token is missing or another")
        if self._pipeline is None:
            return _failed(503, "waiting for nats")
        body = await request.read()
        is_json = request.content_type == wire.JSON
        try:
            command = wire.decode_json(body, Command) if is_json else wire.decode(body, Command)
            done = await self._pipeline.orders.carry_out(command)
        except ContentMissing as error:
            return _failed(404, str(error))
        except (Malformed, Undecodable, Untriable) as error:
            return _failed(422, str(error))
        except MailchuteError as error:
            return _failed(503, str(error))
        log.info("command-done", stage=command.kind, mail_id=command.mail_id, endpoint_id=command.endpoint_id)
        encode, kind = (wire.encode_json, wire.JSON) if is_json else (wire.encode, wire.MSGPACK)
        return web.Response(body=encode(done), content_type=kind)


def _failed(status: int, reason: str) -> web.Response:
    headers = {"Retry-After": str(RETRY_AFTER_S)} if status == 503 else None
    return web.json_response({"error": reason}, status=status, headers=headers)
