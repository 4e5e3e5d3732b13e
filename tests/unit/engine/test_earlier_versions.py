"""After an activation, learners whose logs do not fit into a batch go on under their version."""

import json
from typing import Any

import pytest

from tests.support.doubles import HookedLedger, admitted, fast_retrying, record
from tests.support.parameters_documents import NEWER, OTHER
from workers.engine.recorder import Recorder
from workers.ledger.memory import recording
from workers.ledger.memory.ledger import MemoryLedger
from workers.ledger.parameter_versions import ParametersSource
from workers.metrics.engine_metrics import EngineMetrics
from workers.operations.repair.background_replay import Replayer
from workers.operations.repair.verifying import verify

_LOG = 3


class World:
    """Two learners under version 1, and room to replay one of them with a batch."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(recording, "MOST_REPLAYED", _LOG)
        self.memory = MemoryLedger()
        self.ledger = HookedLedger(self.memory)
        self.source = ParametersSource(self.memory, 0.95)
        self.meter = EngineMetrics("0")
        self.recorder = Recorder(
            ledger=self.ledger,
            parameters=self.source,
            retrying=fast_retrying(),
            meter=self.meter,
        )

    async def fill(self, students: tuple[str, ...] = ("s1", "s2")) -> None:
        entries = [admitted(name, number) for name in students for number in range(_LOG)]
        await record(self.recorder, entries)

    async def activate(self, document: dict[str, Any] = OTHER) -> int:
        version = await self.memory.store("bkt", document, {}, "")
        await self.memory.activate(version, "better")
        return version

    async def answer(self, *entries: Any) -> list[int]:
        """Record an answer of each student; return the versions that their events name."""
        settled = await record(self.recorder, entries)
        events = [json.loads(event)["data"] for result in settled for event in result.events]
        versions = {event["student_id"]: event["parameters_version"] for event in events}
        return [versions[entry.key.student_id] for entry in entries]

    async def replay(self) -> int:
        replayer = Replayer(
            ledger=self.memory,
            versions=self.source,
            meter=EngineMetrics("0"),
            retrying=fast_retrying(),
        )
        return await replayer.replay()

    async def assert_right(self, *, outdated: int) -> None:
        pages = [page async for page in verify(self.memory, self.source)]
        assert [difference for page in pages for difference in page.differences] == []
        assert sum(page.outdated for page in pages) == outdated


async def test_given_no_room_for_a_log_then_the_learner_keeps_its_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(monkeypatch)
    await world.fill()
    version = await world.activate()

    versions = await world.answer(admitted("s1", 3), admitted("s2", 3), admitted("s3", 0))

    assert versions == [version, 1, version]
    await world.assert_right(outdated=1)
    assert await world.replay() == 1
    await world.assert_right(outdated=0)
    assert await world.answer(admitted("s2", 4)) == [version]


async def test_given_a_learner_of_an_earlier_version_then_the_cache_serves_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(monkeypatch)
    await world.fill()
    await world.activate()
    await world.answer(admitted("s1", 3), admitted("s2", 3))
    loads = world.ledger.loads

    assert await world.answer(admitted("s2", 4)) == [1]

    assert world.ledger.loads == loads
    await world.assert_right(outdated=1)


async def test_given_two_versions_in_a_batch_then_the_active_one_is_watched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(monkeypatch)
    await world.fill()
    version = await world.activate()

    assert await world.answer(admitted("s1", 3), admitted("s2", 3)) == [version, 1]

    watched = world.meter.calibration()
    assert sum(part.answers for part in watched) == 1


async def test_given_another_activation_then_the_cache_serves_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(monkeypatch)
    await world.fill()
    version = await world.activate()
    await world.answer(admitted("s1", 3), admitted("s2", 3))

    await world.memory.activate(1, "back")

    assert await world.answer(admitted("s2", 4), admitted("s1", 4)) == [1, version]
    await world.assert_right(outdated=1)


async def test_given_a_late_answer_then_the_learner_is_replayed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(monkeypatch)
    await record(world.recorder, [admitted("s1", number) for number in (0, 1, 2, 3, 5)])
    version = await world.activate()

    assert await world.answer(admitted("s1", 4)) == [version]
    await world.assert_right(outdated=0)


async def test_given_an_unreadable_earlier_version_then_the_learner_is_replayed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(monkeypatch)
    await world.fill()
    newer = await world.memory.store("bkt", NEWER, {}, "")
    for account in world.memory._accounts.values():
        account.parameters_version = newer
    version = await world.activate()

    versions = await world.answer(admitted("s1", 3), admitted("s2", 3))

    assert versions == [version, version]
