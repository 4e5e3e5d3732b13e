"""Split a learner's new responses by the rate limit. Pure.

Responses count in the order in which their entries entered the stream. The split depends on the
learner's version: when several workers decide at once, the commit of one makes the others decide
anew.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from contracts.rejections import RejectionCode
from workers.admission.verdicts import Admitted
from workers.common.errors import Refused
from workers.common.rate_limit import Counts, RateLimit
from workers.common.times import iso
from workers.ledger.exchange import Arrival

Entries = dict[str, list[Admitted]]
"""Unsettled entries by response id; the first entry of a new response becomes its owner."""


class LimitSplit(NamedTuple):
    """A learner's new responses, split by the rate limit.

    Args:
        fitting: responses within the limit, with all their entries.
        over: entries over the limit.
        later: further entries of the responses in `over`. Each counts by its own time, once the
            entries before it are settled.
    """

    fitting: Entries
    over: list[Admitted]
    later: Entries


def arrival_of(admitted: Admitted, limit: RateLimit | None) -> Arrival:
    """Return when an entry entered its stream, and the window in which it counts."""
    entered_ms = admitted.entry.entered_ms
    counted = limit is not None and not admitted.delegated
    return Arrival(entered_ms, limit.window_of(entered_ms) if limit and counted else None)


def split_by_limit(entries: Entries, counts: Counts, limit: RateLimit | None) -> LimitSplit:
    """Split a learner's new responses into those within the rate limit and those over it.

    Args:
        entries: new responses of one learner.
        counts: the learner's counts, at least of the window of each first entry.
        limit: the limit; None: no limit.
    """
    if limit is None:
        return LimitSplit(entries, [], {})
    arrivals = {name: arrival_of(listed[0], limit) for name, listed in entries.items()}
    wanted = counted(arrivals.values())
    if all(counts.of(window) + more <= limit.most for window, more in wanted.items()):
        return LimitSplit(entries, [], {})
    fitting: Entries = {}
    over: list[Admitted] = []
    later: Entries = {}
    taken: Counter[int] = Counter()
    for name, (first, *others) in sorted(entries.items(), key=lambda item: _order(item[1][0])):
        window = arrivals[name].window
        if window is None or counts.of(window) + taken[window] < limit.most:
            fitting[name] = entries[name]
            if window is not None:
                taken[window] += 1
            continue
        over.append(first)
        if others:
            later[name] = others
    return LimitSplit(fitting, over, later)


def over_in(entries: Entries, counts: Counts, limit: RateLimit | None) -> bool:
    """Return True if the counts do not show each response within the limit."""
    if limit is None:
        return False
    wanted = counted([arrival_of(listed[0], limit) for listed in entries.values()])
    oldest = min(counts.kept, default=0)
    for window, more in wanted.items():
        if window < oldest or counts.of(window) + more > limit.most:
            return True
    return False


def counted(arrivals: Iterable[Arrival]) -> Mapping[int, int]:
    """Count responses by window; responses that count nowhere are left out."""
    # A `Counter` costs several times as much for the few responses of a learner.
    more: dict[int, int] = {}
    for arrival in arrivals:
        if arrival.window is not None:
            more[arrival.window] = more.get(arrival.window, 0) + 1
    return more


def over_limit(admitted: Admitted, limit: RateLimit) -> Refused:
    """Make the refusal of an entry over the rate limit."""
    window = limit.window_of(_order(admitted)[0])
    return Refused(
        RejectionCode.RATE_LIMITED,
        f"data.response.student_id has more than RATE_LIMIT={limit} responses that entered the "
        f"stream in the {limit.unit} from {iso(window * 1_000_000)}: slow down, and send this one "
        "again with `mastery rejected redrive`",
        "data.response.student_id",
    )


def _order(admitted: Admitted) -> tuple[int, int]:
    """Return an entry's place in its stream: milliseconds since 1970 and a counter."""
    entered_ms, _, number = admitted.entry.entry_id.partition("-")
    return int(entered_ms), int(number)
