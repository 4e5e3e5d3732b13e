"""Correct a response of a learner whose log is long: replay only the end of the log."""

from dataclasses import replace
from typing import NamedTuple

from workers.estimation.learner import Response
from workers.estimation.parameters import Parameters
from workers.estimation.snapshots import Snapshot
from workers.ledger.audit import AuditLedger
from workers.ledger.corrections import Correction
from workers.ledger.repair import Rewrite
from workers.ledger.rows import Stored
from workers.operations.repair.long_logs import replay_all
from workers.operations.repair.rewriting import BehindTheBase, RewriteDraft
from workers.operations.repair.verifying import log_differences


class DraftedCorrection(NamedTuple):
    """The result of a replay with a correction."""

    rewrite: Rewrite | None
    """None: the log was altered, so nothing may be computed from it."""


async def draft_correction(
    ledger: AuditLedger,
    stored: Stored,
    response: Response,
    correction: Correction,
    parameters: Parameters,
) -> DraftedCorrection | None:
    """Replay a long log with a correction, from the nearest snapshot before the response.

    Args:
        ledger: the system of record.
        stored: the learner, without the log.
        response: the response to correct, as it was published.
        correction: the correction.
        parameters: the parameters of the replay.

    Returns:
        The rewrite; None if the learner changed meanwhile.
    """
    base = base_before(stored, response, parameters.version)
    draft = RewriteDraft(stored, parameters, correction, base)
    now = await replay_all(ledger, stored, draft.replay)
    if now is None:
        return None
    altered = now.totals is not None and bool(now.totals.altered)
    # Only the whole log can be counted.
    if altered or (base is None and any(log_differences(now))):
        return DraftedCorrection(None)
    try:
        return DraftedCorrection(draft.rewrite(now))
    except BehindTheBase:
        whole = replace(stored, snapshots=[])  # without them it begins at the beginning
        return await draft_correction(ledger, whole, response, correction, parameters)


def base_before(stored: Stored, response: Response, parameters_version: int) -> Snapshot | None:
    """Choose the snapshot at which the replay of a correction begins.

    The session of the response has to begin after it, because snapshots hold no sessions.

    Args:
        stored: the learner.
        response: the response to correct.
        parameters_version: the parameters of the replay.

    Returns:
        The nearest snapshot that is fit; None to replay the whole log.
    """
    if stored.altered or stored.parameters_version != parameters_version:
        return None
    begun_us = min(
        (r.started_at_us for r in stored.sessions if r.session_id == response.session_id),
        default=response.answered_at_us,
    )
    return max(
        (
            row.snapshot
            for row in stored.snapshots
            if row.parameters_version == parameters_version
            and row.snapshot.position < response.position
            and (response.session_id is None or row.snapshot.position.answered_at_us < begun_us)
        ),
        key=lambda snapshot: snapshot.position,
        default=None,
    )
