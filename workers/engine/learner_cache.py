"""States of the learners that this worker loaded or folded last, so that most loads are skipped.

A state may be stale, because another worker or a correction changed the learner. The commit
compares versions, so a stale state is a conflict, and the learner is loaded.

A state is kept from its fold on, so that the next batch is folded while this one is committed. If
this commit fails, the commits that were folded from its state are conflicts too.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from workers.estimation.learner import Learner, LearnerKey, Response
from workers.ledger.exchange import Commit, Loaded

_MOST_PARTS: Final = 100_000
"""States of concepts, abilities and sessions that are kept, some 50 MB."""


@dataclass(slots=True)
class _Kept:
    """Known parts of a learner's state.

    Args:
        learner: the parts that are known.
        responses: number of responses in the log; None if they were never counted.
        counts: number of responses in each of the newest rate windows.
        all_states: True if a concept or scale that is missing in `learner` has no answer.
        all_sessions: True if a session that is missing in `learner` has no answer.
        active_version: the version that has to be active; the state may be under another one, if
            the learner goes on under that one for a while.
        made_by: the commit, not answered yet, that makes this state; None: the state is stored.
    """

    learner: Learner
    responses: int | None
    counts: dict[int, int]
    all_states: bool
    all_sessions: bool
    active_version: int
    made_by: Commit | None = None

    @property
    def parts(self) -> int:
        """Number of the states that are known, and 1."""
        learner = self.learner
        return 1 + len(learner.concepts) + len(learner.abilities) + len(learner.sessions)

    def copy(self, response: Response, part: Learner) -> bool:
        """Copy the states that a response touches; return False if one of them is unknown."""
        whole = self.learner
        for concept_id in response.concept_ids:
            concept = whole.concepts.get(concept_id)
            if concept is not None:
                part.concepts[concept_id] = concept
            elif not self.all_states:
                return False
        ability = whole.abilities.get(response.scale)
        if ability is not None:
            part.abilities[response.scale] = ability
        elif not self.all_states:
            return False
        if response.session_id is not None:
            session = whole.sessions.get(response.session_id)
            if session is not None:
                part.sessions[response.session_id] = session
            elif not self.all_sessions:
                return False
        return True


class LearnerCache:
    """Keeps states of learners within a bound; the least recently used go first.

    Args:
        most_parts: the most states of concepts, abilities and sessions that are kept.
    """

    def __init__(self, most_parts: int = _MOST_PARTS) -> None:
        self._most_parts = most_parts
        self._parts = 0
        self._kept: OrderedDict[LearnerKey, _Kept] = OrderedDict()
        self._in_flight: dict[LearnerKey, Commit] = {}

    def in_flight(self, key: LearnerKey) -> bool:
        """Return True if a commit of the learner is not answered yet: a load is too early."""
        return key in self._in_flight

    def loaded(
        self,
        key: LearnerKey,
        responses: Sequence[Response],
        active_version: int,
        *,
        ahead: bool = False,
    ) -> Loaded | None:
        """Return what a load would, without looking whether the responses are in the log.

        Args:
            key: the learner.
            responses: responses about to be applied.
            active_version: version of the active parameters, as far as this worker knows.
            ahead: True to take states whose commit is not answered yet, too.

        Returns:
            The state; None if a part of it is unknown, or a response is late.
        """
        kept = self._kept.get(key)
        if kept is None or kept.active_version != active_version:
            return None
        if kept.made_by is not None and not ahead:
            return None
        whole, last = kept.learner, kept.learner.last
        if last is None:
            return None
        part = Learner(whole.version, last, whole.parameters_version)
        for response in responses:
            if response.position < last or not kept.copy(response, part):
                return None
        self._kept.move_to_end(key)
        return Loaded(
            part,
            kept=dict(kept.counts),
            active_version=active_version,
            responses=kept.responses,
            from_cache=True,
            after=kept.made_by,
        )

    def keep_loaded(self, key: LearnerKey, loaded: Loaded) -> None:
        """Keep a state that the ledger returned."""
        self.drop(key)
        learner, new = loaded.learner, loaded.learner.version == 0
        if loaded.erasure is None:
            self._keep(
                key,
                _Kept(
                    Learner(
                        learner.version,
                        learner.last,
                        learner.parameters_version,
                        dict(learner.concepts),
                        dict(learner.abilities),
                        dict(learner.sessions),
                    ),
                    loaded.responses,
                    dict(loaded.kept),
                    all_states=new or loaded.whole or loaded.log is not None,
                    all_sessions=new,
                    active_version=loaded.active_version if new else learner.parameters_version,
                ),
            )

    def keep_folded(self, commit: Commit) -> None:
        """Bring a state that is kept up to a fold, whose commit is not answered yet."""
        commit.follow()
        folded = commit.folded
        self._in_flight[folded.key] = commit
        kept = self._kept.get(folded.key)
        if (
            kept is None
            or kept.made_by is not commit.after
            or kept.learner.version != folded.learner.version
        ):
            self.drop(folded.key)
            return
        parts_before = kept.parts
        learner, new = kept.learner, folded.learner
        learner.last, learner.parameters_version = new.last, new.parameters_version
        learner.concepts.update(new.concepts)
        learner.abilities.update(new.abilities)
        learner.sessions.update(new.sessions)
        if commit.kept is not None:
            kept.counts = dict(commit.kept)
        if kept.responses is not None:
            kept.responses += len(folded.responses)
        kept.active_version, kept.made_by = commit.taken_as_active, commit
        self._parts += kept.parts - parts_before
        self._kept.move_to_end(folded.key)
        self._stay_within_bound()

    def settle(self, commit: Commit) -> None:
        """Keep the state that a commit made, if it was applied; drop it otherwise.

        Args:
            commit: a commit that was answered or given up.
        """
        key = commit.folded.key
        if self._in_flight.get(key) is commit:
            del self._in_flight[key]
        kept = self._kept.get(key)
        if commit.version is None:
            # Whatever is not stored yet may follow from it.
            if kept is not None and kept.made_by is not None:
                self.drop(key)
        elif kept is not None and kept.made_by is commit:
            kept.learner.version, kept.made_by = commit.version, None

    def drop(self, key: LearnerKey) -> None:
        """Forget a learner."""
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._parts -= kept.parts

    def _keep(self, key: LearnerKey, kept: _Kept) -> None:
        self._kept[key] = kept
        self._parts += kept.parts
        self._stay_within_bound()

    def _stay_within_bound(self) -> None:
        while self._parts > self._most_parts and self._kept:
            self.drop(next(iter(self._kept)))
