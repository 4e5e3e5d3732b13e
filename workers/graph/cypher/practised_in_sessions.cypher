UNWIND $rows AS row
MATCH (p:PracticeSession {tenant_id: row.tenant_id, id: row.id})-[:PRACTISED]->(c:Concept)
RETURN p.tenant_id AS tenant_id, p.id AS session_id, c.id AS concept_id
ORDER BY tenant_id, session_id, concept_id
