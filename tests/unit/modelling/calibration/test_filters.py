"""Arrays that learners are fitted with: the same numbers as the engine's, and as enumeration."""

from itertools import pairwise, product

import numpy as np
import pytest

from tests.support.simulated_learners import simulated
from workers.estimation.answering import apply
from workers.estimation.items import ItemParameters
from workers.estimation.learner import Learner, Response
from workers.estimation.parameters import ConceptParameters, Parameters
from workers.estimation.scales import ConceptOffset, ScaleParameters
from workers.modelling.calibration.ability.filter import AbilityModel, logits, loss, run_filter
from workers.modelling.calibration.bkt.em import expected
from workers.modelling.calibration.bkt.forest import forest_of
from workers.modelling.calibration.chains import chains_of, forward_backward
from workers.modelling.calibration.log_tables import table_of
from workers.modelling.calibration.table import Floats, Table

BKT = np.array([[0.4, 0.6], [0.2, 0.1], [0.2, 0.3], [0.1, 0.2], [0.05, 0.1]])


def shuffled_back(table: Table, places: list[int], logs: list[list[Response]]) -> Floats:
    """The place in `table` of each answer of each log, in order."""
    rows: list[int] = []
    for log_place, log in enumerate(logs):
        if log:
            number = places.index(log_place)
            rows += [int(table.step[k]) + number for k in range(len(log))]
    return np.array(rows, dtype=np.float64)


@pytest.mark.parametrize("several", [False, True])
def test_given_any_model_when_walked_then_numbers_are_those_of_the_engine(*, several: bool) -> None:
    logs = [*simulated(30, 1, concepts=3, several=several), []]
    table, places = table_of(logs)
    draw = np.random.default_rng(3)
    model = AbilityModel(
        0.3,
        1.3,
        0.02,
        draw.uniform(0.1, 1.0, 3),
        draw.uniform(0.0, 0.1, 3),
        draw.normal(0, 0.1, 3),
        0.9,
        draw.normal(0, 1, len(table.items)),
        draw.uniform(0.5, 2.0, len(table.items)),
    )
    parameters = Parameters(
        concepts={
            name: ConceptParameters(
                concept_offset=ConceptOffset(
                    model.offset_variance[at], model.offset_walk[at], model.drift[at], model.ratio
                )
            )
            for at, name in enumerate(table.concepts)
        },
        items={
            name: ItemParameters(model.difficulty[at], model.discrimination[at])
            for at, name in enumerate(table.items)
        },
        any_scale=ScaleParameters(0.3, 1.3, 0.02, predicts=True),
    )
    filtered = run_filter(table, model)
    z = logits(table, model, filtered)
    told: list[float] = []
    for log in logs:
        learner = Learner()
        told += [apply(learner, response, parameters).probability_correct for response in log]
    rows = shuffled_back(table, places, logs).astype(int)
    assert 1.0 / (1.0 + np.exp(-z[rows])) == pytest.approx(np.array(told), abs=1e-12)
    expected = -np.log(np.where(table.score[rows] == 1.0, told, 1.0 - np.array(told))).mean()
    assert loss(table.score, z) == pytest.approx(expected)


@pytest.mark.parametrize("several", [False, True])
def test_given_some_learners_when_chosen_then_the_table_is_of_their_logs(*, several: bool) -> None:
    logs = simulated(20, 4, several=several)
    table, places = table_of(logs)
    chosen = np.arange(20) % 3 == 0
    some = table.of(chosen)
    alone, kept = table_of([logs[place] for place, yes in zip(places, chosen, strict=True) if yes])
    assert kept == list(range(len(kept)))
    for name in ("learner", "score", "step", "link"):
        assert getattr(some, name).tolist() == getattr(alone, name).tolist()
    assert [some.items[i] for i in some.item] == [alone.items[i] for i in alone.item]
    assert [some.concepts[c] for c in some.concept] == [alone.concepts[c] for c in alone.concept]
    assert table.of(np.zeros(20, dtype=np.bool_)).learners == 0


def enumerated(scores: list[float], at: int) -> tuple[list[float], float, float, float]:
    """P(known at k | all), expected learnings and forgettings, and the likelihood, of one chain."""
    prior, learn, guess, slip, forget = BKT[:, at]
    joint: dict[tuple[int, ...], float] = {}
    for path in product((0, 1), repeat=len(scores)):
        p = prior if path[0] else 1.0 - prior
        for k, (state, score) in enumerate(zip(path, scores, strict=True)):
            right = 1.0 - slip if state else guess
            p *= right if score else 1.0 - right
            if k + 1 < len(path):
                up = 1.0 - forget if state else learn
                p *= up if path[k + 1] else 1.0 - up
        joint[path] = p
    total = sum(joint.values())
    known = [sum(p for path, p in joint.items() if path[k]) / total for k in range(len(scores))]
    steps = [
        sum(p * sum(pair == (a, b) for pair in pairwise(path)) for path, p in joint.items()) / total
        for a, b in ((0, 1), (1, 0))
    ]
    return known, steps[0], steps[1], float(np.log(total))


def test_given_short_chains_when_smoothed_then_enumeration_gives_the_same() -> None:
    logs = simulated(40, 6, most=9)
    table, _ = table_of(logs)
    chains = chains_of(table)
    of, score = chains.concept_of_place, table.score[chains.row]
    prior, learn, guess, slip, forget = BKT
    right = score == 1.0
    states = forward_backward(
        chains,
        (np.where(right, guess[of], 1 - guess[of]), np.where(right, 1 - slip[of], slip[of])),
        prior[chains.concept],
        learn[of],
        forget[of],
    )
    learned = forgot = known_first = guessed = likelihood = np.zeros(2)
    for chain, concept in enumerate(chains.concept.tolist()):
        places = [
            int(chains.step[k]) + chain
            for k, n in enumerate(np.diff(chains.step).tolist())
            if chain < n
        ]
        own = score[places].tolist()
        known, up, down, value = enumerated(own, concept)
        assert states.known[places] == pytest.approx(known)
        assert states.learned[places].sum() == pytest.approx(up)
        assert states.forgot[places].sum() == pytest.approx(down)
        indicator = np.eye(2)[concept]
        learned, forgot = learned + up * indicator, forgot + down * indicator
        known_first = known_first + known[0] * indicator
        guessed = guessed + indicator * sum(s * (1 - p) for s, p in zip(own, known, strict=True))
        likelihood = likelihood + value * indicator
    # The same of the tree of prefixes, where learners who answered alike are one.
    tree = forest_of(table)
    assert tree.nodes_of.sum() < table.score.size
    of_tree, events, _ = expected(tree, BKT)
    assert of_tree == pytest.approx(likelihood)
    assert events[[0, 1, 2, 4]] == pytest.approx(np.array([known_first, learned, guessed, forgot]))


def test_given_a_tree_repeated_or_cut_then_each_concept_counts_as_before() -> None:
    tree = forest_of(table_of(simulated(60, 7, most=12))[0])
    other = np.array([[0.3, 0.1], [0.3, 0.4], [0.1, 0.2], [0.2, 0.1], [0.0, 0.2]])
    alone = [expected(tree, parameters) for parameters in (BKT, other)]
    both = expected(tree.repeated(2), np.hstack([BKT, other]))
    for together, first, second in zip(both, *alone, strict=True):
        assert together == pytest.approx(np.concatenate([first, second], axis=-1), abs=1e-12)
    kept = np.array([3, 0])
    cut = expected(tree.repeated(2).of(kept), np.hstack([BKT, other])[:, kept])
    for some, whole in zip(cut, both, strict=True):
        assert some == pytest.approx(whole[..., kept], abs=1e-12)
    nothing = tree.of(np.array([], dtype=np.int64))
    assert nothing.nodes_of.size == nothing.concepts == 0


def test_given_chains_longer_than_counts_then_the_tree_has_first_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    logs = simulated(30, 7, concepts=1, most=20)
    assert max(map(len, logs)) > 6
    monkeypatch.setattr("workers.modelling.calibration.bkt.forest.LONGEST", 6)
    ((tree, _),) = forest_of(table_of(logs)[0]).trees()
    ((expected_tree, _),) = forest_of(table_of([log[:6] for log in logs])[0]).trees()
    assert len(tree.levels) == 6
    for name in ("concept", "symbol", "parent", "count", "level"):
        assert getattr(tree, name).tolist() == getattr(expected_tree, name).tolist(), name
