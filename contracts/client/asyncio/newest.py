"""Skip mastery events that are older than what was handled already."""

from collections.abc import Awaitable, Callable

from contracts.client.delivery import Delivery
from contracts.client.newest import REMEMBERED, NewestVersions
from contracts.mastery import MasteryChanged


def newest_only(
    handle: Callable[[MasteryChanged, Delivery], Awaitable[None]], *, size: int = REMEMBERED
) -> Callable[[MasteryChanged, Delivery], Awaitable[None]]:
    """Make a handler that skips events not newer than one handled of the same student and concept.

    As `contracts.client.newest_only`, for a handler that is awaited.
    """
    versions = NewestVersions(size)

    async def handle_newer(event: MasteryChanged, delivery: Delivery) -> None:
        if versions.is_newer(event):
            await handle(event, delivery)
            versions.note(event)

    return handle_newer
