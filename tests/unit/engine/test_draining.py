"""A worker that ends once everything is drained: what jobs change is told and projected first."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from workers.app.lifecycle import Worker
from workers.common.errors import LedgerUnavailable

_WITHIN_S = 30.0


@dataclass
class _Flow:
    """One entry of a job is pending; what it changes is told, and then projected."""

    jobs: int = 2
    untold: int = 0
    outdated: int = 0
    unprojected: int = 0
    away: int = 0
    order: list[str] = field(default_factory=list)


class _Stream:
    def __init__(self, flow: _Flow, stream: str) -> None:
        self.stream = stream
        self._flow = flow

    async def drained(self) -> bool:
        flow = self._flow
        if self.stream == "jobs" and flow.jobs:
            flow.jobs -= 1
            if not flow.jobs:
                flow.untold = 3
            return False
        if self.stream == "mastery" and flow.unprojected:
            flow.unprojected -= 1
            return False
        flow.order.append(self.stream)
        return True


class _Relay:
    def __init__(self, flow: _Flow) -> None:
        self._flow = flow

    async def run(self) -> None:
        raise AssertionError("two publish at once")

    async def publish(self) -> int:
        if self._flow.away:
            self._flow.away -= 1
            raise LedgerUnavailable("not there")
        told, self._flow.untold = self._flow.untold, 0
        self._flow.unprojected += told
        self._flow.order.append("told")
        return told


class _Replayer:
    """Make learners under other parameters, each with an event to publish."""

    def __init__(self, flow: _Flow) -> None:
        self._flow = flow

    async def run(self) -> None:
        raise AssertionError("two replay at once")

    async def replay(self) -> int:
        replayed, self._flow.outdated = self._flow.outdated, 0
        self._flow.untold += replayed
        self._flow.order.append("replayed")
        return replayed


class _Engine:
    async def until_failed(self) -> None:
        await asyncio.Event().wait()


@pytest.mark.parametrize("away", [0, 1])
async def test_given_a_queued_job_when_drained_then_changes_go_out_to_the_graph(
    away: int,
) -> None:
    flow = _Flow(away=away)
    streams: Any = [_Stream(flow, name) for name in ("responses", "mastery", "jobs")]
    worker = Worker(
        broker=cast("Any", None),
        consumptions=streams,
        engine=cast("Any", _Engine()),
        prepare=cast("Any", None),
        housekeeping=cast("Any", None),
        relay=cast("Any", _Relay(flow)),
    )

    await asyncio.wait_for(worker.run(burst=True), _WITHIN_S)

    assert (flow.jobs, flow.untold, flow.unprojected) == (0, 0, 0)
    one_pass = ["responses", "mastery", "jobs", "told"]
    assert flow.order == [*(one_pass[:3] * away), *one_pass, *one_pass]


async def test_given_learners_under_others_then_a_drain_replays_and_publishes() -> None:
    flow = _Flow(jobs=0, outdated=2)
    streams: Any = [_Stream(flow, name) for name in ("responses", "mastery")]
    worker = Worker(
        broker=cast("Any", None),
        consumptions=streams,
        engine=cast("Any", _Engine()),
        prepare=cast("Any", None),
        housekeeping=cast("Any", None),
        relay=cast("Any", _Relay(flow)),
        replayer=cast("Any", _Replayer(flow)),
    )

    await asyncio.wait_for(worker.run(burst=True), _WITHIN_S)

    assert (flow.outdated, flow.untold, flow.unprojected) == (0, 0, 0)
    one_pass = ["responses", "mastery", "replayed", "told"]
    assert flow.order == [*one_pass, *one_pass]
