// The SET changes nothing but locks the node until the transaction ends, as merging does.
UNWIND $rows AS row
MATCH (n:Student {tenant_id: row.tenant_id, id: row.id})
SET n.id = row.id
