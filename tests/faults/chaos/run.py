"""Faults one after another for hours, with everything compared after each of them."""

import asyncio
import subprocess
import time
from collections.abc import Callable, Collection
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final

import pytest
from redis.exceptions import RedisError

from tests.faults.chaos.books import Books, owned_at
from tests.faults.chaos.order import Scene, Step, scenes
from tests.faults.load import Load
from tests.faults.processes import until
from tests.faults.run import RECOVERED_WITHIN_S, TOLERANCE, Outcome, drained, noticed, redis_ms
from tests.faults.servers import PostgresServer
from tests.faults.stage import Need, Size, Stage, set_stage
from tests.support.run_results import graph_differences, run_results, stored_mastery
from tests.support.servers import Neo4j
from tests.support.whole_run import MASTERY_COMMAND

_SHIFT_US: Final = 150_000_000_000
"""Answers of the next step come so much later: some of them lie between those before, us."""
_UNDER_WAY_S: Final = 120.0
_REMEDY_S: Final = 120.0
_SHOWN: Final = 8

Servers = Callable[..., AbstractAsyncContextManager[tuple[PostgresServer, Neo4j | None]]]
"""Starts a Postgres, and gives a Neo4j without any node if `graph` is True."""


@dataclass(frozen=True)
class Span:
    """Part of an order that is run.

    Args:
        hours: after this time no fault begins.
        first: step from whose scene on it runs.
        last: the last step; None: time alone ends it.
    """

    hours: float
    first: int = 1
    last: int | None = None


class LongRun:
    """Runs the faults of a seed.

    Args:
        seed: decides the order.
        span: which part of it.
        servers: starts the servers of a scene.
        without: needs that this machine does not fulfil; scenes that have them are left out.
        say: prints a line.
    """

    def __init__(
        self,
        seed: int,
        span: Span,
        *,
        servers: Servers,
        without: Collection[Need],
        say: Callable[[str], None],
    ) -> None:
        self._seed = seed
        self._span = span
        self._servers = servers
        self._without = frozenset(without)
        self._say = say
        self._ends = time.monotonic() + span.hours * 3_600
        self._done = 0

    async def run(self) -> int:
        """Run until the end or a failure; returns 1 after a failure."""
        self._say(f"seed {self._seed}")
        for whole in scenes(self._seed):
            scene = whole if self._span.last is None else whole.until(self._span.last)
            if not scene.steps or time.monotonic() >= self._ends:
                break
            if scene.steps[-1].number < self._span.first:
                continue
            if scene.needs & self._without:
                self._leave_out(scene, "not on this machine")
                continue
            try:
                problems = await self._run_scene(scene)
            except pytest.skip.Exception as missing:
                self._leave_out(scene, str(missing))
                continue
            if problems:
                return 1
        self._say(f"seed {self._seed}: {self._done} faults, and every invariant holds")
        return 0

    def _leave_out(self, scene: Scene, reason: str) -> None:
        names = ", ".join(f"{step.number} {step.fault.name}" for step in scene.steps)
        self._say(f"left out: {names}: {reason}")

    async def _run_scene(self, scene: Scene) -> list[str]:
        first = scene.steps[0]
        self._say(
            f"\n{scene.workers} workers, batches of {scene.batch_size}, {scene.students} students, "
            f"{', '.join(sorted(need.name for need in scene.needs)) or 'no line and no disk'}"
        )
        size = Size(
            responses=scene.responses,
            rate=first.rate,
            workers=scene.workers,
            batch_size=scene.batch_size,
            students=scene.students,
            seed=first.seed,
        )
        last = first
        async with (
            self._servers(graph=Need.GRAPH in scene.needs) as (postgres, neo4j),
            set_stage(
                scene.needs,
                size,
                settings=scene.settings,
                fsync=scene.fsync,
                postgres=postgres,
                neo4j=neo4j,
            ) as stage,
        ):
            books = Books()
            problems: list[str] = []
            try:
                await stage.fleet.start()
                for place, step in enumerate(scene.steps):
                    if time.monotonic() >= self._ends:
                        break
                    last = step
                    problems = await self._run_step(stage, scene, step, place, books)
                    if problems:
                        break
                    self._done += 1
                if not problems:
                    self._say("     all workers get SIGTERM")
                    problems = await _end(stage, books)
            except (AssertionError, OSError, RedisError, subprocess.SubprocessError) as error:
                problems = [f"{type(error).__name__}: {error}"]
            if problems:
                self._report(scene, last, [*problems[:_SHOWN], stage.fleet.tails()])
        return problems

    async def _run_step(
        self, stage: Stage, scene: Scene, step: Step, place: int, books: Books
    ) -> list[str]:
        fault = step.fault
        self._say(
            f"{step.number:>4} {fault.name}: after {step.strike_at:.0%} of {step.responses} "
            f"responses at {step.rate:.0f}/s, for at least {step.hold_s:g} s"
        )
        load = stage.load = _load(stage, scene, step, place)
        books.add(load.rows)
        outcome = Outcome(fault.name)
        publishing = asyncio.create_task(load.run())
        try:

            async def under_way() -> bool:
                return load.added >= step.strike_at * len(load.entries)

            await until(under_way, "the load is under way", within_s=_UNDER_WAY_S)
            struck = time.monotonic()
            await fault.strike(stage)
            struck_ms = await redis_ms(stage) if fault.loses else 0
            await noticed(fault, stage, outcome, struck)
            await asyncio.sleep(max(0.0, struck + step.hold_s - time.monotonic()))
            await fault.heal(stage)
            outcome.ready_s = await stage.fleet.ready(RECOVERED_WITHIN_S)
            await publishing
        finally:
            publishing.cancel()
            await asyncio.gather(publishing, return_exceptions=True)
        await drained(stage)
        if fault.loses:
            await load.again()
            await drained(stage)
            await _remedy(stage, books, struck_ms, repeats=fault.repeats)
        problems = [*outcome.problems, *await _differences(stage, books)]
        if not problems:
            noticed_s = "-" if outcome.noticed_s is None else f"{outcome.noticed_s:.1f} s"
            self._say(f"     noticed {noticed_s}, ready {outcome.ready_s:.1f} s, all is right")
        return problems

    def _report(self, scene: Scene, step: Step, problems: list[str]) -> None:
        self._say(f"FAILED at {step.number} {step.fault.name}")
        for problem in problems:
            self._say(f"    {problem}")
        again = f"uv run python -m tests.faults --seed {self._seed}"
        self._say(f"again, on the same servers only: {again} --from {scene.steps[0].number} "
                  f"--until {step.number}")  # fmt: skip
        self._say(f"again, from the beginning:       {again} --until {step.number}")


def _load(stage: Stage, scene: Scene, step: Step, place: int) -> Load:
    """Return the load of a step: answers that mostly follow those of the steps before."""
    load = Load(
        stage.redis.url, step.responses, rate=step.rate, students=scene.students, seed=step.seed
    )
    for row in load.rows:
        row["answered_at"] += place * _SHIFT_US
    return load


async def _remedy(stage: Stage, books: Books, lost_at: int, *, repeats: bool) -> None:
    """Do what docs/faults.md says after a loss."""
    if repeats:
        books.note_repeats()
        return
    command = [MASTERY_COMMAND, "reconcile", "--publish", "--since", "1d"]
    done = await asyncio.to_thread(
        subprocess.run,
        command,
        env=stage.setting.environment(),
        capture_output=True,
        text=True,
        timeout=_REMEDY_S,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}: {done.stderr}"
    books.note_loss(await owned_at(stage.direct.dsn), lost_at)
    await drained(stage)


async def _differences(stage: Stage, books: Books) -> list[str]:
    """Compare the ledger, the events, the graph, rejections and pending entries."""
    result = await run_results(stage.direct, books.rows, TOLERANCE)
    wrong = [*result.differences, *books.differences(result.events)]
    if result.rejected:
        wrong.append(f"rejected: {dict(result.rejected)}")
    if result.pending:
        wrong.append(f"{result.pending} entries are pending")
    for key, (*_, version) in (await stored_mastery(stage.direct.dsn)).items():
        newest = result.newest.get(key)
        if newest is None or newest.version != version:
            wrong.append(f"the newest event of {key} is {newest}, stored is version {version}")
    if stage.direct.graph:
        wrong += await graph_differences(stage.direct)
    books.settle(result.events)
    return wrong


async def _end(stage: Stage, books: Books) -> list[str]:
    """End all workers in good order, and compare for the last time."""
    codes = await stage.fleet.stop()
    wrong = [f"after SIGTERM workers ended with {codes}"] if any(codes) else []
    return wrong + await _differences(stage, books)
