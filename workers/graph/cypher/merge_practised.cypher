UNWIND $rows AS row
MATCH (p:PracticeSession {tenant_id: row.tenant_id, id: row.session_id})
MATCH (c:Concept {tenant_id: row.tenant_id, id: row.concept_id})
MERGE (p)-[:PRACTISED]->(c)
