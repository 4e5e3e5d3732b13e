"""Gauges of the predictions, fed where responses are applied; and what the log says of drift."""

import math
import re
from typing import Any

import pytest
from prometheus_client import generate_latest
from structlog.testing import capture_logs

from tests.support.doubles import admitted, record, recorder
from tests.support.drift_reports import stream, told
from workers.ledger.memory.ledger import MemoryLedger
from workers.ledger.predictions import Selection
from workers.metrics.drift.histories import LABELS
from workers.metrics.engine_metrics import EngineMetrics


def shown(metrics: EngineMetrics, name: str, **labels: str) -> float:
    value = metrics.registry.get_sample_value(f"mastery_prediction_{name}", labels)
    assert value is not None, (name, labels)
    return value


def fed(metrics: EngineMetrics, pairs: Any) -> None:
    for response, outcome in pairs:
        metrics.predicted([response], [outcome])


def test_given_no_prediction_then_gauges_are_there_without_a_number() -> None:
    metrics = EngineMetrics("1", by_concept=True)
    for measure in ("auc", "log_loss", "brier", "ece"):
        assert math.isnan(shown(metrics, measure))
        assert math.isnan(shown(metrics, f"{measure}_by_concept", concept="other"))
        for label in LABELS:
            assert math.isnan(shown(metrics, f"{measure}_by_history", history=label))
    assert shown(metrics, "answers") == 0
    assert shown(metrics, "parameters_version") == 0
    for kind in ("bias", "excess"):
        assert shown(metrics, "drift", kind=kind) == 0
        assert shown(metrics, "drift_concepts", kind=kind) == 0
        assert math.isnan(shown(metrics, "misfit", kind=kind))
        assert math.isnan(shown(metrics, "misfit_sigmas", kind=kind))


def test_given_predictions_then_their_measures_are_shown_in_each_group() -> None:
    metrics = EngineMetrics("1", by_concept=True)
    fed(metrics, [told(0.8, 1.0, ["a"]), told(0.6, 0.0, ["b"], attempts=7), told(0.7, 1.0, ["b"])])

    assert shown(metrics, "auc") == 1.0
    assert shown(metrics, "brier") == pytest.approx((0.04 + 0.36 + 0.09) / 3, rel=1e-3)
    assert shown(metrics, "brier_by_concept", concept="a") == pytest.approx(0.04)
    assert shown(metrics, "brier_by_history", history="5-9") == pytest.approx(0.36)
    assert shown(metrics, "answers_by_concept", concept="b") == pytest.approx(2, rel=1e-3)
    assert shown(metrics, "log_loss_by_concept", concept="a") == pytest.approx(-math.log(0.8))
    assert shown(metrics, "parameters_version") == 1
    assert shown(metrics, "misfit", kind="bias") == pytest.approx(-0.1 / 3, rel=1e-2)


def test_given_metrics_for_anybody_then_no_label_is_a_name_of_a_concept() -> None:
    metrics = EngineMetrics("1")
    with capture_logs() as logs:
        fed(metrics, [told(0.8, 1.0, ["secret-name"])])
        fed(metrics, stream(4_000, seed=1, shift=0.2))
        text = generate_latest(metrics.registry).decode()

    assert "concept=" not in text
    assert "secret-name" not in text
    assert not re.search(r'"c\d"', text)
    assert shown(metrics, "answers") > 0
    assert shown(metrics, "drift_concepts", kind="bias") == 3
    assert {one["concept_id"] for one in logs} >= {"c0", "c1", "c2"}


def test_given_a_drift_then_it_is_shown_and_told_once_and_its_end_too() -> None:
    metrics = EngineMetrics("1")
    with capture_logs() as logs:
        fed(metrics, stream(4_000, seed=1, shift=0.2))
        assert shown(metrics, "drift", kind="bias") == 1
        assert shown(metrics, "drift_concepts", kind="bias") == 3
        assert shown(metrics, "misfit", kind="bias") == pytest.approx(0.2, abs=0.03)
        assert shown(metrics, "misfit_sigmas", kind="bias") > 4.5
        fed(metrics, stream(35_000, seed=2, concepts=1))
        assert shown(metrics, "drift", kind="bias") == 0

    of_all = [line for line in logs if line["concept_id"] is None and line["kind"] == "bias"]
    assert [(line["event"], line["log_level"]) for line in of_all] == [
        ("prediction_drift", "warning"),
        ("prediction_drift_over", "info"),
    ]
    assert of_all[0]["mean"] == pytest.approx(0.2, abs=0.06)
    assert of_all[0]["parameters_version"] == 1
    named = {line["concept_id"] for line in logs if line["event"] == "prediction_drift"}
    assert named == {None, "c0", "c1", "c2"}


async def test_given_a_batch_then_applied_responses_count_and_repeats_do_not() -> None:
    metrics, ledger = EngineMetrics("1"), MemoryLedger()
    batch = [admitted(number=number) for number in range(4)]

    await record(recorder(ledger, metrics), batch)
    assert shown(metrics, "answers") == pytest.approx(4, rel=1e-3)
    expected = shown(metrics, "brier")
    await record(recorder(ledger, metrics), [*batch, admitted(number=1, entry=9)])

    assert shown(metrics, "answers") == pytest.approx(4, rel=1e-3)
    page = await ledger.predictions(Selection())
    squares = [(prediction.score - prediction.probability) ** 2 for prediction in page.predictions]
    assert expected == pytest.approx(sum(squares) / len(squares), rel=1e-3)
