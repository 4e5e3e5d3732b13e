"""Log lines about entries."""

import structlog

from workers.common.errors import Refused
from workers.publishing.settled import Settled

_log = structlog.get_logger(__name__)


def log_settled(stream: str, settled: Settled) -> None:
    """Log that an entry was settled."""
    _log.debug(
        "response_settled",
        version=settled.version,
        events=len(settled.events),
        **_identifiers(stream, settled),
    )


def log_rejected(stream: str, settled: Settled, refusal: Refused) -> None:
    """Log that an entry was rejected, and why."""
    _log.info(
        "response_rejected",
        code=refusal.code.value,
        field=refusal.field,
        **_identifiers(stream, settled),
    )


def _identifiers(stream: str, settled: Settled) -> dict[str, str | None]:
    """Return the ids that a log line about an entry is found by."""
    ids: dict[str, str | None] = {"stream": stream, "entry_id": settled.entry.entry_id}
    event, admitted = settled.event, settled.admitted
    if event is None:
        return ids
    return {
        **ids,
        "event_id": event.id,
        "correlation_id": event.correlationid,
        "tenant_id": None if admitted is None else admitted.key.tenant_id,
        "student_id": event.data.response.student_id,
    }
