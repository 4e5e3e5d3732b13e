"""Load and commit of a ledger in memory."""

import time
from collections.abc import Iterable, Sequence

from typing_extensions import override

from workers.common.errors import Unstorable
from workers.estimation.learner import Learner, LearnerKey, Position, Response
from workers.estimation.snapshots import Snapshot
from workers.ledger.exchange import (
    FEW_STATES,
    MOST_ANSWERS,
    MOST_REPLAYED,
    Commit,
    Committed,
    Conflict,
    Loaded,
    LogPage,
    Recorded,
    StoredLog,
    Touched,
)
from workers.ledger.memory.accounts import Account, copied
from workers.ledger.memory.tables import MemoryTables
from workers.ledger.recording import RecordingLedger
from workers.ledger.rows import AbilityRow, ConceptRow, SessionRow


class MemoryRecording(MemoryTables, RecordingLedger):
    """Loads and commits as `mastery_load` and `mastery_commit` do."""

    @override
    async def load(
        self, touched: Sequence[Touched], most_answers: int = MOST_ANSWERS
    ) -> list[Loaded]:
        loaded = [self._loaded(learner) for learner in touched]
        room, room_in_order = most_answers, MOST_REPLAYED
        for learner, asked in zip(loaded, touched, strict=True):
            if learner.replay is None:
                continue
            answers, late = len(learner.replay.answers or ()), learner.late(asked.responses)
            if answers > (room if late else min(room, room_in_order)):
                learner.replay.answers = None
                continue
            room -= answers
            room_in_order -= 0 if late else answers
        return loaded

    @override
    async def log_page(self, key: LearnerKey, after: Position | None, limit: int) -> LogPage:
        account = self._accounts.get(key) or Account()
        positions = sorted(recorded.response.position for recorded in account.log.values())
        rest = [position for position in positions if after is None or position > after]
        until = rest[limit - 1] if len(rest) >= limit else None
        first, last = after or Position(-(2**63), ""), until or Position(2**63, "")
        answers = [r for r in account.effective() if first < r.position <= last]
        return LogPage(account.version, sorted(answers, key=lambda r: r.position), until)

    @override
    async def commit(self, commits: Sequence[Commit]) -> list[Committed | Conflict]:
        current = [self._is_current(commit) for commit in commits]
        # All or nothing: find what can't be stored before anything is stored.
        for commit, agreed in zip(commits, current, strict=True):
            if agreed:
                self._check(commit)
        return [
            self._apply(commit) if agreed else Conflict()
            for commit, agreed in zip(commits, current, strict=True)
        ]

    @override
    async def ping(self) -> None:
        pass

    def _is_current(self, commit: Commit) -> bool:
        erasure = self._erasures.get(commit.folded.key)
        if erasure is not None and (
            erasure.unfinished
            or any(
                erasure.refuse or arrival.entered_ms <= erasure.until_ms
                for arrival in commit.arrivals or ()
            )
        ):
            return False
        if commit.taken_as_active != self._activation.version:
            return False
        account = self._accounts.get(commit.folded.key) or Account()
        if commit.unchecked and any(
            response.response_id in account.log for response in commit.folded.responses
        ):
            return False
        return commit.folded.learner.version == account.version

    def _check(self, commit: Commit) -> None:
        account = self._accounts.get(commit.folded.key) or Account()
        new = [response.response_id for response in commit.folded.responses]
        if len(set(new)) < len(new) or not account.log.keys().isdisjoint(new):
            raise Unstorable(f"a response of {commit.folded.key} is in the log already")
        for response in commit.folded.responses:
            if not 0.0 <= response.score <= 1.0:
                raise Unstorable(f"score {response.score} lies outside [0, 1]")
            if any("\0" in text for text in _texts(commit.folded.key, response)):
                raise Unstorable("a NUL character can't be stored")

    def _apply(self, commit: Commit) -> Committed:
        folded, learner = commit.folded, commit.folded.learner
        versions = [next(self._versions) for _ in folded.responses]
        account = self._accounts.setdefault(folded.key, Account())
        account.version, account.last = versions[-1], learner.last
        account.parameters_version = learner.parameters_version
        account.kept = account.kept if commit.kept is None else dict(commit.kept)
        for response, version, entry, outcome in zip(
            folded.responses, versions, commit.entries, commit.outcomes, strict=True
        ):
            account.log[response.response_id] = Recorded(response, version, entry, copied(outcome))
            account.recorded_at_us[response.response_id] = time.time_ns() // 1_000
        _write_states(account, commit, versions)
        _write_snapshots(account, commit)
        return Committed(versions)

    def _loaded(self, touched: Touched) -> Loaded:
        erasure = self._erasures.get(touched.key) if touched.arrivals else None
        active = self._activation.version
        account = self._accounts.get(touched.key)
        if account is None:
            return Loaded(Learner(), erasure=erasure, active_version=active, whole=True)
        recorded = {
            response.response_id: known._replace(outcome=copied(known.outcome))
            for response in touched.responses
            if (known := account.log.get(response.response_id)) is not None
        }
        last = account.last
        other_parameters = account.parameters_version != active
        late = last is not None and any(
            response.response_id not in recorded and (response.position < last or other_parameters)
            for response in touched.responses
        )
        few = max(len(account.concepts), len(account.abilities)) <= FEW_STATES
        loaded = Loaded(
            _learner(account, touched.responses, whole=late or few),
            recorded,
            responses=len(account.log),
            erasure=erasure,
            active_version=active,
            whole=few,
        )
        if late:
            first = min(r.position for r in touched.responses if r.response_id not in recorded)
            base = account.base(active, first)
            answers = [r for r in account.effective() if base is None or r.position > base.position]
            loaded.replay = StoredLog(base, answers)
        if touched.arrivals and account.kept:
            loaded.kept = dict(account.kept)
            oldest, counts = min(account.kept), account.windows()
            windows = {a.window for a in touched.arrivals if a.window is not None}
            loaded.older = {window: counts.get(window, 0) for window in windows if window < oldest}
        return loaded


def _learner(account: Account, responses: Iterable[Response], *, whole: bool) -> Learner:
    """Make the learner, with the states that responses touch, or with all but the sessions."""
    learner = Learner(account.version, account.last, account.parameters_version)
    concepts = {concept_id for response in responses for concept_id in response.concept_ids}
    scales = {response.scale for response in responses}
    sessions = {response.session_id for response in responses}
    for concept in account.concepts.values():
        if whole or concept.concept_id in concepts:
            learner.concepts[concept.concept_id] = concept.state
    for ability in account.abilities.values():
        if whole or ability.scale in scales:
            learner.abilities[ability.scale] = ability.state
    for session in account.sessions.values():
        if session.session_id in sessions:
            learner.sessions[session.session_id] = session.state
    return learner


def _write_states(account: Account, commit: Commit, versions: Sequence[int]) -> None:
    folded, learner = commit.folded, commit.folded.learner
    parameters = learner.parameters_version
    newest = {
        concept.concept_id: concept for outcome in folded.outcomes for concept in outcome.concepts
    }
    for concept_id, by in folded.concepts.items():
        outcome = newest[concept_id]
        account.concepts[concept_id] = ConceptRow.of(
            concept_id,
            learner.concepts[concept_id],
            mastery=outcome.mastery,
            mastered=outcome.mastered,
            interval=outcome.interval,
            version=versions[by],
            parameters_version=parameters,
        )
    for scale, by in folded.abilities.items():
        account.abilities[scale] = AbilityRow.of(
            scale,
            learner.abilities[scale],
            folded.estimates[scale],
            version=versions[by],
            parameters_version=parameters,
        )
    for session_id, by in folded.sessions.items():
        account.sessions[session_id] = SessionRow.of(
            session_id, learner.sessions[session_id], version=versions[by]
        )
    if folded.under_new_parameters:
        # Rows that came out the same are under the new parameters too.
        for concept_id, concept in account.concepts.items():
            account.concepts[concept_id] = concept._replace(parameters_version=parameters)
        for scale, ability in account.abilities.items():
            account.abilities[scale] = ability._replace(parameters_version=parameters)


def _write_snapshots(account: Account, commit: Commit) -> None:
    folded, first = commit.folded, commit.folded.changed_from
    if folded.under_new_parameters:
        version = account.parameters_version
        account.snapshots = {
            at: snapshot for at, snapshot in account.snapshots.items() if at[0] == version
        }
    if first is not None:
        account.snapshots = {
            at: snapshot for at, snapshot in account.snapshots.items() if at[1] < first
        }
    account.put_snapshots(folded.snapshots)
    if commit.snapshot and account.last is not None:
        concepts = {row.concept_id: row.state for row in account.concepts.values()}
        abilities = {row.scale: row.state for row in account.abilities.values()}
        account.put_snapshots([Snapshot(account.last, len(account.log), concepts, abilities)])


def _texts(key: LearnerKey, response: Response) -> Iterable[str]:
    yield from key
    yield from response.concept_ids
    yield from (response.item_id, response.scale, response.session_id or "")
