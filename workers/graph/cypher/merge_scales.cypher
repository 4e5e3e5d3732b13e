UNWIND $rows AS row
MERGE (:Scale {tenant_id: row.tenant_id, id: row.id})
