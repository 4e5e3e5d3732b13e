// The SET changes nothing but locks the session until the transaction ends, as merging does.
UNWIND $rows AS row
MATCH (:Student {tenant_id: row.tenant_id, id: row.id})-[:ATTENDED]->(p:PracticeSession)
SET p.id = p.id
