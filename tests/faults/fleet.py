"""Worker processes under watch: what their readiness said, and what they counted."""

import asyncio
import re
import signal
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.faults.processes import free_port, until
from tests.support import whole_run
from tests.support.whole_run import MASTERY_COMMAND, Setting

_WATCH_S = 0.2
_READY_S = 120.0
_GRACE_S = 40.0
"""Beyond the grace time of a worker's own: 10 s for batches on their way, 5 s for HTTP."""


@dataclass(frozen=True)
class Seen:
    """Answer of a worker's `/health/ready` at one time."""

    at: float
    worker: str
    ready: bool
    status: str
    reasons: dict[str, str]
    """Reason by failed check."""


class WorkerProcess:
    """One worker of the command that users start."""

    def __init__(
        self,
        setting: Setting,
        directory: Path,
        name: str,
        roles: Sequence[str],
        settings: dict[str, str],
    ) -> None:
        self.name = name
        self.port = free_port()
        self.log = directory / f"{name}.log"
        environment = setting.environment(
            HTTP_PORT=str(self.port), CONSUMER_NAME=name, LOG_LEVEL="INFO", LOG_FORMAT="json"
        )
        arguments = [part for role in roles for part in ("--role", role)]
        with self.log.open("ab") as log:
            self.process = whole_run.execute(
                # It ends with us, however we end.
                ["setpriv", "--pdeathsig", "KILL", MASTERY_COMMAND, "worker", *arguments],
                environment | settings,
                log,
            )

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


class Fleet:
    """Some workers of one setting.

    Args:
        setting: the servers that they work on.
        directory: for their logs.
        workers: how many.
        roles: of each; none: all.
        settings: further settings of theirs.
    """

    def __init__(
        self,
        setting: Setting,
        directory: Path,
        *,
        workers: int,
        roles: Sequence[str],
        settings: dict[str, str],
    ) -> None:
        self._setting = setting
        self._directory = directory
        self._roles = tuple(roles)
        self._settings = settings
        self._started = 0
        self._watching: asyncio.Task[None] | None = None
        self._http = httpx.AsyncClient(timeout=3)
        self._counts: dict[str, dict[str, float]] = {}
        self.workers: list[WorkerProcess] = []
        self.seen: list[Seen] = []
        self._wanted = workers

    async def start(self) -> None:
        """Start all; returns once each is ready."""
        for _ in range(self._wanted):
            self.add()
        self._watching = asyncio.create_task(self._watch())
        await self.ready()

    def add(self) -> WorkerProcess:
        """Start one more."""
        self._started += 1
        name = f"worker-{self._started}"
        worker = WorkerProcess(self._setting, self._directory, name, self._roles, self._settings)
        self.workers.append(worker)
        return worker

    def replace(self, worker: WorkerProcess) -> WorkerProcess:
        """Kill one and start another in its place."""
        worker.kill()
        self.workers.remove(worker)
        return self.add()

    def freeze(self) -> None:
        """Stop all where they are."""
        for worker in self.workers:
            worker.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Resume all workers."""
        for worker in self.workers:
            worker.process.send_signal(signal.SIGCONT)

    async def ready(self, within_s: float = _READY_S) -> float:
        """Return once every worker is ready; the seconds it took."""
        since = time.monotonic()

        async def all_ready() -> bool:
            newest = {s.worker: s for s in self.seen if s.at >= since}
            return all(w.name in newest and newest[w.name].ready for w in self.workers)

        return await until(all_ready, f"every worker is ready\n{self.tails()}", within_s=within_s)

    def unready(self, check: str, *, since: float) -> dict[str, str]:
        """List the reasons of workers that were not ready because of a check."""
        return {
            s.worker: s.reasons[check]
            for s in self.seen
            if s.at >= since and not s.ready and check in s.reasons
        }

    def degraded(self, check: str, *, since: float) -> dict[str, str]:
        """List the reasons of workers that were ready but degraded because of a check."""
        return {
            s.worker: s.reasons[check]
            for s in self.seen
            if s.at >= since and s.ready and s.status == "degraded" and check in s.reasons
        }

    async def counted(self) -> Counter[str]:
        """The counters of all workers, summed; of one that does not answer the last known."""
        for worker in self.workers:
            with suppress(httpx.HTTPError):
                answer = await self._http.get(f"http://127.0.0.1:{worker.port}/metrics")
                self._counts[worker.name] = _counters(answer.text)
        total: Counter[str] = Counter()
        for counts in self._counts.values():
            for name, value in counts.items():
                total[name] += int(value)
        return total

    async def stop(self) -> list[int]:
        """Ask all to end by SIGTERM; returns the status each ended with."""
        await self._end_watch()
        for worker in self.workers:
            worker.process.send_signal(signal.SIGTERM)
        return [
            await asyncio.to_thread(worker.process.wait, timeout=_GRACE_S)
            for worker in self.workers
        ]

    async def end(self) -> None:
        """Leave nothing running, whatever happened."""
        await self._end_watch()
        for worker in self.workers:
            worker.kill()
        await self._http.aclose()

    def tails(self, lines: int = 12) -> str:
        """The ends of their logs."""
        return "\n".join(
            f"--- {worker.name} ({worker.process.poll()})\n"
            + "\n".join(worker.log.read_text(errors="replace").splitlines()[-lines:])
            for worker in self.workers
        )

    def logged(self, event: str) -> int:
        """Count the log lines of an event."""
        return sum(
            line.count(f'"{event}"')
            for file in self._directory.glob("worker-*.log")
            for line in file.read_text(errors="replace").splitlines()
        )

    async def _end_watch(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            with suppress(asyncio.CancelledError):
                await self._watching
            self._watching = None

    async def _watch(self) -> None:
        while True:
            await asyncio.gather(*(self._look(worker) for worker in list(self.workers)))
            await asyncio.sleep(_WATCH_S)

    async def _look(self, worker: WorkerProcess) -> None:
        at = time.monotonic()
        try:
            answer = await self._http.get(f"http://127.0.0.1:{worker.port}/health/ready")
        except httpx.HTTPError as error:
            reasons = {"http": type(error).__name__}
            self.seen.append(Seen(at, worker.name, ready=False, status="", reasons=reasons))
            return
        report: dict[str, Any] = answer.json()
        reasons = {n: c["reason"] for n, c in report["checks"].items() if "reason" in c}
        ready = answer.status_code == httpx.codes.OK
        self.seen.append(Seen(at, worker.name, ready, report["status"], reasons))


def _counters(text: str) -> dict[str, float]:
    matches = re.findall(r"^(mastery_\w+_total)(?:\{[^}]*\})? ([0-9.e+]+)$", text, re.MULTILINE)
    total: dict[str, float] = {}
    for name, value in matches:
        total[name] = total.get(name, 0.0) + float(value)
    return total
