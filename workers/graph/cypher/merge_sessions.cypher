// The SET changes nothing but locks the node until the transaction ends: without it two
// transactions could both pass the guard on a version and the older one write last.
UNWIND $rows AS row
MERGE (n:PracticeSession {tenant_id: row.tenant_id, id: row.id})
SET n.id = row.id
