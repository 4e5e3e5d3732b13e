"""The state of a worker in one JSON document, for the status page and for scripts."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from prometheus_client import CollectorRegistry

from workers.common.errors import MasteryError
from workers.ledger.parameters import Activation, ParametersVersion
from workers.metrics.drift.windows import CurveBin
from workers.metrics.health import Health
from workers.operations.dead_letters.tally import DeadLetterTally
from workers.web.refreshing import Refresh, refreshed

_RATE_OVER_S: Final = 60.0
_MOST_LOOKS: Final = 600
_KEPT_S: Final = 1.0
"""Callers within this time share one report."""
_PATIENCE_S: Final = 3.0
"""Longest time to wait for one server, seconds."""

Samples = Mapping[str, Sequence[tuple[Mapping[str, str], float]]]
"""Labels and values of each metric, by its name."""


class ActiveParameters(Protocol):
    """The part of `workers.ledger.parameters.ParametersLedger` that `Status` uses."""

    async def activation(self) -> Activation:
        """Read the activation of the active version."""
        ...

    async def versions(self) -> list[ParametersVersion]:
        """List all versions."""
        ...


class Status:
    """Reads the metrics and checks of a worker; callers within a second share one report.

    Args:
        registry: metrics of the worker.
        refresh: updates the gauges; may fail.
        health: health of the worker.
        calibration: returns the calibration curve of the newest predictions.
        dead_letters: counts the dead letters.
        parameters: the versions of the parameters.
        clock: a monotonic clock in seconds.
    """

    def __init__(
        self,
        *,
        registry: CollectorRegistry,
        refresh: Refresh,
        health: Health,
        calibration: Callable[[], Sequence[CurveBin]],
        dead_letters: DeadLetterTally,
        parameters: ActiveParameters,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry = registry
        self._refresh = refresh
        self._health = health
        self._calibration = calibration
        self._dead_letters = dead_letters
        self._parameters = parameters
        self._clock = clock
        self._once = asyncio.Lock()
        self._kept: tuple[float, dict[str, Any]] | None = None
        self._applied: deque[tuple[float, float]] = deque([(clock(), 0.0)], _MOST_LOOKS)

    async def report(self) -> dict[str, Any]:
        """Return the state; what a server that is away would tell is None."""
        async with self._once:
            if self._kept is None or self._clock() - self._kept[0] >= _KEPT_S:
                self._kept = (self._clock(), await self._look())
            return self._kept[1]

    async def _look(self) -> dict[str, Any]:
        health = await self._health.report()
        samples = await self._samples()
        applied = _value(samples, "mastery_responses_applied_total") or 0.0
        return {
            "at": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "health": health.to_jsonable(),
            "responses": {
                "applied": applied,
                "per_s": self._rate(applied),
                "late": _value(samples, "mastery_responses_late_total"),
                "duplicate": _value(samples, "mastery_responses_duplicate_total"),
                "rejected": sum(
                    value for _, value in samples.get("mastery_responses_rejected_total", ())
                ),
                "learners": _value(samples, "mastery_learners_touched"),
            },
            "groups": _groups(samples),
            "dead_letters": await self._waiting(),
            "predictions": self._predictions(samples),
            "parameters": await self._active(samples),
        }

    async def _samples(self) -> Samples:
        """Return all metrics; gauges of a server that is away have no values."""
        await refreshed(self._refresh)
        samples: dict[str, list[tuple[Mapping[str, str], float]]] = {}
        for family in self._registry.collect():
            for sample in family.samples:
                samples.setdefault(sample.name, []).append((sample.labels, sample.value))
        return samples

    def _rate(self, applied: float) -> float:
        """Return responses per second since the oldest look of the last minute."""
        now = self._clock()
        while len(self._applied) > 1 and now - self._applied[1][0] >= _RATE_OVER_S:
            self._applied.popleft()
        since, before = self._applied[0]
        self._applied.append((now, applied))
        return (applied - before) / (now - since) if now > since else 0.0

    async def _waiting(self) -> dict[str, Any] | None:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                return (await self._dead_letters.count())._asdict()
        except (MasteryError, TimeoutError):
            return None

    def _predictions(self, samples: Samples) -> dict[str, Any]:
        return {
            "parameters_version": _value(samples, "mastery_prediction_parameters_version"),
            **{
                measure: _value(samples, f"mastery_prediction_{measure}")
                for measure in ("answers", "auc", "log_loss", "brier", "ece")
            },
            "drift": {
                labels["kind"]: value > 0
                for labels, value in samples.get("mastery_prediction_drift", ())
            },
            "calibration": [of._asdict() for of in self._calibration()],
        }

    async def _active(self, samples: Samples) -> dict[str, Any] | None:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                activation = await self._parameters.activation()
                versions = await self._parameters.versions()
        except (MasteryError, TimeoutError):
            return None
        active = next(of for of in versions if of.version == activation.version)
        return {
            "version": active.version,
            "model": active.model,
            "note": active.note,
            "created_at": active.created_at,
            "activated_at": activation.activated_at,
            "computing_under": _value(samples, "mastery_parameters_version"),
            "learners_outdated": _value(samples, "mastery_learners_outdated"),
        }


def _groups(samples: Samples) -> list[dict[str, Any]]:
    """Return lag, pending entries and age of each consumer group, by stream and group."""
    groups: dict[tuple[str, str], dict[str, Any]] = {}
    for name, field in (
        ("pending", "pending"),
        ("lag", "lag"),
        ("oldest_age_seconds", "oldest_age_s"),
    ):
        for labels, value in samples.get(f"mastery_stream_{name}", ()):
            key = (labels["stream"], labels["group"])
            group = groups.setdefault(
                key, {"stream": key[0], "group": key[1], "lag": None, "pending": None}
            )
            group[field] = value
    return [groups[key] for key in sorted(groups)]


def _value(samples: Samples, name: str) -> float | None:
    """Return the value of a metric without labels; None if it has none."""
    sample = samples.get(name)
    if not sample:
        return None
    value = sample[0][1]
    return value if value == value else None  # noqa: PLR0124  # NaN
