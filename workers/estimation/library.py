"""The estimator as a library: fold one answer into a student's state, without any server.

`update` is what the engine computes for an answer that follows all earlier ones, to the last bit.
Its time does not depend on how many answers came before. See `docs/library.md`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pydantic import ConfigDict, TypeAdapter, ValidationError

from workers.estimation.ability import AbilityState
from workers.estimation.documents import FORMULAS, parameters_document, parameters_of
from workers.estimation.fold import FoldTask, fold
from workers.estimation.learner import (
    ConceptState,
    Learner,
    LearnerKey,
    Outcome,
    Position,
    Response,
)
from workers.estimation.parameters import BktParameters, ConceptParameters, Parameters

__all__ = [
    "BktParameters",
    "ConceptParameters",
    "Outcome",
    "Parameters",
    "Response",
    "State",
    "answer",
    "parameters_document",
    "parameters_of",
    "state_document",
    "state_of",
    "update",
]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_MOST_CONCEPTS: Final = 16
_NOBODY: Final = LearnerKey("", "")


@dataclass(frozen=True)
class State:
    """State of a student; ``State()`` is a student without an answer.

    Args:
        concepts: states of the answered concepts by id.
        abilities: states of the abilities by scale.
        last: place of the newest answer; None before the first.
        parameters_version: version of the parameters that the state was computed under.
    """

    # Keeps the bits of each number; checked where a document is read.
    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)

    concepts: Mapping[str, ConceptState] = field(default_factory=dict)
    abilities: Mapping[str, AbilityState] = field(default_factory=dict)
    last: Position | None = None
    parameters_version: int = 1


_ADAPTER: Final = TypeAdapter(State)


def answer(
    concept_ids: str | Sequence[str],
    score: float,
    answered_at: datetime | int,
    *,
    item_id: str = "",
    scale: str = "default",
    response_id: str = "",
) -> Response:
    """Make the answer that `update` takes.

    Args:
        concept_ids: the concepts that the item exercises: one, or 1 to 16 distinct ones.
        score: in [0, 1]; True and False are 1 and 0.
        answered_at: when it was given: a time with a zone, or microseconds since 1970. Where only
            the order is known, number the answers: times only matter to parameters with a decay.
        item_id: the item; only calibrated parameters know items.
        scale: the scale of the ability.
        response_id: orders answers of the same time.

    Raises:
        ValueError: an argument is out of range.
    """
    names = (concept_ids,) if isinstance(concept_ids, str) else tuple(concept_ids)
    if not 1 <= len(names) <= _MOST_CONCEPTS or len(set(names)) != len(names):
        raise ValueError(f"concept_ids is {names}: give 1 to {_MOST_CONCEPTS} distinct concepts")
    if not 0.0 <= score <= 1.0:
        raise ValueError(f"score is {score}: give a number from 0 to 1")
    if isinstance(answered_at, datetime):
        if answered_at.utcoffset() is None:
            raise ValueError(f"answered_at is {answered_at}: give a time with a zone")
        answered_at = (answered_at - _EPOCH) // _MICROSECOND
    return Response(response_id, None, item_id, names, scale, float(score), answered_at)


def update(state: State, response: Response, parameters: Parameters) -> tuple[State, Outcome]:
    """Fold one answer into a student's state.

    Args:
        state: the state before; it stays as it is.
        response: the next answer of the student. Sessions are no part of a state, so its session is
            not counted.
        parameters: parameters of the state.

    Returns:
        The state after the answer, and its outcome: mastery with interval by concept, ability with
        standard error, and the probability of a right answer as predicted before it was seen.

    Raises:
        ValueError: the answer does not follow all earlier ones, or the state is under another
            version of the parameters; fold all answers again, in their order.
    """
    if state.last is not None:
        if state.parameters_version != parameters.version:
            raise ValueError(
                f"the state is under version {state.parameters_version} of the parameters, not "
                f"{parameters.version}: fold all answers again"
            )
        if response.position <= state.last:
            raise ValueError(
                f"the answer at {response.position} does not follow the newest one at "
                f"{state.last}: fold all answers again, in their order"
            )
    learner = Learner(
        last=state.last,
        parameters_version=parameters.version,
        concepts=dict(state.concepts),
        abilities=dict(state.abilities),
    )
    alone = response._replace(session_id=None)
    (folded,) = fold([FoldTask(_NOBODY, learner, [alone])], parameters)
    after = folded.learner
    return (
        State(after.concepts, after.abilities, after.last, after.parameters_version),
        folded.outcomes[0],
    )


def state_document(state: State) -> dict[str, Any]:
    """Write a state as JSON values. Floats keep their bits."""
    return {
        "formulas": FORMULAS,
        "concepts": {name: part._asdict() for name, part in state.concepts.items()},
        "abilities": {name: part._asdict() for name, part in state.abilities.items()},
        "last": None if state.last is None else state.last._asdict(),
        "parameters_version": state.parameters_version,
    }


def state_of(document: Mapping[str, Any]) -> State:
    """Read a state that `state_document` wrote.

    Raises:
        ValueError: a field is missing, unknown or of a wrong type, or the state was computed under
            other formulas.
    """
    fields = dict(document)
    formulas = fields.pop("formulas", None)
    if formulas != FORMULAS:
        raise ValueError(
            f"the state was computed under formulas {formulas}, this engine has {FORMULAS}: fold "
            "all answers again"
        )
    try:
        return _ADAPTER.validate_python(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "state"
        raise ValueError(f"{place}: {first['msg']}") from None
