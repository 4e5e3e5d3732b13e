"""Folding a large batch leaves the event loop to others now and then."""

import asyncio
from collections.abc import Sequence

import pytest

from tests.support.doubles import HookedLedger, admitted, fast_retrying, record
from tests.support.factories import answer, learner_log
from workers.engine import folding
from workers.engine.folding import fold_in_turns
from workers.engine.recorder import Recorder
from workers.estimation.documents import parameters_document
from workers.estimation.fold import FoldTask, fold
from workers.estimation.late_replay import LateReplay
from workers.estimation.learner import Learner, LearnerKey, Response
from workers.estimation.parameters import BktParameters, Parameters
from workers.estimation.replay import replay
from workers.ledger.memory.ledger import MemoryLedger
from workers.ledger.parameter_versions import ParametersSource
from workers.metrics.engine_metrics import EngineMetrics

NEW = Parameters(version=2, default=BktParameters(0.4, 0.2, 0.15, 0.05))


async def turns_while_folding(tasks: list[FoldTask]) -> int:
    """Turns that others had; the result is that of folding in one go."""
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    try:
        folded = await fold_in_turns(tasks, NEW)
    finally:
        task.cancel()
    assert folded == fold(tasks, NEW)
    return turns


async def test_given_many_answers_to_replay_when_folded_then_others_get_turns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(folding, "_REPLAYED_AT_ONCE", 10)
    tasks = []
    for number in range(6):
        log = learner_log(7, seed=number)
        tasks.append(
            FoldTask(LearnerKey("t", f"s{number}"), replay(log, Parameters()), [answer(900)], log)
        )

    assert await turns_while_folding(tasks) == 4
    assert await turns_while_folding([]) == 0


async def test_given_nothing_to_replay_when_folded_then_it_is_in_one_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(folding, "_REPLAYED_AT_ONCE", 1)
    tasks = [FoldTask(LearnerKey("t", f"s{n}"), Learner(), [answer(n)]) for n in range(5)]

    assert await turns_while_folding(tasks) == 0


async def test_given_an_activation_then_the_next_batch_is_folded_in_turns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    memory = MemoryLedger()
    recorder = Recorder(
        ledger=HookedLedger(memory),
        parameters=ParametersSource(memory, 0.95),
        retrying=fast_retrying(),
        meter=EngineMetrics("0"),
    )
    students = ("s1", "s2", "s3")
    await record(recorder, [admitted(student, n) for student in students for n in range(4)])
    version = await memory.store("bkt", parameters_document(NEW), {}, "")
    await memory.activate(version, "better")
    portions: list[int] = []
    advance = LateReplay.advance

    def noted(replay: LateReplay, page: Sequence[Response]) -> None:
        portions.append(len(page))
        advance(replay, page)

    monkeypatch.setattr(folding, "_REPLAYED_AT_ONCE", 3)
    monkeypatch.setattr(LateReplay, "advance", noted)
    results = await record(recorder, [admitted(student, 9) for student in students])

    assert sum(bool(result.events) for result in results) == 3
    assert portions == [3, 1, 2, 2, 1, 3]
