"""Stored predictions over `mastery_predictions`."""

from typing_extensions import override

from workers.common.times import iso
from workers.estimation.learner import LearnerKey
from workers.ledger.predictions import (
    Place,
    PredictionPage,
    PredictionsLedger,
    Selection,
    StoredPrediction,
)
from workers.ledger.sql.answers import as_promised
from workers.ledger.sql.documents import Document
from workers.ledger.sql.functions import SqlFunctions


class SqlPredictions(SqlFunctions, PredictionsLedger):
    """Calls `mastery_predictions`."""

    @override
    async def predictions(
        self, selection: Selection, after: Place | None = None, limit: int = 5_000
    ) -> PredictionPage:
        answer = await self._call("mastery_predictions", _request(selection, after, limit))
        with as_promised("mastery_predictions"):
            return _read(answer)


def _request(selection: Selection, after: Place | None, limit: int) -> Document:
    request: Document = {"limit": limit}
    if selection.tenant_id is not None:
        request["tenant"] = selection.tenant_id
    if selection.since_us is not None:
        request["since"] = iso(selection.since_us)
    if after is not None:
        request |= {
            "after_tenant": after.tenant_id,
            "after_student": after.student_id,
            "after_response": after.response_id,
        }
    return request


def _read(document: Document) -> PredictionPage:
    last = document["last"]
    rows = zip(
        document["learners"],
        document["concepts"],
        document["masteries"],
        document["attempts"],
        document["scores"],
        document["probabilities"],
        document["versions"],
        document["parameters"],
        document["recorded"],
        strict=True,
    )
    return PredictionPage(
        [
            StoredPrediction(
                learner=LearnerKey(*learner),
                concept_ids=tuple(concepts),
                masteries=tuple(map(float, masteries)),
                attempts=attempts,
                score=float(score),
                probability=float(probability),
                version=version,
                parameters_version=parameters_version,
                recorded_at_us=recorded_at_us,
            )
            for (
                learner,
                concepts,
                masteries,
                attempts,
                score,
                probability,
                version,
                parameters_version,
                recorded_at_us,
            ) in rows
        ],
        None if last is None else Place(*last),
    )
