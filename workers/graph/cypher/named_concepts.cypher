UNWIND $rows AS row
MATCH (c:Concept {tenant_id: row.tenant_id, id: row.id})
RETURN c.id AS id, c.name AS name
