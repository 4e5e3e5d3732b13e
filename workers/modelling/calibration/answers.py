"""All learners' logs as arrays, for calibration and evaluation.

A fit reads the `Table` of some learners. A prediction reads the `Response`s of the others, one log
at a time.
"""

import hashlib
from array import array
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

import numpy as np

from workers.estimation.learner import Response
from workers.modelling.calibration.answer_tables import AnswerColumns, table_of_scale
from workers.modelling.calibration.paging import pages, release
from workers.modelling.calibration.table import Table

_NUMBERED: Final = b"by appearance"
"""Numbers of items and concepts in tables. Stored fits use these numbers, so another numbering must
give another digest."""


class Answer(Protocol):
    """One answer that counts."""

    @property
    def item_id(self) -> str:
        """Id of the item."""

    @property
    def concept_ids(self) -> Sequence[str]:
        """Ids of the concepts."""

    @property
    def scale(self) -> str:
        """Name of the scale."""

    @property
    def score(self) -> float:
        """Score, in [0, 1]."""

    @property
    def answered_at_us(self) -> int:
        """Time of the answer, microseconds since 1970-01-01T00:00:00Z."""


class Answers(AnswerColumns):
    """Answers learner by learner, in each learner's order."""

    @property
    def learners(self) -> int:
        """Number of learners."""
        return self.held_out.size

    def digest(self) -> str:
        """Return a digest of all answers."""
        digest = hashlib.blake2b(digest_size=16, person=_NUMBERED)
        for names in (self.items, self.concepts, self.scales):
            digest.update(b"".join(b"%d:%b" % (len(n := name.encode()), n) for name in names))
        for values in (
            self.begin,
            self.held_out,
            self.item,
            self.scale,
            self.score,
            self.answered_at_us,
            self.link_begin,
            self.concept,
        ):
            for page in pages(values.size):
                digest.update(np.ascontiguousarray(values[page]).data)
            release(values)
        return digest.hexdigest()

    def table(self, scale: int) -> Table:
        """Build the table of a scale without held-out learners, as `table_of` does from logs."""
        return table_of_scale(self, scale)

    def log(self, learner: int) -> list[Response]:
        """Build one learner's log for a replay; response ids are places among the answers."""
        begin, end = self.begin[learner : learner + 2].tolist()
        links = self.link_begin[begin : end + 1].tolist()
        named = [self.concepts[at] for at in self.concept[links[0] : links[-1]].tolist()]
        return [
            Response(
                f"{row:032x}",
                None,
                self.items[item],
                tuple(named[first - links[0] : last - links[0]]),
                self.scales[scale],
                score,
                at_us,
            )
            for row, item, scale, score, at_us, first, last in zip(
                range(begin, end),
                self.item[begin:end].tolist(),
                self.scale[begin:end].tolist(),
                self.score[begin:end].tolist(),
                self.answered_at_us[begin:end].tolist(),
                links[:-1],
                links[1:],
                strict=True,
            )
        ]


class AnswersBuilder:
    """Collect answers learner by learner, as numbers only."""

    def __init__(self) -> None:
        self._items: dict[str, int] = {}
        self._concepts: dict[str, int] = {}
        self._scales: dict[str, int] = {}
        self._begin, self._held_out = array("q", [0]), array("b")
        self._item, self._scale = array("i"), array("i")
        self._score, self._answered_at_us = array("d"), array("q")
        self._link_begin, self._concept = array("i", [0]), array("i")

    def add(self, log: Iterable[Answer], *, held_out: bool = False) -> None:
        """Add the next learner.

        Args:
            log: the whole log, in the learner's order.
            held_out: True if no fit may see the learner.
        """
        for answer in log:
            self._item.append(_number(self._items, answer.item_id))
            self._scale.append(_number(self._scales, answer.scale))
            self._score.append(answer.score)
            self._answered_at_us.append(answer.answered_at_us)
            self._concept.extend(_number(self._concepts, name) for name in answer.concept_ids)
            self._link_begin.append(len(self._concept))
        self._begin.append(len(self._item))
        self._held_out.append(held_out)

    def built(self) -> Answers:
        """Return all answers; nothing can be added afterwards."""
        return Answers(
            list(self._items),
            list(self._concepts),
            list(self._scales),
            np.frombuffer(self._begin, np.int64),
            np.frombuffer(self._held_out, np.bool_),
            np.frombuffer(self._item, np.int32),
            np.frombuffer(self._scale, np.int32),
            np.frombuffer(self._score, np.float64),
            np.frombuffer(self._answered_at_us, np.int64),
            np.frombuffer(self._link_begin, np.int32),
            np.frombuffer(self._concept, np.int32),
        )


def answers_of(logs: Iterable[Iterable[Answer]]) -> Answers:
    """Collect whole logs, one per learner in the learner's order, with nobody held out."""
    builder = AnswersBuilder()
    for log in logs:
        builder.add(log)
    return builder.built()


def _number(known: dict[str, int], name: str) -> int:
    return known.setdefault(name, len(known))
