"""Events of a rewritten learner carry the predictions of the replay."""

from dataclasses import replace

import pytest

from tests.support.calibrated import LAST_STEP
from tests.support.factories import learner_log
from tests.support.ledger_steps import record
from workers.estimation.answering import concept_prediction
from workers.estimation.learner import LearnerKey
from workers.estimation.parameters import BktParameters, Parameters
from workers.estimation.replay import replay
from workers.ledger.corrections import Correction
from workers.ledger.memory.ledger import MemoryLedger
from workers.operations.repair.rewriting import rewriting

KEY = LearnerKey("school-7", "student-42")
LOG = learner_log(40, seed=7)


@pytest.mark.parametrize(
    "new",
    [
        replace(LAST_STEP, version=2),
        Parameters(version=2, default=BktParameters(0.4, 0.2, 0.15, 0.05, 0.02)),
    ],
)
async def test_given_other_parameters_then_one_pass_gives_state_and_predictions(
    new: Parameters,
) -> None:
    ledger = MemoryLedger()
    await record(ledger, KEY, LOG)
    (stored,) = await ledger.stored([KEY])

    rewrite = rewriting(stored, new)

    assert rewrite is not None
    by_id = {answer.response_id: answer for answer in LOG}
    assert len(rewrite.changes) == len({c for answer in LOG for c in answer.concept_ids})
    for change in rewrite.changes:
        response = by_id[change.data["response_id"]]
        before = replay([answer for answer in LOG if answer.position < response.position], new)
        assert change.data["probability_correct"] == concept_prediction(
            before, change.concept_id, response, new
        )


async def test_given_an_answer_that_no_longer_counts_then_it_is_predicted_too() -> None:
    ledger = MemoryLedger()
    await record(ledger, KEY, LOG)
    (stored,) = await ledger.stored([KEY])
    voided = LOG[20]

    rewrite = rewriting(
        stored, Parameters(), Correction(voided.response_id, "void", None, "cheated")
    )

    assert rewrite is not None
    told = {change.concept_id: change.data for change in rewrite.changes}
    before = replay(
        [response for response in LOG if response.position < voided.position], Parameters()
    )
    for concept_id in voided.concept_ids:
        assert told[concept_id]["response_id"] == voided.response_id
        assert told[concept_id]["probability_correct"] == concept_prediction(
            before, concept_id, voided, Parameters()
        )
