UNWIND $rows AS row
MERGE (p:PracticeSession {tenant_id: row.tenant_id, id: row.session_id})
MERGE (c:Concept {tenant_id: row.tenant_id, id: row.concept_id})
MERGE (p)-[:PRACTISED]->(c)
