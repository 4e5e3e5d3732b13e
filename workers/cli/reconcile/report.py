"""The report of a reconciliation, as text and as JSON."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from workers.common.times import iso
from workers.operations.concept_map.graph_map import MapDifference
from workers.operations.reconciliation.comparison import Difference
from workers.operations.reconciliation.graph_repair import Compared
from workers.operations.reconciliation.publication import Published
from workers.operations.repair.scope import Cursor


@dataclass(slots=True)
class Report:
    """Counts and first differences of a run.

    Args:
        show: keep at most this many differences.
        dry_run: the run changes nothing.
        publish: the run publishes values.
    """

    show: int
    dry_run: bool
    publish: bool
    learners: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    nodes: int = 0
    unlocked: int = 0
    concepts: list[MapDifference] = field(default_factory=list)
    shown: list[Difference] = field(default_factory=list)
    left: list[Difference] = field(default_factory=list)
    published_learners: int = 0
    events: int = 0
    untold: int = 0
    cursor: Cursor | None = None
    """The place to continue; None before the first page and after the last."""
    since_us: int | None = None
    """Start of the published span, microseconds since 1970 by the ledger's clock."""
    finished: bool = False

    def compared(self, page: Compared) -> None:
        """Count a page of the comparison."""
        self.learners += page.learners
        self.kinds.update(difference.kind for difference in page.differences)
        self.nodes += len(page.nodes)
        self.left += page.left
        self.shown += page.differences[: self.show - len(self.shown)]

    def mapped(self, differences: Sequence[MapDifference]) -> None:
        """Count the differences of a tenant's concept map."""
        self.concepts += differences

    def published(self, page: Published) -> None:
        """Count a page of published values."""
        self.published_learners += page.learners
        self.events += page.events
        self.untold += page.unpublished

    @property
    def options(self) -> str:
        """Return the options that continue an interrupted run, without those of its scope."""
        since = "" if self.since_us is None else f"--publish --since {iso(self.since_us)}"
        cursor = "" if self.cursor is None else f"--cursor {self.cursor}"
        return f"{since} {cursor}".strip() or "the same options"

    @property
    def different(self) -> int:
        """Count the relationships, nodes and concepts that differed from the ledger."""
        return self.kinds.total() + self.nodes + len(self.concepts) + self.unlocked

    @property
    def good(self) -> bool:
        """Return True if the graph now agrees with the ledger."""
        return self.finished and not (self.different if self.dry_run else self.left)

    def document(self) -> dict[str, Any]:
        """Return the report for JSON."""
        return {
            "finished": self.finished,
            "dry_run": self.dry_run,
            "cursor": None if self.cursor is None else str(self.cursor),
            "since": None if self.since_us is None else iso(self.since_us),
            "published": {
                "learners": self.published_learners,
                "events": self.events,
                "untold": self.untold,
            }
            if self.publish
            else None,
            "learners": self.learners,
            "different": self.different,
            "kinds": self._counted(),
            "repaired": 0 if self.dry_run else self.different - len(self.left),
            "left": [difference.document() for difference in self.left],
            "shown": [difference.document() for difference in self.shown],
        }

    def _counted(self) -> dict[str, int]:
        others = {
            "node": self.nodes,
            "concept": len(self.concepts),
            "unlocked": self.unlocked,
        }
        return {**self.kinds, **{name: count for name, count in others.items() if count}}

    def lines(self) -> Iterator[str]:
        """Yield the report as lines of text."""
        if self.publish:
            verb = "would be published" if self.dry_run else "published"
            yield f"{self.events} events of {self.published_learners} learners {verb}"
            if self.untold:
                yield (
                    f"{self.untold} rewritten scales or sessions have no event: only the repair of "
                    "the graph updates them"
                )
        for concept in self.concepts[: self.show] if self.dry_run else ():
            yield str(concept)
        for difference in self.shown if self.dry_run else self.left:
            yield str(difference)
        yield f"{self.learners} learners compared with the graph: {self._outcome()}"
        if not self.finished:
            yield f"stopped early: continue with {self.options}"

    def _outcome(self) -> str:
        kinds = [f"{count} {kind}" for kind, count in self.kinds.most_common()]
        if self.nodes:
            kinds.append(f"{self.nodes} orphaned")
        if self.concepts:
            kinds.append(f"{len(self.concepts)} concepts of the map")
        if self.unlocked:
            kinds.append(f"{self.unlocked} unlocked concepts")
        if not kinds:
            return "no difference"
        summary = f"{self.different} differences ({', '.join(kinds)})"
        if self.dry_run:
            return summary
        if self.left:
            return f"{summary}, {len(self.left)} came back after the repair"
        return f"{summary}, repaired"
