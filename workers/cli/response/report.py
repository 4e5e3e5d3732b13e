"""What `mastery response` prints."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from workers.cli.telling import told_line
from workers.operations.repair.correcting import Corrected

_SHOWN: Final = 20


@dataclass(slots=True)
class Report:
    """How the responses ended, and what subscribers were told."""

    done: list[Corrected] = field(default_factory=list)
    told: int = 0
    left: str | None = None

    def of(self, ending: str) -> list[Corrected]:
        """Those that ended so."""
        return [one for one in self.done if one.ending == ending]

    def document(self, dry_run: bool) -> dict[str, Any]:
        """As JSON."""
        return {
            "corrected": len(self.of("corrected")),
            "unchanged": len(self.of("unchanged")),
            "damaged": len(self.of("damaged")),
            "events": self.told,
            "dry_run": dry_run,
            "responses": [
                {
                    **one.key._asdict(),
                    "response_id": one.response_id,
                    "result": one.ending,
                    "before": one.before,
                    "after": one.after,
                }
                for one in self.done
            ],
        }

    def lines(self, dry_run: bool) -> Iterable[str]:
        """For a person."""
        damaged, corrected = self.of("damaged"), self.of("corrected")
        for one in damaged[:_SHOWN]:
            yield (
                f"tenant {one.key.tenant_id!r}, student {one.key.student_id!r}: the log is not "
                f"what was written, response {one.response_id} is left alone; see `mastery verify`"
            )
        if len(damaged) > _SHOWN:
            yield f"… and {len(damaged) - _SHOWN} more"
        students = len({one.key for one in corrected})
        yield (
            f"{len(corrected)} responses of {students} students "
            f"{'would be corrected' if dry_run else 'corrected'}, "
            f"{len(self.of('unchanged'))} counted like that already"
        )
        if not dry_run:
            yield told_line(self.told, self.left)
