"""Replays in the background: who is under other parameters is replayed, whoever else works."""

import asyncio

from structlog.testing import capture_logs

from tests.support.background_replay import DOCUMENT, World
from tests.support.factories import answer
from tests.support.ledger_steps import folded, load, record
from workers.estimation.learner import LearnerKey
from workers.ledger.exchange import Committed

_WITHIN_S = 30.0


async def test_given_learners_under_others_then_all_end_under_the_active_version() -> None:
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
    told = [line for line in logs if line["event"].startswith("replay_")]
    assert [(line["event"], line["replayed"], line["learners_left"]) for line in told] == [
        ("replay_started", 0, 45),
        ("replay_ended", 45, 0),
    ]
    assert await replayer.replay() == 0


async def test_given_changed_values_then_each_is_to_be_published_with_its_cause() -> None:
    world = World(1)
    version = await world.fill()
    (before,) = await world.ledger.stored(world.keys)
    await world.ledger.activate(version, "better")

    await world.replayer().replay()

    (stored,) = await world.ledger.stored(world.keys)
    told = {
        pending_change.change.concept_id: pending_change
        for pending_change in await world.ledger.pending_changes()
    }
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


async def test_given_a_concept_on_two_scales_then_each_scale_is_published() -> None:
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
    told = [
        pending_change.change.data["ability"]
        for pending_change in await world.ledger.pending_changes()
    ]
    assert {(data["scale"], data["theta"]) for data in told} == {
        (row.scale, row.theta) for row in stored.abilities
    }


async def test_given_the_older_version_activated_again_then_it_is_as_it_was() -> None:
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


async def test_given_another_version_activated_meanwhile_then_the_last_one_wins() -> None:
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


async def test_given_a_long_replay_then_its_progress_is_told_every_few_seconds() -> None:
    world = World(60)
    version = await world.fill()
    await world.ledger.activate(version, "better")

    async def slow() -> None:
        world.now += 11.0

    world.ledger.meanwhile = [slow, slow]
    with capture_logs() as logs:
        await world.replayer().replay()

    progress = [line for line in logs if line["event"] == "replay_progress"]
    assert [(line["replayed"], line["learners_left"]) for line in progress] == [(20, 40), (40, 20)]


async def test_given_nothing_to_do_when_run_then_an_activation_is_still_noticed() -> None:
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


async def test_given_answers_to_record_then_each_part_is_followed_by_a_pause() -> None:
    world = World(10)
    version = await world.fill()
    await world.ledger.activate(version, "better")
    pauses: list[float] = []

    async def pass_time() -> None:
        world.now += 1.0

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        world.now += seconds

    world.ledger.meanwhile = [pass_time] * 3
    assert await world.replayer(busy=lambda: True, sleep=sleep).replay() == 10

    assert pauses == [0.5, 0.5, 0.5]
    assert world.ledger.asked == [4, 4, 2]


async def test_given_learners_who_go_on_answering_then_fewer_are_tried_at_once() -> None:
    world = World(16)
    version = await world.fill()
    await world.ledger.activate(version, "better")
    answers = iter(range(100, 200))

    async def all_answer() -> None:
        for key in world.keys:
            new = [answer(next(answers))]
            commit = folded(key, await load(world.ledger, key, new), new)
            commit.active_version = version
            assert isinstance((await world.ledger.commit([commit]))[0], Committed)

    world.ledger.meanwhile = [all_answer, all_answer]
    assert await world.replayer().replay() == 16

    assert world.ledger.asked[:3] == [16, 10, 5]
