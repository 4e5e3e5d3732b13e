UNWIND $rows AS row
MATCH (p:Concept {tenant_id: row.tenant_id, id: row.prerequisite_id})
MATCH (c:Concept {tenant_id: row.tenant_id, id: row.id})
MERGE (p)-[:PREREQUISITE_OF]->(c)
