"""Guess and slip of each item (KT-IDEM), shrunk towards those of its concept.

Source: Pardos & Heffernan (2011), "KT-IDEM: introducing item difficulty to the knowledge tracing
model", UMAP, 243-254. The shrinkage is a beta prior around the concept's own guess and slip. Its
strength maximises the likelihood of the items' expected counts (empirical Bayes): Griffiths (1973),
"Maximum likelihood estimation for the beta-binomial distribution", Biometrics 29, 637-648.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import betaln

from workers.modelling.calibration.bkt.em import FORGET, GUESS, LEARN, PRIOR, SLIP
from workers.modelling.calibration.bkt.fit import BktFit
from workers.modelling.calibration.chains import chains_of, forward_backward
from workers.modelling.calibration.table import Floats, Ints, Table, summed

_ROUNDS: Final = 30
_ANSWERS: Final = np.geomspace(1.0, 20.0, 12)
"""Candidate strengths of the prior, in answers. The bound prevents a runaway: each round that
shrinks items makes them look more alike to the next."""
_LOOK: Final = 3
"""Number of rounds between estimates of the strength."""
_TRANSITIONS: Final = 20.0
_LEAST: Final = 1e-4
_MOST_TOGETHER: Final = 1.0 - 1e-3


@dataclass(frozen=True)
class KtIdemFit:
    """Result of a fit.

    Args:
        parameters: prior, learn, guess, slip and forget of each concept, shape (5, concepts).
        guess: guess of each item.
        slip: slip of each item.
        log_likelihood: log likelihood of each concept's answers, nats.
    """

    parameters: Floats
    guess: Floats
    slip: Floats
    log_likelihood: Floats


def fit_kt_idem(table: Table, concepts: BktFit) -> KtIdemFit:
    """Run EM over all chains at once, from concepts fitted without items."""
    chains = chains_of(table)
    of, item, score = chains.concept_of_place, table.item[chains.row], table.score[chains.row]
    count, items = len(table.concepts), len(table.items)
    parameters = concepts.parameters.copy()
    concept = np.maximum(table.concept_of_item, 0)
    guess, slip = parameters[GUESS][concept], parameters[SLIP][concept]
    first = slice(0, chains.concept.size)

    def likelihoods() -> tuple[Floats, Floats]:
        g, s = guess[item], slip[item]
        return (
            np.asarray(g**score * (1.0 - g) ** (1.0 - score)),
            np.asarray((1.0 - s) ** score * s ** (1.0 - score)),
        )

    tight = [10.0, 10.0]
    for turn in range(_ROUNDS):
        prior, learn, _, _, forget = parameters
        states = forward_backward(
            chains, likelihoods(), prior[chains.concept], learn[of], forget[of]
        )
        known = states.known

        def drawn(row: int, counts: tuple[Floats, Floats], to: Floats, *, look: bool) -> Floats:
            events, chances = (summed(item, values, items) for values in counts)
            if look:
                tight[row] = _likeliest(events, chances, to[concept])
            return (events + tight[row] * to[concept]) / (chances + tight[row])

        def rate(events: Floats, chances: Floats, centre: Floats, at: Ints) -> Floats:
            shrunk = summed(at, events, count) + _TRANSITIONS * centre
            return shrunk / (summed(at, chances, count) + _TRANSITIONS)

        look = turn % _LOOK == _LOOK - 1
        unknown = 1.0 - known
        guess = drawn(0, (unknown * score, unknown), parameters[GUESS], look=look)
        slip = drawn(1, (known * (1.0 - score), known), parameters[SLIP], look=look)
        guess, slip = _inside(guess, slip)
        unknown_chances = states.learned + states.stayed_unknown
        known_chances = states.forgot + states.stayed_known
        forget_now = rate(states.forgot, known_chances, concepts.parameters[FORGET], of)
        parameters = np.array(
            [
                rate(
                    known[first],
                    np.ones(chains.concept.size),
                    concepts.parameters[PRIOR],
                    chains.concept,
                ),
                rate(states.learned, unknown_chances, concepts.parameters[LEARN], of),
                *_inside(
                    rate((1.0 - known) * score, 1.0 - known, concepts.parameters[GUESS], of),
                    rate(known * (1.0 - score), known, concepts.parameters[SLIP], of),
                ),
                np.where(forget == 0.0, 0.0, forget_now),
            ]
        )
    low, high = likelihoods()
    states = forward_backward(
        chains,
        (low, high),
        parameters[PRIOR][chains.concept],
        parameters[LEARN][of],
        parameters[FORGET][of],
    )
    chance = states.before * high + (1.0 - states.before) * low
    return KtIdemFit(parameters, guess, slip, summed(of, np.log(chance), count))


def _likeliest(events: Floats, chances: Floats, mean: Floats) -> float:
    """Find the strength of the prior that maximises the likelihood of the items' counts."""
    counted = chances > 0.0
    happened, others, m = events[counted], (chances - events)[counted], mean[counted]
    # Rounding may bring expected counts below 0.
    happened, others = np.maximum(happened, 0.0), np.maximum(others, 0.0)
    likely = [
        float(
            (betaln(happened + n * m, others + n * (1.0 - m)) - betaln(n * m, n * (1.0 - m))).sum()
        )
        for n in _ANSWERS.tolist()
    ]
    return float(_ANSWERS[int(np.argmax(likely))])


def _inside(guess: Floats, slip: Floats) -> tuple[Floats, Floats]:
    guess, slip = np.clip(guess, _LEAST, 1.0 - _LEAST), np.clip(slip, _LEAST, 1.0 - _LEAST)
    shrink = np.minimum(1.0, _MOST_TOGETHER / (guess + slip))
    return guess * shrink, slip * shrink
