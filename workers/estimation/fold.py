"""Fold new answers into learners' states.

A learner's answers count in the learner's own order, `Position`. Answers after the newest known one
are folded onto the stored state. A late answer, or a state under other parameters, makes the log be
replayed from a snapshot (`workers.estimation.late_replay`). Both ways give the state of a replay of
all answers in order, to the last bit.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Final

from workers.estimation.ability import AbilityEstimate, AbilityState, estimates
from workers.estimation.late_replay import LateReplay
from workers.estimation.learner import (
    AbilityOutcome,
    ConceptOutcome,
    ConceptState,
    Learner,
    LearnerKey,
    Outcome,
    Position,
    Response,
    ScaleOutcome,
)
from workers.estimation.observing import AppliedAnswer, apply_observed
from workers.estimation.outcomes import concept_outcome
from workers.estimation.parameters import Parameters
from workers.estimation.person_fit import person_fit
from workers.estimation.snapshots import Snapshot

_place: Final = attrgetter("answered_at_us", "response_id")


@dataclass(slots=True)
class FoldTask:
    """New answers of one learner and the state to fold them into.

    Args:
        key: the learner.
        learner: the stored state: the parts that the answers touch; all concepts and abilities if
            the log has to be replayed.
        responses: new answers, none of them in the log, each once, in any order.
        log: the learner's answers after `base`, in any order; required if an answer is late or the
            state is under other parameters.
        base: a snapshot under the parameters, before all new answers; None: the log is whole.
        replayed: in the place of `log`: a replay of all stored answers, not finished yet, with the
            late ones of `responses` (all of them if the state is under other parameters).
    """

    key: LearnerKey
    learner: Learner
    responses: list[Response]
    log: list[Response] | None = None
    base: Snapshot | None = None
    replayed: LateReplay | None = None

    def new_parameters(self, parameters: Parameters) -> bool:
        """Return True if the stored state is under other parameters."""
        learner = self.learner
        return learner.last is not None and learner.parameters_version != parameters.version

    def late(self, parameters: Parameters) -> list[Response]:
        """List the answers that a replay puts into their places, in the learner's order."""
        last = self.learner.last
        if last is None:
            return []
        # Under other parameters every stored value may change, as with a late answer.
        if self.new_parameters(parameters):
            return in_order(self.responses)
        return in_order([response for response in self.responses if response.position < last])

    def begin_replay(self, parameters: Parameters) -> LateReplay:
        """Begin the replay of the learner's answers after `base`."""
        return LateReplay(self.base, self.learner, self.late(parameters), parameters)


@dataclass(slots=True)
class Folded:
    """New state and outcomes of one learner.

    ``concepts``, ``abilities`` and ``sessions`` name what changed. Their values are indices into
    ``responses``: the answer that carries the newest value.

    Args:
        key: the learner.
        learner: the new state of the loaded parts; it keeps the version of the stored state, for
            the database gives the next one.
        responses: the new answers in the learner's order.
        outcomes: one outcome per answer.
        concepts: changed concepts by id.
        abilities: changed abilities by scale.
        sessions: changed sessions by id.
        estimates: current ability of each changed scale.
        under_new_parameters: True if the stored state was under other parameters.
        changed_from: position from which on earlier states changed; None if none did.
        snapshots: states at and after that position, to store in the place of older ones.
    """

    key: LearnerKey
    learner: Learner
    responses: list[Response]
    outcomes: list[Outcome] = field(default_factory=list)
    concepts: dict[str, int] = field(default_factory=dict)
    abilities: dict[str, int] = field(default_factory=dict)
    sessions: dict[str, int] = field(default_factory=dict)
    estimates: dict[str, AbilityEstimate] = field(default_factory=dict)
    under_new_parameters: bool = False
    changed_from: Position | None = None
    snapshots: list[Snapshot] = field(default_factory=list)


def in_order(responses: Sequence[Response]) -> list[Response]:
    """Sort answers into the learner's order."""
    return sorted(responses, key=_place) if len(responses) > 1 else list(responses)


def fold(tasks: Sequence[FoldTask], parameters: Parameters) -> list[Folded]:
    """Fold new answers of many learners and estimate their abilities in one vector call.

    Args:
        tasks: one per learner, each with at least one answer.
        parameters: parameters of the new states.

    Returns:
        One result per task, in the order of the tasks.

    Raises:
        ValueError: a learner has to be replayed and the task has no log.
    """
    folds = [_LearnerFold(task, parameters) for task in tasks]
    estimated = iter(estimates([state for fold_ in folds for state in fold_.ability_states()]))
    return [fold_.conclude(estimated) for fold_ in folds]


class _LearnerFold:
    """The fold of one learner."""

    def __init__(self, task: FoldTask, parameters: Parameters) -> None:
        self._parameters = parameters
        self._key = task.key
        self._new = in_order(task.responses)
        stored = task.learner
        self._new_parameters = task.new_parameters(parameters)
        late = len(task.late(parameters))
        self._replay = self._replayed(task) if late else None
        if self._replay is not None:
            self._learner = self._replay.learner
            self._applied = self._replay.finish()
            self._applied += [self._replay.apply_new(r) for r in self._new[late:]]
            return
        self._learner = Learner(
            stored.version,
            stored.last,
            parameters.version,
            dict(stored.concepts),
            dict(stored.abilities),
            dict(stored.sessions),
        )
        self._applied = [apply_observed(self._learner, r, parameters) for r in self._new]

    def _replayed(self, task: FoldTask) -> LateReplay:
        """Replay the stored answers."""
        if task.replayed is not None:
            return task.replayed
        if task.log is None:
            raise ValueError(f"{task.key} has to be replayed, and its log is not given")
        replay = task.begin_replay(self._parameters)
        replay.advance(task.log)
        return replay

    def ability_states(self) -> Iterator[AbilityState]:
        """Yield the states whose estimates `conclude` needs, before and after each new answer."""
        for answer in self._applied:
            yield answer.ability_before
            yield answer.ability_after
            for change in answer.scales:
                yield change.before
                yield change.after

    def conclude(self, estimated: Iterator[AbilityEstimate]) -> Folded:
        """Build the outcomes.

        Args:
            estimated: estimates of `ability_states`, in their order.
        """
        folded = Folded(
            self._key, self._learner, self._new, under_new_parameters=self._new_parameters
        )
        if self._replay is not None:
            folded.changed_from = self._new[0].position
            folded.snapshots = self._replay.snapshots()
        for at, (response, answer) in enumerate(zip(self._new, self._applied, strict=True)):
            previous, current = next(estimated), next(estimated)
            scales = _other_scales(answer, at, folded, estimated)
            outcomes = [
                self._outcome(concept_id, before, after, expected)
                for concept_id, before, after, expected in zip(
                    response.concept_ids,
                    answer.before,
                    answer.after,
                    answer.prediction.concepts,
                    strict=True,
                )
            ]
            outcomes += [
                self._outcome(*change)._replace(ability=scales.get(change.concept_id))
                for change in answer.others
            ]
            folded.outcomes.append(
                Outcome(
                    tuple(outcomes),
                    AbilityOutcome(current, previous.theta, person_fit(answer.ability_after)),
                    answer.session,
                    self._parameters.version,
                    answer.prediction.probability_correct,
                )
            )
            for outcome in outcomes:
                folded.concepts[outcome.concept_id] = at
            folded.abilities[response.scale] = at
            folded.estimates[response.scale] = current
            if response.session_id is not None:
                folded.sessions[response.session_id] = at
        return folded

    def _outcome(
        self, concept_id: str, before: ConceptState, after: ConceptState, expected: float
    ) -> ConceptOutcome:
        return concept_outcome(
            concept_id,
            after,
            self._parameters,
            previous_mastery=before.mastery,
            probability_correct=expected,
        )


def _other_scales(
    answer: AppliedAnswer, at: int, folded: Folded, estimated: Iterator[AbilityEstimate]
) -> dict[str, ScaleOutcome]:
    """Note the changed abilities of other scales.

    Returns:
        The ability that the event of a concept carries, by concept id.
    """
    carried = {}
    for change in answer.scales:
        previous, current = next(estimated), next(estimated)
        folded.abilities[change.scale] = at
        folded.estimates[change.scale] = current
        if change.concept_id is not None:
            outcome = AbilityOutcome(current, previous.theta, person_fit(change.after))
            carried[change.concept_id] = ScaleOutcome(change.scale, outcome)
    return carried
