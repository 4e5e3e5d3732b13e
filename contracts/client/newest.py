"""Skip mastery events that are older than what was handled already."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from contracts.client.delivery import Delivery
from contracts.mastery import MasteryChanged

REMEMBERED: Final = 100_000


class NewestVersions:
    """Remembers the highest version that was handled of each student and concept.

    Args:
        size: number of pairs of student and concept that are remembered.
    """

    def __init__(self, size: int = REMEMBERED) -> None:
        self._size = size
        self._versions: OrderedDict[tuple[str, str, str], int] = OrderedDict()

    def is_newer(self, event: MasteryChanged) -> bool:
        """Return True if the event is newer than all that was handled of its pair."""
        return event.data.version > self._versions.get(_pair(event), 0)

    def note(self, event: MasteryChanged) -> None:
        """Remember that the event was handled."""
        pair = _pair(event)
        self._versions[pair] = max(event.data.version, self._versions.get(pair, 0))
        self._versions.move_to_end(pair)
        if len(self._versions) > self._size:
            self._versions.popitem(last=False)


def newest_only(
    handle: Callable[[MasteryChanged, Delivery], None], *, size: int = REMEMBERED
) -> Callable[[MasteryChanged, Delivery], None]:
    """Make a handler that skips events not newer than one handled of the same student and concept.

    It knows what this process has handled. Where several processes handle, or write to a table, let
    the table decide: ``on conflict … do update … where mastery.version < excluded.version``.

    Args:
        handle: receives what is newer; an event counts as handled once it returns.
        size: number of pairs of student and concept that are remembered.
    """
    versions = NewestVersions(size)

    def handle_newer(event: MasteryChanged, delivery: Delivery) -> None:
        if versions.is_newer(event):
            handle(event, delivery)
            versions.note(event)

    return handle_newer


def _pair(event: MasteryChanged) -> tuple[str, str, str]:
    data = event.data
    return data.tenant_id, data.student_id, data.concept_id
