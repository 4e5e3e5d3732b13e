"""Which of a learner's new responses a rate lets through. Pure.

In the order in which their entries entered the stream; decided under the learner's version, so that
however many decide at once, the commit of one makes the others decide anew.
"""

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from contracts.rejections import RejectionCode
from workers.admission.verdicts import Admitted
from workers.common.errors import Refused
from workers.common.rate_limit import Counts, RateLimit
from workers.common.times import iso
from workers.ledger.exchange import Arrival

Entries = dict[str, list[Admitted]]
"""Entries that are not settled yet, by response; of each the first one is to own it."""


class Allotment(NamedTuple):
    """What a rate makes of a learner's new responses.

    Args:
        fitting: those that are let through, with all their entries.
        over: entries that are not.
        later: further entries of the same responses: each is judged by its own time, once those
            before it are settled.
    """

    fitting: Entries
    over: list[Admitted]
    later: Entries


def arrival_of(admitted: Admitted, limit: RateLimit | None) -> Arrival:
    """When an entry entered its stream, and where it counts."""
    entered_ms = _order(admitted)[0]
    counted = limit is not None and not admitted.delegated
    return Arrival(entered_ms, limit.window_of(entered_ms) if limit and counted else None)


def allot(entries: Entries, counts: Counts, limit: RateLimit | None) -> Allotment:
    """Let through what the limit lets.

    Args:
        entries: new responses of one learner.
        counts: what was counted of the learner, of the window of each first entry at least.
        limit: the limit; None: there is none.
    """
    if limit is None:
        return Allotment(entries, [], {})
    windows = {name: arrival_of(listed[0], limit).window for name, listed in entries.items()}
    wanted = Counter(window for window in windows.values() if window is not None)
    if all(counts.of(window) + more <= limit.most for window, more in wanted.items()):
        return Allotment(entries, [], {})
    fitting: Entries = {}
    over: list[Admitted] = []
    later: Entries = {}
    taken: Counter[int] = Counter()
    for name, (first, *others) in sorted(entries.items(), key=lambda item: _order(item[1][0])):
        window = windows[name]
        if window is None or counts.of(window) + taken[window] < limit.most:
            fitting[name] = entries[name]
            if window is not None:
                taken[window] += 1
            continue
        over.append(first)
        if others:
            later[name] = others
    return Allotment(fitting, over, later)


def counted(arrivals: list[Arrival]) -> Mapping[int, int]:
    """How many responses count in which window."""
    return Counter(one.window for one in arrivals if one.window is not None)


def over_limit(admitted: Admitted, limit: RateLimit) -> Refused:
    """Why an entry is refused that a limit does not let through."""
    window = limit.window_of(_order(admitted)[0])
    return Refused(
        RejectionCode.RATE_LIMITED,
        f"data.response.student_id has more than RATE_LIMIT={limit} responses that entered the "
        f"stream in the {limit.unit} from {iso(window * 1_000_000)}: slow down, and send this one "
        "again with `mastery rejected redrive`",
        "data.response.student_id",
    )


def _order(admitted: Admitted) -> tuple[int, int]:
    """The place of an entry in its stream."""
    entered_ms, _, number = admitted.entry.entry_id.partition("-")
    return int(entered_ms), int(number)
