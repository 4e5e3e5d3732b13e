"""A state is verified under the version that it says it is of; who waits is counted."""

from tests.support.factories import learner_log
from tests.support.ledger_steps import record
from workers.cli.verify import Comparison
from workers.estimation.documents import parameters_document
from workers.estimation.learner import LearnerKey
from workers.estimation.parameters import BktParameters, Parameters
from workers.ledger.memory.ledger import MemoryLedger
from workers.ledger.parameter_versions import ParametersSource
from workers.operations.repair.verifying import Verified, verify

DOCUMENT = parameters_document(
    Parameters(default=BktParameters(prior=0.4, learn=0.2, guess=0.15, slip=0.05))
)
KEYS = [LearnerKey("t", name) for name in ("a", "b", "c")]


async def _verified(ledger: MemoryLedger) -> Verified:
    source = ParametersSource(ledger, 0.95)
    await source.refresh()
    (page,) = [page async for page in verify(ledger, source)]
    return page


async def _filled() -> MemoryLedger:
    ledger = MemoryLedger()
    for number, key in enumerate(KEYS):
        await record(ledger, key, learner_log(6, seed=number))
    return ledger


async def test_given_an_activation_when_verified_then_states_are_right_and_wait() -> None:
    ledger = await _filled()
    await ledger.activate(await ledger.store("bkt", DOCUMENT, {}, ""), "better")

    verification = await _verified(ledger)

    assert (verification.learners, verification.outdated, verification.differences) == (3, 3, [])


async def test_given_a_wrong_state_under_the_older_version_then_it_is_found() -> None:
    ledger = await _filled()
    row = ledger._accounts[KEYS[1]].concepts["c0"]
    ledger._accounts[KEYS[1]].concepts["c0"] = row._replace(mastery=row.mastery / 2)
    await ledger.activate(await ledger.store("bkt", DOCUMENT, {}, ""), "better")

    verification = await _verified(ledger)

    assert {difference.key for difference in verification.differences} == {KEYS[1]}
    assert verification.differences[0].what == "concept_mastery.mastery of 'c0'"


async def test_given_a_state_under_a_missing_version_then_that_is_a_difference() -> None:
    ledger = await _filled()
    ledger._accounts[KEYS[2]].parameters_version = 9

    verification = await _verified(ledger)

    assert [
        (difference.key, difference.what, difference.stored, difference.replayed)
        for difference in verification.differences
    ] == [(KEYS[2], "learners.parameters_version", 9, 1)]


def test_given_learners_who_wait_then_they_are_counted_but_not_as_a_fault() -> None:
    comparison = Comparison(learners=5, responses=9, outdated=2)

    assert comparison.document()["learners_outdated"] == 2
    first, last = comparison.lines(20)
    assert first.startswith("2 learners wait for a replay under the active parameters")
    assert "no difference" in last
