"""Data of strange shapes: every model is fitted without a warning and predicts sensibly."""

from collections.abc import Callable
from itertools import count

import numpy as np
import pytest

from tests.support.factories import answer
from tests.support.predicted import predict
from tests.support.simulated_learners import simulated
from workers.estimation.learner import Response
from workers.modelling.calibration.ability.filter import AbilityModel, run_filter, run_filters
from workers.modelling.calibration.ability.fit import _some
from workers.modelling.calibration.fitting import fit
from workers.modelling.calibration.log_tables import table_of

Logs = list[list[Response]]


def logs_of(
    learners: int, answers: int, of: Callable[[np.random.Generator], tuple[str, list[str]]]
) -> Logs:
    """Answers of able and less able learners on items that `of` draws, with their concepts."""
    draw = np.random.default_rng(6)
    logs: Logs = []
    for _ in range(learners):
        theta, log = draw.normal(), []
        for k in range(answers):
            item, concepts = of(draw)
            right = draw.random() < 1.0 / (1.0 + np.exp(-theta))
            log.append(answer(k, item=item, concepts=concepts, score=float(right)))
        logs.append(log)
    return logs


_NUMBERS = count()


def _one_item_each(draw: np.random.Generator) -> tuple[str, list[str]]:
    name = f"c{draw.integers(300)}"
    return name, [name]


def _once(draw: np.random.Generator) -> tuple[str, list[str]]:
    return f"q{next(_NUMBERS)}", [f"c{draw.integers(3)}"]


def _sixteen(draw: np.random.Generator) -> tuple[str, list[str]]:
    item = int(draw.integers(8))
    return f"q{item}", [f"c{(item + k) % 20}" for k in range(1 + 5 * (item % 4))]


def _named_oddly(draw: np.random.Generator) -> tuple[str, list[str]]:
    return f"задача {draw.integers(4)} 🙂", [f"مفهوم {draw.integers(2)}"]


SHAPES = {
    "a concept for each item": logs_of(10, 10, _one_item_each),
    "each item once": logs_of(10, 8, _once),
    "up to sixteen concepts": logs_of(8, 10, _sixteen),
    "names of any script": logs_of(6, 6, _named_oddly),
    "one answer each": logs_of(20, 1, _once),
    "few long logs": logs_of(4, 60, _named_oddly),
}


@pytest.mark.usefixtures("few_parts", "shared_parts")
@pytest.mark.parametrize("model", ["bkt-forgets", "kt-idem", "bkt-irt"])
@pytest.mark.parametrize("logs", list(SHAPES.values()), ids=list(SHAPES))
def test_given_any_shape_then_unfitted_learners_are_predicted_sensibly(
    model: str, logs: Logs
) -> None:
    parameters = fit(model, logs[2:]).parameters
    for log in logs[:2]:
        for response, expected, _ in predict(log, parameters):
            assert 0.0 < expected < 1.0, response


def test_given_items_far_apart_or_alike_then_kt_idem_spreads_or_joins_them() -> None:
    draw = np.random.default_rng(4)

    def guesses(chances: list[float]) -> list[float]:
        logs = [
            [
                answer(k, item=f"q{at}", score=float(draw.random() < chances[at]))
                for k, at in enumerate(draw.integers(len(chances), size=20).tolist())
            ]
            for _ in range(40)
        ]
        items = fit("kt-idem", logs).parameters.items
        return [float(items[f"q{at}"].guess or 0.0) for at in range(len(chances))]

    apart = np.std(guesses([0.02, 0.98] * 5))
    alike = np.std(guesses([0.5] * 10))
    assert apart > 0.25
    assert alike < 0.05


def test_given_few_learners_together_then_passes_equal_those_of_each_alone() -> None:
    logs = simulated(30, 5, several=True)
    table, _ = table_of(logs)
    draw = np.random.default_rng(2)
    models = [
        AbilityModel(
            0.1 * k,
            1.0 + k,
            0.01 * k,
            draw.uniform(0.1, 0.6, len(table.concepts)),
            draw.uniform(0.0, 0.1, len(table.concepts)),
            draw.normal(0.0, 0.1, len(table.concepts)),
            0.8 + 0.05 * k,
            draw.normal(0.0, 1.0, len(table.items)),
            draw.uniform(0.5, 2.0, len(table.items)),
        )
        for k in range(3)
    ]
    for model, together in zip(models, run_filters(table, models), strict=True):
        for part, other in zip(together, run_filter(table, model), strict=True):
            assert part == pytest.approx(other, abs=1e-12)


def test_given_more_answers_than_needed_then_some_learners_are_drawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table, _ = table_of(simulated(400, 9, most=8))
    assert _some(table) is table
    monkeypatch.setattr("workers.modelling.calibration.ability.fit._ENOUGH", 900)
    monkeypatch.setattr("workers.modelling.calibration.ability.fit._FEWEST", 20)
    assert 500 < _some(table).score.size < 1300
    monkeypatch.setattr("workers.modelling.calibration.ability.fit._FEWEST", 400)
    assert _some(table) is table
