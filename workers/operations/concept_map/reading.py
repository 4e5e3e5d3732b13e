"""Read the whole concept map of a tenant."""

from workers.ledger.concept_map import ConceptLedger, ConceptMap

_PAGE = 5_000


async def whole_map(ledger: ConceptLedger, tenant_id: str, *, page: int = _PAGE) -> ConceptMap:
    """Read all concepts and items of a tenant, as one version of the map has them.

    If an import comes in between, the map is read again.

    Args:
        ledger: the ledger.
        tenant_id: the tenant.
        page: items read at once.
    """
    while True:
        known = await ledger.concept_map(tenant_id)
        after = ""
        while items := await ledger.items(tenant_id, after, page):
            known.items |= {item.item_id: item for item in items}
            after = items[-1].item_id
        if (await ledger.concept_map(tenant_id)).version == known.version:
            return known
