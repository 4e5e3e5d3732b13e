"""Record logs with the real recorder, and compare its predictions with the evaluation."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from typing import Final

import asyncpg

from tests.support.doubles import admission, fast_retrying, record
from tests.support.factories import event_json
from tests.support.predicted import predict
from workers.admission.verdicts import Admitted
from workers.engine.recorder import Recorder
from workers.estimation.learner import Response
from workers.estimation.parameters import Parameters
from workers.ledger.recording import RecordingLedger
from workers.metrics.engine_metrics import EngineMetrics
from workers.streams.batch import RawEntry

Logs = Mapping[str, Sequence[Response]]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PREDICTIONS: Final = """
select student_id, response_id::text, (outcome ->> 'probability_correct')::float8 as told
  from public.student_responses
"""


async def stream(ledger: RecordingLedger, logs: Logs, parameters: Parameters, batch: int) -> int:
    """Record logs in batches of many learners, each in order; return the number of answers."""
    recorder = Recorder(
        ledger=ledger, parameters=parameters, retrying=fast_retrying(), meter=EngineMetrics("0")
    )
    judge = admission().judge
    turns = zip_longest(*([(who, response) for response in log] for who, log in logs.items()))
    answers = [answer for turn in turns for answer in turn if answer is not None]
    for start in range(0, len(answers), batch):
        admitted = []
        for number, (student, response) in enumerate(answers[start : start + batch], start):
            judged = judge(
                RawEntry(_entry_id(response, number), {b"event": _event(student, response)})
            )
            assert isinstance(judged, Admitted), judged
            admitted.append(judged)
        results = await record(recorder, admitted)
        assert all(result.refusal is None for result in results)
    return len(answers)


async def largest_difference(dsn: str, logs: Logs, parameters: Parameters) -> float:
    """Return the largest difference between stored predictions and those of `evaluate`."""
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch(_PREDICTIONS)
    finally:
        await connection.close()
    stored = {(row["student_id"], row["response_id"]): row["told"] for row in rows}
    wanted = {
        (student, response.response_id): expected
        for student, log in logs.items()
        for response, expected, _ in predict(log, parameters)
    }
    assert stored.keys() == wanted.keys()
    return max(abs(float(stored[key]) - expected) for key, expected in wanted.items())


def _entry_id(response: Response, number: int) -> str:
    return f"{response.answered_at_us // 1000 + 1}-{number}"


def _event(student: str, response: Response) -> bytes:
    at = _EPOCH + timedelta(microseconds=response.answered_at_us)
    issued = response.answered_at_us // 1_000_000 - 60
    return event_json(
        student,
        claim_changes={"iat": issued, "exp": issued + 3600},
        response_id=response.response_id,
        session_id=response.session_id,
        item_id=response.item_id,
        concept_ids=list(response.concept_ids),
        scale=response.scale,
        score=response.score,
        correct=response.correct,
        answered_at=at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
    )
