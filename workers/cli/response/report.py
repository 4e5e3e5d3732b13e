"""The report of a correction, as text and as JSON."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from workers.cli.publishing import published_line
from workers.operations.repair.correcting import Corrected

_SHOWN: Final = 20


@dataclass(slots=True)
class Report:
    """Outcomes of the responses, and the number of published events."""

    done: list[Corrected] = field(default_factory=list)
    published: int = 0
    left: str | None = None

    def of(self, ending: str) -> list[Corrected]:
        """Return the responses with this outcome."""
        return [response for response in self.done if response.ending == ending]

    def document(self, dry_run: bool) -> dict[str, Any]:
        """Return the report for JSON."""
        return {
            "corrected": len(self.of("corrected")),
            "unchanged": len(self.of("unchanged")),
            "damaged": len(self.of("damaged")),
            "events": self.published,
            "dry_run": dry_run,
            "responses": [
                {
                    **response.key._asdict(),
                    "response_id": response.response_id,
                    "result": response.ending,
                    "before": response.before,
                    "after": response.after,
                }
                for response in self.done
            ],
        }

    def lines(self, dry_run: bool) -> Iterable[str]:
        """Yield the report as lines of text."""
        damaged, corrected = self.of("damaged"), self.of("corrected")
        for response in damaged[:_SHOWN]:
            yield (
                f"tenant {response.key.tenant_id!r}, student {response.key.student_id!r}: the log "
                f"was altered, response {response.response_id} is left alone; see `mastery verify`"
            )
        if len(damaged) > _SHOWN:
            yield f"… and {len(damaged) - _SHOWN} more"
        students = len({response.key for response in corrected})
        yield (
            f"{len(corrected)} responses of {students} students "
            f"{'would be corrected' if dry_run else 'corrected'}, "
            f"{len(self.of('unchanged'))} already counted this way"
        )
        if not dry_run:
            yield published_line(self.published, self.left)
