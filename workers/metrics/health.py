"""Health of the engine: asks its parts when somebody wants to know."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from workers.common.errors import MasteryError

Probe = Callable[[], Awaitable[None]]
"""Returns if the part works; raises with the reason if it does not."""


class Status(StrEnum):
    """Health of the whole or of one part."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    """A part that is not required does not work."""
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True)
class Check:
    """A part to probe.

    Args:
        name: ``redis``, ``ledger``, ``graph``, ``keys``, ``clock`` or ``consumer``.
        probe: probes the part.
        required: True if the worker cannot work without it.
    """

    name: str
    probe: Probe
    required: bool = True


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Result of one probe."""

    name: str
    required: bool
    reason: str | None
    """Reason why the part does not work; None if it does."""
    duration_ms: float
    note: str | None = None
    """Something to know about a part that works, such as that this worker stands by."""

    def to_jsonable(self) -> dict[str, Any]:
        """Write the result as in ``/health``."""
        status = Status.HEALTHY if self.reason is None else Status.UNHEALTHY
        shown: dict[str, Any] = {"status": status.value, "required": self.required}
        if self.reason is not None:
            shown["reason"] = self.reason
        elif self.note is not None:
            shown["note"] = self.note
        return {**shown, "duration_ms": round(self.duration_ms, 1)}


@dataclass(frozen=True, slots=True)
class Report:
    """Health of the engine."""

    status: Status
    version: str
    uptime_s: float
    checks: tuple[CheckResult, ...]

    @property
    def ready(self) -> bool:
        """True if every required part works."""
        return self.status is not Status.UNHEALTHY

    def to_jsonable(self) -> dict[str, Any]:
        """Write the report as in ``/health``."""
        return {
            "status": self.status.value,
            "version": self.version,
            "uptime_s": round(self.uptime_s, 3),
            "checks": {result.name: result.to_jsonable() for result in self.checks},
        }


class Health:
    """Probes all parts at once; callers within ``cache_s`` share one answer.

    Args:
        checks: the parts.
        version: version of the engine.
        timeout_s: time after which a part counts as not answering, seconds.
        cache_s: time for which an answer is kept, seconds.
        waiting: reasons of the parts that work waits for now, by name. A server may answer a probe
            and still take no work, for example with a full disk.
        notes: what there is to know about parts that work, by name.
        clock: a monotonic clock in seconds.
    """

    def __init__(
        self,
        checks: Sequence[Check],
        *,
        version: str,
        timeout_s: float = 2.0,
        cache_s: float = 1.0,
        waiting: Callable[[], Mapping[str, str]] = dict,
        notes: Callable[[], Mapping[str, str]] = dict,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.version = version
        self._checks = tuple(checks)
        self._timeout_s = timeout_s
        self._cache_s = cache_s
        self._waiting = waiting
        self._notes = notes
        self._given_up: dict[str, asyncio.Future[None]] = {}
        self._clock = clock
        self._started = clock()
        self._asking = asyncio.Lock()
        self._answer: tuple[float, tuple[CheckResult, ...]] | None = None

    @property
    def uptime_s(self) -> float:
        """Seconds since this object was made."""
        return self._clock() - self._started

    async def report(self) -> Report:
        """Probe the parts; a failing part never raises."""
        async with self._asking:
            if self._answer is None or self._clock() - self._answer[0] >= self._cache_s:
                results = await asyncio.gather(*(self._ask(check) for check in self._checks))
                self._answer = (self._clock(), tuple(results))
            checks = self._answer[1]
        away = [result for result in checks if result.reason is not None]
        status = Status.DEGRADED if away else Status.HEALTHY
        if any(result.required for result in away):
            status = Status.UNHEALTHY
        return Report(status, self.version, self.uptime_s, checks)

    async def _ask(self, check: Check) -> CheckResult:
        began = self._clock()
        reason = await self._reason(check)
        if reason is None:
            reason = self._waiting().get(check.name)
        duration_ms = 1000 * (self._clock() - began)
        note = self._notes().get(check.name)
        return CheckResult(check.name, check.required, reason, duration_ms, note)

    async def _reason(self, check: Check) -> str | None:
        """Return the reason why a part does not work; None if it does."""
        late = f"no answer within {self._timeout_s:g} s"
        before = self._given_up.get(check.name)
        if before is not None and not before.done():
            return late  # one probe at a time: more of them would take connections from the work
        probe = asyncio.ensure_future(check.probe())
        probe.add_done_callback(_look_at)
        await asyncio.wait({probe}, timeout=self._timeout_s)
        if not probe.done():
            # Not waited for: it may try to part politely from a server that is silent.
            self._given_up[check.name] = probe
            probe.cancel()
            return late
        try:
            probe.result()
        except MasteryError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001  # whatever a part raises, it does not work
            return f"{type(error).__name__}: {error}"
        return None


def _look_at(probe: "asyncio.Future[None]") -> None:
    if not probe.cancelled():
        probe.exception()  # looked at, or asyncio reports it as never retrieved
