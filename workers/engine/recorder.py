"""The steps of a batch that need the ledger: load, fold, commit."""

from collections.abc import Sequence

from workers.admission.verdicts import Admitted
from workers.common.rate_limit import RateLimit
from workers.common.retrying import NoRetry, Retrying
from workers.engine.folding import fold_in_turns
from workers.engine.group import LearnerGroup, owner_name
from workers.engine.rate_limiting import arrival_of, counted
from workers.engine.registered_names import Registry
from workers.engine.settling import Settling
from workers.estimation.fold import Folded, FoldTask
from workers.estimation.parameters import Parameters
from workers.ledger.exchange import Commit, Committed, Loaded, Touched
from workers.ledger.parameter_versions import Versions, versions_of
from workers.ledger.recording import RecordingLedger
from workers.metrics.meter import Meter


class Recorder:
    """Records the admitted responses of a batch, each exactly once.

    Every step raises `Fatal` if the ledger refuses us; then no entry is at fault. Anything
    unexpected is the fault of one of the entries.

    Args:
        ledger: the system of record.
        parameters: the active parameters; every ledger answer names their version.
        retrying: waits for the ledger while it is away.
        meter: counts, and measures each step.
        rate_limit: the most responses of a learner in a window; None: no limit.
        registry: knows the registered items and concepts; None: any may be used.

    Attributes:
        settling: settles entries by what the ledger answers.
    """

    def __init__(
        self,
        *,
        ledger: RecordingLedger,
        parameters: Parameters | Versions,
        retrying: Retrying,
        meter: Meter,
        rate_limit: RateLimit | None = None,
        registry: Registry | None = None,
    ) -> None:
        self._ledger = ledger
        self._versions = versions_of(parameters)
        self._retrying = retrying
        self._meter = meter
        self._rate_limit = rate_limit
        self._registry = registry
        self.settling = Settling(rate_limit, registry, meter)

    def without_retry(self) -> "Recorder":
        """Return the same recorder, but raising `LedgerUnavailable` instead of waiting."""
        return Recorder(
            ledger=self._ledger,
            parameters=self._versions,
            retrying=NoRetry(),
            meter=self._meter,
            rate_limit=self._rate_limit,
            registry=self._registry,
        )

    async def ping(self) -> None:
        """Return if the ledger answers.

        Raises:
            LedgerUnavailable: it does not.
        """
        await self._ledger.ping()

    async def look_up(self, admitted: Sequence[Admitted]) -> None:
        """Look up the items and concepts of a batch, if they must be registered."""
        registry = self._registry
        if registry is not None and admitted:
            await self._retrying.call(lambda: registry.look_up(admitted))

    async def load(self, groups: Sequence[LearnerGroup]) -> Parameters:
        """Load the learners that are not loaded, and return the parameters active for all.

        If another version was activated in between, all are loaded again: an answer holds a
        learner's log only if the state is not under the version active then.
        """
        await self._load([group for group in groups if group.loaded is None])
        while len(active := {group.state.active_version for group in groups}) > 1:
            await self._load(groups)
        (version,) = active
        return await self._retrying.call(lambda: self._versions.switch_to(version))

    async def fold(
        self, stream: str, groups: Sequence[LearnerGroup], parameters: Parameters
    ) -> list[Commit]:
        """Fold the new responses of loaded learners; return what to commit, in the same order."""
        tasks = [
            FoldTask(group.key, group.state.learner, group.responses(), group.state.log)
            for group in groups
        ]
        with self._meter.stage("fold"):
            folded = await fold_in_turns(tasks, parameters)
        return [
            self._commit_of(stream, group, result)
            for group, result in zip(groups, folded, strict=True)
        ]

    async def commit(self, commits: Sequence[Commit]) -> list[Committed | Loaded]:
        """Commit in one transaction; a conflict is answered with the learner's current state."""
        with self._meter.stage("commit"):
            return await self._retrying.call(lambda: self._ledger.commit(commits))

    async def _load(self, groups: Sequence[LearnerGroup]) -> None:
        if not groups:
            return
        limit, version = self._rate_limit, self._versions.active.version
        touched = [
            Touched(
                group.key,
                group.responses(),
                version,
                [arrival_of(first, limit) for first, *_ in group.entries.values()],
            )
            for group in groups
        ]
        with self._meter.stage("load"):
            answers = await self._retrying.call(lambda: self._ledger.load(touched))
        for group, loaded in zip(groups, answers, strict=True):
            group.loaded = loaded

    def _commit_of(self, stream: str, group: LearnerGroup, folded: Folded) -> Commit:
        owners = [group.entries[response.response_id][0] for response in folded.responses]
        arrivals = [arrival_of(owner, self._rate_limit) for owner in owners]
        added = counted(arrivals)
        return Commit(
            folded,
            [owner_name(stream, owner) for owner in owners],
            arrivals,
            group.state.counts.after(added) if added else None,
        )
