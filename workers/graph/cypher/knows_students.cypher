UNWIND $rows AS row
MATCH (n:Student {tenant_id: row.tenant_id, id: row.id})
RETURN n.tenant_id AS tenant_id, n.id AS id
