// Sessions that nobody else attended; of the others the student's attendance alone goes.
UNWIND $rows AS row
MATCH (:Student {tenant_id: row.tenant_id, id: row.id})-[a:ATTENDED]->(p:PracticeSession)
WHERE coalesce(a.version, 0) <= row.version
  AND NOT EXISTS { MATCH (p)<-[:ATTENDED]-(o:Student) WHERE o.id <> row.id }
DETACH DELETE p
