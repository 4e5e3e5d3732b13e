UNWIND $rows AS row
MATCH (c:Concept {tenant_id: row.tenant_id, id: row.id})
SET c.name = row.name
