"""What an operator's monitoring asks: /metrics, /healthz, /readyz, on a port of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from smtp_ingress.board import COUNTERS, GAUGES, Row

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Exposition:
    """
    The counts of all processes of this host, the same whichever of them is asked.

    Args:
        is_ready: Whether a mail sent now would be taken.
    """

    def __init__(self, row: Row, is_ready: Callable[[], bool]) -> None:
        self._is_ready = is_ready
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Counts(row))
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port."""
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port, reuse_port=True)
        await site.start()
        found: int = self._runner.addresses[0][1]
        return found

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE})

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        return (
            web.Response(text="ready\n") if self._is_ready() else web.Response(text="not ready\n", status=503)
        )


class _Counts(Collector):
    def __init__(self, row: Row) -> None:
        self._row = row

    def collect(self) -> Iterator[Metric]:
        for name in GAUGES:
            yield GaugeMetricFamily(f"smtp_ingress_{name}", "held now", value=self._row.held(name))
        for name in COUNTERS:
            yield CounterMetricFamily(
                f"smtp_ingress_{name}",
                "since the start",
                value=self._row.counted(name),
            )
