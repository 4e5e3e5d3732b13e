"""Simulate abilities: bias, RMSE and coverage of 95 % intervals.

Run: ``OMP_NUM_THREADS=1 uv run python -m bench.abilities [MODEL ...]``. Abilities are N(0, 1). Each
model has a bank of 300 items, and each learner answers items drawn at random. `batch` is
`bench.eap.eap` of the whole history. `online` is the engine's filter answer by answer
(`workers.estimation.scales.evidence`, a static ability).
"""

import argparse

import numpy as np

from bench.eap import Abilities, eap
from tests.support.item_banks import bank_of
from workers.estimation.items import ItemParameters
from workers.estimation.scales import evidence
from workers.modelling.calibration.irt.bank import Bank, Item, Model
from workers.modelling.calibration.irt.response_data import Floats, Ints, ResponseData

ITEMS, STEPS = 300, 3
LENGTHS = {5: 2_000, 30: 2_000, 200: 1_000, 1_000: 200, 10_000: 50}
MODELS: tuple[Model, ...] = ("1PL", "2PL", "3PL", "4PL", "graded", "partial_credit")


def bank_for(model: Model, draw: np.random.Generator) -> list[Item]:
    bank = []
    for _ in range(ITEMS):
        a = 1.0 if model == "1PL" else float(draw.lognormal(0.0, 0.3))
        b = float(draw.normal())
        lower = float(draw.uniform(0.05, 0.3)) if model in {"3PL", "4PL"} else 0.0
        upper = float(draw.uniform(0.85, 0.98)) if model == "4PL" else 1.0
        stepped = model in {"graded", "partial_credit"}
        thresholds = tuple(b + np.array([-0.9, 0.0, 0.9]) * stepped)[: STEPS if stepped else 1]
        bank.append(Item(a, thresholds, lower, upper, model))
    return bank


def report(title: str, estimates: Abilities, theta: Floats) -> None:
    mean, error, low, high = estimates
    off = mean - theta
    inside = ((low < theta) & (theta < high)).mean()
    print(
        f"  {title:7} bias {off.mean():+.4f}  RMSE {np.sqrt((off**2).mean()):.4f}  "
        f"mean error {np.sqrt((error**2).mean()):.4f}  95 % interval {100.0 * inside:5.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("models", nargs="*", help=f"of {', '.join(MODELS)}; all, if not given")
    for model in parser.parse_args().models or MODELS:
        draw = np.random.default_rng(7)
        items = bank_for(model, draw)
        bank = bank_of(items)
        for length, learners in LENGTHS.items():
            theta = draw.normal(size=learners)
            item = draw.integers(0, ITEMS, (length, learners))
            step = steps_of(bank, item, theta, draw)
            score = step / bank.groups[0].steps
            person = np.tile(np.arange(learners), length)
            whole = eap(bank, ResponseData(person, item.ravel(), score.ravel(), learners, ITEMS))
            mean, error = online(items, item, score)
            print(f"{model}, {length} answers each, {learners} learners")
            report("batch", whole, theta)
            report(
                "online", Abilities(mean, error, mean - 1.96 * error, mean + 1.96 * error), theta
            )
            apart = np.abs(mean - whole.theta) / whole.standard_error
            ratio = error / whole.standard_error
            print(
                f"  apart   by {np.mean(apart):.3f} errors on average, 99 of 100 below "
                f"{np.quantile(apart, 0.99):.3f}; error online / batch {ratio.mean():.3f}, "
                f"{ratio.min():.3f} to {ratio.max():.3f}"
            )


def steps_of(bank: Bank, item: Ints, theta: Floats, draw: np.random.Generator) -> Ints:
    """Draw the step that each learner reaches on each item, shape (length, learners)."""
    (group,) = bank.groups
    chance = np.exp(group.log_curves(theta))
    reached = np.cumsum(chance, axis=1)[:, :-1]
    learner = np.arange(theta.size)
    luck = draw.random(item.shape)
    return np.array(
        [
            (luck[k][:, None] > reached[item[k], :, learner]).sum(axis=1)
            for k in range(item.shape[0])
        ]
    )


def online(items: list[Item], item: Ints, score: Floats) -> tuple[Floats, Floats]:
    """Compute mean and standard deviation of each learner's ability after all answers."""
    engine = [parameters_of(answer_score) for answer_score in items]
    states = []
    for answered, scores in zip(item.T.tolist(), score.T.tolist(), strict=True):
        mean, variance = 0.0, 1.0
        for number, answer_score in zip(answered, scores, strict=True):
            seen = evidence(engine[number], mean, variance, answer_score)
            mean += variance * seen.gradient
            variance *= 1.0 - seen.curvature * variance
        states.append((mean, np.sqrt(variance)))
    mean_of, error_of = np.array(states).T
    return mean_of, error_of


def parameters_of(item: Item) -> ItemParameters:
    if item.model in {"graded", "partial_credit"}:
        return ItemParameters(
            discrimination=item.discrimination, thresholds=item.thresholds, steps=item.model
        )
    return ItemParameters(item.thresholds[0], item.discrimination, item.lower, item.upper)


if __name__ == "__main__":
    main()
