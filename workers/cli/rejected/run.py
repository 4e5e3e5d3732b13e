"""A run over dead letters, page by page, with a tally of the outcomes."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from workers.cli.progress import progress_bar
from workers.cli.rejected.choice import Choice
from workers.operations.dead_letters.dead_letter import DeadLetter, DeadLetterId
from workers.operations.dead_letters.outcome import Fate, Outcome
from workers.operations.dead_letters.reading import DeadLetters

Act = Callable[[list[DeadLetter]], Awaitable[list[Outcome]]]


@dataclass(slots=True)
class Tally:
    """The outcomes of a run.

    Args:
        fates: number of letters by outcome.
        reasons: number of letters that could not be sent again, by reason.
        named: outcomes of the letters that were named by id.
        missing: ids without a letter.
        cursor: start of the next run, if the limit ended this one.
    """

    fates: Counter[Fate] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    named: list[Outcome] = field(default_factory=list)
    missing: list[DeadLetterId] = field(default_factory=list)
    cursor: DeadLetterId | None = None

    @property
    def failed(self) -> bool:
        """Return True if a letter named by id is missing or could not be handled."""
        wrong = (Fate.REFUSED, Fate.ON_ITS_WAY, Fate.MISSING)
        return bool(self.missing) or any(outcome.fate in wrong for outcome in self.named)

    def add(self, outcomes: list[Outcome], *, named: bool) -> None:
        """Count outcomes."""
        for outcome in outcomes:
            self.fates[outcome.fate] += 1
            if outcome.reason is not None:
                self.reasons[outcome.reason] += 1
        if named:
            self.named += outcomes

    def as_dict(self) -> dict[str, Any]:
        """Return the tally for JSON."""
        return {
            **{fate.value: count for fate, count in self.fates.items()},
            "reasons": dict(self.reasons),
            "letters": [
                {
                    "id": str(outcome.letter.id),
                    "outcome": outcome.fate.value,
                    "redriven_as": outcome.redriven_as,
                    "redriven_at": outcome.letter.redriven_at,
                    "reason": outcome.reason,
                }
                for outcome in self.named
            ],
            "missing": [str(letter_id) for letter_id in self.missing],
            "cursor": None if self.cursor is None else str(self.cursor),
        }

    def lines(self, *, dry_run: bool) -> Iterator[str]:
        """Yield lines of text: one per letter named by id, then the counts."""
        for outcome in self.named:
            yield f"{outcome.letter.id}: {_sentence(outcome, dry_run=dry_run)}"
        if not self.named:
            for reason, count in self.reasons.most_common():
                yield f"{count} not redriven: {reason}"
        counts = [f"{count} {_words(fate, dry_run=dry_run)}" for fate, count in self.fates.items()]
        yield ", ".join(counts) or "no matching dead letters"


async def run_over(
    letters: DeadLetters,
    chosen: Choice,
    act: Act,
    *,
    title: str | None = None,
    counted: bool = True,
    before: Callable[[int], None] | None = None,
) -> Tally:
    """Act on all chosen letters, page by page, with a progress bar.

    The run ignores letters added meanwhile. After an interruption it can start again, because it
    finishes each page before it reads the next.

    Args:
        letters: the streams of dead letters.
        chosen: the letters to act on.
        act: handles one page.
        title: label of the bar; None shows no bar.
        counted: count all letters before the first page.
        before: called with that count before the first page; may raise to stop.

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
    """Yield the chosen letters; note missing ids and the next cursor in the tally."""
    if chosen.ids:
        by_id = await letters.get(chosen.ids)
        tally.missing = [letter_id for letter_id in chosen.ids if letter_id not in by_id]
        yield list(by_id.values())
        return
    left = chosen.limit
    last = chosen.cursor
    async for page in letters.pages(chosen.selection, after=chosen.cursor, ends=ends):
        if left is not None and len(page) > left:
            # One letter beyond the limit proves that there is a next page.
            if left:
                last = page[left - 1].id
                yield page[:left]
            tally.cursor = last
            return
        if page:
            last = page[-1].id
            left = None if left is None else left - len(page)
            yield page


def _sentence(outcome: Outcome, *, dry_run: bool) -> str:
    if outcome.fate is Fate.REFUSED:
        return f"not redriven: {outcome.reason}"
    text = _words(outcome.fate, dry_run=dry_run)
    if outcome.fate is Fate.REDRIVEN and outcome.redriven_as is not None:
        return f"{text} as {outcome.redriven_as}"
    if outcome.fate is Fate.ALREADY_REDRIVEN:
        return f"{text} at {outcome.letter.redriven_at} as {outcome.redriven_as}; nothing was sent"
    if outcome.fate is Fate.ON_ITS_WAY:
        return f"{text}: the worker has not finished {outcome.redriven_as}; try again later"
    return text


def _words(fate: Fate, *, dry_run: bool) -> str:
    would = "would be " if dry_run else ""
    return {
        Fate.REDRIVEN: f"{would}redriven",
        Fate.ALREADY_REDRIVEN: "already redriven",
        Fate.REFUSED: "can't be redriven",
        Fate.PURGED: f"{would}purged",
        Fate.ON_ITS_WAY: "kept, because the redriven event is still in progress",
        Fate.MISSING: "gone in the meantime",
    }[fate]
