UNWIND $rows AS row
MATCH (n:PracticeSession {tenant_id: row.tenant_id, id: row.id})
WHERE NOT EXISTS { MATCH (n)--() }
RETURN n.tenant_id AS tenant_id, n.id AS id
ORDER BY tenant_id, id
