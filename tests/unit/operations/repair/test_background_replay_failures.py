"""Replays in the background when a worker, a log, a version or the ledger fails."""

import asyncio

import pytest
from structlog.testing import capture_logs

from tests.support.background_replay import DOCUMENT, World
from workers.common.errors import LedgerUnavailable, ParametersRefused


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


async def test_given_an_altered_log_then_its_learner_is_left_alone_for_a_while() -> None:
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
    assert [line["event"] for line in logs].count("learner_not_replayed") == 1

    world.ledger.damaged = set()
    world.now = 61.0
    assert await replayer.replay() == 1
    await world.assert_all_under(version)


@pytest.mark.parametrize("fault", ["spoiled", "unstorable"])
async def test_given_a_failing_learner_then_it_is_named_and_all_others_replayed(
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
    warned = [line for line in logs if line["event"] == "learner_not_replayed"]
    assert len(warned) == 2
    assert all(line["error"] and line["why"] for line in warned)
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
    assert [line["event"] for line in logs].count("learner_not_replayed") == 2


async def test_given_a_ledger_too_slow_for_many_then_fewer_are_asked_for_at_once() -> None:
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


async def test_given_many_altered_logs_then_learners_behind_them_are_replayed(
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


async def test_given_an_unreadable_version_when_run_then_it_ends_and_says_why() -> None:
    world = World(1)
    await world.fill()
    version = await world.ledger.store("newer", DOCUMENT | {"of_a_newer_engine": 1}, {}, "")
    await world.ledger.activate(version, "too early")

    with pytest.raises(ParametersRefused, match="of_a_newer_engine"):
        await world.replayer(period_s=0.01).run()
    assert world.ledger.rewritten == []
