UNWIND $rows AS row
MERGE (:Concept {tenant_id: row.tenant_id, id: row.id})
