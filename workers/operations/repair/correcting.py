"""Correct responses: append the correction, replay the learner, publish the changes."""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from workers.estimation.learner import LearnerKey, Response
from workers.estimation.parameters import Parameters
from workers.ledger.corrections import Correction, newest_corrections
from workers.ledger.parameter_versions import Versions, versions_of
from workers.ledger.repair import CorrectionLedger, ItemSpan, Rewrite
from workers.ledger.rows import Stored
from workers.operations.repair.long_corrections import draft_correction
from workers.operations.repair.long_logs import in_parts, replayed
from workers.operations.repair.rewriting import RewriteDraft
from workers.operations.repair.verifying import log_differences

_LEARNERS_AT_ONCE: Final = 50
_LEARNERS_OF_A_PAGE: Final = 500

Ending = Literal["corrected", "unchanged", "unknown", "damaged"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The correction of a response.

    Args:
        kind: ``void``: nothing; ``rescore``: a score; ``flip``: 1 less the score published, so that
            correct becomes wrong and the reverse, and a repeat changes nothing.
        score: the score of a rescore, in [0, 1].
        reason: why, for readers of the log.
    """

    kind: Literal["void", "rescore", "flip"]
    reason: str
    score: float | None = None

    def on(self, published: Response) -> Correction:
        """Return the correction of a published response."""
        if self.kind == "void":
            return Correction(published.response_id, "void", None, self.reason)
        score = 1.0 - published.score if self.kind == "flip" else self.score
        return Correction(published.response_id, "rescore", score, self.reason)


class Corrected(NamedTuple):
    """The result for one response."""

    key: LearnerKey
    response_id: str
    ending: Ending
    """``unchanged``: it counts so already. ``unknown``: there is no such response. ``damaged``: the
    learner's log was altered, so nothing may be computed from it."""
    before: float | None = None
    """The score that counted; None: it did not count."""
    after: float | None = None
    """The score that counts now."""


class Corrector:
    """Corrects responses; repeating a correction changes nothing.

    Args:
        ledger: the system of record.
        parameters: the parameters of the replay; of a ledger's versions the active one.
        verdict: the correction.
        dry_run: find out, and change nothing.
    """

    def __init__(
        self,
        *,
        ledger: CorrectionLedger,
        parameters: Parameters | Versions,
        verdict: Verdict,
        dry_run: bool = False,
    ) -> None:
        self._ledger = ledger
        self._versions = versions_of(parameters)
        self._verdict = verdict
        self._dry_run = dry_run

    async def of_item(self, span: ItemSpan) -> AsyncIterator[tuple[int, list[Corrected]]]:
        """Correct all responses to an item; yield the learners done so far, and the results.

        Responses recorded meanwhile for learners already done are left out.
        """
        after: LearnerKey | None = None
        looked_at = 0
        while True:
            page = await self._ledger.answers(span, after, _LEARNERS_OF_A_PAGE)
            if page.last is None:
                return
            after = page.last
            looked_at += _LEARNERS_OF_A_PAGE
            yield looked_at, await self.correct(page.responses)

    async def correct(self, wanted: Iterable[tuple[LearnerKey, str]]) -> list[Corrected]:
        """Correct responses of any learners.

        Args:
            wanted: learner and response id (canonical, in lower case).

        Raises:
            LedgerUnavailable: some may be corrected; repeat the call for the rest.
        """
        waiting: dict[LearnerKey, list[str]] = {}
        for key, response_id in wanted:
            waiting.setdefault(key, []).append(response_id)
        done: list[Corrected] = []
        keys = list(waiting)
        for at in range(0, len(keys), _LEARNERS_AT_ONCE):
            page = {key: waiting[key] for key in keys[at : at + _LEARNERS_AT_ONCE]}
            done += await self._until_done(page)
        return done

    async def _until_done(self, waiting: dict[LearnerKey, list[str]]) -> list[Corrected]:
        """Apply one correction of each learner at a time; conflicts are tried again."""
        done: list[Corrected] = []
        while waiting:
            due: list[tuple[Corrected, Rewrite]] = []
            parameters = await self._versions.refresh()
            async for part in in_parts(self._ledger, list(waiting)):
                for stored in part:
                    judged = self._judge if not stored.left_out else self._judge_by_pages
                    settled, next_one = await judged(stored, waiting[stored.key], parameters)
                    done += settled
                    waiting[stored.key] = waiting[stored.key][len(settled) :]
                    if next_one is not None:
                        due.append(next_one)
                    elif not waiting[stored.key]:
                        del waiting[stored.key]
            if due:
                versions = await self._ledger.rewrite([rewrite for _, rewrite in due])
                for (corrected, _), version in zip(due, versions, strict=True):
                    if version is not None:
                        done.append(corrected)
                        waiting[corrected.key].pop(0)
                        if not waiting[corrected.key]:
                            del waiting[corrected.key]
        return done

    async def _judge(
        self, stored: Stored, response_ids: Sequence[str], parameters: Parameters
    ) -> tuple[list[Corrected], tuple[Corrected, Rewrite] | None]:
        """Settle responses up to the first that needs a rewrite, and return that too."""
        key = stored.key
        published = {response.response_id: response for response in stored.responses}
        newest = newest_corrections(stored.corrections)
        damaged = any(log_differences(stored))
        settled: list[Corrected] = []
        for response_id in response_ids:
            response = published.get(response_id)
            if response is None:
                settled.append(Corrected(key, response_id, "unknown"))
                continue
            known = newest.get(response_id)
            before = response.score if known is None else known.score
            correction = self._verdict.on(response)
            if damaged:
                settled.append(Corrected(key, response_id, "damaged", before, before))
            elif correction.score == before:
                settled.append(Corrected(key, response_id, "unchanged", before, before))
            else:
                corrected = Corrected(key, response_id, "corrected", before, correction.score)
                if not self._dry_run:
                    draft = RewriteDraft(stored, parameters, correction)
                    await replayed(self._ledger, stored, draft.replay)
                    rewrite = draft.rewrite(stored)
                    if rewrite is not None:  # a correction always needs one
                        return settled, (corrected, rewrite)
                settled.append(corrected)
        return settled, None

    async def _judge_by_pages(
        self, stored: Stored, response_ids: Sequence[str], parameters: Parameters
    ) -> tuple[list[Corrected], tuple[Corrected, Rewrite] | None]:
        """Settle the first response of a learner whose log is long, or return its rewrite.

        A learner who changes meanwhile has to be judged again: nothing is settled then.
        """
        key, response_id = stored.key, response_ids[0]
        read = await self._ledger.published(key, [response_id])
        if not read.responses:
            return [Corrected(key, response_id, "unknown")], None
        (response,) = read.responses
        known = newest_corrections(stored.corrections).get(response_id)
        before = response.score if known is None else known.score
        correction = self._verdict.on(response)
        if correction.score == before:
            return [Corrected(key, response_id, "unchanged", before, before)], None
        drafted = await draft_correction(self._ledger, stored, response, correction, parameters)
        if drafted is None:
            return [], None
        rewrite = drafted.rewrite
        if rewrite is None:
            return [Corrected(key, response_id, "damaged", before, before)], None
        corrected = Corrected(key, response_id, "corrected", before, correction.score)
        return ([corrected], None) if self._dry_run else ([], (corrected, rewrite))
