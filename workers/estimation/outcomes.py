"""Compare a concept before and after an answer or a replay."""

from workers.estimation.learner import ConceptOutcome, ConceptState
from workers.estimation.parameters import Parameters
from workers.estimation.uncertainty import mastery_interval


def concept_outcome(
    concept_id: str,
    state: ConceptState,
    parameters: Parameters,
    *,
    previous_mastery: float,
    probability_correct: float,
) -> ConceptOutcome:
    """Compare the state of a concept with its mastery before.

    Args:
        concept_id: the concept.
        state: the state now.
        parameters: the parameters of the state.
        previous_mastery: P(known) before, in [0, 1].
        probability_correct: score expected before the answer was seen, in [0, 1].
    """
    threshold, mastery = parameters.mastery_threshold, state.mastery
    was_mastered, mastered = previous_mastery >= threshold, mastery >= threshold
    return ConceptOutcome(
        concept_id,
        mastery,
        previous_mastery,
        mastered,
        _transition(was_mastered=was_mastered, mastered=mastered),
        state.attempts,
        probability_correct,
        state.answered_at_us,
        mastery_interval(state, parameters.of_concept(concept_id)),
    )


def _transition(*, was_mastered: bool, mastered: bool) -> str:
    if was_mastered == mastered:
        return "none"
    return "mastered" if mastered else "lapsed"
