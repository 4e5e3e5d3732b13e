"""Readiness as a gauge for alerts: the answer of `/health/ready`, and the state of each part."""

from collections.abc import Iterable

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from workers.metrics.health import Health, Report


class ReadinessGauge(Collector):
    """Readiness as of the last `refresh`; register it with a registry.

    Args:
        health: probes the parts.
    """

    def __init__(self, health: Health) -> None:
        self._health = health
        self._report: Report | None = None

    async def refresh(self) -> None:
        """Probe every part; if the probe is cancelled, the worker counts as not ready."""
        report = None
        try:
            report = await self._health.report()
        finally:
            # Replace the report in one step at the end: until then a scrape sees the old one.
            self._report = report

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Return the gauges as of the last refresh."""
        ready = GaugeMetricFamily(
            "mastery_ready", "Whether the worker does its work, as /health/ready answers."
        )
        ready.add_metric([], float(self._report is not None and self._report.ready))
        parts = GaugeMetricFamily(
            "mastery_part_up",
            "Whether a part works: redis, ledger, graph, clock, consumer.",
            labels=["part"],
        )
        for result in self._report.checks if self._report else ():
            parts.add_metric([result.name], float(result.reason is None))
        return [ready, parts]
