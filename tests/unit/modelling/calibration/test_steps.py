"""A calibration in steps gives what one fit gives; what was kept is taken as it was."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support.examples import THOROUGH
from tests.support.factories import answer
from tests.support.predicted import predict
from tests.support.simulated_learners import simulated
from tests.unit.modelling.calibration.test_answers import key_of, on_scales, parted
from workers.estimation.metrics import log_loss
from workers.estimation.parameters import Parameters
from workers.modelling.calibration.ability.fit import fit_ability
from workers.modelling.calibration.answers import Answers
from workers.modelling.calibration.facts import facts_of
from workers.modelling.calibration.fitting import fit
from workers.modelling.calibration.held_out import is_held_out
from workers.modelling.calibration.log_tables import table_of
from workers.modelling.calibration.merging import Merged, merged, tallies_of
from workers.modelling.calibration.packing import packed, packed_fit, unpacked, unpacked_fit
from workers.modelling.calibration.steps import FEWEST, compute, fit_name, scales_to_fit, steps_of
from workers.modelling.judging.comparing import compare
from workers.modelling.judging.diagnostics import diagnostics
from workers.modelling.judging.predicted import predict_held_out, together
from workers.modelling.judging.residuals import fit_of_concepts, fit_of_items

pytestmark = pytest.mark.usefixtures("few_parts")
MOST = 24 if THOROUGH else 8


def _done(model: str, answers: Answers) -> dict[str, str]:
    done: dict[str, str] = {}
    for step in steps_of(model, facts_of(answers)):
        assert set(step.needs) <= set(done)
        done[step.name] = compute(model, step, answers.table, done)
    return done


def _merged(model: str, answers: Answers) -> Merged:
    done = _done(model, answers)
    facts = facts_of(answers)
    fits = {n: unpacked_fit(done[fit_name(n)]) for n in scales_to_fit(facts)}
    return merged(facts, fits, {n: tallies_of(answers.table(n)) for n in fits})


@pytest.mark.parametrize("model", ["bkt-irt", "bkt-forgets", "irt", "3pl"])
def test_given_logs_fitted_in_steps_then_held_out_ones_do_not_count(
    model: str,
) -> None:
    logs = simulated(30, 5, concepts=3, most=MOST)
    answers = parted(logs)
    whole = fit(model, [log for n, log in enumerate(logs) if not is_held_out(key_of(n))])
    merge = _merged(model, answers)
    assert merge.log_likelihood == whole.log_likelihood
    assert merge.parameters.concepts == whole.parameters.concepts
    assert merge.parameters.items == whole.parameters.items
    assert merge.parameters.any_scale == whole.parameters.any_scale


def test_given_several_scales_when_merged_then_the_commonest_serves_all() -> None:
    logs = on_scales(simulated(160, 6, concepts=3))
    few = [answer(90, scale="rare", item="rare-1", concepts=["rare"])]
    answers = parted([*logs, *([few] * 5)])
    names = [answers.scales[n] for n in scales_to_fit(facts_of(answers))]
    assert names == ["math", "reading"]

    merge = _merged("bkt-irt", answers)
    scales = merge.parameters.scales
    assert set(scales) == {"math", "reading"}
    assert merge.parameters.any_scale == scales["math"] != scales["reading"]
    told = "\n".join(merge.warnings)
    assert "on several scales" in told
    assert f"fewer than {FEWEST}" in told
    assert "'rare'" in told
    # Never seen by a fit: as the mean of the scale that serves all.
    scale = merge.parameters.of_scale("rare")
    assert scale is not None
    assert merge.parameters.item_of("rare-1", ("rare",), scale) == scale.item
    assert merge.parameters.of_concept("rare") == merge.parameters.default


def test_given_nothing_that_a_fit_may_see_then_there_are_no_steps() -> None:
    assert steps_of("bkt-irt", facts_of(parted([]))) == []


def test_given_a_fit_when_packed_then_it_comes_back_to_the_last_bit() -> None:
    table, _ = table_of(simulated(12, 7, most=MOST, several=True))
    ability = fit_ability(table)
    again = unpacked(packed(ability))
    assert packed(again) == packed(ability)
    assert (again.model.difficulty == ability.model.difficulty).all()
    assert again.items.seen.dtype == np.bool_
    assert unpacked(packed(None)) is None
    for model in ("kt-idem", "2pl"):
        fitted = fit(model, simulated(12, 7))
        assert unpacked_fit(packed_fit(fitted)) == replace(fitted, warnings=list(fitted.warnings))


@pytest.mark.parametrize("text", ['{"@": "Another"}', '{"@": "Items", "x": 1}', '{"array": "f8"}'])
def test_given_a_stage_of_another_version_when_unpacked_then_it_says_so(text: str) -> None:
    with pytest.raises(ValueError, match="another version"):
        unpacked(text)


@pytest.mark.parametrize(
    "text", ["{}", "[]", '{"parameters": {"formulas": 2, "x": 1}}', '{"parameters": {}}']
)
def test_given_a_fit_of_another_version_when_unpacked_then_it_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"another version|older formulas|x: "):
        unpacked_fit(text)


def test_given_held_out_learners_then_predictions_are_as_streamed() -> None:
    logs = on_scales(simulated(60, 8))
    answers = parted(logs)
    new = fit("bkt", logs).parameters
    half = answers.learners // 2
    predicted = together(
        [
            predict_held_out(answers, span, new, Parameters())
            for span in ((0, half), (half, answers.learners))
        ]
    )
    held = [n for n in range(len(logs)) if is_held_out(key_of(n))]
    expected = [prediction for n in held for prediction in predict(logs[n], new)]
    assert predicted.new.tolist() == [p for _, p, _ in expected]
    assert predicted.score.tolist() == [response.score for response, _, _ in expected]

    compared = compare(predicted)
    assert (compared.learners, compared.responses) == (len(held), len(expected))
    assert compared.new["log_loss"] == pytest.approx(log_loss(predicted.score, predicted.new))
    gains = [
        np.mean([np.log(p if r.score else 1.0 - p) for r, p, _ in predict(logs[n], new)])
        - np.mean([np.log(p if r.score else 1.0 - p) for r, p, _ in predict(logs[n], Parameters())])
        for n in held
    ]
    assert compared.gain == pytest.approx(np.mean(gains))
    assert compared.standard_error == pytest.approx(np.std(gains, ddof=1) / np.sqrt(len(gains)))

    items = fit_of_items(facts_of(answers), predicted)
    assert sum(item.answers for item in items.values()) == len(expected)
    concepts = fit_of_concepts(facts_of(answers), predicted)
    chosen = np.array([r.concept_ids[0] == "c0" for r, _, _ in expected])
    variance = predicted.new * (1.0 - predicted.new)
    squares = (predicted.score - predicted.new) ** 2
    assert concepts["c0"].infit == pytest.approx(squares[chosen].sum() / variance[chosen].sum())
    assert concepts["c0"].residual == pytest.approx(
        (predicted.score - predicted.new)[chosen].mean()
    )
    errors: dict[str, dict[str, float | None]] = {
        next(iter(items)): {"difficulty": 0.2},
        "not held out": {"difficulty": None},
    }
    document = diagnostics(facts_of(answers), Merged(new, {"c0": -7.0}, ["w"], errors), predicted)
    assert document["log_likelihood"] == -7.0
    assert document["concepts"]["c0"]["held_out_answers"] == chosen.sum()
    assert document["items"].keys() == {*items, "not held out"}
    for name, of in items.items():
        assert document["items"][name]["held_out_answers"] == of.answers
        assert document["items"][name].get("standard_errors") == errors.get(name)
    assert document["items"]["not held out"] == {"standard_errors": {"difficulty": None}}
    assert document["concepts"]["c0"]["mastery_ceiling"] == 1.0
    assert document["concepts"]["c0"]["mastery_within_reach"]
    assert document["warnings"] == ["w"]
