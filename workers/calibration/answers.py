"""The answers of all learners as arrays: what a calibration holds in memory of the log."""

import hashlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from workers.calibration.table import Bools, Floats, Ints, Table
from workers.estimation.learner import LearnerKey, Response

HELD_OUT: Final = 0.2
"""Share of learners that no fit ever sees."""

_SPAN: Final = 2.0**64


def is_held_out(key: LearnerKey) -> bool:
    """Whether a learner is one of those that no fit sees; always the same ones, by their keys.

    So no version was ever fitted on them, and comparing versions on them is fair.
    """
    text = f"{len(key.tenant_id)}:{key.tenant_id}{key.student_id}".encode()
    digest = hashlib.blake2b(text, digest_size=8, person=b"held-out").digest()
    return int.from_bytes(digest, "big") / _SPAN < HELD_OUT


class Answer(NamedTuple):
    """One answer that counts."""

    item_id: str
    concept_ids: Sequence[str]
    scale: str
    score: float
    """In [0, 1]."""
    answered_at_us: int


@dataclass(frozen=True)
class Answers:
    """Answers sorted by learner, each learner's in the learner's order; some 40 bytes each.

    Args:
        items, concepts, scales: ids; arrays hold their indices.
        begin: where each learner's answers begin, one more entry than there are learners.
        held_out: of each learner, whether no fit may see it.
        item, scale: of each answer.
        score: of each answer, in [0, 1].
        answered_at_us: of each answer.
        link_begin: where the concepts of each answer begin, one more entry than there are answers.
        concept: of each link.
    """

    items: Sequence[str]
    concepts: Sequence[str]
    scales: Sequence[str]
    begin: Ints
    held_out: Bools
    item: NDArray[np.int32]
    scale: NDArray[np.int32]
    score: Floats
    answered_at_us: Ints
    link_begin: Ints
    concept: NDArray[np.int32]

    @property
    def learners(self) -> int:
        """Number of learners."""
        return self.held_out.size

    def digest(self) -> str:
        """The same for the same answers, and for no others."""
        found = hashlib.blake2b(digest_size=16)
        for names in (self.items, self.concepts, self.scales):
            found.update(b"".join(b"%d:%b" % (len(n := name.encode()), n) for name in names))
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
            found.update(np.ascontiguousarray(values).data)
        return found.hexdigest()

    def table(self, scale: int) -> Table:
        """What a fit may see of a scale, with the items and concepts that are in it."""
        learner = np.repeat(np.arange(self.learners), np.diff(self.begin))
        rows = np.flatnonzero((self.scale == scale) & ~self.held_out[learner])
        learner = learner[rows]
        counts = np.bincount(learner, minlength=self.learners)
        first = np.cumsum(counts) - counts
        place = np.arange(rows.size) - first[learner]
        # Learners of most answers first; of as many, in the order of their keys.
        rank = np.empty(self.learners, dtype=np.int64)
        rank[np.argsort(-counts, kind="stable")] = np.arange(self.learners)
        order = np.lexsort((rank[learner], place))
        rows, place = rows[order], place[order]
        steps = int(place[-1]) + 1 if place.size else 0
        links = np.diff(self.link_begin)[rows]
        of_row = np.repeat(np.arange(rows.size), links)
        within = np.arange(of_row.size) - np.repeat(np.cumsum(links) - links, links)
        items, item = np.unique(self.item[rows], return_inverse=True)
        concepts, concept = np.unique(
            self.concept[self.link_begin[rows][of_row] + within], return_inverse=True
        )
        return Table(
            [self.items[at] for at in items.tolist()],
            [self.concepts[at] for at in concepts.tolist()],
            rank[learner[order]],
            item,
            np.ascontiguousarray(self.score[rows]),
            np.searchsorted(place, np.arange(steps + 1)),
            of_row,
            concept,
        )

    def log(self, learner: int) -> list[Response]:
        """The log of one learner, as the engine replays it; ids of responses are its places."""
        return [
            Response(
                f"{row:032x}",
                None,
                self.items[self.item[row]],
                tuple(
                    self.concepts[at]
                    for at in self.concept[self.link_begin[row] : self.link_begin[row + 1]].tolist()
                ),
                self.scales[self.scale[row]],
                float(self.score[row]),
                int(self.answered_at_us[row]),
            )
            for row in range(int(self.begin[learner]), int(self.begin[learner + 1]))
        ]


class AnswersBuilder:
    """Takes learner after learner, and keeps numbers alone."""

    def __init__(self) -> None:
        self._items: dict[str, int] = {}
        self._concepts: dict[str, int] = {}
        self._scales: dict[str, int] = {}
        self._begin = array("q", [0])
        self._held_out = array("b")
        self._item, self._scale = array("i"), array("i")
        self._score = array("d")
        self._answered_at_us = array("q")
        self._link_begin = array("q", [0])
        self._concept = array("i")

    @property
    def responses(self) -> int:
        """Number of answers so far."""
        return len(self._item)

    def add(self, key: LearnerKey, log: Iterable[Answer]) -> None:
        """The next learner with the whole log, in the learner's order."""
        for one in log:
            self._item.append(_number(self._items, one.item_id))
            self._scale.append(_number(self._scales, one.scale))
            self._score.append(one.score)
            self._answered_at_us.append(one.answered_at_us)
            self._concept.extend(_number(self._concepts, name) for name in one.concept_ids)
            self._link_begin.append(len(self._concept))
        self._begin.append(len(self._item))
        self._held_out.append(is_held_out(key))

    def built(self) -> Answers:
        """All of them; the builder takes no more."""
        return Answers(
            list(self._items),
            list(self._concepts),
            list(self._scales),
            np.frombuffer(self._begin, np.int64),
            np.frombuffer(self._held_out, np.int8).astype(np.bool_),
            _numbers(self._item),
            _numbers(self._scale),
            np.frombuffer(self._score, np.float64) if self._score else np.zeros(0),
            np.frombuffer(self._answered_at_us, np.int64)
            if self._answered_at_us
            else np.zeros(0, dtype=np.int64),
            np.frombuffer(self._link_begin, np.int64),
            _numbers(self._concept),
        )


def _number(known: dict[str, int], name: str) -> int:
    return known.setdefault(name, len(known))


def _numbers(values: "array[int]") -> NDArray[np.int32]:
    return np.frombuffer(values, np.int32) if values else np.zeros(0, dtype=np.int32)


def chunks(answers: Answers, most: int) -> Iterator[tuple[int, int]]:
    """Spans of learners with at most so many answers of held-out ones, or one learner.

    Args:
        answers: all.
        most: answers.

    Yields:
        The first learner of a span, and the one after its last; spans of no held-out one's are
        left out.
    """
    counts = np.where(answers.held_out, np.diff(answers.begin), 0)
    begin, held = 0, 0
    for learner, count in enumerate(counts.tolist()):
        if held and held + count > most:
            yield begin, learner
            begin, held = learner, 0
        held += count
    if held:
        yield begin, counts.size
