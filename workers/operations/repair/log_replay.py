"""Replay a learner's log part by part, and note what a rewrite and its events need. Pure.

Memory is bounded by the number of concepts, scales and sessions, not by the length of the log.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from workers.estimation.answering import apply, concept_prediction
from workers.estimation.learner import Learner, Response, SessionState
from workers.estimation.parameters import Parameters
from workers.estimation.snapshots import Snapshot, SnapshotTaker
from workers.ledger.corrections import CorrectionRow, newest_corrections
from workers.ledger.rows import Stored
from workers.operations.repair.snapshots import SnapshotComparison


class Passed(NamedTuple):
    """A response that a replay passed."""

    response: Response
    """The response as it counts; as it was published if it does not."""
    counts: bool
    """True if it counts."""
    expected: tuple[float, ...]
    """Prediction of the response on each of its concepts, from the answers before it."""

    def expected_on(self, concept_id: str) -> float:
        """Return the prediction on one of the response's concepts."""
        return self.expected[self.response.concept_ids.index(concept_id)]


class LogReplay:
    """Replays a log, or the end of it behind a snapshot.

    Args:
        stored: the learner; its log is not used.
        parameters: the parameters of the replay.
        corrections: all corrections of the learner.
        about: a response to keep, by its id.
        base: the snapshot to begin at; None: the beginning. Sessions that had begun by then stay as
            they are stored.

    Attributes:
        learner: the state after the responses so far.
        base: see above.
        about: the response to keep; None as long as it was not passed.
        on_concept: the newest response on each concept; one that counts comes before all others.
        on_scale: the same for each scale.
        in_session: the same for each session.
        comparison: compares the stored snapshots.
    """

    def __init__(
        self,
        stored: Stored,
        parameters: Parameters,
        corrections: Iterable[CorrectionRow],
        *,
        about: str | None = None,
        base: Snapshot | None = None,
    ) -> None:
        self.learner = Learner(parameters_version=parameters.version)
        self.base = base
        self._kept_sessions: dict[str, SessionState] = {}
        if base is not None:
            self.learner.last = base.position
            self.learner.concepts = dict(base.concepts)
            self.learner.abilities = dict(base.abilities)
            self._kept_sessions = {
                row.session_id: row.state
                for row in stored.sessions
                if row.started_at_us <= base.position.answered_at_us
            }
            self.learner.sessions = dict(self._kept_sessions)
        self._parameters = parameters
        self._corrections = newest_corrections(corrections)
        self._about = about
        self._taker = SnapshotTaker(0 if base is None else base.responses)
        self.about: Passed | None = None
        self.on_concept: dict[str, Passed] = {}
        self.on_scale: dict[str, Passed] = {}
        self.in_session: dict[str, Passed] = {}
        self.comparison = SnapshotComparison(stored.snapshots, parameters.version)

    def advance(self, responses: Sequence[Response]) -> None:
        """Replay the next responses.

        Args:
            responses: responses as they were published, in any order, all after those before.
        """
        for published in sorted(responses, key=lambda response: response.position):
            self._note(self._pass(published))

    def snapshots(self) -> list[Snapshot]:
        """Return the states to keep, of those on the way."""
        return self._taker.taken()

    def _pass(self, published: Response) -> Passed:
        learner, parameters = self.learner, self._parameters
        correction = self._corrections.get(published.response_id)
        if correction is not None and correction.score is None:
            expected = tuple(
                concept_prediction(learner, concept_id, published, parameters)
                for concept_id in published.concept_ids
            )
            return Passed(published, counts=False, expected=expected)
        response = published
        if correction is not None and correction.score is not None:
            response = published._replace(score=correction.score)
        in_session = response.session_id not in self._kept_sessions
        prediction = apply(learner, response, parameters, in_session=in_session)
        self._taker.note(learner)
        self.comparison.note(learner)
        return Passed(response, counts=True, expected=prediction.concepts)

    def _note(self, passed: Passed) -> None:
        response = passed.response
        if response.response_id == self._about:
            self.about = passed
        for concept_id in response.concept_ids:
            _put(self.on_concept, concept_id, passed)
        _put(self.on_scale, response.scale, passed)
        if response.session_id is not None:
            _put(self.in_session, response.session_id, passed)


def _put(newest: dict[str, Passed], name: str, passed: Passed) -> None:
    if passed.counts or name not in newest or not newest[name].counts:
        newest[name] = passed
