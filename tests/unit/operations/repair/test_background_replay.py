"""Replays in the background: who is under other parameters is replayed, whoever else works."""

import asyncio
import math
from collections.abc import Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.support.doubles import fast_retrying
from tests.support.factories import answer, learner_log
from tests.support.ledger_steps import record
from workers.common.errors import LedgerUnavailable, ParametersRefused, Unstorable
from workers.estimation.documents import parameters_document
from workers.estimation.learner import LearnerKey
from workers.estimation.parameters import BktParameters, Parameters
from workers.ledger.corrections import CorrectionRow
from workers.ledger.memory.ledger import MemoryLedger
from workers.ledger.parameter_versions import ParametersSource
from workers.ledger.repair import Rewrite
from workers.ledger.rows import Stored
from workers.operations.repair.background_replay import Replayer
from workers.operations.repair.verifying import verify

DOCUMENT = parameters_document(
    Parameters(default=BktParameters(prior=0.4, learn=0.2, guess=0.15, slip=0.05))
)
_WITHIN_S = 30.0


class Meter:
    def __init__(self) -> None:
        self.versions: list[int] = []
        self.left: list[int] = []

    def computing_under(self, version: int) -> None:
        self.versions.append(version)

    def outdated(self, learners: int) -> None:
        self.left.append(learners)


class BusyLedger(MemoryLedger):
    """Where others write in between, or where the ledger is away."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: list[Any] = []
        self.damaged: set[LearnerKey] = set()
        self.spoiled: set[LearnerKey] = set()
        self.unstorable: set[LearnerKey] = set()
        self.most = 1_000
        self.asked: list[int] = []
        self.looked_at: list[LearnerKey] = []
        self.rewritten: list[LearnerKey] = []

    async def stored(self, keys: Sequence[LearnerKey]) -> list[Stored]:
        self.asked.append(len(keys))
        if len(keys) > self.most:
            raise LedgerUnavailable("it took too long")
        found = await super().stored(keys)
        for one in found:
            if one.key in self.spoiled:
                one.log = [one.log[0]._replace(score=math.nan, concept_ids=())]
                one.responses = list(one.log)
            self.looked_at.append(one.key)
            if one.key in self.damaged:
                one.corrections.append(CorrectionRow("gone", "void", None, "", 0, 1))
        return found

    async def rewrite(self, rewrites: Sequence[Rewrite]) -> list[int | None]:
        if self.meanwhile:
            await self.meanwhile.pop(0)()
        if any(one.key in self.unstorable for one in rewrites):
            raise Unstorable("new row violates a check (SQLSTATE 23514)")
        versions = await super().rewrite(rewrites)
        self.rewritten += [
            one.key for one, version in zip(rewrites, versions, strict=True) if version
        ]
        return versions


class World:
    """Some learners under version 1, and another version."""

    def __init__(self, learners: int = 5) -> None:
        self.keys = [LearnerKey("t", f"s{n:03}") for n in range(learners)]
        self.ledger = BusyLedger()
        self.source = ParametersSource(self.ledger, 0.95)
        self.meter = Meter()
        self.now = 0.0

    async def fill(self) -> int:
        for number, key in enumerate(self.keys):
            await record(self.ledger, key, learner_log(6, seed=number))
        return await self.ledger.store("bkt", DOCUMENT, {}, "")

    def replayer(self, **options: Any) -> Replayer:
        return Replayer(
            ledger=self.ledger,
            versions=self.source,
            meter=self.meter,
            retrying=fast_retrying(),
            clock=lambda: self.now,
            **options,
        )

    async def assert_all_under(self, version: int) -> None:
        for stored in await MemoryLedger.stored(self.ledger, self.keys):
            assert {row.parameters_version for row in stored.concepts} == {version}
            assert {row.parameters_version for row in stored.abilities} == {version}
        pages = [page async for page in verify(self.ledger, self.source)]
        assert [page.differences for page in pages if page.differences] == []
        assert sum(page.outdated for page in pages) == 0


async def test_given_learners_under_others_when_replayed_then_all_are_under_the_active_one() -> (
    None
):
    world = World(45)
    version = await world.fill()
    replayer = world.replayer()
    assert await replayer.replay() == 0
    await world.ledger.activate(version, "better")

    with capture_logs() as logs:
        assert await replayer.replay() == 45

    await world.assert_all_under(version)
    assert sorted(world.ledger.rewritten) == world.keys
    assert (world.meter.versions[0], world.meter.versions[-1]) == (1, version)
    assert (world.meter.left[0], world.meter.left[1], world.meter.left[-1]) == (0, 45, 0)
    told = [one for one in logs if one["event"].startswith("replay_")]
    assert [(one["event"], one["replayed"], one["learners_left"]) for one in told] == [
        ("replay_started", 0, 45),
        ("replay_ended", 45, 0),
    ]
    assert await replayer.replay() == 0


async def test_given_changed_values_when_replayed_then_each_is_to_be_told_with_its_cause() -> None:
    world = World(1)
    version = await world.fill()
    (before,) = await world.ledger.stored(world.keys)
    await world.ledger.activate(version, "better")

    await world.replayer().replay()

    (stored,) = await world.ledger.stored(world.keys)
    told = {one.change.concept_id: one for one in await world.ledger.pending_changes()}
    assert told.keys() == {row.concept_id for row in stored.concepts}
    old = {row.concept_id: row for row in before.concepts}
    for row in stored.concepts:
        data = told[row.concept_id].change.data
        assert (data["cause"], data["parameters_version"]) == ("parameters", version)
        assert (data["mastery"], data["previous_mastery"]) == (
            row.mastery,
            old[row.concept_id].mastery,
        )
        assert told[row.concept_id].version == row.version > old[row.concept_id].version


async def test_given_a_concept_on_two_scales_when_replayed_then_each_scale_is_told() -> None:
    world = World(0)
    key = LearnerKey("t", "s")
    world.keys.append(key)
    log = [
        answer(1, concepts=("a",), scale="math"),
        answer(2, concepts=("a", "b"), scale="verbal"),
        answer(3, concepts=("a", "b", "c"), scale="verbal"),
    ]
    await record(world.ledger, key, log)
    version = await world.ledger.store("bkt", DOCUMENT, {}, "")
    await world.ledger.activate(version, "better")

    await world.replayer().replay()

    (stored,) = await world.ledger.stored([key])
    told = [one.change.data["ability"] for one in await world.ledger.pending_changes()]
    assert {(one["scale"], one["theta"]) for one in told} == {
        (row.scale, row.theta) for row in stored.abilities
    }


async def test_given_the_older_version_activated_again_when_replayed_then_it_is_as_it_was() -> None:
    world = World(3)
    version = await world.fill()
    before = await world.ledger.stored(world.keys)
    await world.ledger.activate(version, "better")
    await world.replayer().replay()
    await world.ledger.activate(1, "no, it was not")
    await world.replayer().replay()

    await world.assert_all_under(1)
    for old, new in zip(before, await world.ledger.stored(world.keys), strict=True):
        assert [row._replace(version=0) for row in old.concepts] == [
            row._replace(version=0) for row in new.concepts
        ]


async def test_given_another_version_activated_meanwhile_then_all_are_under_the_last_one() -> None:
    world = World(45)
    version = await world.fill()
    third = await world.ledger.store(
        "bkt", DOCUMENT | {"default": {**DOCUMENT["default"], "prior": 0.6}}, {}, ""
    )
    await world.ledger.activate(version, "better")

    async def activate() -> None:
        await world.ledger.activate(third, "better still")

    world.ledger.meanwhile = [activate]
    await world.replayer().replay()

    await world.assert_all_under(third)
    # Those of the page that was on its way were replayed twice.
    assert sorted(set(world.ledger.rewritten)) == world.keys
    assert len(world.ledger.rewritten) == 45 + 20


async def test_given_a_learner_who_answers_meanwhile_then_it_is_looked_at_again() -> None:
    world = World(2)
    version = await world.fill()
    await world.ledger.activate(version, "better")

    async def answers() -> None:
        # As a worker that has not noticed yet wrote before the activation.
        account = world.ledger._accounts[world.keys[0]]  # nobody else can
        account.version = next(world.ledger._versions)

    world.ledger.meanwhile = [answers]
    assert await world.replayer().replay() == 2

    await world.assert_all_under(version)
    assert world.ledger.rewritten == [world.keys[1], world.keys[0]]


async def test_given_two_workers_at_once_then_no_learner_is_replayed_twice() -> None:
    world = World(60)
    version = await world.fill()
    await world.ledger.activate(version, "better")

    done = await asyncio.gather(world.replayer().replay(), world.replayer().replay())

    assert sum(done) == 60
    assert sorted(world.ledger.rewritten) == world.keys
    await world.assert_all_under(version)


async def test_given_a_worker_that_is_killed_then_another_does_the_rest() -> None:
    world = World(45)
    version = await world.fill()
    await world.ledger.activate(version, "better")

    async def killed() -> None:
        raise asyncio.CancelledError

    async def nothing() -> None:
        pass

    world.ledger.meanwhile = [nothing, killed]
    with pytest.raises(asyncio.CancelledError):
        await world.replayer().replay()
    assert len(world.ledger.rewritten) == 20

    assert await world.replayer().replay() == 25
    await world.assert_all_under(version)


async def test_given_a_log_that_was_altered_then_its_learner_is_left_alone_for_a_while() -> None:
    world = World(3)
    version = await world.fill()
    world.ledger.damaged = {world.keys[1]}
    await world.ledger.activate(version, "better")
    replayer = world.replayer()

    with capture_logs() as logs:
        assert await replayer.replay() == 2
        world.ledger.looked_at.clear()
        assert await replayer.replay() == 0
    assert world.ledger.looked_at == []
    assert world.meter.left[-1] == 1
    assert [one["event"] for one in logs].count("learner_not_replayed") == 1

    world.ledger.damaged = set()
    world.now = 61.0
    assert await replayer.replay() == 1
    await world.assert_all_under(version)


@pytest.mark.parametrize("fault", ["spoiled", "unstorable"])
async def test_given_a_learner_who_cant_be_replayed_then_all_others_are_and_it_is_said(
    fault: str,
) -> None:
    world = World(45)
    version = await world.fill()
    faulty = {world.keys[1], world.keys[30]}
    setattr(world.ledger, fault, set(faulty))
    await world.ledger.activate(version, "better")
    replayer = world.replayer()

    with capture_logs() as logs:
        assert await replayer.replay() == 43

    assert set(world.ledger.rewritten) == set(world.keys) - faulty
    assert world.meter.left[-1] == 2
    warned = [one for one in logs if one["event"] == "learner_not_replayed"]
    assert len(warned) == 2
    assert all(one["error"] and one["why"] for one in warned)
    assert not any(key.student_id in str(warned) for key in faulty)

    # Mended, and later faulty again: that is said again.
    setattr(world.ledger, fault, set())
    world.now += 61.0
    assert await replayer.replay() == 2
    await world.assert_all_under(version)
    setattr(world.ledger, fault, set(faulty))
    await world.ledger.activate(1, "worse")
    with capture_logs() as logs:
        assert await replayer.replay() == 43
    assert [one["event"] for one in logs].count("learner_not_replayed") == 2


async def test_given_a_ledger_that_is_too_slow_for_many_then_fewer_are_asked_for_at_once() -> None:
    world = World(45)
    version = await world.fill()
    world.ledger.most = 3
    await world.ledger.activate(version, "better")

    assert await world.replayer().replay() == 45

    assert world.ledger.asked[:4] == [20, 10, 5, 2]
    later = world.ledger.asked[4:]
    assert max(later) > 2  # tried again with more
    assert sum(asked > world.ledger.most for asked in later) < len(later) / 5
    world.ledger.most = 1_000
    await world.assert_all_under(version)


async def test_given_more_altered_logs_than_are_looked_at_at_once_then_those_behind_are_replayed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("workers.operations.repair.background_replay._WINDOW", 3)
    world = World(8)
    version = await world.fill()
    world.ledger.damaged = set(world.keys[:5])
    await world.ledger.activate(version, "better")

    assert await world.replayer().replay() == 3
    assert sorted(world.ledger.rewritten) == world.keys[5:]


async def test_given_a_ledger_that_is_away_then_the_replay_waits_and_goes_on() -> None:
    world = World(2)
    version = await world.fill()
    await world.ledger.activate(version, "better")

    async def away() -> None:
        raise LedgerUnavailable("not there")

    world.ledger.meanwhile = [away, away]
    assert await world.replayer().replay() == 2
    await world.assert_all_under(version)


async def test_given_a_long_replay_then_its_progress_is_told_every_few_seconds() -> None:
    world = World(60)
    version = await world.fill()
    await world.ledger.activate(version, "better")

    async def slow() -> None:
        world.now += 11.0

    world.ledger.meanwhile = [slow, slow]
    with capture_logs() as logs:
        await world.replayer().replay()

    progress = [one for one in logs if one["event"] == "replay_progress"]
    assert [(one["replayed"], one["learners_left"]) for one in progress] == [(20, 40), (40, 20)]


async def test_given_nothing_to_do_when_run_then_an_activation_is_noticed_by_itself() -> None:
    world = World(2)
    version = await world.fill()
    running = asyncio.create_task(world.replayer(period_s=0.01).run())
    try:
        await world.ledger.activate(version, "better")
        async with asyncio.timeout(_WITHIN_S):
            while world.meter.left[-1:] != [0] or not world.ledger.rewritten:
                await asyncio.sleep(0.01)
        await world.assert_all_under(version)
    finally:
        running.cancel()


async def test_given_a_version_that_cant_be_read_when_run_then_it_ends_and_says_why() -> None:
    world = World(1)
    await world.fill()
    version = await world.ledger.store("newer", DOCUMENT | {"of_a_newer_engine": 1}, {}, "")
    await world.ledger.activate(version, "too early")

    with pytest.raises(ParametersRefused, match="of_a_newer_engine"):
        await world.replayer(period_s=0.01).run()
    assert world.ledger.rewritten == []
