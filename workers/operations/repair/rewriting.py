"""Make the rewrite that turns a learner's stored state into a replay of the log. Pure."""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Final, NamedTuple, TypeVar

from workers.common.rate_limit import newest
from workers.estimation.ability import estimates
from workers.estimation.learner import ConceptState, Learner
from workers.estimation.parameters import Parameters
from workers.estimation.snapshots import Snapshot
from workers.estimation.uncertainty import mastery_interval
from workers.ledger.corrections import Correction, CorrectionRow
from workers.ledger.repair import Rewrite
from workers.ledger.rows import AbilityRow, ConceptRow, SessionRow, Stored
from workers.operations.repair.log_replay import LogReplay
from workers.operations.repair.rewrite_events import RewriteEvents

Row = TypeVar("Row", ConceptRow, AbilityRow, SessionRow)

_ALIKE: Final = 1e-12
"""The largest difference between two machines, from the last digits of a logarithm."""
_UNVERSIONED: Final = 0
"""Stands for a version that the ledger assigns."""


class _Rows(NamedTuple):
    """All rows of a learner's state, by the last part of their keys."""

    concepts: dict[str, ConceptRow]
    abilities: dict[str, AbilityRow]
    sessions: dict[str, SessionRow]


class BehindTheBase(Exception):
    """A row differs that does not follow from the responses replayed: replay the whole log."""


def rewriting(
    stored: Stored, parameters: Parameters, correction: Correction | None = None
) -> Rewrite | None:
    """Return the rewrite that makes the stored state a replay of the log; None if it is one.

    Correct rows stay as they are, with their versions.

    Args:
        stored: the learner, with an unaltered log.
        parameters: the parameters of the replay.
        correction: appended to the log; it must name one of its responses.
    """
    draft = RewriteDraft(stored, parameters, correction)
    draft.replay.advance(stored.responses)
    return draft.rewrite(stored)


class RewriteDraft:
    """A rewrite whose log comes part by part.

    Args:
        stored: the learner; its log is not used.
        parameters: the parameters of the replay.
        correction: appended to the log.
        base: the snapshot to begin at, before the corrected response; None: the beginning.

    Attributes:
        replay: the replay to advance by the log.
    """

    def __init__(
        self,
        stored: Stored,
        parameters: Parameters,
        correction: Correction | None = None,
        base: Snapshot | None = None,
    ) -> None:
        self._parameters = parameters
        self._correction = correction
        corrections = list(stored.corrections)
        if correction is not None:
            corrections.append(_as_newest(correction, corrections))
        about = None if correction is None else correction.response_id
        self.replay = LogReplay(stored, parameters, corrections, about=about, base=base)

    def rewrite(self, stored: Stored) -> Rewrite | None:
        """Return the rewrite; None if the stored state is right.

        Args:
            stored: the learner, with the corrections it had at the beginning.

        Raises:
            BehindTheBase: a row is wrong that the replay from the base can't restore.
        """
        replay, parameters, correction = self.replay, self._parameters, self._correction
        learner = replay.learner
        old, new = _stored_rows(stored), _rows(learner, parameters)
        altered = {(row.table, row.of) for row in stored.altered}

        concepts = _changed("concept_mastery", old.concepts, new.concepts, altered)
        abilities = _changed("student_ability", old.abilities, new.abilities, altered)
        sessions = _changed("practice_sessions", old.sessions, new.sessions, altered)
        whole = replay.base is None
        added = [] if correction is None else [correction]
        rewrite = Rewrite(
            stored.key,
            stored.version,
            learner.last,
            parameters.version,
            len(stored.corrections) + len(added),
            whole and _recount(stored, altered),
            added,
            concepts,
            abilities,
            sessions,
            [name for name in old.concepts if name not in new.concepts],
            [name for name in old.abilities if name not in new.abilities],
            [name for name in old.sessions if name not in new.sessions],
            snapshots=replay.snapshots(),
            changed_from=None if whole or replay.about is None else replay.about.response.position,
        )
        if whole:
            lost = stored.kept is None and rewrite.recount and bool(stored.windows)
            if lost or (stored.kept is not None and stored.kept != newest(stored.windows)):
                rewrite.kept = newest(stored.windows)
        gone = rewrite.gone_concepts or rewrite.gone_scales or rewrite.gone_sessions
        right = (
            correction is None
            and not (concepts or abilities or sessions or gone or rewrite.recount)
            and rewrite.kept is None
            and not any(replay.comparison.differences(stored.snapshots, _same))
            and not any(row.table == "snapshots" for row in stored.altered)
            and (stored.last, stored.parameters_version, stored.correction_count)
            == (rewrite.last, rewrite.parameters_version, rewrite.correction_count)
        )
        if right:
            return None
        changed_concepts = [*(row.concept_id for row in concepts), *rewrite.gone_concepts]
        changed_scales = [*(row.scale for row in abilities), *rewrite.gone_scales]
        changed_sessions = [*(row.session_id for row in sessions), *rewrite.gone_sessions]
        passed = (
            replay.on_concept.keys() >= set(changed_concepts)
            and replay.on_scale.keys() >= set(changed_scales)
            and replay.in_session.keys() >= set(changed_sessions)
        )
        if not (whole or passed):
            raise BehindTheBase
        rewrite.changes = RewriteEvents(stored, replay, parameters, correction=correction).changes(
            concepts=changed_concepts, scales=changed_scales, sessions=changed_sessions
        )
        return rewrite


def _recount(stored: Stored, altered: AbstractSet[tuple[str, str]]) -> bool:
    """Return True if the learner's own row is not to be trusted about the log's length."""
    lost = stored.version == 0 < stored.newest_version
    counts = {None, stored.responses_read}
    return lost or ("learners", "") in altered or stored.response_count not in counts


def _as_newest(correction: Correction, corrections: Iterable[CorrectionRow]) -> CorrectionRow:
    version = 1 + max((row.version for row in corrections), default=0)
    return CorrectionRow(**correction._asdict(), corrected_at_us=0, version=version)


def _stored_rows(stored: Stored) -> _Rows:
    return _Rows(
        {row.concept_id: row for row in stored.concepts},
        {row.scale: row for row in stored.abilities},
        {row.session_id: row for row in stored.sessions},
    )


def _rows(learner: Learner, parameters: Parameters) -> _Rows:
    concepts = {
        concept_id: concept_row(concept_id, state, parameters)
        for concept_id, state in learner.concepts.items()
    }
    estimated = estimates(list(learner.abilities.values()))
    abilities = {
        scale: AbilityRow.of(
            scale,
            state,
            estimate,
            version=_UNVERSIONED,
            parameters_version=parameters.version,
        )
        for (scale, state), estimate in zip(learner.abilities.items(), estimated, strict=True)
    }
    sessions = {
        session_id: SessionRow.of(session_id, state, version=_UNVERSIONED)
        for session_id, state in learner.sessions.items()
    }
    return _Rows(concepts, abilities, sessions)


def concept_row(concept_id: str, state: ConceptState, parameters: Parameters) -> ConceptRow:
    """Make the row that stores a state; the ledger gives its version."""
    return ConceptRow.of(
        concept_id,
        state,
        mastery=state.mastery,
        mastered=state.mastery >= parameters.mastery_threshold,
        interval=mastery_interval(state, parameters.of_concept(concept_id)),
        version=_UNVERSIONED,
        parameters_version=parameters.version,
    )


def _changed(
    table: str, old: Mapping[str, Row], new: Mapping[str, Row], altered: set[tuple[str, str]]
) -> list[Row]:
    return [
        row
        for name, row in new.items()
        if (table, name) in altered or name not in old or not _alike(old[name], row)
    ]


def _alike(old: Row, new: Row) -> bool:
    return all(map(_same, old._replace(version=_UNVERSIONED), new))


def _same(old: object, new: object) -> bool:
    if isinstance(old, float) and isinstance(new, float):
        return abs(old - new) <= _ALIKE
    if isinstance(old, tuple) and isinstance(new, tuple):
        return len(old) == len(new) and all(map(_same, old, new))
    return old == new
