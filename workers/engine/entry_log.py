"""What log lines about entries are found by."""

from collections.abc import Sequence

import structlog

from contracts.streams import Shard
from workers.engine.recorder import Result

_log = structlog.get_logger(__name__)


def tell(shard: Shard, results: Sequence[Result]) -> None:
    """A line for each entry that was settled."""
    for one in results:
        _log.debug(
            "response_settled", version=one.version, events=len(one.events), **names_of(shard, one)
        )


def names_of(shard: Shard, one: Result) -> dict[str, str | None]:
    """What a log line about an entry is found by."""
    names: dict[str, str | None] = {
        "stream": shard.responses,
        "entry_id": one.entry.entry_id,
    }
    if one.event is None:
        return names
    return {
        **names,
        "event_id": one.event.id,
        "correlation_id": one.event.correlationid,
        "tenant_id": one.tenant_id,
        "student_id": one.event.data.response.student_id,
    }
