"""The connector's HTTP side: commands with the internal token, health, and metrics."""

from __future__ import annotations

import hmac

from aiohttp import web

from connector.pipeline import Pipeline
from connector.settings import Settings


class Door:
    """Serves from the first moment; ready once a pipeline is shown."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pipeline: Pipeline | None = None
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def open(self) -> None:
        app = web.Application(client_max_size=1024 * 1024)
        app.add_routes(
            [
                web.get("/healthz", self._healthz),
                web.get("/readyz", self._readyz),
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

    def _is_ours(self, request: web.Request) -> bool:
        wanted = f"Bearer {self._settings.token}"
        return hmac.compare_digest(request.headers.get("Authorization", "").encode(), wanted.encode())
