// Of those that were told before, which the graph does not hold though it could.
UNWIND $rows AS row
MATCH (s:Student {tenant_id: row.tenant_id, id: row.student_id})
MATCH (c:Concept {tenant_id: row.tenant_id, id: row.concept_id})
WHERE NOT EXISTS { MATCH (s)-[:UNLOCKED]->(c) }
RETURN s.tenant_id AS tenant_id, s.id AS student_id, c.id AS concept_id
