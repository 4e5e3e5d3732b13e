"""Refuse responses to unregistered items and concepts, in strict mode."""

from collections.abc import Iterable
from typing import Final

from contracts.rejections import RejectionCode
from workers.admission.verdicts import Admitted
from workers.common.errors import Refused
from workers.ledger.concept_map import ConceptLedger, Name

_MOST: Final = 200_000
"""The most names kept in memory, some 40 MB; beyond that all are looked up anew."""
_JWT: Final = "eyJ"


class Registry:
    """Looks up items and concepts in the ledger.

    Registered names stay registered, so they are kept in memory. Unregistered names are looked up
    each time, so that an import counts at once.

    Args:
        ledger: holds the concept maps.
        most: the most names kept in memory.
    """

    def __init__(self, ledger: ConceptLedger, *, most: int = _MOST) -> None:
        self._ledger = ledger
        self._most = most
        self._concepts: set[Name] = set()
        self._items: set[Name] = set()

    async def look_up(self, admitted: Iterable[Admitted]) -> None:
        """Look up the names of a batch, in one round trip if any is not known yet.

        Raises:
            LedgerUnavailable: try again.
        """
        concepts: set[Name] = set()
        items: set[Name] = set()
        for admitted_entry in admitted:
            tenant_id = admitted_entry.key.tenant_id
            items.add(Name(tenant_id, admitted_entry.response.item_id))
            concepts.update(Name(tenant_id, name) for name in admitted_entry.response.concept_ids)
        if len(self._concepts) + len(self._items) > self._most:
            self._concepts, self._items = set(), set()
        concepts -= self._concepts
        items -= self._items
        if concepts or items:
            registered = await self._ledger.registered(sorted(concepts), sorted(items))
            self._concepts |= registered.concepts
            self._items |= registered.items

    def refusal(self, admitted: Admitted) -> Refused | None:
        """Return why a response is refused; None if all its names are registered."""
        tenant_id = admitted.key.tenant_id
        response = admitted.event.data.response
        if Name(tenant_id, response.item_id) not in self._items:
            return _not_found("item_id", "item", response.item_id, tenant_id)
        for number, name in enumerate(response.concept_ids):
            if Name(tenant_id, name) not in self._concepts:
                return _not_found(f"concept_ids.{number}", "concept", name, tenant_id)
        return None


def _not_found(place: str, kind: str, name: str, tenant_id: str) -> Refused:
    field = f"data.response.{place}"
    return Refused(
        RejectionCode.NOT_FOUND,
        f"{field} is {_shown(name)}, and no {kind} of that id is registered for tenant "
        f"{_shown(tenant_id)}: correct it, or register it with `mastery concepts import` and send "
        "the event again with `mastery rejected redrive`",
        field,
    )


def _shown(name: str) -> str:
    return "what looks like a token" if _JWT in name else repr(name)
