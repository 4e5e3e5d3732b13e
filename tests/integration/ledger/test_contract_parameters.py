"""New parameters: a learner is replayed under them when next seen, and is never half of each."""

import pytest

from tests.factories import answer
from tests.integration.ledger.steps import commit_of, record, stored
from workers.estimation.fold import Work, fold
from workers.estimation.learner import LearnerKey, Response
from workers.estimation.parameters import BktParameters, Parameters
from workers.estimation.replay import replay
from workers.ledger.protocol import Commit, Committed, Ledger, Loaded, Touched
from workers.ledger.repair import RepairLedger
from workers.verification import differences

pytestmark = pytest.mark.asyncio(loop_scope="module")

NEW = Parameters(version=2, default=BktParameters(0.4, 0.2, 0.15, 0.05))
FIRST = [
    answer(1, concepts=("a",), scale="math"),
    answer(2, concepts=("b",), scale="verbal"),
    answer(3, concepts=("a", "c"), scale="math"),
]
NEXT = answer(4, concepts=("a",), scale="math")


async def load_under(ledger: Ledger, key: LearnerKey, response: Response) -> Loaded:
    (loaded,) = await ledger.load([Touched(key, [response], NEW.version)])
    return loaded


def folded_under(key: LearnerKey, state: Loaded, response: Response) -> Commit:
    (one,) = fold([Work(key, state.learner, [response], state.log)], NEW)
    return commit_of(one)


async def test_given_a_state_under_others_when_next_seen_then_all_of_it_is_under_the_new(
    ledger: RepairLedger, key: LearnerKey
) -> None:
    await record(ledger, key, FIRST)

    commit = folded_under(key, await load_under(ledger, key, NEXT), NEXT)
    (answered,) = await ledger.commit([commit])

    assert isinstance(answered, Committed)
    one = await stored(ledger, key)
    assert list(differences(one, replay([*FIRST, NEXT], NEW), NEW)) == []
    told = {change["concept_id"] for change in commit.outcomes[0]["concepts"]}
    assert told == {"a", "b", "c"}


async def test_given_a_new_learner_when_committed_then_it_is_under_the_parameters_it_was_folded_by(
    ledger: RepairLedger, key: LearnerKey
) -> None:
    (answered,) = await ledger.commit(
        [folded_under(key, await load_under(ledger, key, NEXT), NEXT)]
    )

    assert isinstance(answered, Committed)
    assert list(differences(await stored(ledger, key), replay([NEXT], NEW), NEW)) == []


async def test_given_another_worker_under_the_old_in_between_then_the_conflict_brings_the_log(
    ledger: RepairLedger, key: LearnerKey
) -> None:
    await record(ledger, key, FIRST[:2])
    early = folded_under(key, await load_under(ledger, key, NEXT), NEXT)
    await record(ledger, key, FIRST[2:])

    (conflict,) = await ledger.commit([early])
    assert isinstance(conflict, Loaded)
    (answered,) = await ledger.commit([folded_under(key, conflict, NEXT)])

    assert isinstance(answered, Committed)
    assert list(differences(await stored(ledger, key), replay([*FIRST, NEXT], NEW), NEW)) == []


async def test_given_a_repeat_under_new_parameters_then_nothing_is_replayed(
    ledger: RepairLedger, key: LearnerKey
) -> None:
    await record(ledger, key, FIRST)

    loaded = await load_under(ledger, key, FIRST[0])

    assert loaded.log is None
    assert list(loaded.recorded) == [FIRST[0].response_id]
