// What other programs have tied to the node keeps it.
UNWIND $rows AS row
MATCH (n:PracticeSession {tenant_id: row.tenant_id, id: row.id})
WHERE NOT EXISTS { MATCH (n)--() }
DELETE n
