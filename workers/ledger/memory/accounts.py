"""The rows that a ledger in memory has of one learner."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from workers.estimation.learner import LearnerKey, Position, Response
from workers.estimation.snapshots import Snapshot, thinned
from workers.ledger.corrections import CorrectionRow, effective_log
from workers.ledger.exchange import Recorded
from workers.ledger.rows import AbilityRow, ConceptRow, SessionRow, SnapshotRow, Stored


@dataclass(slots=True)
class Account:
    """All rows of one learner."""

    version: int = 0
    last: Position | None = None
    parameters_version: int = 1
    concepts: dict[str, ConceptRow] = field(default_factory=dict)
    abilities: dict[str, AbilityRow] = field(default_factory=dict)
    sessions: dict[str, SessionRow] = field(default_factory=dict)
    log: dict[str, Recorded] = field(default_factory=dict)
    recorded_at_us: dict[str, int] = field(default_factory=dict)
    corrections: list[CorrectionRow] = field(default_factory=list)
    kept: dict[int, int] | None = None
    snapshots: dict[tuple[int, Position], Snapshot] = field(default_factory=dict)
    """Snapshots by version of the parameters and position."""

    def effective(self, until_us: int | None = None) -> list[Response]:
        """List the responses that count, as of now or of a moment in the past."""
        if until_us is None:
            return effective_log(
                [recorded.response for recorded in self.log.values()], self.corrections
            )
        return effective_log(
            [
                recorded.response
                for response_id, recorded in self.log.items()
                if self.recorded_at_us[response_id] <= until_us
            ],
            [made for made in self.corrections if made.corrected_at_us <= until_us],
        )

    def base(self, parameters_version: int, before: Position) -> Snapshot | None:
        """Return the nearest snapshot before a position."""
        return max(
            (
                snapshot
                for (version, position), snapshot in self.snapshots.items()
                if version == parameters_version and position < before
            ),
            key=lambda snapshot: snapshot.position,
            default=None,
        )

    def forget_snapshots(self, changed_from: Position | None) -> None:
        """Drop the snapshots under other parameters, and those at and after a position.

        Args:
            changed_from: the position; None: drop all.
        """
        self.snapshots = {
            (version, position): snapshot
            for (version, position), snapshot in self.snapshots.items()
            if version == self.parameters_version
            and changed_from is not None
            and position < changed_from
        }

    def put_snapshots(self, snapshots: Iterable[Snapshot]) -> None:
        """Store snapshots under the parameters of the state, and thin them out."""
        version = self.parameters_version
        own = {at: snapshot for (of, at), snapshot in self.snapshots.items() if of == version}
        own |= {snapshot.position: snapshot for snapshot in snapshots}
        kept = thinned((own[position] for position in sorted(own)), len(self.log))
        self.snapshots = {(version, snapshot.position): snapshot for snapshot in kept}

    def versions(self) -> set[int]:
        """Collect the versions of the rows of states."""
        return {
            *(row.version for row in self.concepts.values()),
            *(row.version for row in self.abilities.values()),
            *(row.version for row in self.sessions.values()),
        }

    def state_versions(self) -> set[int]:
        """Collect the versions of all rows but those of responses."""
        return self.versions() | {correction.version for correction in self.corrections}

    def windows(self) -> dict[int, int]:
        """Count the responses of the log by rate window."""
        windows = (recorded.outcome.get("window") for recorded in self.log.values())
        return dict(Counter(window for window in windows if window is not None))

    def stored(self, key: LearnerKey) -> Stored:
        """Read all rows, for audit and repair."""
        versions = self.state_versions()
        versions |= {recorded.version for recorded in self.log.values()}
        return Stored(
            key=key,
            version=self.version,
            last=self.last,
            parameters_version=self.parameters_version,
            concepts=list(self.concepts.values()),
            abilities=list(self.abilities.values()),
            sessions=list(self.sessions.values()),
            log=self.effective(),
            responses=[recorded.response for recorded in self.log.values()],
            corrections=list(self.corrections),
            response_count=None,
            correction_count=len(self.corrections),
            newest_version=max(versions, default=0),
            kept=None if self.kept is None else dict(self.kept),
            windows=self.windows(),
            snapshots=[
                SnapshotRow(version, snapshot)
                for (version, _), snapshot in sorted(self.snapshots.items())
            ],
        )


def copied(document: Mapping[str, Any]) -> dict[str, Any]:
    """Copy a document as JSON carries it, so that no caller can change what is stored."""
    copy: dict[str, Any] = json.loads(json.dumps(dict(document)))
    return copy
