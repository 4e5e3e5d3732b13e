"""Replay whole logs: the reference for every stored state.

`replay` replays one log answer by answer. `replay_many` replays many logs at once and advances the
mastery chains of all learners and concepts together in numpy; both give the same bits. Calibrated
parameters couple ability and mastery, or give mastery an interval, so under them each log is
replayed answer by answer.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from workers.estimation.ability import AbilityState
from workers.estimation.answering import apply, unseen
from workers.estimation.bkt import likelihood_ratio, update_many
from workers.estimation.learner import EMPTY_SESSION, ConceptState, Learner, Response
from workers.estimation.parameters import Parameters

_WIDE: Final = 8
"""Mean number of chains advanced at once from which on numpy is faster (`bench/replay.py`)."""


def replay(log: Sequence[Response], parameters: Parameters) -> Learner:
    """Compute the state after a whole log, given in any order, each answer once."""
    learner = Learner(parameters_version=parameters.version)
    for response in _in_order(log):
        apply(learner, response, parameters)
    return learner


def replay_many(logs: Sequence[Sequence[Response]], parameters: Parameters) -> list[Learner]:
    """Replay many learners' logs, vectorised if there are enough learners.

    Args:
        logs: one log per learner, in any order, each answer once.
        parameters: parameters of the states.
    """
    longest = max((len(log) for log in logs), default=0)
    narrow = not longest or sum(map(len, logs)) / longest < _WIDE
    if narrow or not _all_classical(parameters):
        return [replay(log, parameters) for log in logs]
    return _replay_wide(logs, parameters)


def _all_classical(parameters: Parameters) -> bool:
    """Return True if only mastery chains with fixed likelihood ratios have to be advanced."""
    models = [parameters.default, *(parameters.of_concept(c) for c in parameters.concepts)]
    return (
        parameters.any_scale is None
        and not parameters.scales
        and not parameters.items
        and not any(model.decay_per_day or model.covariance for model in models)
    )


def _in_order(log: Sequence[Response]) -> list[Response]:
    return sorted(log, key=lambda r: (r.answered_at_us, r.response_id))


def _replay_wide(logs: Sequence[Sequence[Response]], parameters: Parameters) -> list[Learner]:
    learners = []
    chain_of: dict[tuple[int, str], int] = {}
    newest: list[int] = []
    chain: list[int] = []
    ratio: list[float] = []
    for number, log in enumerate(logs):
        learner = Learner(parameters_version=parameters.version)
        for response in _in_order(log):
            for concept_id in response.concept_ids:
                link = chain_of.setdefault((number, concept_id), len(chain_of))
                if link == len(newest):
                    newest.append(0)
                newest[link] = response.answered_at_us
                chain.append(link)
                ratio.append(likelihood_ratio(parameters.of_concept(concept_id), response.score))
            scale = response.scale
            ability = learner.abilities.get(scale) or AbilityState()
            learner.abilities[scale] = ability.after(response.score)
            if response.session_id is not None:
                session = learner.sessions.get(response.session_id) or EMPTY_SESSION
                learner.sessions[response.session_id] = session.after(response)
            learner.last = response.position
        learners.append(learner)

    concepts = [concept_id for _, concept_id in chain_of]
    mantissa, exponent, attempts = _run(concepts, chain, ratio, parameters)
    states = map(ConceptState, mantissa, exponent, attempts, newest)
    for (number, concept_id), state in zip(chain_of, states, strict=True):
        learners[number].concepts[concept_id] = state
    return learners


def _run(
    concepts: list[str], chain: list[int], ratio: list[float], parameters: Parameters
) -> tuple[list[float], list[int], list[int]]:
    """Run all chains from their priors.

    Returns:
        Mantissa, exponent and length of each chain.
    """
    starts = [unseen(concept_id, parameters) for concept_id in concepts]
    mantissa = np.array([start.mantissa for start in starts])
    exponent = np.array([start.exponent for start in starts], dtype=np.int64)
    bkt = [parameters.of_concept(concept_id) for concept_id in concepts]
    learn = np.array([p.learn for p in bkt])
    forget = np.array([p.forget for p in bkt])
    links, ratios = np.array(chain), np.array(ratio)
    order = np.argsort(links, kind="stable")
    length = np.bincount(links, minlength=len(concepts))
    begin = np.cumsum(length) - length
    # Longest chains first: round k advances the `width` chains that have a k-th answer.
    longest_first = np.argsort(-length, kind="stable")
    widths = np.searchsorted(-length[longest_first], -np.arange(int(length.max())), side="left")
    for k, width in enumerate(widths.tolist()):
        running = longest_first[:width]
        mantissa[running], exponent[running] = update_many(
            mantissa[running],
            exponent[running],
            ratios[order[begin[running] + k]],
            learn[running],
            forget[running],
        )
    return mantissa.tolist(), exponent.tolist(), length.tolist()
