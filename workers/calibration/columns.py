"""Whole logs of many learners as columns: some 50 bytes an answer, sent between processes as it is.

What is fitted is a `Table` of some learners; what is predicted are `Response`s of others, made one
log at a time.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from workers.calibration.table import Bools, Floats, Ints, Table
from workers.estimation.learner import Response


@dataclass(frozen=True)
class LogColumns:
    """Answers learner by learner, each log in the learner's own order.

    Args:
        items: ids of items; the column holds their indices.
        concepts: ids of concepts, likewise.
        scale: of all answers.
        begin: where each learner's log begins, one more entry than there are learners.
        item: of each answer.
        score: of each answer, in [0, 1].
        at_us: when it was given, microseconds since 1970-01-01T00:00:00Z.
        link: where each answer's concepts begin, one more entry than there are answers.
        concept: of each link.
    """

    items: Sequence[str]
    concepts: Sequence[str]
    scale: str
    begin: Ints
    item: Ints
    score: Floats
    at_us: Ints
    link: Ints
    concept: Ints

    @property
    def learners(self) -> int:
        """Number of learners."""
        return self.begin.size - 1

    def log(self, learner: int) -> list[Response]:
        """One learner's answers; their ids are only their places."""
        rows = range(int(self.begin[learner]), int(self.begin[learner + 1]))
        chosen = slice(rows.start, rows.stop)
        links = self.link[rows.start : rows.stop + 1].tolist()
        named = [self.concepts[at] for at in self.concept[links[0] : links[-1]].tolist()]
        base = links[0]
        return [
            Response(
                f"{row:012d}",
                None,
                self.items[item],
                tuple(named[first - base : last - base]),
                self.scale,
                score,
                at_us,
            )
            for row, item, score, at_us, first, last in zip(
                rows,
                self.item[chosen].tolist(),
                self.score[chosen].tolist(),
                self.at_us[chosen].tolist(),
                links,
                links[1:],
                strict=False,
            )
        ]

    def logs(self) -> Iterator[list[Response]]:
        """All learners' answers."""
        return map(self.log, range(self.learners))

    def table(self, chosen: Bools | None = None) -> Table:
        """The table of some learners, as `table_of` makes it of their logs.

        Args:
            chosen: of each learner, whether it is one of them; all of them, if not given.
        """
        length = np.diff(self.begin)
        if chosen is not None:
            length = np.where(chosen, length, 0)
        longest_first = np.argsort(-length, kind="stable")
        longest_first = longest_first[: int(np.count_nonzero(length))]
        length = length[longest_first]
        rank = np.repeat(np.arange(length.size), length)
        number = np.arange(rank.size) - np.repeat(np.cumsum(length) - length, length)
        order = np.lexsort((rank, number))
        row = (np.repeat(self.begin[longest_first], length) + number)[order]
        linked = np.diff(self.link)[row]
        within = np.arange(linked.sum()) - np.repeat(np.cumsum(linked) - linked, linked)
        items, item = _by_appearance(self.item[row])
        concepts, concept = _by_appearance(self.concept[np.repeat(self.link[row], linked) + within])
        return Table(
            [self.items[at] for at in items.tolist()],
            [self.concepts[at] for at in concepts.tolist()],
            rank[order],
            item,
            self.score[row],
            np.concatenate([[0], np.cumsum(np.bincount(number))]).astype(np.int64),
            np.repeat(np.arange(row.size), linked),
            concept,
        )


def columns_of(logs: Iterable[Sequence[Response]]) -> LogColumns:
    """The columns of whole logs on one scale, one per learner, each in the learner's order.

    Raises:
        ValueError: if the answers are on several scales.
    """
    items: dict[str, int] = {}
    concepts: dict[str, int] = {}
    scales: set[str] = set()
    begin, link = array("q", [0]), array("q", [0])
    item, at_us, concept = array("q"), array("q"), array("q")
    score = array("d")
    for log in logs:
        for response in log:
            scales.add(response.scale)
            item.append(items.setdefault(response.item_id, len(items)))
            score.append(response.score)
            at_us.append(response.answered_at_us)
            for name in response.concept_ids:
                concept.append(concepts.setdefault(name, len(concepts)))
            link.append(len(concept))
        begin.append(len(item))
    if len(scales) > 1:
        raise ValueError(f"answers must be on one scale, not on {', '.join(sorted(scales))}")
    return LogColumns(
        list(items),
        list(concepts),
        next(iter(scales), "default"),
        _ints(begin),
        _ints(item),
        np.array(score, dtype=np.float64),
        _ints(at_us),
        _ints(link),
        _ints(concept),
    )


def _ints(values: "array[int]") -> Ints:
    return np.array(values, dtype=np.int64)


def _by_appearance(values: Ints) -> tuple[Ints, Ints]:
    """The distinct values in order of their first appearance, and each value's number therein."""
    distinct, first, place = np.unique(values, return_index=True, return_inverse=True)
    order = np.argsort(first)
    number = np.empty_like(order)
    number[order] = np.arange(order.size)
    return distinct[order], number[place]
