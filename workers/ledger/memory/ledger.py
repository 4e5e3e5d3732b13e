"""A ledger in memory, for tests and trials: it answers as the SQL functions do, and forgets."""

import time
from collections.abc import Iterable, Sequence

from workers.common.errors import Unstorable
from workers.estimation.learner import (
    Learner,
    LearnerKey,
    Response,
    SessionState,
)
from workers.ledger.current import Current
from workers.ledger.exchange import Commit, Committed, Loaded, Recorded, Touched
from workers.ledger.memory.accounts import Account, copied
from workers.ledger.memory.calibration import MemoryCalibration
from workers.ledger.rows import AbilityRow, ConceptRow, SessionRow, Stored


class MemoryLedger(MemoryCalibration):
    """`workers.ledger.protocol.Ledger` in the memory of one process.

    Each call is one step that nothing interrupts, as a transaction is. It passes the contract's
    tests (`tests/integration/ledger`) beside the adapters that it stands in for.
    """

    async def load(self, touched: Sequence[Touched]) -> list[Loaded]:
        """See `Ledger.load`."""
        return [self._loaded(one) for one in touched]

    async def commit(self, commits: Sequence[Commit]) -> list[Committed | Loaded]:
        """See `Ledger.commit`."""
        current = [self._is_current(one) for one in commits]
        # All or nothing: what can't be stored is found before anything is.
        for commit in (one for one, agreed in zip(commits, current, strict=True) if agreed):
            self._check(commit)
        return [
            self._apply(one) if agreed else self._loaded(one.touched)
            for one, agreed in zip(commits, current, strict=True)
        ]

    async def learners(self, after: LearnerKey | None = None, limit: int = 500) -> list[LearnerKey]:
        """See `Ledger.learners`."""
        keys = sorted(key for key in self._accounts if after is None or key > after)
        return keys[:limit]

    async def stored(self, keys: Sequence[LearnerKey]) -> list[Stored]:
        """See `Ledger.stored`."""
        return [(self._accounts.get(key) or Account()).stored(key) for key in keys]

    async def current(
        self, keys: Sequence[LearnerKey], since_us: int | None = None
    ) -> list[Current]:
        """See `Ledger.current`."""
        return [
            account.current(key)
            for key in keys
            if (account := self._accounts.get(key)) is not None
            and account.log
            and (since_us is None or max(account.recorded_at_us.values()) >= since_us)
        ]

    async def clock_us(self) -> int:
        """See `Ledger.clock_us`."""
        return time.time_ns() // 1_000

    async def ping(self) -> None:
        """See `Ledger.ping`."""

    async def close(self) -> None:
        """See `Ledger.close`."""

    def _is_current(self, commit: Commit) -> bool:
        erasure = self._erasures.get(commit.folded.key)
        if erasure is not None and any(
            erasure.refuse or one.entered_ms <= erasure.until_ms for one in commit.arrivals or ()
        ):
            return False
        if commit.folded.learner.parameters_version != self._activation.version:
            return False
        account = self._accounts.get(commit.folded.key)
        return commit.folded.learner.version == (0 if account is None else account.version)

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
        account.parameters_version = parameters = learner.parameters_version
        account.kept = account.kept if commit.kept is None else dict(commit.kept)
        for response, version, entry, outcome in zip(
            folded.responses, versions, commit.entries, commit.outcomes, strict=True
        ):
            account.log[response.response_id] = Recorded(response, version, entry, copied(outcome))
            account.recorded_at_us[response.response_id] = time.time_ns() // 1_000
        told = {change.concept_id: change for one in folded.outcomes for change in one.concepts}
        for name, by in folded.concepts.items():
            state = learner.concepts[name]
            low, high = told[name].interval or (None, None)
            account.concepts[name] = ConceptRow(
                name,
                told[name].mastery,
                state.attempts,
                told[name].mastered,
                state.answered_at_us,
                versions[by],
                parameters,
                state.mantissa,
                state.exponent,
                state.concept_offset,
                state.offset_variance,
                state.gradient,
                state.recent,
                state.lasting,
                low,
                high,
            )
        for name, by in folded.abilities.items():
            now = learner.abilities[name]
            account.abilities[name] = AbilityRow(
                name,
                *folded.estimates[name],
                now.responses,
                versions[by],
                parameters,
                now.score,
                now.variance,
                now.surprise,
                now.surprise_variance,
            )
        for name, by in folded.sessions.items():
            account.sessions[name] = SessionRow(name, *learner.sessions[name], versions[by])
        if folded.under_new_parameters:
            # What came out as it was says so too.
            for name, concept in account.concepts.items():
                account.concepts[name] = concept._replace(parameters_version=parameters)
            for name, ability in account.abilities.items():
                account.abilities[name] = ability._replace(parameters_version=parameters)
        return Committed(versions)

    def _loaded(self, touched: Touched) -> Loaded:
        erasure = self._erasures.get(touched.key) if touched.arrivals else None
        account = self._accounts.get(touched.key)
        if account is None:
            return Loaded(Learner(), erasure=erasure, active_version=self._activation.version)
        recorded = {
            one.response_id: account.log[one.response_id]._replace(
                outcome=copied(account.log[one.response_id].outcome)
            )
            for one in touched.responses
            if one.response_id in account.log
        }
        last = account.last
        active = self._activation.version
        other_parameters = account.parameters_version != active
        late = last is not None and any(
            one.response_id not in recorded and (one.position < last or other_parameters)
            for one in touched.responses
        )
        learner = Learner(account.version, last, account.parameters_version)
        concepts = {name for one in touched.responses for name in one.concept_ids}
        scales = {one.scale for one in touched.responses}
        sessions = {one.session_id for one in touched.responses}
        for concept in account.concepts.values():
            if late or concept.concept_id in concepts:
                learner.concepts[concept.concept_id] = concept.state
        for ability in account.abilities.values():
            if late or ability.scale in scales:
                learner.abilities[ability.scale] = ability.state
        for session in account.sessions.values():
            if late or session.session_id in sessions:
                learner.sessions[session.session_id] = SessionState(*session[1:5])
        log = account.effective() if late else None
        loaded = Loaded(learner, recorded, log, erasure=erasure, active_version=active)
        if touched.arrivals and account.kept:
            loaded.kept = dict(account.kept)
            oldest, windows = min(account.kept), account.windows()
            asked = {one.window for one in touched.arrivals if one.window is not None}
            loaded.older = {one: windows.get(one, 0) for one in asked if one < oldest}
        return loaded


def _texts(key: LearnerKey, response: Response) -> Iterable[str]:
    yield from key
    yield from response.concept_ids
    yield from (response.item_id, response.scale, response.session_id or "")
