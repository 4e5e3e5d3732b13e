"""Streamed predictions equal the predictions of the evaluation."""

from dataclasses import replace

import pytest

from tests.support.factories import uuid_of
from tests.support.simulated_learners import simulated
from tests.support.streamed import largest_difference, stream
from workers.estimation.documents import parameters_document, parameters_of
from workers.ledger.sql.direct import DirectLedger
from workers.modelling.calibration.fitting import fit
from workers.operations.repair.verifying import verify


@pytest.mark.parametrize("model", ["bkt-irt", "irt"])
async def test_given_calibrated_parameters_then_streams_predict_as_evaluate_does(
    database_url: str, model: str
) -> None:
    logs = {
        f"s{number}": [
            response._replace(response_id=uuid_of(number, response.response_id)) for response in log
        ]
        for number, log in enumerate(simulated(40, seed=5, several=True))
    }
    fitted = fit(model, simulated(60, seed=6, several=True)).parameters
    ledger = DirectLedger(database_url)
    try:
        version = await ledger.store(model, parameters_document(fitted), {}, "of the test")
        await ledger.activate(version, "for the test")
        document = (await ledger.version(version)).document
        parameters = replace(parameters_of(dict(document)), version=version)

        count = await stream(ledger, logs, parameters, 50)

        assert count == sum(map(len, logs.values())) > 300
        assert parameters == replace(fitted, version=version)
        assert await largest_difference(database_url, logs, fitted) <= 1e-9
        differing = [
            difference
            async for page in verify(ledger, parameters)
            for difference in page.differences
        ]
        assert differing == []
    finally:
        await ledger.close()
