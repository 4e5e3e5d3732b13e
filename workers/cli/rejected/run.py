"""A run over dead letters, page by page, and what became of them."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from workers.cli.progress import progress_bar
from workers.operations.dead_letters.dead_letter import DeadLetter, DeadLetterId
from workers.operations.dead_letters.outcome import Fate, Outcome
from workers.operations.dead_letters.reading import DeadLetters
from workers.operations.dead_letters.selection import Selection

Act = Callable[[list[DeadLetter]], Awaitable[list[Outcome]]]


@dataclass(frozen=True, slots=True)
class Choice:
    """Which letters a command is about: these ids, or if there are none, a selection.

    Args:
        ids: the ids.
        selection: what is selected where no id is given.
        cursor: begin behind this letter.
        limit: at most so many.
    """

    ids: tuple[DeadLetterId, ...] = ()
    selection: Selection = field(default_factory=Selection)
    cursor: DeadLetterId | None = None
    limit: int | None = None


@dataclass(slots=True)
class Tally:
    """What became of the letters of a run.

    Args:
        fates: how many ended how.
        reasons: how many could not be sent again for which reason.
        named: of letters named by id, each outcome.
        missing: ids that no letter has.
        cursor: where the next run goes on, if the limit ended this one.
    """

    fates: Counter[Fate] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    named: list[Outcome] = field(default_factory=list)
    missing: list[DeadLetterId] = field(default_factory=list)
    cursor: DeadLetterId | None = None

    @property
    def failed(self) -> bool:
        """Whether something that was named by its id could not be done."""
        wrong = (Fate.REFUSED, Fate.ON_ITS_WAY, Fate.MISSING)
        return bool(self.missing) or any(one.fate in wrong for one in self.named)

    def add(self, outcomes: list[Outcome], *, named: bool) -> None:
        """Count outcomes."""
        for one in outcomes:
            self.fates[one.fate] += 1
            if one.reason is not None:
                self.reasons[one.reason] += 1
        if named:
            self.named += outcomes

    def as_dict(self) -> dict[str, Any]:
        """The tally as JSON shows it."""
        return {
            **{fate.value: count for fate, count in self.fates.items()},
            "reasons": dict(self.reasons),
            "letters": [
                {
                    "id": str(one.letter.id),
                    "outcome": one.fate.value,
                    "redriven_as": one.redriven_as,
                    "redriven_at": one.letter.redriven_at,
                    "reason": one.reason,
                }
                for one in self.named
            ],
            "missing": [str(one) for one in self.missing],
            "cursor": None if self.cursor is None else str(self.cursor),
        }

    def lines(self, *, dry_run: bool) -> Iterator[str]:
        """The tally for people: each letter that was named, and then the numbers."""
        for one in self.named:
            yield f"{one.letter.id}: {_sentence(one, dry_run=dry_run)}"
        if not self.named:
            for reason, count in self.reasons.most_common():
                yield f"{count} not redriven: {reason}"
        told = [f"{count} {_words(fate, dry_run=dry_run)}" for fate, count in self.fates.items()]
        yield ", ".join(told) or "no dead letters of that kind"


async def run_over(
    letters: DeadLetters,
    chosen: Choice,
    act: Act,
    *,
    title: str | None = None,
    counted: bool = True,
    before: Callable[[int], None] | None = None,
) -> Tally:
    """Do something to all letters chosen, page by page, under a progress bar.

    What is added to the streams while it runs is left alone. Stopped half-way, it can be run
    again: each page is done with before the next is read.

    Args:
        letters: all of them.
        chosen: which of them.
        act: does it to one page.
        title: what the bar says; None: no bar.
        counted: whether all are counted before the first is touched.
        before: called with the number of letters before the first is touched; raises to stop.

    Raises:
        RedisUnavailable: Redis is away.
        StreamRefused: Redis refuses a command.
    """
    tally = Tally()
    ends = await letters.ends()
    with progress_bar() as bar:
        total = None
        if counted and title is not None:
            counting = bar.add_task("counting", total=None)
            total = 0
            async for page in _pages(letters, chosen, ends, Tally()):
                total += len(page)
                bar.update(counting, completed=total)
            bar.remove_task(counting)
        if before is not None and total:
            bar.stop()
            before(total)
            bar.start()
        task = bar.add_task(title or "reading", total=total, visible=title is not None)
        async for page in _pages(letters, chosen, ends, tally):
            tally.add(await act(page), named=bool(chosen.ids))
            bar.advance(task, len(page))
    return tally


async def _pages(
    letters: DeadLetters, chosen: Choice, ends: Mapping[int | None, str], tally: Tally
) -> AsyncIterator[list[DeadLetter]]:
    """The letters chosen; notes in the tally what is missing, and where the limit cut."""
    if chosen.ids:
        found = await letters.get(chosen.ids)
        tally.missing = [one for one in chosen.ids if one not in found]
        yield list(found.values())
        return
    left = chosen.limit
    last = chosen.cursor
    async for page in letters.pages(chosen.selection, after=chosen.cursor, ends=ends):
        if left is not None and len(page) > left:
            # One more than is wanted: only now it is known that there is a next page.
            if left:
                last = page[left - 1].id
                yield page[:left]
            tally.cursor = last
            return
        if page:
            last = page[-1].id
            left = None if left is None else left - len(page)
            yield page


def _sentence(one: Outcome, *, dry_run: bool) -> str:
    if one.fate is Fate.REFUSED:
        return f"not redriven: {one.reason}"
    text = _words(one.fate, dry_run=dry_run)
    if one.fate is Fate.REDRIVEN and one.redriven_as is not None:
        return f"{text} as {one.redriven_as}"
    if one.fate is Fate.ALREADY_REDRIVEN:
        return f"{text} at {one.letter.redriven_at} as {one.redriven_as}; nothing was sent"
    if one.fate is Fate.ON_ITS_WAY:
        return f"{text}: the worker has not settled {one.redriven_as} yet; try again later"
    return text


def _words(fate: Fate, *, dry_run: bool) -> str:
    would = "would be " if dry_run else ""
    return {
        Fate.REDRIVEN: f"{would}redriven",
        Fate.ALREADY_REDRIVEN: "already redriven",
        Fate.REFUSED: "can't be redriven",
        Fate.PURGED: f"{would}purged",
        Fate.ON_ITS_WAY: "kept, redriven and still on its way",
        Fate.MISSING: "gone meanwhile",
    }[fate]
