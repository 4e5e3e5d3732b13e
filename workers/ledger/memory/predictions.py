"""Stored predictions of a ledger in memory."""

from typing_extensions import override

from workers.estimation.learner import LearnerKey
from workers.ledger.corrections import effective_log
from workers.ledger.memory.tables import MemoryTables
from workers.ledger.predictions import (
    Place,
    PredictionPage,
    PredictionsLedger,
    Selection,
    StoredPrediction,
    probability_of,
)


class MemoryPredictions(MemoryTables, PredictionsLedger):
    """Reads stored predictions as `mastery_predictions` does."""

    @override
    async def predictions(
        self, selection: Selection, after: Place | None = None, limit: int = 5_000
    ) -> PredictionPage:
        places = sorted(
            Place(*key, response_id)
            for key, account in self._accounts.items()
            if selection.tenant_id in {None, key.tenant_id}
            for response_id in account.log
        )
        page = [place for place in places if after is None or place > after][:limit]
        since_us = -(2**63) if selection.since_us is None else selection.since_us
        return PredictionPage(
            [
                prediction
                for place in page
                if (prediction := self._prediction(place)) is not None
                and prediction.recorded_at_us >= since_us
            ],
            page[-1] if len(page) == limit else None,
        )

    def _prediction(self, place: Place) -> StoredPrediction | None:
        key = LearnerKey(place.tenant_id, place.student_id)
        account = self._accounts[key]
        recorded = account.log[place.response_id]
        counting = effective_log([recorded.response], account.corrections)
        if not counting:
            return None
        (response,) = counting
        outcome = recorded.outcome
        concepts = outcome["concepts"][: len(response.concept_ids)]
        return StoredPrediction(
            learner=key,
            concept_ids=response.concept_ids,
            masteries=tuple(concept["mastery"] for concept in concepts),
            attempts=concepts[0]["attempts"],
            score=response.score,
            probability=probability_of(recorded),
            version=recorded.version,
            parameters_version=outcome["parameters_version"],
            recorded_at_us=account.recorded_at_us[place.response_id],
        )
