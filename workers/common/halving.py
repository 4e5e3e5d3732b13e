"""Ask a server for less at once when a statement takes too long."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from workers.common.errors import GraphTooSlow, LedgerTooSlow
from workers.common.retrying import Retrying

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class _TooSlow(Exception):
    """The statement takes too long for these items."""


async def halving(
    request: Callable[[Sequence[Item]], Awaitable[list[Answer]]],
    items: Sequence[Item],
    retrying: Retrying,
    *,
    too_slow: Callable[[Item], Answer] | None = None,
) -> list[Answer]:
    """Make a request for items; in halves, and halves of these, while it takes too long.

    Args:
        request: returns one answer for each item; safe to repeat.
        items: at least one.
        retrying: waits for a server that is away.
        too_slow: answers for an item that takes too long alone; None: the request is repeated, as
            for a server that is away.

    Returns:
        One answer for each item, in their order.
    """

    async def attempt() -> list[Answer]:
        try:
            return await request(items)
        except (LedgerTooSlow, GraphTooSlow) as error:
            if len(items) == 1 and too_slow is None:
                raise
            raise _TooSlow from error

    try:
        return await retrying.call(attempt)
    except _TooSlow:
        if len(items) == 1 and too_slow is not None:
            return [too_slow(items[0])]
    half = len(items) // 2
    parts = [items[:half], items[half:]]
    return [
        answer
        for part in parts
        for answer in await halving(request, part, retrying, too_slow=too_slow)
    ]
